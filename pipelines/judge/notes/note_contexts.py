"""What stands around each note of a tune: what a model of notes sees of it.

Each note is described by numbers that are free of key and octave: the notes before and after it,
how long it is, where it stands in its bar and in its strain, and what stands at the same place of
the bars of the tune that are most like its own.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipelines.music.abc.grid import WHOLE
from pipelines.representations.abc_tokens import strains
from pipelines.representations.abc_tokens.steps import measure
from pipelines.representations.abc_tokens.written import Tune

# Semitones from the tonic that is nearest to the mean pitch, clipped; the last one is no pitch.
REACH = 24
PITCHES = 2 * REACH + 2
NONE = PITCHES - 1
# How many notes are seen before and after a note.
_AROUND = 6
# A bar is compared on a grid of this many cells of a whole note, and up to so many cells.
_CELL = WHOLE // 48
_CELLS = 96
_BOUNDS = tuple(WHOLE * n // 96 for n in (3, 4, 6, 8, 9, 12, 16, 18, 24, 36, 48, 72))
_LENGTHS = len(_BOUNDS) + 2
_FEW_BARS = 9
# The bars most like a note's own, and how like they are.
_LIKE = 3
_LIKENESS = (0.3, 0.5, 0.7, 0.9)
_LIKE_SIZE = PITCHES * (len(_LIKENESS) + 1)
# What stands at a note's place so many bars before and after it.
_BARS_AWAY = (-8, -4, -2, -1, 1, 2, 4, 8)
# Bars are compared with the others of a stretch of so many.
_STRETCH = 128
_MODES = ("MAJOR", "MINOR", "DORIAN", "MIXOLYDIAN")
_METERS = ((4, 4), (2, 2), (2, 4), (3, 4), (6, 8), (9, 8), (12, 8), (3, 8), (3, 2), (6, 4))

# How many values each number has that describes a note, in their order.
SIZES = (
    *(PITCHES,) * (2 * _AROUND),
    *(_LENGTHS,) * 3,
    _CELLS,
    len(_METERS) + 1,
    len(_MODES) + 1,
    _FEW_BARS,
    _FEW_BARS,
    *(_LIKE_SIZE,) * _LIKE,
    *(PITCHES,) * len(_BARS_AWAY),
)
_OFFSETS = np.concatenate([[0], np.cumsum(SIZES)[:-1]])


class Contexts(NamedTuple):
    """The notes of a tune in what stands around them.

    Attributes:
      columns: int32 array shaped [notes, len(SIZES)]: of each number that describes a note, its
        place among all values of all numbers, below sum(SIZES).
      pitches: int array shaped [notes]: from 0 to 2 * REACH, the note itself.
      bars: int array shaped [notes]: the bar in which each note begins.
    """

    columns: np.ndarray
    pitches: np.ndarray
    bars: np.ndarray


def contexts(tune: Tune, tonic: int, mode: str, heard: Sequence[strains.Sound]) -> Contexts:
    """Describes the notes of a tune.

    Args:
      tune: the tune.
      tonic: the pitch class of its tonic.
      mode: its mode, as in NoteSequence.
      heard: its notes, from `strains.sounds`; at least one.
    """
    sounded = np.array(heard)
    pitch, length, bar, place = sounded.T
    relative = _relative(pitch, length, tonic)
    begin, left = _in_strain(tune)
    meters = [_METERS.index(b.meter) if b.meter in _METERS else len(_METERS) for b in tune.bars]
    cell = place // _CELL + _shifts(tune)[bar]
    grid = _grid(len(tune.bars), relative, length, bar, cell)
    columns = [
        *_around(relative).T,
        *_lengths(length).T,
        np.minimum(cell, _CELLS - 1),
        np.array(meters)[bar],
        np.full(len(pitch), _MODES.index(mode) if mode in _MODES else len(_MODES)),
        begin[bar],
        left[bar],
        *_like(grid, length, bar, cell).T,
        *_away(grid, bar, cell).T,
    ]
    return Contexts((np.stack(columns, axis=1) + _OFFSETS).astype(np.int32), relative, bar)


def _relative(pitch: np.ndarray, length: np.ndarray, tonic: int) -> np.ndarray:
    """Pitches above the tonic that is nearest to their mean, from 0 on, clipped."""
    mean = int((pitch * length).sum() / length.sum() + 0.5)
    reference = mean - (mean - tonic + 6) % 12 + 6
    return np.clip(pitch - reference, -REACH, REACH) + REACH


def _around(relative: np.ndarray) -> np.ndarray:
    """The pitches of the notes before and after each: [notes, 2 * _AROUND]."""
    padded = np.pad(relative, _AROUND, constant_values=NONE)
    steps = [step for step in range(-_AROUND, _AROUND + 1) if step]
    return np.stack([padded[_AROUND + s : _AROUND + s + len(relative)] for s in steps], axis=1)


def _lengths(length: np.ndarray) -> np.ndarray:
    """The classes of the lengths of the note before, the note, and the note after."""
    found = np.searchsorted(_BOUNDS, length, "right")
    padded = np.pad(found, 1, constant_values=_LENGTHS - 1)
    return np.stack([padded[:-2], found, padded[2:]], axis=1)


def _shifts(tune: Tune) -> np.ndarray:
    """By how many cells the notes of a bar are late: those of a pickup stand at a bar's end."""
    found = np.zeros(len(tune.bars), int)
    first = 0
    for part in strains.parts(tune):
        size = measure(part[0].meter)
        if size and part[0].length < size:
            found[first] = (size - part[0].length) // _CELL
        first += len(part)
    return found


def _in_strain(tune: Tune) -> tuple[np.ndarray, np.ndarray]:
    """How many bars of its strain are before and after each bar, counted in eights."""
    begin, left = [], []
    for part in strains.parts(tune):
        size = measure(part[0].meter)
        pickup = bool(size) and part[0].length < (size or 0)
        numbers = np.arange(len(part)) - pickup
        begin.extend(np.where(numbers < 0, 8, numbers % 8))
        left.extend(np.minimum(len(part) - 1 - np.arange(len(part)), _FEW_BARS - 1))
    return np.array(begin), np.array(left)


def _grid(
    bars: int, relative: np.ndarray, length: np.ndarray, bar: np.ndarray, cell: np.ndarray
) -> np.ndarray:
    """The pitch that sounds in each cell of each bar: int8 [bars, _CELLS]."""
    grid = np.full((bars, _CELLS), NONE, np.int8)
    start = np.minimum(cell, _CELLS - 1)
    end = np.minimum(cell + np.maximum(length // _CELL, 1), _CELLS)
    for note, at in enumerate(bar):
        grid[at, start[note] : end[note]] = relative[note]
    return grid


def _away(grid: np.ndarray, bar: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """What stands at a note's place some bars away: [notes, len(_BARS_AWAY)]."""
    most = max(_BARS_AWAY)
    padded = np.pad(grid, ((most, most), (0, 0)), constant_values=NONE)
    places = bar[:, None] + most + np.array(_BARS_AWAY)
    return padded[places, np.minimum(cell, _CELLS - 1)[:, None]].astype(int)


def _like(grid: np.ndarray, length: np.ndarray, bar: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """What stands at a note's place in the bars most like its own: [notes, _LIKE].

    How like a bar is, is counted without the note itself.
    """
    start = np.minimum(cell, _CELLS - 1)
    end = np.maximum(np.minimum(cell + np.maximum(length // _CELL, 1), _CELLS), start + 1)
    found = np.full((len(bar), _LIKE), NONE * (len(_LIKENESS) + 1))
    for first in range(0, len(grid), _STRETCH):
        some = np.flatnonzero((bar >= first) & (bar < first + _STRETCH))
        if len(some):
            found[some] = _like_in(
                grid[first : first + _STRETCH], bar[some] - first, start[some], end[some]
            )
    return found


def _like_in(grid: np.ndarray, bar: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """As `_like`, among the bars of a grid."""
    sounds = grid != NONE
    equal = (grid[:, None] == grid[None]) & sounds[:, None]
    sums = np.zeros((*equal.shape[:2], _CELLS + 1), np.int16)
    np.cumsum(equal, axis=2, out=sums[:, :, 1:])
    mine = sums[bar, :, -1] - (sums[bar, :, end] - sums[bar, :, start])
    size = sounds.sum(axis=1)[bar] - (end - start)
    likeness = mine / np.maximum(size, 1)[:, None]
    likeness[np.arange(len(bar)), bar] = -1
    # Of bars as like, the nearest.
    distance = np.abs(np.arange(len(grid))[None] - bar[:, None])
    order = np.argsort(-likeness + 1e-6 * distance, axis=1)[:, :_LIKE]
    best = np.take_along_axis(likeness, order, axis=1)
    there = grid[order, start[:, None]].astype(int)
    there = np.where(best >= 0, there, NONE)
    found = there * (len(_LIKENESS) + 1) + np.searchsorted(_LIKENESS, best, "right")
    missing = _LIKE - found.shape[1]
    return np.pad(found, ((0, 0), (0, missing)), constant_values=NONE * (len(_LIKENESS) + 1))
