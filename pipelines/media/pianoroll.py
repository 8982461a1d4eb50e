"""Draws a NoteSequence as a picture, since people look before they listen.

Drums have a row for each instrument, everything else a row for each pitch. The left edge of a mark
is where its note starts, so that one sees who plays early and who late; a drum's mark is as high as
the stroke is hard, and every mark is as deep in colour as its note is loud.
"""

import dataclasses
import io
import math
import os
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np

from pipelines.music.timing import TempoMap

# Pixels, from the left and from the top.
LEFT, RIGHT, TOP, BOTTOM = 120, 24, 64, 16
PLOT_WIDTH, MIN_WIDTH = 1280, 600
BAR_NUMBERS = 22
SYSTEM_GAP = 16
DRUM_ROW = 18
PITCH_ROW, MAX_PITCHED_HEIGHT = 10, 320
DRUM_MARK_WIDTH = 9
# Where sixteenths are closer, only bar lines are drawn.
MIN_STEP = 4

# A hit so little before a system (in quarter notes) is meant for its first beat, and drawn there.
EARLY = 0.125

# Four bars a line, or eight in a long piece; what is beyond 96 bars is left out, and said so.
BARS_PER_SYSTEM, MANY_BARS_PER_SYSTEM, MAX_SYSTEMS = 4, 8, 12
SHORT_PIECE_BARS = 32
MAX_BARS = MANY_BARS_PER_SYSTEM * MAX_SYSTEMS

# Rows from top to bottom: name, colour, General MIDI's and Roland's pitches, shown when empty too.
DRUM_ROWS = (
    ("Crash", "#3b6ea8", (49, 52, 55, 57), True),
    ("Ride", "#3b6ea8", (51, 53, 59), True),
    ("Open hi-hat", "#2a8c82", (46, 26), True),
    ("Closed hi-hat", "#2a8c82", (42, 22), True),
    ("Pedal hi-hat", "#2a8c82", (44,), False),
    ("High tom", "#7d5ba6", (48, 50), True),
    ("Mid tom", "#7d5ba6", (45, 47), True),
    ("Low tom", "#7d5ba6", (41, 43, 58), True),
    ("Snare", "#d1702a", (38, 40), True),
    ("Side stick", "#d1702a", (37,), False),
    ("Kick", "#b23a48", (35, 36), True),
    ("Other", "#6b7280", (), False),
)
INSTRUMENT_COLOURS = ("#3b6ea8", "#b23a48", "#2a8c82", "#d1702a", "#7d5ba6", "#6b7280")
BLACK_KEYS = (1, 3, 6, 8, 10)
# Not F and B: the names of neighbouring rows would touch.
NOTE_NAMES = {0: "C", 2: "D", 4: "E", 7: "G", 9: "A"}

PAPER, SHADE, INK, FAINT_INK = "#ffffff", "#f3f4f6", "#1f2937", "#6b7280"
BAR_LINE, BEAT_LINE, STEP_LINE = "#6b7280", "#cbd0d8", "#e6e8ec"


@dataclasses.dataclass(frozen=True)
class Bar:
    """Where a bar starts and how long it and its beats are, in quarter notes."""

    start: float
    length: float
    beat: float

    @property
    def end(self) -> float:
        """Where the next one starts."""
        return self.start + self.length

    def grid(self) -> dict[str, list[float]]:
        """Where its line, its beats and its other sixteenths are."""
        places = {"bar": [], "beat": [], "step": []}
        for step in range(math.ceil(self.length * 4)):
            kind = "bar" if step == 0 else "step" if step / 4 % self.beat else "beat"
            places[kind].append(self.start + step / 4)
        return places


@dataclasses.dataclass(frozen=True)
class Row:
    """A line of the picture: its name, colour ("" where the instrument says), if shaded."""

    name: str
    colour: str
    height: float
    shaded: bool


def draw(sequence, path: str | os.PathLike, title: str = "") -> None:
    """Draws `sequence` as a PNG file; the same sequence and title give the same bytes.

    Args:
      sequence: a note_seq NoteSequence, not quantized (times in seconds).
      path: the file to write, replaced only when the picture is complete.
      title: what to call it, e.g. the MIDI file's name; the tempo and the meter are added.
    """
    png = _render(sequence, title)
    path = pathlib.Path(path)
    unfinished = path.with_name(f".{path.name}.unfinished-{os.getpid()}")
    try:
        unfinished.write_bytes(png)
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _render(sequence, title: str) -> bytes:
    # Here, because drawing is the only thing in the project that needs matplotlib. No pyplot: it
    # keeps every figure in a global list.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.collections import LineCollection, PolyCollection
    from matplotlib.figure import Figure

    notes = _Notes(sequence)
    # A sixteenth of silence, or of a cymbal, after the last bar does not make another bar.
    end = max([notes.total - 0.25, *(notes.starts + 0.01), *(notes.ends - 0.01)[~notes.drums]])
    bars, num_bars = bars_until(end, sequence.time_signatures, notes.quarters)
    page = _Page(bars, notes)

    figure = Figure(figsize=(page.width / 100, page.height / 100), dpi=100, facecolor=PAPER)
    canvas = FigureCanvasAgg(figure)
    # One set of axes whose units are pixels: every place is plain arithmetic, and it is fast.
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, page.width), ylim=(page.height, 0))
    axes.set_axis_off()
    write = _writer(axes)
    write(LEFT, 24, title or "untitled", INK, 15, "left", weight="bold")
    write(LEFT, 48, _subtitle(sequence, len(bars), num_bars), FAINT_INK, 10, "left")
    for x, y, text, colour, side in page.labels():
        write(x, y, text, colour, 9, side)
    boxes, colours = _columns(page.shades())
    axes.add_collection(PolyCollection(boxes, facecolors=colours, linewidths=0, zorder=1))
    for lines, colour, width in page.lines():
        axes.add_collection(LineCollection(lines, colors=colour, linewidths=width, zorder=2))
    boxes, colours = _columns(page.marks())
    axes.add_collection(PolyCollection(boxes, facecolors=colours, linewidths=0, zorder=3))

    png = io.BytesIO()
    # The version of matplotlib, which it writes by default, would make equal pictures differ.
    canvas.print_png(png, metadata={"Software": None})
    return png.getvalue()


class _Notes:
    """A sequence's notes in a fixed order, and their times in quarter notes."""

    def __init__(self, sequence):
        self.quarters = TempoMap(sequence.tempos)
        self.all = sorted(
            sequence.notes, key=lambda note: (note.start_time, note.pitch, note.instrument)
        )
        self.starts = self.quarters(np.array([note.start_time for note in self.all]))
        self.ends = self.quarters(np.array([note.end_time for note in self.all]))
        self.drums = np.array([note.is_drum for note in self.all], bool)
        self.total = float(self.quarters(np.array([sequence.total_time]))[0])


class _Page:
    """Where everything is, in pixels from the left and from the top."""

    def __init__(self, bars: Sequence[Bar], notes: _Notes):
        per_system = BARS_PER_SYSTEM if len(bars) <= SHORT_PIECE_BARS else MANY_BARS_PER_SYSTEM
        self._systems = [bars[at : at + per_system] for at in range(0, len(bars), per_system)]
        self._scale = PLOT_WIDTH / (per_system * max(bar.length for bar in bars))
        self._notes = notes
        self._rows, self._row_of = _rows(notes.all)
        self._edges = np.cumsum([0] + [row.height for row in self._rows])
        self._pitch = BAR_NUMBERS + self._edges[-1] + SYSTEM_GAP
        rights = [self._x(system, system[-1].end) for system in self._systems]
        self.width = round(max(*rights, MIN_WIDTH - RIGHT) + RIGHT)
        self.height = round(TOP + len(self._systems) * self._pitch + BOTTOM)

    def _x(self, system: Sequence[Bar], quarter: float) -> float:
        return LEFT + (quarter - system[0].start) * self._scale

    def _placed(self):
        """Each system with the top of its first row."""
        for index, system in enumerate(self._systems):
            yield system, TOP + BAR_NUMBERS + index * self._pitch

    def labels(self):
        """Yields x, y, text, colour and side of the rows' names and the bars' numbers."""
        number = 1
        for system, y in self._placed():
            for row, top, bottom in zip(self._rows, self._edges, self._edges[1:]):
                if row.name:
                    yield LEFT - 14, y + (top + bottom) / 2, row.name, INK, "right"
            for bar in system:
                yield self._x(system, bar.start) + 2, y - 9, str(number), FAINT_INK, "left"
                number += 1

    def shades(self):
        """Yields box and colour of the shaded rows."""
        for system, y in self._placed():
            for row, top, bottom in zip(self._rows, self._edges, self._edges[1:]):
                if row.shaded:
                    yield _box(LEFT, y + top, self._x(system, system[-1].end), y + bottom), SHADE

    def lines(self):
        """Yields lines of a kind, their colour and their width, the faintest first."""
        kinds = {"step": (STEP_LINE, 0.7), "beat": (BEAT_LINE, 1.0), "bar": (BAR_LINE, 1.3)}
        for kind, (colour, width) in kinds.items():
            if kind != "bar" and self._scale / 4 < MIN_STEP:
                continue
            lines = []
            for system, y in self._placed():
                quarters = [at for bar in system for at in bar.grid()[kind]]
                for at in quarters + [system[-1].end] * (kind == "bar"):
                    x = self._x(system, at)
                    lines.append([(x, y), (x, y + self._edges[-1])])
            yield lines, colour, width
        yield (
            [
                [(LEFT, y + edge), (self._x(system, system[-1].end), y + edge)]
                for system, y in self._placed()
                for edge in (0, self._edges[-1])
            ],
            BAR_LINE,
            1.0,
        )

    def marks(self):
        """Yields box and colour of each note, once a system that it is in."""
        notes = self._notes
        for system, y in self._placed():
            first, after = system[0].start, system[-1].end
            early = EARLY * (system is not self._systems[-1])
            struck = (notes.starts >= first - EARLY) & (notes.starts < after - early)
            sounding = (notes.starts < after) & (np.maximum(notes.ends, notes.starts) > first)
            sounding |= notes.starts == first
            for at in np.flatnonzero(np.where(notes.drums, struck, sounding)):
                row = self._row_of[at]
                top, bottom = y + self._edges[row] + 1, y + self._edges[row + 1] - 1
                loudness = min(notes.all[at].velocity, 127) / 127
                left = self._x(system, notes.starts[at])
                if notes.drums[at]:
                    right = left + DRUM_MARK_WIDTH
                    top += (bottom - top) * 0.7 * (1 - loudness)
                else:
                    left = max(left, LEFT)
                    # A pixel of paper between repeated notes, and two of ink for the shortest.
                    right = max(self._x(system, min(notes.ends[at], after)) - 1, left + 2)
                colour = (
                    self._rows[row].colour
                    or INSTRUMENT_COLOURS[notes.all[at].instrument % len(INSTRUMENT_COLOURS)]
                )
                yield _box(left, top, right, bottom), _faded(colour, 0.3 + 0.7 * loudness)


def bars_until(end: float, signatures: Sequence, quarters: TempoMap) -> tuple[list[Bar], int]:
    """Lays out the bars up to `end` (in quarter notes), at least one; 4/4 where nothing is said.

    Returns:
      The first MAX_BARS bars, and how many there are in all.
    """
    changes = [(0.0, 4.0, 1.0)] + sorted(
        (float(quarters(np.array([s.time]))[0]), 4 * s.numerator / s.denominator, 4 / s.denominator)
        for s in signatures
        if s.numerator > 0 and s.denominator > 0
    )
    bars = []
    at = 0.0
    while not bars or (at < end and len(bars) < MAX_BARS):
        # A meter counts from the bar in which it is announced.
        _, length, beat = [change for change in changes if change[0] <= at + 1e-3][-1]
        bars.append(Bar(at, length, beat))
        at += length
    return bars, len(bars) + max(0, math.ceil((end - at) / bars[-1].length))


def _rows(notes: Sequence) -> tuple[list[Row], list[int]]:
    """Returns the rows from top to bottom, and the row of each note."""
    pitches = [note.pitch for note in notes if not note.is_drum]
    rows = []
    pitch_row = {}
    if pitches:
        low, high = min(pitches) - 1, max(pitches) + 1
        height = min(PITCH_ROW, MAX_PITCHED_HEIGHT / (high - low + 1))
        for pitch in range(high, low - 1, -1):
            key = pitch % 12
            named = key in NOTE_NAMES if height == PITCH_ROW else key == 0
            name = f"{NOTE_NAMES[key]}{pitch // 12 - 1}" if named else ""
            pitch_row[pitch] = len(rows)
            rows.append(Row(name, "", height, key in BLACK_KEYS))
    used = {note.pitch for note in notes if note.is_drum}
    known = {pitch for _, _, members, _ in DRUM_ROWS for pitch in members}
    drum_row = {}
    if used or not notes:
        for name, colour, members, always in DRUM_ROWS:
            members = set(members) or used - known
            if always or members & used:
                drum_row |= dict.fromkeys(members, len(rows))
                rows.append(Row(name, colour, DRUM_ROW, len(rows) % 2 == 0))
    return rows, [(drum_row if note.is_drum else pitch_row)[note.pitch] for note in notes]


def _subtitle(sequence, drawn: int, num_bars: int) -> str:
    meters = {f"{s.numerator}/{s.denominator}" for s in sequence.time_signatures}
    changes = ", then others" if len(sequence.tempos) > 1 else ""
    extent = f"{num_bars} bar{'s' * (num_bars != 1)}"
    if drawn < num_bars:
        extent = f"the first {drawn} of {extent}"
    count = len(sequence.notes)
    return "   ·   ".join(
        (
            f"{TempoMap(sequence.tempos).changes[0][1]:.6g} qpm{changes}",
            *sorted(meters),
            extent,
            f"{count or 'no'} note{'s' * (count != 1)}",
        )
    )


def _writer(axes):
    """Returns a function that writes plain text: no formulas, nothing that the font lacks."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    fonts = {}

    def write(x, y, text, colour, size, side, weight="normal"):
        if (size, weight) not in fonts:
            font = FontProperties(family="DejaVu Sans", size=size, weight=weight)
            fonts[size, weight] = font, get_font(findfont(font)).get_charmap()
        font, glyphs = fonts[size, weight]
        shown = "".join(letter if ord(letter) in glyphs else "?" for letter in text[:120])
        axes.text(
            x, y, shown, color=colour, fontproperties=font, ha=side, va="center", parse_math=False
        )

    return write


def _columns(pairs: Iterable[tuple]) -> tuple[list, list]:
    """The firsts and the seconds of pairs, of which there may be none."""
    pairs = list(pairs)
    return [first for first, _ in pairs], [second for _, second in pairs]


def _box(left: float, top: float, right: float, bottom: float) -> list[tuple[float, float]]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def _faded(colour: str, strength: float) -> tuple[float, float, float]:
    """The colour mixed with white: strength 1 is the colour itself."""
    channels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return tuple(1 - strength * (1 - channel) for channel in channels)
