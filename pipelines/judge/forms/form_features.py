"""The form of a tune in numbers: which bars are alike, where phrases close, how strains compare."""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipelines.music.abc.grid import WHOLE
from pipelines.representations.abc_tokens import strains
from pipelines.representations.abc_tokens.steps import measure
from pipelines.representations.abc_tokens.strains import Sound
from pipelines.representations.abc_tokens.written import Tune

# Bars are compared on a grid of this many cells of a whole note, over so many cells at most.
_CELL = WHOLE // 48
_CELLS = 96
# Positions are counted in blocks of so many bars from the beginning of a strain.
BLOCK = 8
_SAME = 0.95
# So many bars are compared with all others at a time, in 25 MB where there are 2,000.
_AT_ONCE = 128
_PAIRS = np.triu_indices(BLOCK, 1)
_TRIAD = np.isin(np.arange(12), (0, 3, 4, 7))
_THIRD = np.isin(np.arange(12), (3, 4))
_LEADING = np.isin(np.arange(12), (2, 10, 11))
_LENGTHS = (4, 8, 12, 16, 24, 32)
_MOST_STRAINS = 5


class Strain(NamedTuple):
    """A strain as it is played for the last time.

    Attributes:
      bars: the places of its bars in `Tune.bars`, but for a pickup.
      repeats: whether signs of a repeat say that it is played twice.
      endings: the passes of its endings, in their order; empty without.
      pickup: whether a bar that is not full stands before its first one.
    """

    bars: list[int]
    repeats: bool
    endings: list[frozenset[int]]
    pickup: bool


def strains_of(tune: Tune) -> list[Strain]:
    """The strains of a tune; what is no longer than a pickup is none, but for one alone."""
    found, first = [], 0
    parts = strains.parts(tune)
    for part in parts:
        places = list(range(first, first + len(part)))
        first += len(part)
        size = measure(part[0].meter) or 0
        if len(parts) > 1 and sum(bar.length for bar in part) < size:
            continue
        begins = [i for i, bar in enumerate(part) if bar.ending]
        if begins:
            places = places[: begins[0]] + places[begins[-1] :]
        pickup = len(places) > 1 and part[0].length < size
        found.append(
            Strain(
                places[pickup:],
                any(bar.closes for bar in part) or bool(begins),
                [part[i].ending for i in begins],
                pickup,
            )
        )
    return found


class Laid(NamedTuple):
    """The bars of a tune on a grid.

    Attributes:
      strains: its strains; bars are counted from here on through these, without pickups.
      grid: int array shaped [bars, cells]: the pitch that sounds, 0 for none.
      alike: float array shaped [bars, bars]: the share of the time with the same pitch.
      rhythm: float array shaped [bars, bars]: the share of the onsets that are in both.
      onsets: int array shaped [bars]: how many notes begin.
      first, last: int arrays shaped [bars]: the first and last pitches; -1 without a note.
      longest: float array shaped [bars]: the longest note, in whole notes.
      final: float array shaped [bars]: the last note's length, in whole notes.
      mean: float array shaped [bars]: the mean pitch over time.
      classes: float array shaped [bars, 12]: how long each pitch class sounds.
      hits: float array shaped [bars, cells]: where notes begin.
    """

    strains: list[Strain]
    grid: np.ndarray
    alike: np.ndarray
    rhythm: np.ndarray
    onsets: np.ndarray
    first: np.ndarray
    last: np.ndarray
    longest: np.ndarray
    final: np.ndarray
    mean: np.ndarray
    classes: np.ndarray
    hits: np.ndarray

    @property
    def sizes(self) -> list[int]:
        """How many bars each strain has."""
        return [len(strain.bars) for strain in self.strains]

    @property
    def starts(self) -> list[int]:
        """The first bar of each strain."""
        return [0, *itertools.accumulate(self.sizes[:-1])]


def lay(tune: Tune, heard: Sequence[Sound]) -> Laid:
    """Lays the bars of a tune on a grid; `heard` are its notes, at least one."""
    found = strains_of(tune)
    places = np.array([place for strain in found for place in strain.bars])
    row = np.full(len(tune.bars), -1)
    row[places] = np.arange(len(places))
    pitch, length, bar, at = np.array(heard).T
    keep = row[bar] >= 0
    pitch, length, at, row = pitch[keep], length[keep], at[keep], row[bar[keep]]
    count = len(places)
    grid = np.zeros((count, _CELLS), np.int16)
    hits = np.zeros((count, _CELLS), np.float32)
    start = np.minimum(at // _CELL, _CELLS - 1)
    end = np.minimum((at + length) // _CELL, _CELLS)
    for r, a, b, p in zip(row.tolist(), start.tolist(), end.tolist(), pitch.tolist()):
        grid[r, a : max(b, a + 1)] = p
    hits[row, start] = 1
    width = int(max(end.max(initial=1), 1))
    grid, hits = grid[:, :width], hits[:, :width]
    sounding = grid > 0
    time = sounding.sum(axis=1)
    equal = np.concatenate(
        [
            ((grid[at : at + _AT_ONCE, None] == grid) & sounding[at : at + _AT_ONCE, None]).sum(2)
            for at in range(0, count, _AT_ONCE)
        ]
    )
    alike = 2 * equal / np.maximum(time[:, None] + time[None], 1)
    onsets = hits.sum(axis=1)
    both = hits @ hits.T
    rhythm = both / np.maximum(onsets[:, None] + onsets[None] - both, 1)
    first, last = np.full(count, -1), np.full(count, -1)
    first[row[::-1]] = pitch[::-1]
    last[row] = pitch
    longest, final = np.zeros(count), np.zeros(count)
    np.maximum.at(longest, row, length / WHOLE)
    final[row] = length / WHOLE
    classes = np.bincount(12 * row + pitch % 12, length / WHOLE, 12 * count).reshape(count, 12)
    mean = grid.sum(axis=1) / np.maximum(time, 1)
    mean[time == 0] = mean[time > 0].mean() if (time > 0).any() else 0
    return Laid(
        found, grid, alike, rhythm, onsets, first, last, longest, final, mean, classes, hits
    )


def features(laid: Laid, tonic: int) -> np.ndarray:
    """The features of the form of a tune: float array, of every tune as long.

    Args:
      laid: its bars.
      tonic: the pitch class of its tonic.
    """
    sizes, starts = laid.sizes, np.array(laid.starts)
    inside = np.concatenate([np.arange(size) for size in sizes])
    block = np.cumsum(inside % BLOCK == 0) - 1
    return np.concatenate(
        [
            _pairs(laid, inside % BLOCK, block),
            _positions(laid, inside % BLOCK, tonic),
            _ends(laid, starts, sizes, tonic),
            _lengths(laid.strains),
            _between(laid, starts, sizes),
        ]
    )


def _pairs(laid: Laid, position: np.ndarray, block: np.ndarray) -> np.ndarray:
    """How like bars at two positions of a block are; and those at one position of two blocks.

    All are compared with the mean of all pairs of bars.
    """
    count = int(block[-1]) + 1
    rows = np.full((count, BLOCK), -1)
    rows[block, position] = np.arange(len(position))
    a, b = rows[:, _PAIRS[0]], rows[:, _PAIRS[1]]
    x, y = (rows[some] for some in np.triu_indices(count, 1))
    there, both = (a >= 0) & (b >= 0), (x >= 0) & (y >= 0)
    inside, across = (np.maximum(some.sum(axis=0), 1) for some in (there, both))
    found = []
    bars = len(position)
    for table in (laid.alike, laid.rhythm, laid.alike >= _SAME):
        mean = (table.sum() - np.trace(table)) / max(bars * (bars - 1), 1)
        found.append(np.where(there, table[a, b] - mean, 0).sum(axis=0) / inside)
        found.append([mean])
        found.append(np.where(both, table[x, y] - mean, 0).sum(axis=0) / across)
    return np.concatenate(found)


def _positions(laid: Laid, position: np.ndarray, tonic: int) -> np.ndarray:
    """What the bars at each position of a block have on the whole, against all bars."""
    sounds = laid.last >= 0
    joins = np.zeros(len(position))
    joined = sounds[:-1] & sounds[1:]
    joins[:-1][joined] = np.minimum(np.abs(laid.first[1:] - laid.last[:-1])[joined], 12)
    last, first = (laid.last - tonic) % 12, (laid.first - tonic) % 12
    columns = np.stack(
        [
            laid.onsets / max(laid.onsets.mean(), 1e-9),
            laid.longest / max(laid.longest.mean(), 1e-9),
            laid.final / max(laid.final.mean(), 1e-9),
            (last == 0) & sounds,
            _TRIAD[last] & sounds,
            (first == 0) & sounds,
            _TRIAD[first] & sounds,
            laid.mean - laid.mean.mean(),
            joins,
        ],
        axis=1,
    ).astype(float)
    whole = columns.mean(axis=0)
    counts = np.bincount(position, minlength=BLOCK)
    sums = np.stack([np.bincount(position, column, BLOCK) for column in columns.T], axis=1)
    means = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None] - whole, 0)
    return np.concatenate([means.ravel(), whole])


def _ends(laid: Laid, starts: np.ndarray, sizes: Sequence[int], tonic: int) -> np.ndarray:
    """How the strains begin and end: the last one, the first one, and all in the mean."""
    ends = starts + np.array(sizes) - 1
    median = _median(laid.final)
    last = (laid.last[ends] - tonic) % 12
    first = (laid.first[starts] - tonic) % 12
    rows = np.stack(
        [
            last == 0,
            _THIRD[last],
            last == 7,
            _LEADING[last],
            laid.final[ends] / max(median, 1e-9),
            laid.longest[ends] / max(_median(laid.longest), 1e-9),
            laid.onsets[ends] / max(laid.onsets.mean(), 1e-9),
            first == 0,
            _THIRD[first],
            first == 7,
            laid.last[ends] - laid.mean.mean(),
        ],
        axis=1,
    ).astype(float)
    return np.concatenate([rows[-1], rows[0], rows.mean(axis=0)])


def _median(values: np.ndarray) -> float:
    """As np.median, which takes several times as long for so few values."""
    ordered = np.sort(values)
    return float(ordered[(len(values) - 1) // 2] + ordered[len(values) // 2]) / 2


def _lengths(found: Sequence[Strain]) -> np.ndarray:
    """How many strains there are, of which lengths, and how many repeat."""
    sizes = [len(strain.bars) for strain in found]
    count = len(sizes)
    repeating = sum(strain.repeats for strain in found)
    pickups = sum(strain.pickup for strain in found)
    return np.array(
        [
            *(min(count, _MOST_STRAINS) == n for n in range(1, _MOST_STRAINS + 1)),
            *(sizes.count(length) / count for length in _LENGTHS),
            sum(size % 2 for size in sizes) / count,
            sum(size % 4 > 0 for size in sizes) / count,
            len(set(sizes)) == 1,
            sizes[0] == BLOCK,
            sizes[-1] == BLOCK,
            math.log2(sum(sizes)),
            repeating / count,
            repeating == count,
            sum(len(strain.endings) == 1 for strain in found) / count,
            pickups / count,
            0 < pickups < count,
        ],
        float,
    )


def _between(laid: Laid, starts: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """How the strains compare with each other: the last with the first, and neighbours."""
    pitch, onsets, longest = (
        (np.add.reduceat(column, starts) / sizes).tolist()
        for column in (laid.mean, laid.onsets, laid.longest)
    )
    found = _Summaries(
        starts.tolist(),
        (starts + np.array(sizes) - 1).tolist(),
        pitch,
        onsets,
        longest,
        np.maximum.reduceat(laid.last, starts).tolist(),
        _cosines(np.add.reduceat(laid.classes, starts)),
        _cosines(np.add.reduceat(laid.hits, starts)),
    )
    if len(sizes) == 1:
        return np.zeros(2 * len(_compared(laid, found, 0, 0)))
    neighbours = [_compared(laid, found, b - 1, b) for b in range(1, len(sizes))]
    ends = neighbours[0] if len(sizes) == 2 else _compared(laid, found, 0, len(sizes) - 1)
    return np.concatenate([ends, np.mean(neighbours, axis=0)])


class _Summaries(NamedTuple):
    """Of each strain: its first and last bar, means over its bars, and its highest last note.

    Attributes:
      classes, hits: how like the pitch classes and the onsets of each two strains are.
    """

    first: list[int]
    last: list[int]
    pitch: list[float]
    onsets: list[float]
    longest: list[float]
    highest: list[int]
    classes: np.ndarray
    hits: np.ndarray


def _compared(laid: Laid, found: _Summaries, a: int, b: int) -> list[float]:
    """How a strain `b` compares with an earlier one, `a`."""
    first, last = (found.first[a], found.first[b]), (found.last[a], found.last[b])
    x, y = slice(first[0], last[0] + 1), slice(first[1], last[1] + 1)
    cross, beats = laid.alike[x, y], laid.rhythm[x, y]
    n = min(cross.shape)
    tails = [laid.alike[last[0] - k, last[1] - k] if n > k else 0.0 for k in range(4)]
    rhythms = [laid.rhythm[last[0] - k, last[1] - k] if n > k else 0.0 for k in range(2)]
    higher = found.pitch[b] - found.pitch[a]
    denser = found.onsets[b] - found.onsets[a]
    ends = int(laid.last[last[0]]), int(laid.last[last[1]])
    return [
        *tails,
        *rhythms,
        cross.mean(),
        cross.max(axis=0).mean(),
        cross.max(axis=1).mean(),
        beats.mean(),
        beats.max(axis=0).mean(),
        higher,
        abs(higher),
        denser,
        abs(denser),
        found.classes[a, b],
        found.hits[a, b],
        ends[0] == ends[1],
        (ends[0] - ends[1]) % 12 == 0,
        cross.shape[0] == cross.shape[1],
        cross.shape[0] < cross.shape[1],
        found.highest[a] - found.highest[b],
        int(laid.first[first[1]] - laid.first[first[0]]),
        found.longest[b] - found.longest[a],
    ]


def _cosines(rows: np.ndarray) -> np.ndarray:
    """The cosines between all rows."""
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return unit @ unit.T
