"""Tunes as melody curves: from each note to the next, how far up and how much later.

A curve is a pair, (difference of pitch in semitones, difference of onset in quarters). A tune in
any key has the same curves. Lengths of notes and rests are not in them: a note lasts until the
next one.

The curves are those of the course on melody modelling in DeepArt,
https://github.com/maclab-kaist/DeepArt (melody_rnn): of notes that begin together the highest;
each onset at the nearest multiple of a quarter or a third of a quarter note, as music21 reads MIDI;
of two notes that fall on one such place the later. The course keeps time as music21 does, which
makes several curves of one (`music21_times`).
"""

import bisect
import operator
import re
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from pipelines.music import keys, melody
from pipelines.music.note_sequence import NoteSequence
from pipelines.music.timing import TempoMap

# Parts of a quarter note in which onsets are counted: fourths and thirds of it are whole numbers.
GRID = 12
# Fewer notes than this have no curve.
MIN_NOTES = 2

# Times are rounded to so many parts of a quarter note before they go to the grid. The ticks of
# files with up to 1,024 a quarter in powers of two are whole numbers of them.
_PARTS = 12 * 1024
# As music21 does by default.
_DIVISIONS = (4, 3)
# Some centuries of quarter notes; their parts are still exact as doubles.
_MOST_QUARTERS = 2.0**34

# The longest common bar is 6/4 or 12/8.
_BAR = 6 * GRID
_METERS = ((2, 2), (2, 4), (3, 4), (4, 4), (3, 8), (6, 8), (9, 8), (12, 8), (3, 2), (6, 4))

# The sizes of the vocabularies of what is known of a note besides its curve: free meter and the
# places in a bar; the semitones above the tonic of the signature's major key; free meter, a rare
# one and those above.
CONTEXT = {"place": _BAR + 1, "degree": 12, "meter": len(_METERS) + 2}

_MOST_SEMITONES = 127
_FRACTION = re.compile(r"[1-9]\d{0,11}(/[1-9]\d{0,2})?", re.ASCII)

# Semitones, and quarters as `Vocabulary` counts them.
Curve = tuple[int, Fraction | float]


class NoCurvesError(ValueError):
    """A NoteSequence has no melody that gives curves.

    Args:
      reason: why, in a few words, for counting.
      detail: what is wrong with this piece.
    """

    def __init__(self, reason: str, detail: str):
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


class Signature(NamedTuple):
    """What holds in a tune from one of its places on.

    Attributes:
      onset: the place, in parts of a quarter note.
      meter: numerator and denominator; None for free meter.
      fifths: the sharps of the key signature; flats are negative.
    """

    onset: int
    meter: tuple[int, int] | None
    fifths: int

    @property
    def bar(self) -> int:
        """The length of a bar in parts of a quarter note; 0 in free meter."""
        return max(1, round(4 * GRID * self.meter[0] / self.meter[1])) if self.meter else 0


class Tune(NamedTuple):
    """The melody of a piece, one note after another.

    Attributes:
      onsets: int array shaped [notes], rising, in parts (`GRID`) of a quarter note.
      pitches: int array shaped [notes], MIDI's.
      signatures: what holds from where on, at least one, in their order.
      chords: how many notes were left out because a higher one begins with them.
    """

    onsets: np.ndarray
    pitches: np.ndarray
    signatures: tuple[Signature, ...]
    chords: int = 0

    def signature(self, onset: int) -> Signature:
        """What holds at a place."""
        at = bisect.bisect_right(self.signatures, onset, key=lambda one: one.onset)
        return self.signatures[max(at - 1, 0)]

    def known(self) -> np.ndarray:
        """What is known of each note besides its curve: int array shaped [notes, 3].

        The columns are indices of the vocabularies of `CONTEXT`.
        """
        begins = [one.onset for one in self.signatures]
        at = np.maximum(np.searchsorted(begins, self.onsets, "right") - 1, 0).tolist()
        notes = zip(at, self.onsets.tolist(), self.pitches.tolist())
        return np.array([context(self.signatures[i], onset, pitch) for i, onset, pitch in notes])

    def curves(self) -> list[Curve]:
        """The curves in exact fractions, one less than there are notes."""
        return self._curves(exact_times(self.onsets))

    def music21_curves(self) -> list[Curve]:
        """The curves with differences of onsets as music21's numbers give them."""
        return self._curves(music21_times(self.onsets))

    def _curves(self, times: Iterable[Fraction | float]) -> list[Curve]:
        return list(zip(np.diff(self.pitches).tolist(), times))

    def cut(self, first: int, end: int) -> "Tune":
        """The notes from one place to before another."""
        kept = (self.onsets >= first) & (self.onsets < end)
        return self._replace(onsets=self.onsets[kept], pitches=self.pitches[kept])


def context(signature: Signature, onset: int, pitch: int) -> tuple[int, int, int]:
    """What is known of a note besides its curve: indices of the vocabularies of `CONTEXT`."""
    tonic = 7 * signature.fifths
    place = 1 + (onset - signature.onset) % signature.bar % _BAR if signature.bar else 0
    meter = 0
    if signature.meter:
        meter = 2 + _METERS.index(signature.meter) if signature.meter in _METERS else 1
    return place, (pitch - tonic) % 12, meter


def read(sequence: NoteSequence) -> Tune:
    """Reads the melody of a piece (`pipelines.music.melody`).

    The key is that of the signature; without one, or with one that does not fit the notes, it is
    guessed from them. Modes do not matter: a dorian tune on D has the signature of C major.

    Args:
      sequence: a tune, unquantized.

    Raises:
      NoCurvesError: for fewer than `MIN_NOTES` notes, or times that are not finite or too late.
    """
    notes = melody.first_voice(sequence)
    quarters = TempoMap(sequence.tempos)
    parts = _parts(quarters, np.array([note.start_time for note in notes], np.float64))
    pitches = np.array([note.pitch for note in notes], np.int64)
    top = melody.highest(parts, pitches, np.zeros(len(notes)))
    onsets, last = _last_of_equal(on_grid(parts[top]))
    if len(onsets) < MIN_NOTES:
        raise NoCurvesError(
            "too few notes", f"{len(onsets)} one after another, drums aside; {MIN_NOTES} are needed"
        )
    pitches = pitches[top][last]
    signatures = _signatures(sequence, quarters, onsets, pitches)
    return Tune(onsets, pitches, signatures, len(notes) - len(top))


def on_grid(parts: np.ndarray) -> np.ndarray:
    """Onsets at the nearest multiple of a fourth or a third of a quarter note.

    Halfway between two multiples the earlier is taken, and of a fourth and a third that are equally
    near the earlier.

    Args:
      parts: int array of onsets in 12,288ths of a quarter note.

    Returns:
      Int array of the same shape, in parts (`GRID`) of a quarter note.
    """
    found = []
    for division in _DIVISIONS:
        step = _PARTS // division
        nearest = -((step // 2 - parts) // step)  # Rounds halves down.
        found.append((np.abs(nearest * step - parts), nearest * (GRID // division)))
    (error, fourths), (other_error, thirds) = found
    earlier = np.where(error == other_error, np.minimum(fourths, thirds), fourths)
    return np.where(other_error < error, thirds, earlier)


def exact_times(onsets: np.ndarray) -> list[Fraction | float]:
    """The differences of onsets in quarters, exactly."""
    return [Fraction(difference, GRID) for difference in np.diff(onsets).tolist()]


def music21_times(onsets: np.ndarray) -> list[Fraction | float]:
    """The differences of onsets in quarters as subtracting music21's offsets gives them.

    music21's `opFrac` keeps an offset whose denominator is a power of two as a float, and any other
    as a Fraction with a denominator of up to 65,535. The difference of two Fractions is exact, that
    of a Fraction and a float is a float that depends on where in the tune it is: 1/3 - 0.0 and
    4/3 - 1.0 are two different numbers.
    """
    offsets = [_as_music21(Fraction(onset, GRID)) for onset in onsets.tolist()]
    return list(map(operator.sub, offsets[1:], offsets))


def _as_music21(time: Fraction) -> Fraction | float:
    """A number as music21's `opFrac` gives it; denominators here are far below its limit."""
    return float(time) if time.denominator & (time.denominator - 1) == 0 else time


def _parts(quarters: TempoMap, seconds: np.ndarray) -> np.ndarray:
    """Times in 12,288ths of a quarter note; raises NoCurvesError for times beyond counting."""
    with np.errstate(over="ignore", invalid="ignore"):
        at = quarters(seconds)
    # NaN compares as false.
    if not (np.abs(at) < _MOST_QUARTERS).all():
        raise NoCurvesError("broken times", "a note at no time that can be counted")
    return np.round(at * _PARTS).astype(np.int64)


def _last_of_equal(onsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different onsets in order, and the index of the last note that has each."""
    found, first = np.unique(onsets[::-1], return_index=True)
    return found, len(onsets) - 1 - first


def _signatures(
    sequence: NoteSequence, quarters: TempoMap, onsets: np.ndarray, pitches: np.ndarray
) -> tuple[Signature, ...]:
    """What holds from where on: a signature for each change of meter or key."""
    meters = _meters(sequence, quarters)
    fifths = _fifths(sequence, quarters, onsets, pitches)
    since = min(meters)
    meter, key = meters[since], fifths[min(fifths)]
    found = []
    for start in sorted(meters.keys() | fifths.keys()):
        if start in meters:
            since, meter = start, meters[start]
        key = fifths.get(start, key)
        # A change of key need not begin a bar, and places are counted from a bar's begin.
        found.append(Signature(_bar_begin(start, since, meter), meter, key))
    return tuple(found)


def _bar_begin(start: int, since: int, meter: tuple[int, int] | None) -> int:
    """The last begin of a bar until `start`, in bars that are counted from `since` on."""
    bar = Signature(since, meter, 0).bar
    return start if start < since or not bar else start - (start - since) % bar


def _meters(sequence: NoteSequence, quarters: TempoMap) -> dict[int, tuple[int, int] | None]:
    """The meters by the places where they begin; of several at one place the last one given."""
    from_midi = sequence.source_info.encoding_type == NoteSequence.SourceInfo.MIDI
    # A MIDI file that says nothing is in 4/4.
    found: dict[int, tuple[int, int] | None] = {0: (4, 4) if from_midi else None}
    given = [one for one in sequence.time_signatures if one.numerator > 0 and one.denominator > 0]
    for one in sorted(given, key=lambda one: one.time):
        [at] = on_grid(_parts(quarters, np.array([one.time]))).tolist()
        found[max(at, 0)] = one.numerator, one.denominator
    if len(given) and found[0] is None:
        del found[0]
    return found


def _fifths(
    sequence: NoteSequence, quarters: TempoMap, onsets: np.ndarray, pitches: np.ndarray
) -> dict[int, int]:
    """The sharps of the key signatures by the places where they begin."""
    given = {}
    for one in sorted(sequence.key_signatures, key=lambda one: one.time):
        [at] = on_grid(_parts(quarters, np.array([one.time]))).tolist()
        given[max(at, 0)] = keys.from_signature(one)
    lengths = np.append(np.diff(onsets), GRID).tolist()
    weights = keys.weigh(zip(pitches.tolist(), lengths))
    if given and keys.fits(next(iter(given.values())), weights):
        return {at: key.fifths for at, key in given.items()}
    return {0: keys.guess(weights, int(pitches[-1])).fifths}


class Vocabulary:
    """The curves that a model knows, each with an id from 0.

    Args:
      curves: those of the training tunes, each once; `of` gives them.

    Attributes:
      curves: the same; the id of a curve is its place.
    """

    def __init__(self, curves: Sequence[Curve]):
        self.curves = list(curves)
        self._ids = {curve: number for number, curve in enumerate(self.curves)}
        if not self.curves or len(self._ids) < len(self.curves):
            raise ValueError("a vocabulary has each of its curves once, and at least one")
        self._places = np.array(self.curves, np.float64)
        if self.steps()[:, 1].min() < 1:
            raise ValueError("a curve must lead to a later note")

    def __len__(self) -> int:
        return len(self.curves)

    def __contains__(self, curve: Curve) -> bool:
        return curve in self._ids

    def id(self, curve: Curve) -> int:
        """The id of a curve; of one that is not known, that of the nearest one (Euclid).

        The distance is in semitones and quarters. Of equally near ones the first is taken.
        """
        known = self._ids.get(curve)
        if known is not None:
            return known
        distances = np.square(self._places - np.array(curve, np.float64)).sum(axis=1)
        return int(distances.argmin())

    def ids(self, curves: Iterable[Curve]) -> np.ndarray:
        """The ids of curves: int array shaped [curves]."""
        return np.array([self.id(curve) for curve in curves], np.int64)

    def steps(self) -> np.ndarray:
        """Each curve as steps of the grid: int array shaped [curves, 2].

        The columns are semitones, and the nearest number of parts (`GRID`) of a quarter note.
        """
        return np.rint(self._places * (1, GRID)).astype(np.int64)

    def to_json(self) -> list[list[int | float | str]]:
        """What JSON can hold: a fraction is a text, such as "1/3"."""
        return [[p, str(t) if isinstance(t, Fraction) else t] for p, t in self.curves]

    @classmethod
    def from_json(cls, values: Sequence[Sequence]) -> "Vocabulary":
        """The reverse of `to_json`; raises ValueError or TypeError for anything else."""
        return cls([(_whole(pitch), _time(time)) for pitch, time in values])

    @classmethod
    def of(cls, curves: Iterable[Curve]) -> "Vocabulary":
        """The vocabulary of training curves, from the lowest and shortest on."""
        return cls(sorted(set(curves)))


def _whole(value) -> int:
    if type(value) is not int or abs(value) > _MOST_SEMITONES:
        raise ValueError(f"{value!r} is no number of semitones")
    return value


def _time(value) -> Fraction | float:
    if isinstance(value, str) and _FRACTION.fullmatch(value):
        return Fraction(value)
    if type(value) is not float or not 0 < value < _MOST_QUARTERS:
        raise ValueError(f"{value!r} is no time in quarters")
    return value


def decode(start: tuple[int, int], steps: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The notes of curves: pairs (onset in parts of a quarter note, pitch), after the first one.

    Args:
      start: onset and pitch of the first note, which is not given again.
      steps: curves as `Vocabulary.steps` gives them.
    """
    onset, pitch = start
    for semitones, parts in steps:
        onset, pitch = onset + parts, pitch + semitones
        yield onset, pitch
