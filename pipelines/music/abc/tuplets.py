"""Tuplets: what they do to the lengths of notes, inside one another and where they are doubtful.

The standard (4.13) gives `(5` in a simple meter the time of two notes, but people also write it for
five in the time of four; and it does not say how a tuplet inside another one counts. In such places
the bar decides: what makes it full was meant. A bar is read as the standard has it first; `Doubts`
keeps what its length would be in the other readings, and where one of these is better, `notation`
reads the tune once more.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pipelines.music.abc.score import Ticks, bounded, scaled

# Tuplets one inside another; more would make lengths too fine to be meant.
MAX_DEPTH = 4
# Where a tune has more doubtful tuplets, the bars do not decide: all readings would take long.
MAX_DOUBTFUL = 1000
# How a tuplet inside another one counts: each of its notes counts for both; it counts as one note
# of the outer one; or the outer one had too few notes and is over.
_EACH, _AS_ONE, _APART = "each", "as one", "apart"


class Reading(NamedTuple):
    """A way to read doubtful tuplets.

    Attributes:
      times: in the time of how many notes so many are played, if not as the standard has it.
      nesting: how a tuplet counts inside another one.
    """

    times: Mapping[int, int]
    nesting: str

    def told(self, token: str, notes: int) -> str:
        """What to tell of a tuplet that is read so, and not as the standard has it."""
        if self.nesting == _AS_ONE:
            return f"{token} counts as one note of the tuplet around it"
        if self.nesting == _APART:
            return f"{token} ends the tuplet before it"
        time = self.times.get(notes)
        return f"{token} is read as {notes} notes in the time of {time}, by the length of the bar"


# In the order of preference: the first that makes a bar full is taken.
READINGS = (
    Reading({}, _EACH),
    Reading({5: 4, 7: 4, 9: 8}, _EACH),
    Reading({5: 3, 7: 3, 9: 3}, _EACH),
    Reading({}, _AS_ONE),
    Reading({}, _APART),
)
_LAST = len(READINGS) - 1


class Sign(NamedTuple):
    """What the sign of a tuplet says.

    Attributes:
      notes, time, covers: p, q and r of `tokens.tuplet`.
      free: whether q is left to the standard, and may have been meant otherwise.
      counted: whether r is written.
    """

    notes: int
    time: int
    covers: int
    free: bool
    counted: bool


class Tuplet:
    """A tuplet that is being read: `notes` in the time of `time`, for the next `left` notes.

    It does not count notes while it `waits` for a tuplet inside it to end.
    """

    __slots__ = ("notes", "time", "left", "counted", "waits")

    def __init__(self, notes: int, time: int, left: int, counted: bool):
        self.notes, self.time, self.left, self.counted = notes, time, left, counted
        self.waits = False


def begin(opened: list[Tuplet], sign: Sign, reading: Reading) -> None:
    """Adds a tuplet to those that are open, from the outermost to the innermost."""
    time = reading.times.get(sign.notes, sign.time) if sign.free else sign.time
    if reading.nesting == _APART or len(opened) == MAX_DEPTH:
        opened.clear()
    elif reading.nesting == _AS_ONE and opened:
        opened[-1].left -= 1
        opened[-1].waits = True
    opened.append(Tuplet(sign.notes, time, sign.covers, sign.counted))


def inside(opened: list[Tuplet], length: Ticks) -> Ticks:
    """The length of the next note inside tuplets; they count it, and go when they are over."""
    numerator = denominator = 1
    for tuplet in opened:
        numerator *= tuplet.time
        denominator *= tuplet.notes
        tuplet.left -= not tuplet.waits
    length = scaled(length, numerator, denominator)
    for at in reversed(range(len(opened))):
        if opened[at].left <= 0 and not opened[at].waits:
            if at:
                opened[at - 1].waits = False
            del opened[at]
    return length


class Doubts:
    """The length of a bar in each of `READINGS`, from its first doubtful tuplet on.

    Args:
      opened: the tuplets that are open there.

    Attributes:
      numbers: the numbers of the doubtful tuplets in the tune.
      free: whether the notation leaves the time of one of them to the standard.
      apart: whether one is inside another that does not say how many notes it has.
    """

    def __init__(self, opened: Iterable[Tuplet]):
        now = [(tuplet.notes, tuplet.time, tuplet.left, tuplet.counted) for tuplet in opened]
        self._opened = [[Tuplet(*each) for each in now] for _ in READINGS]
        self._longer: list[Ticks] = [0] * len(READINGS)
        self._last: list[Ticks] = [0] * len(READINGS)
        self.numbers: list[int] = []
        self.free = self.apart = False

    def begin(self, number: int, sign: Sign) -> None:
        """Begins the tuplet of this number in all readings."""
        self.numbers.append(number)
        self.free |= sign.free
        outer = self._opened[0]
        self.apart |= bool(outer) and not outer[-1].counted
        for opened, reading in zip(self._opened, READINGS, strict=True):
            begin(opened, sign, reading)

    def add(self, plain: Ticks, length: Ticks) -> None:
        """Adds a note, by its length without tuplets and as it is read now."""
        for at, opened in enumerate(self._opened):
            other = inside(opened, plain) if opened else plain
            self._last[at] = other - length
            self._longer[at] = bounded(self._longer[at] + other - length)

    def scale_last(self, numerator: int, denominator: int) -> None:
        """Changes the length of the last note, as a broken rhythm after it does."""
        for at, last in enumerate(self._last):
            self._last[at] = scaled(last, numerator, denominator)
            self._longer[at] = bounded(self._longer[at] + self._last[at] - last)

    def choose(self, length: Ticks, measure: Ticks | None) -> int | None:
        """The first reading that makes the bar full; None where none does."""
        for at, longer in enumerate(self._longer):
            if measure and length + longer > 0 and not (length + longer) % measure:
                return at
        return None


class Settled(NamedTuple):
    """What a bar decides of its doubtful tuplets.

    Attributes:
      numbers, free, apart: those of its `Doubts`.
      reading: an index into `READINGS`; None where the bar is full in none.
    """

    numbers: list[int]
    free: bool
    apart: bool
    reading: int | None


def decide(bars: Iterable[Settled]) -> dict[int, int]:
    """The readings of doubtful tuplets by their numbers, without those that are the first of all.

    A bar that decides nothing, such as a pickup, follows the others of the tune. There, a tuplet
    inside another one that does not say how many notes it has takes its place.
    """
    bars = list(bars)
    votes = Counter(bar.reading for bar in bars if bar.free and bar.reading is not None)
    usual = min(votes, key=lambda reading: (-votes[reading], reading)) if votes else 0
    decided: dict[int, int] = {}
    for bar in bars:
        reading = bar.reading
        if reading is None:
            reading = usual if bar.free else _LAST if bar.apart else 0
        if reading:
            decided.update(dict.fromkeys(bar.numbers, reading))
    return decided
