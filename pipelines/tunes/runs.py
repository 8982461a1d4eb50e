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
from collections.abc import Callable, Sequence
from typing import NamedTuple

# Many tunes have a passage of fewer pitches, or a figure of so many notes played over and over.
_MIN_PITCHES = 4
_FIGURES = (4, 6, 8)
_TIMES = 3
# The same of a drum part, whose onsets are compared by hashes of so many bytes.
_MIN_ONSETS = 4
_CODE_BYTES = 4
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
    intervals = bytes([(after - before) & 255 for before, after in itertools.pairwise(pitches)])

    def is_plain(at: int, run: bytes) -> bool:
        return _is_plain(run, pitches[at : at + sampling.length + 1])

    return _winnow(intervals, 1, sampling, is_plain)


def sample_onsets(onsets: Sequence[bytes], sampling: Sampling) -> list[bytes]:
    """Samples the runs of a drum part, as `sample` does those of a melody.

    Runs of fewer than four different onsets are passed over, and those that repeat a figure of up
    to half their length, such as one bar of a beat: many pieces have such.

    Args:
      onsets: what sounds at each onset and how long it is to the next one, in any bytes.

    Returns:
      Each sampled run once, as a hash of each of its onsets, in the order of the part.
    """
    codes = b"".join(zlib.crc32(onset).to_bytes(_CODE_BYTES, "big") for onset in onsets)

    def is_plain(at: int, run: bytes) -> bool:
        few = len(set(onsets[at : at + sampling.length])) < _MIN_ONSETS
        sizes = range(_CODE_BYTES, len(run) // 2 + 1, _CODE_BYTES)
        return few or any(run[size:] == run[:-size] for size in sizes)

    return _winnow(codes, _CODE_BYTES, sampling, is_plain)


def _winnow(
    codes: bytes, size: int, sampling: Sampling, is_plain: Callable[[int, bytes], bool]
) -> list[bytes]:
    """Samples the runs of a piece.

    Args:
      codes: so many bytes (`size`) for each of its steps.
      is_plain: whether the run at a place, which is given too, is to be passed over.
    """
    length, window = sampling
    steps = len(codes) // size
    runs = [codes[at * size : (at + length) * size] for at in range(steps - length + 1)]
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
        while smallest != _NEVER and is_plain(taken, runs[taken]):
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
