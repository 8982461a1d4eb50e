"""The state of a voice while its notation is read: where it is, and what holds there.

It is apart from `notation`, which says what each sign does: the arithmetic of lengths, tuplets and
broken rhythms is easier to follow without the signs.
"""

from fractions import Fraction

from pipelines.music.abc import fields, tuplets
from pipelines.music.abc.score import (
    DEFAULT_TEMPO,
    NO_KEY,
    WHOLE,
    Bar,
    Key,
    Ticks,
    Voice,
    bounded,
    scaled,
)
from pipelines.music.abc.tuplets import Doubts, Settled, Tuplet


class LongOverlay:
    """An overlay of several bars, `(& ... & ... &)`, while it is read.

    Its first layer is read as the voice itself, each other one as a voice of its own whose notes
    are put into the bars of the first in the end.

    Attributes:
      first, start: the bar, by its number, and the position in it where all layers begin.
      voice: the voice itself.
      bar, position: where it goes on behind the overlay; None while the first layer is read.
      layers: the bars of the other layers that are complete.
    """

    def __init__(self, voice: Voice, start: Ticks):
        self.voice = voice
        self.first = len(voice.bars)
        self.start = start
        self.bar: Bar | None = None
        self.position: Ticks = 0
        self.layers: list[list[Bar]] = []

    def overlay(self) -> int:
        """The number of the overlay whose notes are being read."""
        return 0 if self.bar is None else len(self.layers) + 1


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
      tuplets: the tuplets that the next note belongs to, one inside another.
      doubts: what would be if the doubtful tuplets of this bar were read otherwise; None where it
        has none.
      settled: what the bars with doubtful tuplets have decided.
      long_overlay: the overlay of several bars, `(& ... &)`, that is being read, or None.
      broken: the factor by which ">" or "<" changes the next note: numerator and denominator.
      labels: how many labels of parts it has taken note of.
      written: the length of the last note before a broken rhythm changed it.
    """

    __slots__ = (
        "voice", "bar", "position", "unit", "key", "meter", "measure", "tempo", "program",
        "transposition", "accidentals", "tied", "last", "last_length", "overlay",
        "tuplets", "doubts", "settled", "long_overlay", "broken", "written", "labels",
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
        self.tuplets: list[Tuplet] = []
        self.doubts: Doubts | None = None
        self.settled: list[Settled] = []
        self.long_overlay: LongOverlay | None = None
        self.broken: tuple[int, int] | None = None
        self.written: Ticks = 0
        self.labels = 0
        self._begin(line)

    def _begin(self, line: int) -> None:
        self.bar = Bar(line)
        self.position: Ticks = 0
        self.overlay = self.long_overlay.overlay() if self.long_overlay else 0
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
        if self.doubts:
            self.settle_doubts()
        if self.position or bar.notes or bar.length:
            if self.position > bar.length:
                bar.length = self.position
            self.voice.bars.append(bar)
            self._begin(line)
            # A broken rhythm does not reach back over a bar line.
            self.last_length = None
        else:
            bar.line = line

    def settle_doubts(self) -> None:
        """Decides how the doubtful tuplets of the bar, or of an overlay in it, are to be read."""
        if self.doubts:
            doubts = self.doubts
            reading = doubts.choose(self.position, self.measure)
            if reading is None and self.voice.bars:
                # A pickup completes the last bar of the strain before it.
                reading = doubts.choose(self.voice.bars[-1].length + self.position, self.measure)
            self.settled.append(Settled(doubts.numbers, doubts.free, doubts.apart, reading))
            self.doubts = None

    def begin_overlay(self, line: int) -> None:
        """Goes back to where an overlay, of this bar or of several, begins."""
        self.settle_doubts()
        long = self.long_overlay
        if long is None:
            self.bar.length = max(self.bar.length, self.position)
            self.position = 0
            self.overlay += 1
        else:
            self._end_layer()
            self.voice = Voice()
            self._begin(line)
            self.position = long.start
            self.accidentals, self.tied = {}, {}
        self.last, self.last_length = [], None

    def begin_long_overlay(self) -> None:
        """Begins an overlay of several bars; one inside another is no other one."""
        if self.long_overlay is None:
            self.long_overlay = LongOverlay(self.voice, self.position)

    def _end_layer(self) -> None:
        long = self.long_overlay
        assert long is not None
        if long.bar is None:
            long.bar, long.position = self.bar, self.position
        else:
            long.layers.append([*self.voice.bars, self.bar])

    def end_long_overlay(self) -> bool:
        """Ends an overlay of several bars; returns whether all of it has a place in the voice."""
        long = self.long_overlay
        if long is None:
            return True
        self.settle_doubts()
        self._end_layer()
        self.long_overlay = None
        assert long.bar is not None
        self.voice, self.bar, self.position, self.overlay = long.voice, long.bar, long.position, 0
        self.last, self.last_length = [], None
        bars = [*self.voice.bars[long.first :], self.bar]
        for layer in long.layers:
            for bar, other in zip(bars, layer, strict=False):
                bar.notes += other.notes
                bar.chord_symbols += other.chord_symbols
                bar.length = max(bar.length, other.length)
        return not any(bar.notes for layer in long.layers for bar in layer[len(bars) :])

    def takes(self, numerator: int, denominator: int) -> Ticks:
        """The length of a note or rest, after tuplets and broken rhythm."""
        length = self.unit * numerator
        if denominator != 1:
            length = scaled(length, 1, denominator)
        plain = length  # Without tuplets.
        if self.tuplets:
            length = tuplets.inside(self.tuplets, length)
        before, self.written = self.written, length
        if self.broken:
            # In "A>B/" the short note is written out already.
            if self.broken != (1, 2) or 2 * length != before:
                length = scaled(length, *self.broken)
                plain = scaled(plain, *self.broken)
            self.broken = None
        if self.doubts:
            self.doubts.add(plain, length)
        return length

    def passes(self, length: Ticks, notes: list[list]) -> None:
        """Moves past a note, chord or rest."""
        self.last = notes
        self.last_length = length
        self.position = bounded(self.position + length)
