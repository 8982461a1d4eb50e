"""Melodies as NoteSequences and records, for the tests of melody curves."""

import pathlib
from collections.abc import Sequence

import numpy as np

from pipelines.music.note_sequence import NoteSequence
from tests.support.datasets import finish

SCALE = (0, 2, 4, 5, 7, 9, 11)


def piece(notes, meter=(4, 4), key=None, abc=False, qpm=60, length=0.1) -> NoteSequence:
    """A NoteSequence of one voice.

    Args:
      notes: (start, pitch) of each, in quarters.
      meter: numerator and denominator, or None.
      key: the tonic and NoteSequence's mode, or None.
      abc: whether it is from ABC notation, else from MIDI.
      qpm: quarters a minute.
      length: of each note, in quarters.
    """
    sequence = NoteSequence()
    sequence.tempos.add(qpm=qpm)
    kinds = NoteSequence.SourceInfo
    sequence.source_info.encoding_type = kinds.ABC if abc else kinds.MIDI
    if meter:
        sequence.time_signatures.add(numerator=meter[0], denominator=meter[1])
    if key is not None:
        sequence.key_signatures.add(key=key[0], mode=key[1])
    for start, pitch in notes:
        begin, end = start * 60 / qpm, (start + length) * 60 / qpm
        sequence.notes.add(start_time=begin, end_time=end, pitch=pitch, velocity=80)
        sequence.total_time = max(sequence.total_time, end)
    return sequence


def random_notes(seed: int, bars: int = 8) -> list[tuple[float, int]]:
    """Notes of a random tune in 4/4 and C major, as `piece` takes them: eighths and quarters."""
    rng = np.random.default_rng(seed)
    notes, at, degree = [], 0.0, 0
    while at < 4 * bars:
        octave, step = divmod(degree, len(SCALE))
        notes.append((at, 60 + 12 * octave + SCALE[step]))
        at += float(rng.choice([0.5, 0.5, 1.0]))
        degree = int(np.clip(degree + rng.integers(-2, 3), -5, 9))
    return notes


def records(folder: pathlib.Path, splits: Sequence[tuple[str, int]], bars: int = 8) -> pathlib.Path:
    """A folder of records of random tunes, so many in each split."""
    pieces, number = {}, 0
    for split, count in splits:
        for _ in range(count):
            number += 1
            tune = piece(random_notes(number, bars), key=(0, 0), qpm=120, length=0.5)
            pieces[f"{number}.mid"] = split, tune
    return pathlib.Path(finish(folder, pieces))
