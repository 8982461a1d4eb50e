"""Measures whether an onset detector finds the hits of rendered grooves where their notes are.

    ./.venv/bin/python -m experiments.sound.onsets --records=groove --split=test \
        --output=experiments/sound/onsets-test.json

`groove` is a folder of the Groove MIDI Dataset that `convert` made. The detector is librosa's; its
parameters were chosen on the validation split. Prints Markdown tables.
"""

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from pipelines.audio import synthesis
from pipelines.music.note_sequence import NoteSequence
from pipelines.records import manifest, tfrecord
from pipelines.runtime import files

# How near a detected onset must be to a note, and how near notes are that make one onset: a
# detector gives one onset for a flam, as papers on onset detection count it (Böck, Krebs and
# Schedl, "Evaluating the Online Capabilities of Onset Detection Methods", ISMIR 2012).
TOLERANCE = 0.010
TOGETHER = 0.030
_FFT, _HOP, _LAG, _BANDS, _HIGHEST = 1024, 128, 2, 40, 16_000
_PEAK, _MEAN, _WAIT = (round(ms * synthesis.RATE / 1000 / _HOP) for ms in (15, 30, 29))
_DELTA = 0.05
_VELOCITY = 64
_SECONDS = 60.0  # What is measured of each piece.


class Score(NamedTuple):
    """How onsets that were found agree with those of the notes.

    Attributes:
      groups: the notes in groups of one onset each, in order.
      found: for each group, whether a detected onset is its own.
      detected: how many onsets were detected.
    """

    groups: list[list[Any]]
    found: list[bool]
    detected: int

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        return 2 * sum(self.found) / max(len(self.groups) + self.detected, 1)


def detect(samples: np.ndarray) -> np.ndarray:
    """Onsets in seconds, by librosa's spectral flux in steps of 2.9 ms.

    Args:
      samples: shaped [frames, 2], at `synthesis.RATE`.
    """
    import librosa

    strength = librosa.onset.onset_strength(
        y=samples.mean(axis=1),
        sr=synthesis.RATE,
        hop_length=_HOP,
        n_fft=_FFT,
        n_mels=_BANDS,
        fmax=_HIGHEST,
        lag=_LAG,
        center=False,
    )
    return librosa.onset.onset_detect(
        onset_envelope=strength,
        sr=synthesis.RATE,
        hop_length=_HOP,
        units="time",
        pre_max=_PEAK,
        post_max=_PEAK,
        pre_avg=_MEAN,
        post_avg=_MEAN,
        wait=_WAIT,
        delta=_DELTA,
    )


def grouped(notes: Sequence[Any], together: float = TOGETHER) -> list[list[Any]]:
    """Notes in order of their starts, in groups that begin within so many seconds."""
    groups: list[list[Any]] = []
    for note in sorted(notes, key=lambda note: note.start_time):
        if groups and note.start_time - groups[-1][0].start_time <= together:
            groups[-1].append(note)
        else:
            groups.append([note])
    return groups


def compare(
    notes: Sequence[Any],
    detected: Iterable[float],
    tolerance: float = TOLERANCE,
    together: float = TOGETHER,
) -> Score:
    """Gives each detected onset to at most one group of notes: to one with a note this near."""
    groups = grouped(notes, together)
    found, left = [], list(detected)
    count = len(left)
    for group in groups:
        own = next((at for at in left if _is_near(group, at, tolerance)), None)
        found.append(own is not None)
        if own is not None:
            left.remove(own)
    return Score(groups, found, count)


def _is_near(group: Sequence[Any], at: float, tolerance: float) -> bool:
    return any(abs(note.start_time - at) <= tolerance for note in group)


def attack(pitch: int) -> tuple[float, float]:
    """The milliseconds from a hit until its sound has 10% and half of its greatest size."""
    hit = NoteSequence()
    hit.notes.add(pitch=pitch, velocity=_VELOCITY, end_time=0.05, is_drum=True)
    size = np.abs(synthesis.render(hit)[0]).max(axis=1)
    first, half = (
        1000 * int(np.argmax(size > part * size.max())) / synthesis.RATE for part in (0.1, 0.5)
    )
    return first, half


def _pieces(records: str, split: str) -> Iterator[NoteSequence]:
    for path in manifest.record_files(manifest.split_pattern(records, split)):
        for record in tfrecord.read(path):
            yield NoteSequence.FromString(record)


def _hits(piece: NoteSequence) -> list[Any]:
    """The hits of the first minute."""
    return [
        note
        for note in piece.notes
        if note.is_drum and note.velocity and note.start_time < _SECONDS
    ]


def _alone(hits: Sequence[Any]) -> NoteSequence:
    piece = NoteSequence()
    piece.notes.extend(hits)
    return piece


def measure(records: str, split: str, causes: bool) -> dict[str, Any]:
    """Renders a minute of each piece and counts the onsets that are found.

    Args:
      records: folder of records.
      split: which of its splits.
      causes: whether each drum is also rendered alone, which takes ten times as long.

    Returns:
      `pieces`: the scores of each. With `causes`, `drums` by pitch: the onsets that have no other
      drum, how many of them are found in the mix, and how many onsets are found where the drum
      plays alone; `missed`: how many onsets that are missed in the mix are found in that way.
    """
    pieces = []
    drums: dict[int, Counter] = defaultdict(Counter)
    missed: Counter = Counter()
    for piece in _pieces(records, split):
        hits = _hits(piece)
        if not hits:
            continue
        score = compare(hits, detect(synthesis.render(_alone(hits))[0]))
        if causes:
            _explain(hits, score, drums, missed)
        pieces.append(
            {
                "id": piece.id or piece.filename,
                "onsets": len(score.groups),
                "detected": score.detected,
                "found": sum(score.found),
                "f1": round(score.f1, 4),
            }
        )
    return {
        "split": split,
        "pieces": pieces,
        "drums": {str(pitch): dict(drums[pitch]) for pitch in sorted(drums)},
        "attack ms": {str(pitch): attack(pitch) for pitch in sorted(drums)},
        "missed": dict(missed),
    }


def _explain(hits: Sequence[Any], score: Score, drums: dict[int, Counter], missed: Counter) -> None:
    """Renders each drum alone, and counts what is found so."""
    by_pitch = defaultdict(list)
    for hit in hits:
        by_pitch[hit.pitch].append(hit)
    heard = set()
    for pitch, own in by_pitch.items():
        alone = compare(own, detect(synthesis.render(_alone(own))[0]))
        drums[pitch]["onsets alone"] += len(alone.groups)
        drums[pitch]["found alone"] += sum(alone.found)
        for group, found in zip(alone.groups, alone.found):
            if found:
                heard |= {(pitch, note.start_time) for note in group}
    for group, found in zip(score.groups, score.found):
        if len({note.pitch for note in group}) == 1:
            drums[group[0].pitch]["onsets by itself"] += 1
            drums[group[0].pitch]["found by itself"] += found
        if not found:
            alone_too = any((note.pitch, note.start_time) in heard for note in group)
            how = "found where its drum plays alone" if alone_too else "not found alone either"
            missed[how] += 1


def table(measured: dict[str, Any]) -> str:
    """What `measure` gives, as Markdown."""
    pieces = measured["pieces"]
    f1s = np.array([piece["f1"] for piece in pieces])
    onsets, detected, found = (
        sum(piece[key] for piece in pieces) for key in ("onsets", "detected", "found")
    )
    cells = [
        f"{len(pieces)}",
        f"{onsets:,}",
        *(f"{value:.3f}" for value in (f1s.mean(), np.median(f1s))),
        f"{np.mean(f1s > 0.95):.0%}",
        *(f"{value:.3f}" for value in (found / detected, found / onsets)),
        f"{2 * found / (onsets + detected):.3f}",
    ]
    lines = [
        "| split | pieces | onsets | mean F1 | median | over 0.95 | precision | recall | F1 |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
        f"| {measured['split']} | {' | '.join(cells)} |",
    ]
    if not measured["drums"]:
        return "\n".join(lines)
    lines += [
        "",
        f"missed: {measured['missed']}",
        "",
        "| pitch | onsets of this drum only | found | found alone | 10% after | half after |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for pitch, counts in measured["drums"].items():
        first, half = measured["attack ms"][pitch]
        by_itself = counts.get("onsets by itself", 0)
        share = f"{counts.get('found by itself', 0) / by_itself:.3f}" if by_itself else ""
        lines.append(
            f"| {pitch} | {by_itself:,} | {share} "
            f"| {counts['found alone'] / counts['onsets alone']:.3f} "
            f"| {first:.1f} ms | {half:.1f} ms |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", required=True, help="folder of records that convert made")
    parser.add_argument("--split", default="validation")
    parser.add_argument("--causes", action="store_true", help="render each drum alone, too")
    parser.add_argument("--output", help="JSON of what was measured")
    given = parser.parse_args()
    measured = measure(given.records, given.split, given.causes)
    if given.output:
        files.write_json(given.output, measured)
    print(table(measured))


if __name__ == "__main__":
    main()
