"""Runs of intervals: passages of a melody that are found again in other melodies, note for note.

A run is free of rhythm, meter, bars and key, so a strain is found again wherever it stands: in
another meter, in the middle of a set, or a bar later. All runs of a melody would be too many to
keep, so they are sampled by winnowing (Schleimer, Wilkerson and Aiken 2003, "Winnowing: Local
Algorithms for Document Fingerprinting"): of a few successive runs the one with the smallest hash is
taken. Which one that is depends on these runs alone, so two melodies with a long enough passage in
common give the same sample there.
"""

import itertools
import zlib
from collections.abc import Sequence
from typing import NamedTuple

# Many tunes have a passage of fewer pitches, or a figure of so many notes played over and over.
_MIN_PITCHES = 4
_FIGURES = (4, 6, 8)
_TIMES = 3
# Above every hash: a run that is not taken.
_NEVER = 1 << 32


class Sampling(NamedTuple):
    """Which runs are sampled.

    Attributes:
      length: the intervals of a run.
      window: of so many successive runs at least one is taken, so that melodies which have `length
        + window - 1` intervals in common have a sampled run in common.
    """

    length: int
    window: int


def sample(pitches: Sequence[int], sampling: Sampling) -> list[bytes]:
    """Samples the runs of a melody; runs that are too plain to tell tunes apart are passed over.

    Args:
      pitches: MIDI pitches of its notes, in their order.

    Returns:
      Each sampled run once, a byte an interval, in the order of the melody.
    """
    length, window = sampling
    intervals = bytes([(after - before) & 255 for before, after in itertools.pairwise(pitches)])
    runs = [intervals[at : at + length] for at in range(len(intervals) - length + 1)]
    hashes = list(map(zlib.crc32, runs))
    found: dict[bytes, None] = {}
    taken = -1
    for end in range(min(window, len(runs)), len(runs) + 1):
        first = max(end - window, 0)
        # In most windows the smallest hash is still that of the window before. An empty melody
        # has one window, and no run in it.
        if first == end or (taken >= first and hashes[end - 1] > hashes[taken]):
            continue
        smallest = min(hashes[first:end])
        taken = hashes.index(smallest, first)
        while smallest != _NEVER and _is_plain(runs[taken], pitches[taken : taken + length + 1]):
            hashes[taken] = _NEVER
            smallest = min(hashes[first:end])
            taken = hashes.index(smallest, first)
        if smallest == _NEVER:
            taken = -1
        else:
            found[runs[taken]] = None
    return list(found)


def _is_plain(run: bytes, pitches: Sequence[int]) -> bool:
    """Whether a run has few pitches, or is one figure that is played at least three times."""
    return len(set(pitches)) < _MIN_PITCHES or any(
        len(run) >= _TIMES * figure and run[figure:] == run[:-figure] for figure in _FIGURES
    )
