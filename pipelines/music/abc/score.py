"""A tune as it is written: voices of bars of notes, before anything is repeated.

Onsets and lengths are ticks (`pipelines.music.abc.ticks`).
"""

from fractions import Fraction

from pipelines.music.abc.fields import Key
from pipelines.music.abc.ticks import Ticks


class Bar:
    """What stands between two bar lines of a voice.

    Attributes:
      line: where it begins, as a line of the file.
      notes: lists [onset, length, MIDI pitch, tied to the next, overlay, place on the staff]; onset
        from the bar's begin; overlay 0 is the voice itself, others are what `&` lays over it.
      chord_symbols: pairs (onset, text).
      length: of the longest overlay.
      meter, key, tempo, program: what holds at its begin; tempo in quarter notes a minute.
      changes: tempos and keys (onset, tempo or None, key or None) after its begin.
      opens_repeat: whether a `|:` stands before it.
      closes_repeat: how often the `:|` after it sends back; 0 where there is none.
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
        self.key: Key | None = None
        self.tempo: Fraction | None = None
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
    """

    __slots__ = ("headers", "voices", "parts", "warnings", "grace_notes")

    def __init__(self):
        self.headers: list[tuple[str, str]] = []
        self.voices: list[Voice] = []
        self.parts: str | None = None
        self.warnings: list[tuple[int, str]] = []
        self.grace_notes = 0
