"""A tune as it is written: voices of bars of notes, before anything is repeated.

Onsets and lengths are exact: whole numbers of ticks, and fractions where ticks do not reach. A tick
is so short a part of a whole note that triplets, quintuplets and septuplets of every written length
down to 1/1024, one inside another, are whole numbers of ticks. Whole numbers are many times faster
than fractions, and Python mixes the two exactly.

Only a sum of fractions with ever more denominators, such as c/17 c/19 c/23 ..., is rounded, by
`bounded`: its exact denominator would get longer with every note, and reading slower.
"""

from fractions import Fraction
from typing import NamedTuple

from pipelines.music.timing import DEFAULT_QPM

Ticks = int | Fraction

WHOLE = 2**10 * 3**3 * 5 * 7 * 11 * 13
# Sums with a greater denominator are rounded, to a multiple of 1 / _FINEST.
_MAX_DENOMINATOR = 2**128
_FINEST = 2**64


def scaled(ticks: Ticks, numerator: int, denominator: int) -> Ticks:
    """`ticks * numerator / denominator`, exactly."""
    if isinstance(ticks, int):
        quotient, rest = divmod(ticks * numerator, denominator)
        return Fraction(ticks * numerator, denominator) if rest else quotient
    # One division: Fraction reduces after each operation, which takes most of the time.
    exact = Fraction(ticks.numerator * numerator, ticks.denominator * denominator)
    return exact.numerator if exact.denominator == 1 else exact


def bounded(total: Ticks) -> Ticks:
    """A sum of ticks, rounded to 2**-64 of a tick where its denominator is over 2**128.

    That takes more than a dozen notes whose lengths divide a whole note by different primes, which
    no tune has, so in tunes all sums are exact.
    """
    if isinstance(total, int) or total.denominator <= _MAX_DENOMINATOR:
        return total
    return Fraction(round(total * _FINEST), _FINEST)


def of_whole(ticks: Ticks) -> Fraction:
    """A length in ticks as a fraction of a whole note."""
    return Fraction(ticks) / WHOLE


class Key(NamedTuple):
    """A key signature.

    Attributes:
      tonic: pitch class of the tonic, 0 is C; None where the field names no tonic.
      mode: a value of NoteSequence.KeySignature.Mode, by name.
      accidentals: semitones that the signature adds to C, D, E, F, G, A, B.
    """

    tonic: int | None
    mode: str
    accidentals: tuple[int, ...]


NO_KEY = Key(None, "NOT_SPECIFIED", (0,) * 7)
# Quarter notes a minute where a tune does not say it.
DEFAULT_TEMPO = Fraction(DEFAULT_QPM)


class Bar:
    """The music between two bar lines of a voice.

    Attributes:
      line: the line of the file where it begins.
      notes: lists [onset, length, MIDI pitch, tied to the next, overlay, position on the staff].
        Onsets count from the bar's begin; overlay 0 is the voice itself, `&` begins the others.
      chord_symbols: pairs (onset, text).
      length: that of its longest overlay.
      meter, measure, key, tempo, program: what holds at its begin; measure is the length of a full
        bar, tempo is in quarter notes a minute.
      changes: tempos and keys (onset, tempo or None, key or None) after its begin.
      opens_repeat: whether a `|:` stands before it.
      closes_repeat: how often the `:|` after it sends back; 0 without one.
      ending: the passes for which a variant ending begins here, or None.
      ends_section: whether a thick or double bar line stands after it.
      part: the label of the part that begins here, or None.
    """

    __slots__ = (
        "line",
        "notes",
        "chord_symbols",
        "length",
        "meter",
        "measure",
        "key",
        "tempo",
        "program",
        "changes",
        "opens_repeat",
        "closes_repeat",
        "ending",
        "ends_section",
        "part",
    )

    def __init__(self, line: int):
        self.line = line
        self.notes: list[list] = []
        self.chord_symbols: list[tuple[Ticks, str]] = []
        self.length: Ticks = 0
        self.meter: tuple[int, int] | None = None
        self.measure: Ticks | None = None
        self.key = NO_KEY
        self.tempo = DEFAULT_TEMPO
        self.program = 0
        self.changes: list[tuple[Ticks, Fraction | None, Key | None]] = []
        self.opens_repeat = False
        self.closes_repeat = 0
        self.ending: frozenset[int] | None = None
        self.ends_section = False
        self.part: str | None = None


class Voice:
    """A voice: its name, or None, and its bars."""

    __slots__ = ("name", "bars")

    def __init__(self, name: str | None = None):
        self.name = name
        self.bars: list[Bar] = []


class Score:
    """A tune as it is written.

    Attributes:
      headers: letters and values of the information fields, in order.
      voices: in the order in which they first have notes.
      parts: the order of parts that the header asks for, or None.
      warnings: pairs (line of the file, what is wrong).
      grace_notes: how many there are; they have no time of their own, so they are only counted.
      rests_left_out: how many bars of rests are left out, since there are too many.
    """

    __slots__ = ("headers", "voices", "parts", "warnings", "grace_notes", "rests_left_out")

    def __init__(self):
        self.headers: list[tuple[str, str]] = []
        self.voices: list[Voice] = []
        self.parts: str | None = None
        self.warnings: list[tuple[int, str]] = []
        self.grace_notes = 0
        self.rests_left_out = 0

    def notes(self) -> int:
        """How many notes are written in all voices."""
        return sum(len(bar.notes) for voice in self.voices for bar in voice.bars)
