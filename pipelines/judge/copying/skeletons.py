"""Skeletons of tunes, by which copies are found: one note of the scale for each quaver.

A skeleton is free of the key signature's accidentals (notes are diatonic steps, so the major and
the mixolydian spelling of a tune are equal), of bar lines, of halved and doubled lengths (the
quaver is whatever length brings a note to one or two of them), and of most ornaments, since a note
has a quaver where it sounds for the longest part of it.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from pipelines.music.abc.grid import WHOLE
from pipelines.representations.abc_tokens.written import Tune

# A rest's pitch.
REST = -1
# A slot is an eighth of a whole note times a power of two, the one that makes the note that sounds
# at a random time, on the mean, at least so many slots long and less than twice that. The bounds
# lie where the fewest tunes of the corpora are.
_EIGHTH = WHOLE // 8
_LEAST_MEAN = 0.87
# How near to a bound of the slots both sides of it are tried.
_NEAR_BOUND = 0.2
# The lengths of bars are told apart in 64ths, up to four whole notes.
_BAR_UNIT = WHOLE // 64
_LONGEST_BAR = 256
# Slots from a 64th to four whole notes.
_LEVELS = (-3, 5)
# No skeleton is longer. 10,000 bars would take minutes.
MAX_SLOTS = 2048
_PARTS = 64
_STEP_OF_FIFTH = np.array([3, 0, 4, 1, 5, 2, 6])  # F C G D A E B


class Notes(NamedTuple):
    """The notes and rests of some tunes, one after another.

    Attributes:
      pitch: MIDI pitches, REST for a rest; int16 [notes].
      length: in parts of a whole note; int32 [notes].
      bar: the number of the note's bar in its tune, from 0; int32 [notes].
      starts: where each tune begins, and the end of the last one; int64 [tunes + 1].
    """

    pitch: np.ndarray
    length: np.ndarray
    bar: np.ndarray
    starts: np.ndarray


def notes_of(tunes: Iterable[Tune]) -> Notes:
    """The notes of tunes as arrays; two notes that a tie joins are one."""
    pitch: list[int] = []
    length: list[int] = []
    number: list[int] = []
    starts = [0]
    for tune in tunes:
        held = False
        for at, bar in enumerate(tune.bars):
            for note in bar.notes:
                if held and pitch[-1] == note.pitch:
                    length[-1] += note.length
                else:
                    pitch.append(REST if note.pitch is None else note.pitch)
                    length.append(note.length)
                    number.append(at)
                held = note.tied
        starts.append(len(pitch))
    return Notes(
        np.array(pitch, np.int16),
        np.array(length, np.int32),
        np.array(number, np.int32),
        np.array(starts, np.int64),
    )


class Skeletons(NamedTuple):
    """The skeletons of some tunes, one after another.

    Attributes:
      step: the diatonic step, 7 an octave; int16 [slots].
      pitch: the MIDI pitch; int16 [slots].
      onset: whether another note begins here than sounds in the slot before; bool [slots].
      bar: the number of the bar in which the note begins; int32 [slots].
      starts: where each tune begins, and the end of the last one; int64 [tunes + 1].
    """

    step: np.ndarray
    pitch: np.ndarray
    onset: np.ndarray
    bar: np.ndarray
    starts: np.ndarray


class _Sounding(NamedTuple):
    """The notes of some tunes without rests, each held until the next: arrays [notes].

    Attributes:
      note: its number among all notes and rests.
      tune: the number of its tune.
      onset, end: counted from the first note of the first tune.
      begin: the onset of the first note of its tune.
    """

    note: np.ndarray
    tune: np.ndarray
    onset: np.ndarray
    end: np.ndarray
    begin: np.ndarray


def _sounding(notes: Notes) -> _Sounding:
    tune = np.repeat(np.arange(len(notes.starts) - 1), np.diff(notes.starts))
    total = np.concatenate([[0], np.cumsum(notes.length, dtype=np.int64)])
    heard = np.flatnonzero(notes.pitch != REST)
    tune, onset = tune[heard], total[heard]
    first = np.flatnonzero(np.diff(tune, prepend=-1))
    # A note lasts until the next of its tune, and the last one to the end.
    end = np.append(onset[1:], 0)
    end[np.append(first[1:], len(heard)) - 1] = total[notes.starts[1:]]
    begin = np.repeat(onset[first], np.diff(np.append(first, len(heard))))
    return _Sounding(heard, tune, onset, end, begin)


def levels(notes: Notes) -> np.ndarray:
    """How long a slot of each tune is: an eighth of a whole note times 2 to this power.

    It follows from how long the note is that sounds at a random time, on the mean, which short
    ornaments change little. A slot is shorter where most bars would be no whole number of them.

    Args:
      notes: from `notes_of`; each tune has a note that is no rest.

    Returns:
      Whole numbers, float [tunes].
    """
    level = np.floor(_exact_levels(notes))
    return np.where(_slots_of_bars(notes, level) % 1, level - 1, level)


def possible_levels(notes: Notes) -> list[float]:
    """The levels that the original of a tune may have, which other lengths or another meter hide.

    Args:
      notes: those of one tune, as of `levels`.
    """
    exact, (level,) = float(_exact_levels(notes)[0]), levels(notes).tolist()
    found = {level, np.floor(exact)}
    if exact % 1 < _NEAR_BOUND or _slots_of_bars(notes, np.array([level]))[0] % 2:
        found.add(level - 1)
    if exact % 1 > 1 - _NEAR_BOUND:
        found.add(level + 1)
    return sorted(found)


def _exact_levels(notes: Notes) -> np.ndarray:
    sounding = _sounding(notes)
    length = (sounding.end - sounding.onset) / _EIGHTH
    count = len(notes.starts) - 1
    total = np.bincount(sounding.tune, length, count)
    mean = np.bincount(sounding.tune, length**2, count) / total
    return np.clip(np.log2(mean / _LEAST_MEAN), *_LEVELS)


def _slots_of_bars(notes: Notes, level: np.ndarray) -> np.ndarray:
    """How many slots most bars of each tune have, float [tunes]; 0 for tunes of one bar."""
    heard, tune, onset, *_ = _sounding(notes)
    first = np.flatnonzero(_is_new(notes.bar[heard], tune))
    size = np.minimum(np.diff(onset[first]) // _BAR_UNIT, _LONGEST_BAR)
    within = np.diff(tune[first]) == 0
    count = len(notes.starts) - 1
    code = tune[first][1:][within] * (_LONGEST_BAR + 1) + size[within]
    found = np.bincount(code, minlength=count * (_LONGEST_BAR + 1)).reshape(count, -1)
    return found.argmax(axis=1) * _BAR_UNIT / (np.exp2(level) * _EIGHTH)


def _is_new(bar: np.ndarray, tune: np.ndarray) -> np.ndarray:
    """Which notes are the first of their bar, bool [notes]."""
    return (np.diff(bar, prepend=-1) != 0) | (np.diff(tune, prepend=-1) != 0)


def skeletons(notes: Notes, level: np.ndarray) -> Skeletons:
    """Makes the skeletons of tunes.

    Slots begin where most bars do. A rest goes on the note before it. After MAX_SLOTS slots the
    rest is left out.

    Args:
      notes: from `notes_of`; each tune has a note that is no rest.
      level: from `levels`, or other whole numbers for other lengths of a slot.
    """
    heard, tune, onset, end, begin = _sounding(notes)
    pitch = notes.pitch[heard].astype(np.int64)
    slot = np.exp2(level)[tune] * _EIGHTH
    low, high = (onset - begin) / slot, (end - begin) / slot
    low, high = (np.rint(at * _PARTS).astype(np.int64) for at in (low, high))
    shift = _shifts(low, notes.bar[heard], tune, len(notes.starts) - 1)
    low, high = (np.minimum(at + shift, MAX_SLOTS * _PARTS) for at in (low, high))
    step = _steps(pitch, high - low, tune, len(notes.starts) - 1)
    # Each pair of a note and a slot in which it sounds.
    from_slot, to_slot = low // _PARTS, -(-high // _PARTS)
    count = to_slot - from_slot
    note = np.repeat(np.arange(len(heard)), count)
    at = np.arange(len(note)) - np.repeat(np.cumsum(count) - count, count) + from_slot[note]
    overlap = np.minimum(high[note], (at + 1) * _PARTS) - np.maximum(low[note], at * _PARTS)
    begins = low[note] >= at * _PARTS
    # The note that sounds for longest; of equals one that begins here, and of these the first.
    rank = ((overlap * 2 + begins) << 40) - np.arange(len(note))
    groups = np.flatnonzero(_is_new(at, tune[note]))
    best = np.maximum.reduceat(rank, groups) if len(groups) else rank
    chosen = note[(-best) & ((1 << 40) - 1)]
    of_tune = tune[chosen]
    return Skeletons(
        step[chosen].astype(np.int16),
        pitch[chosen].astype(np.int16),
        np.diff(chosen, prepend=-1) != 0,
        notes.bar[heard][chosen],
        np.searchsorted(of_tune, np.arange(len(notes.starts))),
    )


def _shifts(at: np.ndarray, bar: np.ndarray, tune: np.ndarray, tunes: int) -> np.ndarray:
    """By how much notes are moved so that slots begin where most bars do, int64 [notes].

    Args:
      at: where the notes begin, in parts of a slot.
      bar, tune: the numbers of their bars and tunes.
      tunes: how many there are.
    """
    new = _is_new(bar, tune)
    found = np.bincount(tune[new] * _PARTS + at[new] % _PARTS, minlength=tunes * _PARTS)
    return -found.reshape(tunes, _PARTS).argmax(axis=1)[tune] % _PARTS


def _steps(pitch: np.ndarray, length: np.ndarray, tune: np.ndarray, tunes: int) -> np.ndarray:
    """Diatonic steps of notes, spelled in the signature that holds most of their tune.

    Which of two signatures is taken that hold as much makes no difference: the notes that both
    hold have the same letters.
    """
    weights = np.bincount(tune * 12 + pitch % 12, length, tunes * 12).reshape(tunes, 12)
    fifths = np.arange(-5, 7)
    inside = (7 * np.arange(12)[:, None] - fifths + 1) % 12 < 7
    lowest = fifths[np.argmax(weights @ inside, axis=1)][tune] - 3
    position = lowest + (7 * pitch - lowest) % 12
    alteration, letter = np.divmod(position + 1, 7)
    return (pitch - alteration) // 12 * 7 + _STEP_OF_FIFTH[letter]
