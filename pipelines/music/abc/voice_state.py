"""The state of a voice while its notation is read: where it is, and what holds there.

It is apart from `notation`, which says what each sign does: the arithmetic of lengths, tuplets and
broken rhythms is easier to follow without the signs.
"""

from fractions import Fraction

from pipelines.music.abc import fields
from pipelines.music.abc.score import DEFAULT_TEMPO, NO_KEY, WHOLE, Bar, Key, Ticks, Voice, scaled


class VoiceState:
    """Where a voice is, and what holds there; lengths and positions are ticks.

    A new voice begins with what holds in `other`, the state at the end of the header.

    Attributes:
      voice: the voice to which bars are added when they end.
      bar: the bar that is being read.
      position: where in the bar the overlay that is being read has got.
      unit, key, meter, measure, tempo, program, transposition: what holds; tempo in quarter notes
        a minute, transposition in semitones.
      accidentals: semitones by step or position on the staff, until the bar line.
      tied: the pitches that a tie holds, by their position on the staff.
      last, last_length: the notes of the last note, chord or rest, and its length.
      overlay: the number of the overlay; 0 is the voice itself.
      tuplet_left: how many more notes belong to a tuplet of `tuplet_notes` notes in the time of
        `tuplet_time`.
      broken: the factor by which ">" or "<" changes the next note: numerator and denominator.
      written: the length of the last note before a broken rhythm changed it.
    """

    __slots__ = (
        "voice", "bar", "position", "unit", "key", "meter", "measure", "tempo", "program",
        "transposition", "accidentals", "tied", "last", "last_length", "overlay",
        "tuplet_left", "tuplet_notes", "tuplet_time", "broken", "written",
    )  # fmt: skip

    def __init__(self, voice: Voice, line: int, other: "VoiceState | None" = None):
        self.voice = voice
        self.unit: Ticks = other.unit if other else WHOLE // 8
        self.key: Key = other.key if other else NO_KEY
        self.meter: fields.Meter | None = other.meter if other else fields.COMMON
        self.measure: Ticks | None = other.measure if other else WHOLE
        self.tempo: Fraction = other.tempo if other else DEFAULT_TEMPO
        self.program: int = other.program if other else 0
        self.transposition: int = other.transposition if other else 0
        self.accidentals: dict[int, int] = {}
        self.tied: dict[int, int] = {}
        self.last: list[list] = []
        self.last_length: Ticks | None = None
        self.tuplet_left = 0
        self.tuplet_notes = self.tuplet_time = 1
        self.broken: tuple[int, int] | None = None
        self.written: Ticks = 0
        self._begin(line)

    def _begin(self, line: int) -> None:
        self.bar = Bar(line)
        self.position: Ticks = 0
        self.overlay = 0
        self.show()

    def is_empty(self) -> bool:
        """Whether nothing in the bar has taken time yet."""
        return not self.position and not self.bar.notes and not self.bar.length

    def show(self) -> None:
        """Writes into the bar what holds at its begin."""
        bar = self.bar
        bar.meter, bar.measure = self.meter, self.measure
        bar.key, bar.tempo, bar.program = self.key, self.tempo, self.program

    def end_bar(self, line: int) -> None:
        """Ends the bar at a bar line; a bar line right after another one adds no bar."""
        if self.accidentals:
            self.accidentals = {}
        bar = self.bar
        if self.position or bar.notes or bar.length:
            if self.position > bar.length:
                bar.length = self.position
            self.voice.bars.append(bar)
            self._begin(line)
            # A broken rhythm does not reach back over a bar line.
            self.last_length = None
        else:
            bar.line = line

    def takes(self, numerator: int, denominator: int) -> Ticks:
        """The length of a note or rest, after tuplets and broken rhythm."""
        length = self.unit * numerator
        if denominator != 1:
            length = scaled(length, 1, denominator)
        if self.tuplet_left:
            self.tuplet_left -= 1
            length = scaled(length, self.tuplet_time, self.tuplet_notes)
        before, self.written = self.written, length
        if self.broken:
            # In "A>B/" the short note is written out already.
            if self.broken != (1, 2) or 2 * length != before:
                length = scaled(length, *self.broken)
            self.broken = None
        return length

    def passes(self, length: Ticks, notes: list[list]) -> None:
        """Moves past a note, chord or rest."""
        self.last = notes
        self.last_length = length
        self.position += length
