"""Local alignment of a skeleton with others: Smith and Waterman's, with Gotoh's affine gaps.

All candidates are aligned at once, slot by slot of the query. Inside a row the gaps are a running
maximum (Hirschberg and others' scan), so that NumPy does the work. Scores are tenths of bits.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from pipelines.judge.copying.skeletons import Skeletons

# What a slot adds where the same step begins in both tunes, in one of them, or goes on in both, and
# what is taken off where the pitches differ all the same, as F and F sharp do.
_BOTH_BEGIN, _ONE_BEGINS, _BOTH_HELD, _ACCIDENTAL = 19, 6, 6, 5
# Where the steps differ: by up to two, by up to four, by more; an octave counts for the tune.
_NEAR, _FAR, _FURTHEST, _OCTAVE = -9, -10, -14, 6
_UP_TO = (2, 4)
_HELD_SHARE = 0.6
# A beat or a bar may be missing, or an ending, or a strain.
_OPEN, _EXTEND = 60, 5
_NEVER = -(1 << 20)
# Steps are from minus this number to this number, also in another key.
_STEPS = 256


class Alignment(NamedTuple):
    """A passage of a tune beside the passage of another that is most like it.

    Attributes:
      score: its score, in tenths of bits.
      here, there: which slot of the tune stands beside which of the other; int [pairs].
    """

    score: int
    here: np.ndarray
    there: np.ndarray


class Others(NamedTuple):
    """Skeletons to align with, moved into the key of the query, each int or bool [others, slots].

    Attributes:
      step, pitch, onset: as of `Skeletons`; step and pitch less what the tune lies above the query.
      valid: which slots there are.
    """

    step: np.ndarray
    pitch: np.ndarray
    onset: np.ndarray
    valid: np.ndarray

    def of(self, numbers: Sequence[int] | np.ndarray) -> "Others":
        """Some of them."""
        return Others(*(part[numbers] for part in self))


def gather(skeletons: Skeletons, tunes: np.ndarray, up: np.ndarray, above: np.ndarray) -> Others:
    """The skeletons of some tunes, side by side.

    Args:
      skeletons: those of all tunes.
      tunes: which to take, int [others].
      up, above: by how many diatonic steps and semitones they lie above the query, int [others].
    """
    begin, end = skeletons.starts[tunes], skeletons.starts[tunes + 1]
    places = begin[:, None] + np.arange(max(end - begin))
    valid = places < end[:, None]
    places = np.where(valid, places, begin[:, None])
    return Others(
        skeletons.step[places] - up.astype(np.int16)[:, None],
        skeletons.pitch[places] - above.astype(np.int16)[:, None],
        skeletons.onset[places],
        valid,
    )


def scores(query: Skeletons, others: Others) -> np.ndarray:
    """The score of the best alignment with each of some tunes, int [others]."""
    best = np.zeros(others.step.shape, np.int32)
    for row in _rows(query, others):
        np.maximum(best, row, out=best)
    return best.max(axis=1)


def self_score(query: Skeletons) -> int:
    """The score of a tune's alignment with itself."""
    return int(np.where(query.onset, _BOTH_BEGIN, _BOTH_HELD).sum())


def align(query: Skeletons, others: Others) -> list[Alignment]:
    """The best alignment with each of some tunes."""
    table = np.stack([row.copy() for row in _rows(query, others)], axis=1)
    symbols, which = _symbols(query)
    found = []
    for number in range(len(table)):
        one = others.of([number])
        found.append(_trace(table[number], _substitutions(symbols, one)[:, 0], which))
    return found


def _symbols(query: Skeletons) -> tuple[np.ndarray, np.ndarray]:
    """The different slots of a query, int [symbols, 3], and which of them each slot is."""
    slots = np.stack([query.step, query.pitch, query.onset], axis=1)
    symbols, which = np.unique(slots, axis=0, return_inverse=True)
    return symbols, which.ravel()


def _substitutions(symbols: np.ndarray, others: Others) -> np.ndarray:
    """What each symbol beside each slot scores, int32 [symbols, others, slots]."""
    begins = _scores_of_steps(False), _scores_of_steps(True)
    # Where the step and whether a note begins there are looked up.
    code = (others.step + _STEPS) * 2 + others.onset
    code = code.astype(np.intp)
    table = np.empty((len(symbols), *others.step.shape), np.int32)
    for number, (step, pitch, onset) in enumerate(symbols):
        table[number] = begins[int(onset)][code - 2 * step]
        table[number] -= _ACCIDENTAL * ((others.step == step) & (others.pitch != pitch))
    table[:, ~others.valid] = _NEVER
    return table


@functools.cache
def _scores_of_steps(begins: bool) -> np.ndarray:
    """What slots score beside one with step 0, in which a note begins or not, int32 [codes]."""
    apart = np.abs(np.arange(-_STEPS, _STEPS))
    near, far = _UP_TO
    differ = np.where(apart <= near, _NEAR, np.where(apart <= far, _FAR, _FURTHEST))
    differ = np.where((apart == 7) | (apart == 14), _OCTAVE, differ)
    held = np.where(differ < 0, differ * _HELD_SHARE, differ).astype(np.int32)
    pairs = np.stack([held, differ if begins else held], axis=1)
    pairs[apart == 0] = (_ONE_BEGINS, _BOTH_BEGIN) if begins else (_BOTH_HELD, _ONE_BEGINS)
    return pairs.ravel().astype(np.int32)


def _rows(query: Skeletons, others: Others) -> Iterator[np.ndarray]:
    """The rows of the table of scores, int32 [others, slots]; each is valid until the next."""
    symbols, which = _symbols(query)
    table = _substitutions(symbols, others)
    count, size = others.step.shape
    ramp = np.arange(size, dtype=np.int32) * _EXTEND
    row = np.zeros((count, size + 1), np.int32)
    down = np.full((count, size), _NEVER, np.int32)
    for symbol in which:
        new = row[:, :-1] + table[symbol]
        np.maximum(down - _EXTEND, row[:, 1:] - _OPEN, out=down)
        np.maximum(new, down, out=new)
        np.maximum(new, 0, out=new)
        along = np.maximum.accumulate(new[:, :-1] + ramp[:-1], axis=1) - (ramp[:-1] + _OPEN)
        np.maximum(new[:, 1:], along, out=new[:, 1:])
        row[:, 1:] = new
        yield new


def _trace(table: np.ndarray, substitutions: np.ndarray, which: np.ndarray) -> Alignment:
    """Follows the best alignment back through the table of scores, int [query, slots]."""
    i, j = divmod(int(np.argmax(table)), table.shape[1])
    best = int(table[i, j])
    here: list[int] = []
    there: list[int] = []
    while i >= 0 and j >= 0 and table[i, j] > 0:
        value = table[i, j]
        before = table[i - 1, j - 1] if i and j else 0
        if value == before + substitutions[which[i], j]:
            here.append(i)
            there.append(j)
            i, j = i - 1, j - 1
            continue
        column = table[:i, j] - _OPEN - _EXTEND * np.arange(i - 1, -1, -1)
        over = np.flatnonzero(column == value)
        if len(over):
            i = int(over[-1])
            continue
        across = table[i, :j] - _OPEN - _EXTEND * np.arange(j - 1, -1, -1)
        j = int(np.flatnonzero(across == value)[-1])
    return Alignment(best, np.array(here[::-1], int), np.array(there[::-1], int))
