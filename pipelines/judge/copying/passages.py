"""What a tune has of another: the passages that match, how much of it they are, and their bars."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from pipelines.judge.copying import alignment
from pipelines.judge.copying.alignment import Alignment
from pipelines.judge.copying.skeletons import Skeletons
from pipelines.judge.copying.tune_index import Candidates, TuneIndex

# How many tunes are aligned roughly, and then with all passages.
_ALIGNED, _REFINED = 24, 4
# More passages are looked for between those that are found: how long what is left must be, how
# often, and what they must score.
_MIN_PASSAGE, _ROUNDS, _MIN_SCORE = 24, 2, 250
# What a note that begins in one of two tunes alone takes off.
_ALONE = 0.75
# A strain alone may be copied: the stretch of so much of the notes that the other tune has most of
# counts as a whole tune does that is less similar by so much. Fewer notes count as so many.
_STRETCH, _STRETCH_LESS = 0.4, 0.25
_FEW = 24
# A bar matches where so much of its notes does.
_BAR_SHARE = 0.5


class Copy(NamedTuple):
    """A tune of the index beside the judged one.

    Attributes:
      tune: its number in the index.
      notes: how many notes of the judged tune are compared.
      same: how many of them are in the other tune, at the same place of matching passages.
      alone: how many notes of these passages begin in one of the tunes alone.
      stretch: the similarity of the stretch of the judged tune that is most similar.
      above: by how many semitones it lies above the judged tune.
      bars: pairs of bars that match, each from 0: of the judged tune, of the other.
    """

    tune: int
    notes: int
    same: int
    alone: int
    stretch: float
    above: int
    bars: list[tuple[int, int]]

    @property
    def similarity(self) -> float:
        """From 0 to 1, where all notes are the same and no other note is between them.

        Few notes are the same by chance, so a tune of few cannot be very similar.
        """
        return max(self.same - _ALONE * self.alone, 0) / max(self.notes, _FEW)

    @property
    def copied(self) -> float:
        """How much it is copied, from 0 to 1: as a whole, or a stretch of it."""
        return max(self.similarity, self.stretch - _STRETCH_LESS)


def copies(
    index: TuneIndex, query: Skeletons, left_out: np.ndarray | None = None
) -> Iterator[Copy]:
    """The tunes of an index that a tune is most like, compared passage by passage.

    Args:
      index: the tunes.
      query: the skeleton of one tune.
      left_out: bool [tunes], those that it is not compared with.
    """
    some = index.candidates(query, _ALIGNED, left_out)
    if not len(some.tune):
        return
    others = alignment.gather(index.skeletons, some.tune, some.up, some.above)
    best = np.argsort(-alignment.scores(query, others), kind="stable")[:_REFINED]
    others = others.of(best)
    passages = _passages(query, others)
    for number, candidate in enumerate(best):
        one = others.of([number])
        yield _copy(query, some, int(candidate), one, passages[number], index.skeletons)


def _passages(query: Skeletons, others: alignment.Others) -> list[list[Alignment]]:
    """The passages of a tune that each of some others has: the best first, no slot in two."""
    found = [[first] for first in alignment.align(query, others)]
    for number, passages in enumerate(found):
        one = others.of([number])
        free = np.ones(len(query.step), bool)
        _take(free, passages[0])
        for _ in range(_ROUNDS):
            rest = [_best_in(query, one, a, b) for a, b in _gaps(free)]
            rest = [each for each in rest if each.score >= _MIN_SCORE]
            for each in rest:
                passages.append(each)
                _take(free, each)
    return found


def _take(free: np.ndarray, passage: Alignment) -> None:
    """Marks the slots between the ends of a passage as taken."""
    if len(passage.here):
        free[passage.here[0] : passage.here[-1] + 1] = False


def _gaps(free: np.ndarray) -> list[tuple[int, int]]:
    """Where free slots begin and end, of runs long enough for a passage."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], free.astype(np.int8), [0]])))
    pairs = zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    return [(a, b) for a, b in pairs if b - a >= _MIN_PASSAGE]


def _best_in(query: Skeletons, other: alignment.Others, begin: int, end: int) -> Alignment:
    """The best alignment of some slots of a tune."""
    step, pitch, onset, bar = (array[begin:end] for array in query[:4])
    part = Skeletons(step, pitch, onset, bar, np.array([0, end - begin]))
    (found,) = alignment.align(part, other)
    return found._replace(here=found.here + begin)


def _copy(
    query: Skeletons,
    candidates: Candidates,
    candidate: int,
    other: alignment.Others,
    passages: Sequence[Alignment],
    index: Skeletons,
) -> Copy:
    tune = int(candidates.tune[candidate])
    here = np.concatenate([passage.here for passage in passages])
    there = np.concatenate([passage.there for passage in passages])
    ours, theirs = query.onset[here], other.onset[0, there]
    same = ours & theirs & (query.step[here] == other.step[0, there])
    alone = ours ^ theirs
    bars = index.bar[index.starts[tune] + there]
    pairs = _matching_bars(query, query.bar[here], bars, same)
    notes = int(query.onset.sum())
    above = int(candidates.above[candidate])
    counts = np.bincount(here, same - _ALONE * alone, len(query.step))
    stretch = _best_stretch(counts, query.onset)
    return Copy(tune, notes, int(same.sum()), int(alone.sum()), stretch, above, pairs)


def _best_stretch(counts: np.ndarray, onset: np.ndarray) -> float:
    """The highest similarity of a stretch of the least length.

    Args:
      counts: what each slot adds, float [slots].
      onset: in which slots notes begin, bool [slots].
    """
    notes = int(onset.sum())
    least = max(math.ceil(_STRETCH * notes), _FEW)
    size = min(least, notes)
    # From the begin of each note to that of another, or to the end.
    sums = np.concatenate([[0], np.cumsum(counts)])[np.append(np.flatnonzero(onset), len(onset))]
    return max(float((sums[size:] - sums[:-size]).max()) / least, 0.0)


def _matching_bars(
    query: Skeletons, here: np.ndarray, there: np.ndarray, same: np.ndarray
) -> list[tuple[int, int]]:
    """For each bar the bar of the other that most of its notes match, where half of them do."""
    sizes = np.bincount(query.bar[query.onset])
    found: dict[int, tuple[int, int]] = {}
    pairs, counts = np.unique(np.stack([here, there])[:, same], axis=1, return_counts=True)
    for bar, other, count in zip(*pairs.tolist(), counts.tolist(), strict=True):
        if count >= _BAR_SHARE * sizes[bar] and count > found.get(bar, (0, 0))[1]:
            found[bar] = other, count
    return [(bar, found[bar][0]) for bar in sorted(found)]
