"""An index that finds the tunes which a tune may be a copy of, in any key and with changed notes.

The interval between two notes a few quavers apart is the same in every key. A copy has many of its
intervals where its original has them, at one distance between the two tunes. So each interval of
the query is looked for in all tunes at once, and counts for the distance at which it is found: the
vote of audio fingerprints (A. Wang, An industrial-strength audio search algorithm, ISMIR 2003), but
of intervals so plain that half of the notes may be changed, and so over all tunes, byte by byte.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from pipelines.judge.skeletons import MAX_SLOTS, Skeletons

# How far the notes of an interval are apart, in slots.
_DISTANCES = (1, 2, 3, 4, 6)
# Steps of larger intervals are not told apart.
_WIDEST = 9
_NO_INTERVAL = 100
# Copies begin at beats: where a bar of the query has a multiple of this many slots, the distances
# between the tunes are so, too.
_BEATS = (4, 3)
_ALIGNED = 12
# The votes are counted for every passage of so many slots: a multiple of both beats, and so short
# that a byte can count its intervals.
_PASSAGE = 48
# How many bytes are compared for a query: with more tunes, fewer of its intervals are looked for.
_BUDGET = 190_000_000
_MARGIN = -(-MAX_SLOTS // _ALIGNED) * _ALIGNED


class Candidates(NamedTuple):
    """Tunes that may be the original of a query.

    Attributes:
      tune: numbers of tunes, the most probable first; int64 [candidates].
      up: how many diatonic steps the tune lies above the query, int64 [candidates].
      above: how many semitones, int64 [candidates].
    """

    tune: np.ndarray
    up: np.ndarray
    above: np.ndarray


class _Votes:
    """The intervals that a query has in common with tunes, where they are as far apart.

    A passage of the query and the one after it, and all of it, count for the place where the
    middle of the two is. So the votes for a tune are at its own places.

    Args:
      counts: uint8 [passages, places]; places are in beats.
      slots: how many slots the query has.
      beat: how many slots a beat has.
      first: where the query begins that is counted at the first place, in slots.

    Attributes:
      most: the most votes for each place, uint16 [places].
    """

    def __init__(self, counts: np.ndarray, slots: int, beat: int, first: int):
        self._counts, self._beat, self._first = counts, beat, first
        self._total = counts[0].astype(np.uint16)
        for passage in counts[1:]:
            np.add(self._total, passage, out=self._total)
        pairs = range(max(len(counts) - 1, 1))
        self._middles = [min(_PASSAGE * (pair + 1), slots // 2) // beat for pair in pairs]
        self.most = np.zeros_like(self._total)
        for pair, middle in enumerate(self._middles):
            there = self.most[middle:]
            np.maximum(there, self._of_pair(pair, slice(0, len(there))), out=there)

    def _of_pair(self, pair: int, places: slice) -> np.ndarray:
        votes = self._total[places].copy()
        for passage in self._counts[pair : pair + 2, places]:
            np.add(votes, passage, out=votes)
        return votes

    def begin(self, place: int) -> int:
        """Where the query begins that has the most votes at a place, in slots."""
        pair = max(
            (pair for pair, middle in enumerate(self._middles) if middle <= place),
            key=lambda pair: self._of_pair(pair, _at(place - self._middles[pair]))[0],
        )
        return (place - self._middles[pair]) * self._beat + self._first


def _at(place: int) -> slice:
    return slice(place, place + 1)


class TuneIndex:
    """Finds tunes by intervals that they have at the same distances.

    Args:
      skeletons: those of the tunes, at least one.
    """

    def __init__(self, skeletons: Skeletons):
        self.skeletons = skeletons
        # Each tune begins so that its bar lines are at multiples of the beats. A query may begin
        # before the first tune and end after the last one.
        self._begins, at = [], _MARGIN
        phases = _phases(skeletons).tolist()
        for size, phase in zip(np.diff(skeletons.starts).tolist(), phases, strict=True):
            at += (-at - phase) % _ALIGNED
            self._begins.append(at)
            at += size
        self._end = at
        size = -(-(at + 2 * _MARGIN) // _ALIGNED) * _ALIGNED
        tune = np.repeat(np.arange(len(self._begins)), np.diff(skeletons.starts))
        self._places = np.arange(len(tune)) + (self._begins - skeletons.starts[:-1])[tune]
        self._intervals = {}
        for distance in _DISTANCES:
            laid_out = np.full(size, _NO_INTERVAL, np.int8)
            laid_out[self._places] = _intervals(skeletons, distance)
            self._intervals[distance] = {
                beat: np.ascontiguousarray(laid_out.reshape(-1, beat).T) for beat in _BEATS
            }

    def candidates(
        self, query: Skeletons, count: int, left_out: np.ndarray | None = None
    ) -> Candidates:
        """The tunes with most intervals of a tune, in a passage and in all of it.

        Args:
          query: the skeleton of one tune.
          count: how many are wanted at most.
          left_out: bool [tunes], those that are not wanted.
        """
        phase, bar = int(_phases(query)[0]), _usual_bar(query)
        beat = next((beat for beat in _BEATS if bar % beat == 0), _BEATS[0])
        shifts = (0,) if bar % beat == 0 else range(beat)
        counted = [self._votes(query, beat, (shift - phase) % beat) for shift in shifts]
        first = -(-np.array(self._begins) // beat)
        most = np.max([np.maximum.reduceat(one.most, first) for one in counted], axis=0)
        most = most.astype(np.int64)
        if left_out is not None:
            most[left_out] = 0
        count = min(count, len(most))
        tunes = np.argpartition(-most, count - 1)[:count]
        tunes = tunes[np.lexsort([tunes, -most[tunes]])]
        tunes = tunes[most[tunes] > 0]
        stop = np.append(first[1:], len(counted[0].most))
        begins = []
        for tune in tunes.tolist():
            here = slice(first[tune], stop[tune])
            votes = max(counted, key=lambda one: one.most[here].max())
            begins.append(votes.begin(int(first[tune]) + int(votes.most[here].argmax())))
        return self._in_key(query, tunes, begins)

    def _votes(self, query: Skeletons, beat: int, first: int) -> "_Votes":
        """Counts the intervals that the query has in common with the tunes.

        Args:
          query: the skeleton of one tune.
          beat: distances between query and tunes are multiples of it, from `first` on.
          first: see there.
        """
        size = self._end // beat
        passages = -(-len(query.step) // _PASSAGE)
        counts = np.zeros((passages, size), np.uint8)
        equal = np.empty(size, bool)
        for distance, at, interval in _looked_for(query, _BUDGET // size):
            column, row = divmod(at + first, beat)
            tunes = self._intervals[distance][beat][row, column : column + size]
            np.equal(tunes, interval, out=equal)
            passage = counts[at // _PASSAGE]
            np.add(passage, equal.view(np.uint8), out=passage)
        return _Votes(counts, len(query.step), beat, first)

    def _in_key(self, query: Skeletons, tunes: np.ndarray, begins: list[int]) -> Candidates:
        """The tunes with the intervals by which most of their notes lie above the query's."""
        up, above = [], []
        starts = self.skeletons.starts
        for tune, begin in zip(tunes, begins, strict=True):
            # Where the query's first slot is in the tune.
            by = begin - self._begins[tune]
            here = np.arange(
                max(-by, 0), min(len(query.step), starts[tune + 1] - starts[tune] - by)
            )
            there = here + by + starts[tune]
            both = query.onset[here] & self.skeletons.onset[there]
            here, there = here[both], there[both]
            steps = self.skeletons.step[there] - query.step[here]
            up.append(_most_frequent(steps))
            same = steps == up[-1]
            above.append(
                _most_frequent(self.skeletons.pitch[there[same]] - query.pitch[here[same]])
            )
        return Candidates(tunes, np.array(up, np.int64), np.array(above, np.int64))


def _most_frequent(values: np.ndarray) -> int:
    """The whole number that occurs most often, the least of several; 0 where there is none."""
    if not len(values):
        return 0
    least = int(values.min())
    return int(np.bincount(values - least).argmax()) + least


def _intervals(skeletons: Skeletons, distance: int) -> np.ndarray:
    """The interval from each slot to the one at a distance, int8 [slots].

    It is _NO_INTERVAL where no note begins at one of the two or the tune is over.
    """
    intervals = np.full(len(skeletons.step), _NO_INTERVAL, np.int8)
    if len(intervals) <= distance:
        return intervals
    steps = skeletons.step
    between = np.clip(steps[distance:] - steps[:-distance], -_WIDEST, _WIDEST)
    both = skeletons.onset[distance:] & skeletons.onset[:-distance]
    intervals[:-distance][both] = between[both]
    for before in range(1, distance + 1):
        ends = skeletons.starts[1:] - before
        intervals[ends[ends >= 0]] = _NO_INTERVAL
    return intervals


def _looked_for(query: Skeletons, most: int) -> Iterator[tuple[int, int, np.int8]]:
    """Distances, slots and intervals of a query, evenly chosen where there are too many."""
    found = []
    for distance in _DISTANCES:
        intervals = _intervals(query, distance)
        found += [(distance, at, intervals[at]) for at in np.flatnonzero(intervals < _NO_INTERVAL)]
    if len(found) > most:
        found.sort(key=lambda one: (one[1], one[0]))
        chosen = np.linspace(0, len(found) - 1, max(most, 1)).astype(int)
        found = [found[i] for i in chosen]
    for distance, at, interval in found:
        yield distance, int(at), interval


def _bar_lines(skeletons: Skeletons) -> tuple[np.ndarray, np.ndarray]:
    """The slots in which bars begin, counted from the begin of the tune, and their tunes."""
    tune = np.repeat(np.arange(len(skeletons.starts) - 1), np.diff(skeletons.starts))
    new = np.diff(skeletons.bar, prepend=-1) != 0
    new[skeletons.starts[:-1]] = True
    at = np.flatnonzero(new)
    return at - skeletons.starts[tune[at]], tune[at]


def _phases(skeletons: Skeletons) -> np.ndarray:
    """Where most bars of each tune begin, in slots up to _ALIGNED; int64 [tunes]."""
    at, tune = _bar_lines(skeletons)
    count = len(skeletons.starts) - 1
    found = np.bincount(tune * _ALIGNED + at % _ALIGNED, minlength=count * _ALIGNED)
    return found.reshape(count, _ALIGNED).argmax(axis=1)


def _usual_bar(query: Skeletons) -> int:
    """How many slots most bars of a tune have; 1 where it has one bar."""
    at, _ = _bar_lines(query)
    return _most_frequent(np.diff(at)) if len(at) > 1 else 1
