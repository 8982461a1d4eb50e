"""Is it a melody? How surprising each note is to a model of tunes, and how the line moves."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pipelines.judge import additive, faults, note_model
from pipelines.judge.finding import Arrays, CannotBeJudged, Criterion, Finding, Judge, Known, Mark
from pipelines.judge.note_contexts import Contexts, contexts
from pipelines.judge.note_model import NoteModel
from pipelines.music import keys
from pipelines.music.note_sequence import NoteSequence
from pipelines.representations.abc_tokens import strains
from pipelines.representations.abc_tokens.written import Tune
from pipelines.runtime.progress import Progress

MIN_NOTES = 6
# A bar is marked where one of its notes is as surprising as in this share of people's tunes alone.
_MARKED = 0.02
_MOST_MARKS = 8
_LEAP = 7
_ALL = range(note_model.HALVES)
# What the judge learns to tell from people's tunes: a fault, and how often.
_PLANTED = (
    (faults.wrong_note, 2),
    (faults.bars_shuffled, 1),
    (faults.random_walk, 1),
)  # fmt: skip


class Line(NamedTuple):
    """A tune as this criterion sees it.

    Attributes:
      tune: the tune.
      notes: its notes in what stands around them.
      pitches: their MIDI pitches.
      lengths: their lengths.
      tonic: the pitch class of the tonic that is heard.
    """

    tune: Tune
    notes: Contexts
    pitches: np.ndarray
    lengths: np.ndarray
    tonic: int


def line_of(tune: Tune) -> Line:
    """Reads the line of a tune.

    Raises:
      CannotBeJudged: where it has too few notes.
    """
    heard = strains.sounds(tune)
    if len(heard) < MIN_NOTES:
        raise CannotBeJudged(f"it has {len(heard)} notes; a melody needs {MIN_NOTES}")
    weights = keys.weigh((sound.pitch, sound.length) for sound in heard)
    tonic, mode = keys.guess_tonic(weights, heard[-1].pitch)
    named = NoteSequence.KeySignature.Mode.Name(mode)
    found = np.array(heard)
    return Line(tune, contexts(tune, tonic, named, heard), found[:, 0], found[:, 1], tonic)


# Features: numbers by which people's tunes and spoilt ones differ.

FEATURES = (
    "bits", "median", "most", "second", "third", "sixth", "three_notes", "over_5", "over_8",
    "over_3_share", "first_of_bars", "worst_bar", "leaps", "range", "pitches", "repeated",
    "longest_run", "turns", "last_length", "last_bits", "last_degree", "notes",
)  # fmt: skip


def features(line: Line, surprise: np.ndarray) -> np.ndarray:
    """The features of a tune: float [features].

    Args:
      line: the tune.
      surprise: the bits of each note.
    """
    ordered = np.sort(surprise)[::-1]
    steps = np.diff(line.pitches)
    bars = line.notes.bars
    first = np.flatnonzero(np.diff(bars, prepend=-1))
    turning = np.sign(steps[steps != 0])
    return np.array(
        [
            surprise.mean(), np.median(surprise), *ordered[:3], ordered[5],
            np.convolve(surprise, np.ones(3), "valid").max(),
            (surprise > 5).sum(), (surprise > 8).sum(), (surprise > 3).mean(),
            surprise[first].mean(), _by_bar(surprise, bars).max(),
            (np.abs(steps) > _LEAP).mean(), np.ptp(line.pitches), len(set(line.pitches.tolist())),
            (steps == 0).mean(), _longest_run(steps == 0),
            (turning[1:] != turning[:-1]).mean() if len(turning) > 1 else 0.0,
            line.lengths[-1] / np.median(line.lengths), surprise[-1],
            (line.pitches[-1] - line.tonic) % 12, np.log(len(surprise)),
        ]
    )  # fmt: skip


def _by_bar(surprise: np.ndarray, bars: np.ndarray) -> np.ndarray:
    """The mean of the bits of each bar that has notes."""
    sums = np.bincount(bars, surprise)
    counts = np.bincount(bars)
    return sums[counts > 0] / counts[counts > 0]


def _longest_run(same: np.ndarray) -> int:
    """How many True values stand together at most."""
    ends = np.flatnonzero(~np.concatenate([[False], same, [False]]))
    return int(np.diff(ends).max()) - 1


def _learn(train: Sequence[Known], validation: Sequence[Known]) -> Arrays:
    lines = _lines(train)
    halves = [note_model.half_of(known.group) for known, _ in lines]
    arrays = note_model.fit(
        [(half, line.notes) for half, (_, line) in zip(halves, lines)],
        [(half, line.pitches) for half, (_, line) in zip(halves, lines)],
    )
    model = NoteModel(arrays)
    rng = np.random.default_rng(1)
    rows: list[np.ndarray] = []
    spoilt: list[bool] = []
    with Progress("tunes spoilt", len(lines)) as progress:
        for number, (half, (known, line)) in enumerate(zip(halves, lines), start=1):
            # The model of the other half prices a tune and what is made of it.
            other = [1 - half]
            rows.append(features(line, _surprise(model, line, other)))
            spoilt.append(False)
            for planted in _spoilt(known.tune, rng):
                rows.append(features(planted, _surprise(model, planted, other)))
                spoilt.append(True)
            progress.update(number)
    most, means, per_bar = [], [], []
    for _, line in _lines(validation):
        surprise = _surprise(model, line, model.unfamiliar(line.pitches) or _ALL)
        most.append(surprise.max())
        means.append(surprise.mean())
        per_bar.append(_by_bar(surprise, line.notes.bars))
    return {
        **arrays,
        **additive.fit(np.array(rows), np.array(spoilt)),
        "marked": np.quantile(most, 1 - _MARKED).astype(np.float32),
        "range": np.quantile(means, [0.05, 0.5, 0.95]).astype(np.float32),
        "bar_range": np.quantile(np.concatenate(per_bar), [0.05, 0.5, 0.95]).astype(np.float32),
    }


def _lines(tunes: Sequence[Known]) -> list[tuple[Known, Line]]:
    found = []
    for known in tunes:
        try:
            found.append((known, line_of(known.tune)))
        except CannotBeJudged:
            continue
    return found


def _spoilt(tune: Tune, rng: np.random.Generator) -> list[Line]:
    """Lines of a tune with each of the faults."""
    found = []
    for plant, times in _PLANTED:
        for _ in range(times):
            try:
                found.append(line_of(plant(tune, rng).tune))
            except (faults.NoPlace, CannotBeJudged):
                continue
    return found


def _surprise(model: NoteModel, line: Line, halves: Sequence[int]) -> np.ndarray:
    return note_model.bits(model.probabilities(line.notes, halves), line.notes.pitches)


def _open(arrays: Arrays) -> Judge:
    model = NoteModel(arrays)
    scores = additive.Additive(arrays)
    threshold = float(arrays["marked"])
    low, middle, high = (round(float(bound), 2) for bound in arrays["range"])
    bar_low, _, bar_high = (round(float(bound), 2) for bound in arrays["bar_range"])

    def judge(tune: Tune) -> Finding:
        line = line_of(tune)
        unfamiliar = model.unfamiliar(line.pitches)
        halves = unfamiliar or _ALL
        probabilities = model.probabilities(line.notes, halves)
        surprise = note_model.bits(probabilities, line.notes.pitches)
        mean = float(surprise.mean())
        steps = np.abs(np.diff(line.pitches))
        bars = np.unique(line.notes.bars)
        by_bar = _by_bar(surprise, line.notes.bars)
        evidence: dict[str, Any] = {
            "bits_a_note": round(mean, 3),
            "people": {"low": low, "median": middle, "high": high},
            "bits_by_bar": {str(bar + 1): round(float(each), 2) for bar, each in zip(bars, by_bar)},
            "people_by_bar": {"low": bar_low, "high": bar_high},
            "model_knows_it": not unfamiliar,
            "range": int(np.ptp(line.pitches)),
            "leaps": int((steps > _LEAP).sum()),
            "largest_leap": int(steps.max()),
            "last_note": {
                "degree": int((line.pitches[-1] - line.tonic) % 12),
                "of_usual_length": round(float(line.lengths[-1] / np.median(line.lengths)), 2),
            },
        }
        measure = -float(scores(features(line, surprise)[None])[0])
        marks = _marks(line, probabilities, surprise, threshold)
        return Finding(measure, _says(mean, low, high, len(marks)), evidence, marks)

    return judge


def _says(mean: float, low: float, high: float, marks: int) -> str:
    beside = (
        "as people's tunes"
        if low <= mean <= high
        else ("more than people's tunes" if mean > high else "less than people's tunes")
    )
    told = f"{mean:.2f} bits a note, {beside} ({low:.2f} to {high:.2f})"
    if marks:
        told += f"; {marks} bar{'s' * (marks > 1)} with a surprising note"
    return told


def _marks(
    line: Line, probabilities: np.ndarray, surprise: np.ndarray, threshold: float
) -> tuple[Mark, ...]:
    """The bars with the most surprising notes, in their order."""
    found: dict[int, Mark] = {}
    for note in np.argsort(-surprise, kind="stable"):
        if surprise[note] < threshold or len(found) == _MOST_MARKS:
            break
        bar = int(line.notes.bars[note])
        if bar not in found:
            expected = int(probabilities[note].argmax()) - int(line.notes.pitches[note])
            name = _name(int(line.pitches[note]))
            likelier = _name(int(line.pitches[note]) + expected)
            chance = float(probabilities[note, line.notes.pitches[note]])
            found[bar] = Mark(bar, f"{name} is a surprise ({chance:.1%}); {likelier} is likelier")
    return tuple(found[bar] for bar in sorted(found))


def _name(pitch: int) -> str:
    names = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "G♯", "A", "B♭", "B")
    return f"{names[pitch % 12]}{pitch // 12 - 1}"


CRITERION = Criterion(
    "melody",
    "Is it a melody? How surprising its notes are, and how its line moves.",
    2,
    _learn,
    _open,
)
