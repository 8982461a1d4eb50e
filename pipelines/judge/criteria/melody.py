"""Is it a melody? How surprising each note is to a model of tunes, and how the line moves."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pipelines.judge import additive, shapes
from pipelines.judge.additive import Additive
from pipelines.judge.faults import tune_faults
from pipelines.judge.faults.tune_faults import Faulty
from pipelines.judge.finding import Arrays, CannotBeJudged, Criterion, Finding, Judge, Known, Mark
from pipelines.judge.keys import key_finder
from pipelines.judge.keys.key_finder import KeyFinder
from pipelines.judge.notes import melodic_lines, note_model
from pipelines.judge.notes.melodic_lines import FEATURES, LEAP, OF_NOTES, Line
from pipelines.judge.notes.note_model import NoteModel
from pipelines.representations.abc_tokens.written import Tune
from pipelines.runtime.progress import Progress

# A bar is marked where one of its notes is as surprising as in this share of people's tunes alone.
_MARKED = 0.05
_MOST_MARKS = 8
_RANGE = (0.05, 0.5, 0.95)
# The aspects of a melody: what tells each is learnt from tunes with these faults. The odds of
# all of them add up.
_ASPECTS: Mapping[str, tuple[Sequence[str], Sequence[Callable[..., Faulty]]]] = {
    "notes": (OF_NOTES, (tune_faults.wrong_note,)),
    "line": (FEATURES, (tune_faults.bars_shuffled, tune_faults.random_walk)),
}


class _Priced:
    """A line, and what its notes cost."""

    def __init__(self, line: Line, model: NoteModel, models: Sequence[int]):
        self.line = line
        self.probabilities = model.probabilities(line.notes, models)
        self.surprise = note_model.bits(self.probabilities, line.notes.pitches)

    def features(self) -> np.ndarray:
        """Those of `melodic_lines`."""
        return melodic_lines.features(self.line, self.surprise)


def _columns(names: Sequence[str]) -> list[int]:
    return [FEATURES.index(name) for name in names]


def _learn(train: Sequence[Known], validation: Sequence[Known]) -> Arrays:
    key_arrays = key_finder.learn(train, validation)
    finder = KeyFinder(key_arrays)
    lines = _lines(train, finder)
    parts = [note_model.part_of(known.group) for known, _ in lines]
    of_notes = note_model.fit(
        [line.notes for _, line in lines], [line.pitches for _, line in lines], parts
    )
    model = NoteModel(of_notes)
    rng = np.random.default_rng(1)
    good: list[np.ndarray] = []
    bad: dict[str, list[np.ndarray]] = {name: [] for name in _ASPECTS}
    with Progress("tunes spoilt", len(lines)) as progress:
        for number, (part, (known, line)) in enumerate(zip(parts, lines, strict=True), start=1):
            # A tune, and what is made of it, is priced by the model that has not learnt it.
            good.append(_Priced(line, model, [part]).features())
            for name, (_, plants) in _ASPECTS.items():
                for spoilt in _spoilt(known.tune, plants, rng, finder):
                    bad[name].append(_Priced(spoilt, model, [part]).features())
            progress.update(number)
    made = {**key_arrays, **of_notes}
    for name, (used, _) in _ASPECTS.items():
        rows = np.array([*good, *bad[name]])[:, _columns(used)]
        fitted = additive.fit(rows, np.arange(len(rows)) >= len(good))
        made.update({f"{name}_{key}": value for key, value in fitted.items()})
    return {**made, **_ranges(validation, model, finder)}


def _lines(tunes: Sequence[Known], finder: KeyFinder) -> list[tuple[Known, Line]]:
    found = []
    for known in tunes:
        try:
            found.append((known, melodic_lines.read(known.tune, finder)))
        except CannotBeJudged:
            continue
    return found


def _spoilt(
    tune: Tune, plants: Sequence[Callable[..., Faulty]], rng: np.random.Generator, finder: KeyFinder
) -> list[Line]:
    """The lines of a tune with each of some faults."""
    found = []
    for plant in plants:
        try:
            found.append(melodic_lines.read(plant(tune, rng).tune, finder))
        except (tune_faults.NoPlace, CannotBeJudged):
            continue
    return found


def _ranges(
    validation: Sequence[Known], model: NoteModel, finder: KeyFinder
) -> dict[str, np.ndarray]:
    """How surprising people's tunes are: from when on a bar is marked, and the usual bits."""
    most, means, bars = [], [], []
    for _, line in _lines(validation, finder):
        surprise = _Priced(line, model, model.without([])).surprise
        most.append(surprise.max())
        means.append(surprise.mean())
        bars.append(melodic_lines.by_bar(surprise, line.notes.bars))
    return {
        "marked": np.quantile(most, 1 - _MARKED).astype(np.float32),
        "range": np.quantile(means, _RANGE).astype(np.float32),
        "bar_range": np.quantile(np.concatenate(bars), _RANGE).astype(np.float32),
    }


def _open(arrays: Arrays) -> Judge:
    finder, model = KeyFinder(arrays), NoteModel(arrays)
    bounds = (len(_RANGE),)
    shapes.require(arrays, {"marked": (), "range": bounds, "bar_range": bounds})
    aspects = {}
    for name, (used, _) in _ASPECTS.items():
        learnt = {key: arrays[f"{name}_{key}"] for key in additive.KEYS}
        aspects[name] = _columns(used), Additive(learnt, len(used))
    marked = float(arrays["marked"])
    usual = [[round(float(bound), 2) for bound in arrays[name]] for name in ("range", "bar_range")]

    def judge(tune: Tune) -> Finding:
        """Judges a tune; raises CannotBeJudged where it has no line."""
        line = melodic_lines.read(tune, finder)
        knowing = model.knowing(line.pitches)
        priced = _Priced(line, model, model.without(knowing))
        row = priced.features()
        odds = {
            name: float(aspect(row[None, columns])[0])
            for name, (columns, aspect) in aspects.items()
        }
        marks = _marks(priced, marked)
        evidence = {
            **_evidence(priced, *usual),
            "spoilt": {name: round(value, 2) for name, value in odds.items()},
            "model_knows_it": len(knowing) > 1,
        }
        says = _says(float(priced.surprise.mean()), usual[0], len(marks))
        measure = -float(np.logaddexp.reduce(list(odds.values())))
        return Finding(measure, says, evidence, marks)

    return judge


def _evidence(
    priced: _Priced, usual: Sequence[float], usual_bars: Sequence[float]
) -> dict[str, Any]:
    """What is told of a line, beside what is usual in people's tunes."""
    line, surprise = priced.line, priced.surprise
    steps = np.abs(np.diff(line.pitches))
    bars = np.unique(line.notes.bars)
    each = melodic_lines.by_bar(surprise, line.notes.bars)
    return {
        "bits_a_note": round(float(surprise.mean()), 3),
        "people": dict(zip(("low", "median", "high"), usual, strict=True)),
        "bits_by_bar": {str(bar + 1): round(float(of), 2) for bar, of in zip(bars, each)},
        "people_by_bar": dict(zip(("low", "median", "high"), usual_bars, strict=True)),
        "range": int(np.ptp(line.pitches)),
        "leaps": int((steps > LEAP).sum()),
        "largest_leap": int(steps.max()),
        "last_note": {
            "degree": int((line.pitches[-1] - line.key.tonic) % 12),
            "times_usual_length": round(float(line.lengths[-1] / np.median(line.lengths)), 2),
        },
    }


def _says(mean: float, usual: Sequence[float], marks: int) -> str:
    low, _, high = usual
    beside = "more than" if mean > high else "less than" if mean < low else "as"
    told = f"{mean:.2f} bits a note, {beside} in people's tunes ({low:.2f} to {high:.2f})"
    if marks:
        told += f"; {marks} bar{'s' * (marks > 1)} with a surprising note"
    return told


def _marks(priced: _Priced, threshold: float) -> tuple[Mark, ...]:
    """The bars with the most surprising notes, in their order."""
    line, surprise = priced.line, priced.surprise
    found: dict[int, Mark] = {}
    for note in np.argsort(-surprise, kind="stable"):
        if surprise[note] < threshold or len(found) == _MOST_MARKS:
            break
        bar, pitch = int(line.notes.bars[note]), int(line.pitches[note])
        given = int(line.notes.pitches[note])
        likelier = pitch + int(priced.probabilities[note].argmax()) - given
        if bar not in found:
            chance = float(priced.probabilities[note, given])
            here, there = (key_finder.note_name(one, line.key) for one in (pitch, likelier))
            way = " above" if likelier > pitch else " below"
            text = f"{here} is a surprise ({chance:.2%}); {there}{way} is likelier"
            found[bar] = Mark(bar, text)
    return tuple(found[bar] for bar in sorted(found))


CRITERION = Criterion(
    "melody",
    "Is it a melody? How surprising its notes are, and how its line moves.",
    2,
    _learn,
    _open,
)
