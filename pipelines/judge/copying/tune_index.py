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

from pipelines.judge.copying.skeletons import MAX_SLOTS, Skeletons

# How far the notes of an interval are apart, in slots.
_DISTANCES = (1, 2, 3, 4, 6)
# Steps of larger intervals are not told apart.
_WIDEST = 9
_NO_INTERVAL = 100
# Copies begin at beats: where a bar of the query has a multiple of this many slots, the distances
# between the tunes are so, too.
_BEATS = (4, 3)
# So many bars in a row begin at another part of the beat before the tunes are laid out by it.
_STEADY = 3
# The votes are counted for every passage of so many slots: a multiple of both beats, and so short
# that a byte can count its intervals.
_PASSAGE = 48
# How many bytes are compared for a query: with more tunes, fewer of its intervals are looked for.
_BUDGET = 190_000_000
# With all slots that bars may leave free; a multiple of both beats.
_MARGIN = 12 * MAX_SLOTS


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

    Attributes:
      most: the most votes for each place, uint16 [places].
    """

    def __init__(self, counts: np.ndarray, slots: int, beat: int):
        self._counts, self._beat = counts, beat
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
        return (place - self._middles[pair]) * self._beat


def _at(place: int) -> slice:
    return slice(place, place + 1)


class _Layout:
    """The intervals of all tunes in a row, so that bars begin at multiples of a beat.

    Args:
      skeletons: those of the tunes.
      beat: how many slots it has.

    Attributes:
      beat: see above.
      first: the first beat of each tune, int64 [tunes].
      size: how many beats there are.
      slot: the slot of `skeletons` at each place, -1 where none is; int32 [places].
    """

    def __init__(self, skeletons: Skeletons, beat: int):
        self.beat = beat
        # A query may begin before the first tune and end after the last one.
        at, first, places = _MARGIN, [], []
        for tune in range(len(skeletons.starts) - 1):
            first.append(at // beat)
            places.append(_places(skeletons, tune, beat) + at)
            at = -(-(int(places[-1][-1]) + 1) // beat) * beat
        self.first = np.array(first)
        self.size = at // beat
        self.slot = np.full(at + 2 * _MARGIN, -1, np.int32)
        place = np.concatenate(places)
        self.slot[place] = np.arange(len(place))
        self._intervals = {}
        for distance in _DISTANCES:
            laid_out = np.full(len(self.slot) // beat * beat, _NO_INTERVAL, np.int8)
            laid_out[place] = _intervals(skeletons, distance)
            self._intervals[distance] = np.ascontiguousarray(laid_out.reshape(-1, beat).T)

    def from_place(self, distance: int, place: int) -> np.ndarray:
        """The intervals at a place and at all that are some beats after it, int8 [size]."""
        column, row = divmod(place, self.beat)
        return self._intervals[distance][row, column : column + self.size]


class TuneIndex:
    """Finds tunes by intervals that they have at the same distances.

    Args:
      skeletons: those of the tunes, at least one.
    """

    def __init__(self, skeletons: Skeletons):
        self.skeletons = skeletons
        self._layouts = {beat: _Layout(skeletons, beat) for beat in _BEATS}

    def candidates(
        self, query: Skeletons, count: int, left_out: np.ndarray | None = None
    ) -> Candidates:
        """The tunes with most intervals of a tune, in a passage and in all of it.

        Args:
          query: the skeleton of one tune.
          count: how many are wanted at most.
          left_out: bool [tunes], those that are not wanted.
        """
        bar = _usual_bar(query)
        beat = next((beat for beat in _BEATS if bar % beat == 0), _BEATS[0])
        layout = self._layouts[beat]
        places = _places(query, 0, beat)
        shifts = (0,) if bar % beat == 0 else range(beat)
        counted = [_count(query, places + shift, layout) for shift in shifts]
        most = np.max([np.maximum.reduceat(one.most, layout.first) for one in counted], axis=0)
        most = most.astype(np.int64)
        if left_out is not None:
            most[left_out] = 0
        count = min(count, len(most))
        tunes = np.argpartition(-most, count - 1)[:count]
        tunes = tunes[np.lexsort([tunes, -most[tunes]])]
        tunes = tunes[most[tunes] > 0]
        stop = np.append(layout.first[1:], layout.size)
        up, above = [], []
        for tune in tunes.tolist():
            here = slice(layout.first[tune], stop[tune])
            votes = max(counted, key=lambda one: one.most[here].max())
            begin = votes.begin(int(here.start) + int(votes.most[here].argmax()))
            slots = layout.slot[begin + places]
            steps, semitones = self._above(query, tune, slots)
            up.append(steps)
            above.append(semitones)
        return Candidates(tunes, np.array(up, np.int64), np.array(above, np.int64))

    def _above(self, query: Skeletons, tune: int, slots: np.ndarray) -> tuple[int, int]:
        """By how many steps and semitones most notes of a tune lie above those of a query.

        Args:
          query: the skeleton of one tune.
          tune: the number of the other.
          slots: the slot beside each of the query, which may be that of another tune or none.
        """
        begin, end = self.skeletons.starts[tune : tune + 2]
        both = (slots >= begin) & (slots < end) & query.onset
        both[both] = self.skeletons.onset[slots[both]]
        steps = self.skeletons.step[slots[both]] - query.step[both]
        up = _most_frequent(steps)
        pitches = self.skeletons.pitch[slots[both]] - query.pitch[both]
        return up, _most_frequent(pitches[steps == up])


def _count(query: Skeletons, places: np.ndarray, layout: _Layout) -> _Votes:
    """Counts the intervals that a query has in common with all tunes.

    Args:
      query: the skeleton of one tune.
      places: where its slots are, so that its bars begin at multiples of the beat.
      layout: the tunes.
    """
    passages = -(-int(places[-1] + 1) // _PASSAGE)
    counts = np.zeros((passages, layout.size), np.uint8)
    equal = np.empty(layout.size, bool)
    for distance, at, interval in _looked_for(query, _BUDGET // layout.size):
        place = int(places[at])
        np.equal(layout.from_place(distance, place), interval, out=equal)
        passage = counts[place // _PASSAGE]
        np.add(passage, equal.view(np.uint8), out=passage)
    return _Votes(counts, len(query.step), layout.beat)


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


def _places(skeletons: Skeletons, tune: int, beat: int) -> np.ndarray:
    """Where the slots of a tune are when its bars begin at multiples of a beat, int64 [slots].

    They follow one another, but where bars begin at another part of the beat than before, as
    after a strain whose last bar is not full. One bar alone, as a pickup, moves nothing.
    """
    begin, end = skeletons.starts[tune : tune + 2].tolist()
    lines = _bar_lines(skeletons.bar[begin:end])
    parts = [line % beat for line in lines]
    now = parts[min(1, len(parts) - 1)]
    places = np.arange(end - begin) + -now % beat
    if set(parts[1:]) <= {now}:
        return places
    for number, part in enumerate(parts[:-1]):
        if part != now and set(parts[number : number + _STEADY]) == {part}:
            places[lines[number] :] += (now - part) % beat
            now = part
    return places


def _bar_lines(bar: np.ndarray) -> list[int]:
    """The slots of a tune in which its bars begin."""
    return np.flatnonzero(np.diff(bar, prepend=-1)).tolist()


def _usual_bar(query: Skeletons) -> int:
    """How many slots most bars of a tune have; 1 where it has one bar."""
    lines = _bar_lines(query.bar)
    return _most_frequent(np.diff(lines)) if len(lines) > 1 else 1
