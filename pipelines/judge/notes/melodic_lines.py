"""The line of a tune: its notes in what stands around them, and numbers that say how it moves."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipelines.judge.finding import CannotBeJudged
from pipelines.judge.keys import key_finder
from pipelines.judge.keys.key_finder import KeyFinder
from pipelines.judge.notes.note_contexts import Contexts, contexts
from pipelines.representations.abc_tokens import strains
from pipelines.representations.abc_tokens.written import Key, Tune

MIN_NOTES = 6
# How many bars a repeat that is written out has.
_REPEATED = (32, 16, 12, 8)
# In semitones: larger steps are leaps.
LEAP = 7


class Line(NamedTuple):
    """The line of a tune.

    Attributes:
      notes: its notes in what stands around them.
      pitches: their MIDI pitches, int [notes].
      lengths: their lengths, int [notes].
      key: the one that is heard.
    """

    notes: Contexts
    pitches: np.ndarray
    lengths: np.ndarray
    key: Key


def read(tune: Tune, finder: KeyFinder) -> Line:
    """Reads the line of a tune.

    Args:
      tune: the tune.
      finder: finds its key in the notes.

    Raises:
      CannotBeJudged: where it has too few notes.
    """
    once, numbers = played_once(tune)
    heard = strains.sounds(once)
    if len(heard) < MIN_NOTES:
        has = "one note" if len(heard) == 1 else f"{len(heard)} notes"
        raise CannotBeJudged(f"it has {has}; a melody needs {MIN_NOTES} or more")
    if len({pitch for pitch, *_ in heard}) == 1:
        raise CannotBeJudged("its notes have one pitch; a melody needs two or more")
    # However unsure it is: a tune of two pitches has a line, too.
    key = finder.find_in(key_finder.passages(once)[:1])[0].key
    found = np.array(heard)
    notes = contexts(once, key.tonic, key.mode, heard)
    return Line(notes._replace(bars=numbers[notes.bars]), found[:, 0], found[:, 1], key)


def played_once(tune: Tune) -> tuple[Tune, np.ndarray]:
    """A tune without the repeats that are written out, as in MIDI files.

    A strain that stands there twice would be twice as easy to foresee as one with a repeat sign.
    Its last bar may differ, as with endings, so it stays.

    Returns:
      The tune, and the number of each of its bars in the given one, int [bars].
    """
    names: dict[tuple, int] = {}
    bars = [names.setdefault(bar.notes, len(names)) for bar in tune.bars]
    kept = list(range(len(bars)))
    for size in _REPEATED:
        first = 0
        while first + 2 * size <= len(kept):
            one, other = kept[first : first + size - 1], kept[first + size : first + 2 * size - 1]
            if [bars[a] for a in one] == [bars[b] for b in other]:
                del kept[first + size : first + 2 * size - 1]
                first += size
            else:
                first += 1
    return tune._replace(bars=tuple(tune.bars[number] for number in kept)), np.array(kept)


def by_bar(surprise: np.ndarray, bars: np.ndarray) -> np.ndarray:
    """The mean of the bits of each bar that has notes, in their order."""
    sums, counts = np.bincount(bars, surprise), np.bincount(bars)
    return sums[counts > 0] / counts[counts > 0]


FEATURES = (
    "bits", "median", "most", "second", "third", "sixth", "three_notes", "over_5", "over_8",
    "over_3_share", "first_of_bars", "worst_bar", "leaps", "range", "pitches", "repeated",
    "longest_run", "turns", "last_length", "last_bits", "last_degree", "notes",
)  # fmt: skip
# Those that tell of single notes.
OF_NOTES = ("bits", "median", "most", "second", "third", "three_notes", "over_8", "notes")


def features(line: Line, surprise: np.ndarray) -> np.ndarray:
    """Numbers in which people's tunes and spoilt ones differ: float [len(FEATURES)].

    Args:
      line: the tune.
      surprise: the bits of each note.
    """
    ordered = np.sort(surprise)[::-1]
    steps = np.diff(line.pitches)
    bars = line.notes.bars
    first = np.flatnonzero(np.diff(bars, prepend=-1))
    turning = np.sign(steps[steps != 0])
    turns = (turning[1:] != turning[:-1]).mean() if len(turning) > 1 else 0.0
    return np.array(
        [
            surprise.mean(), np.median(surprise), *ordered[:3], ordered[5],
            np.convolve(surprise, np.ones(3), "valid").max(),
            (surprise > 5).sum(), (surprise > 8).sum(), (surprise > 3).mean(),
            surprise[first].mean(), by_bar(surprise, bars).max(),
            (np.abs(steps) > LEAP).mean(), np.ptp(line.pitches), len(set(line.pitches.tolist())),
            (steps == 0).mean(), longest_run(steps == 0), turns,
            line.lengths[-1] / np.median(line.lengths), surprise[-1],
            (line.pitches[-1] - line.key.tonic) % 12, np.log(len(surprise)),
        ]
    )  # fmt: skip


def longest_run(same: Sequence[bool] | np.ndarray) -> int:
    """How many True values stand together at most."""
    ends = np.flatnonzero(~np.concatenate([[False], same, [False]]))
    return int(np.diff(ends).max()) - 1
