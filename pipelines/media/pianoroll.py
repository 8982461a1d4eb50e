"""Draws a NoteSequence as a picture, since people look before they listen.

Drums have a row for each instrument, everything else a row for each pitch. The left edge of a mark
is where its note starts, so that one sees who plays early and who late; a drum's mark is as high as
the stroke is hard, and every mark is as deep in colour as its note is loud.
"""

import bisect
import io
import math
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pipelines.music.timing import TempoMap
from pipelines.runtime import files

# Pixels, from the left and from the top.
LEFT, RIGHT, TOP, BOTTOM = 120, 24, 64, 16
PLOT_WIDTH, MIN_WIDTH = 1280, 600
BAR_NUMBERS, SYSTEM_GAP = 22, 16
DRUM_ROW, DRUM_MARK_WIDTH = 18, 9
PITCH_ROW, MAX_PITCHED_HEIGHT = 10, 320
# Where sixteenths are closer, only bar lines are drawn.
MIN_STEP = 4

# A hit so little before a system (in quarter notes) is meant for its first beat, and drawn there.
EARLY = 0.125

# Four bars a line, or eight in a long piece; what is beyond 96 bars is left out, and said so.
BARS_PER_SYSTEM, MANY_BARS_PER_SYSTEM, MAX_SYSTEMS = 4, 8, 12
SHORT_PIECE_BARS = 32
MAX_TITLE = 300  # characters
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

FONT, DPI = "DejaVu Sans", 100
# In points: the usual size, and the least to which a long text is made smaller.
TITLE_SIZES, SUBTITLE_SIZES = (15, 8), (10, 7)
SHADE, INK, FAINT_INK = "#f3f4f6", "#1f2937", "#6b7280"
# Colour and width of the lines at sixteenths, beats and bars.
LINES = (("#e6e8ec", 0.7), ("#cbd0d8", 1.0), ("#6b7280", 1.3))


class Bar(NamedTuple):
    """Where a bar starts, how long it is, and how long its beats are, in quarter notes."""

    start: float
    length: float
    beat: float


class Row(NamedTuple):
    """A row of the picture: its name, its colour ("": the instrument's), its place in pixels."""

    name: str
    colour: str
    top: float
    bottom: float
    shaded: bool


def draw(sequence, path: str | os.PathLike, title: str = "") -> None:
    """Draws `sequence` as a PNG file; the same sequence and title give the same bytes.

    Args:
      sequence: a note_seq NoteSequence, not quantized (times in seconds).
      path: the file to write, replaced only when the picture is complete.
      title: what to call it, e.g. the MIDI file's name; the tempo and the meter are added.
    """
    with files.replacing(path) as file:
        file.write(png(sequence, title))


def png(sequence, title: str = "") -> bytes:
    """The bytes of the PNG file that `draw` writes."""
    buffer = io.BytesIO()
    # Matplotlib writes its version by default, which would make equal pictures differ.
    _figure(sequence, title).savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _figure(sequence, title: str):
    """The picture: axes for each system, in quarter notes rightwards and pixels downwards."""
    # Imported here, because only drawing needs it. No pyplot: it keeps every figure in a list.
    from matplotlib.figure import Figure

    quarters = TempoMap(sequence.tempos)
    notes = sorted(sequence.notes, key=lambda note: (note.start_time, note.pitch, note.instrument))
    starts = quarters(np.array([note.start_time for note in notes]))
    ends = np.maximum(starts, quarters(np.array([note.end_time for note in notes])))
    drums = np.array([note.is_drum for note in notes], bool)
    rows, row_of = layout_rows(notes)
    timed = list(zip(notes, starts.tolist(), ends.tolist()))
    # A sixteenth of silence, or of a cymbal, after the last bar does not make another bar.
    total = quarters(np.array([sequence.total_time])) - 0.25
    end = max([*total, *(starts + 0.01), *(ends[~drums] - 0.01)])
    bars, num_bars = bars_until(end, sequence.time_signatures, quarters)
    per_system = BARS_PER_SYSTEM if len(bars) <= SHORT_PIECE_BARS else MANY_BARS_PER_SYSTEM
    systems = [bars[at : at + per_system] for at in range(0, len(bars), per_system)]
    lengths = [sum(bar.length for bar in system) for system in systems]
    scale = PLOT_WIDTH / (per_system * max(bar.length for bar in bars))

    pitch = BAR_NUMBERS + rows[-1].bottom + SYSTEM_GAP
    width = round(max(LEFT + scale * max(lengths) + RIGHT, MIN_WIDTH))
    height = round(TOP + len(systems) * pitch + BOTTOM)
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
    text: dict[str, Any] = dict(x=LEFT / width, va="center", fontfamily=FONT, parse_math=False)
    room = width - LEFT - RIGHT
    shown, size = _fitting(_drawable(title or "untitled"), room, TITLE_SIZES, "bold")
    figure.text(y=1 - 24 / height, s=shown, color=INK, size=size, weight="bold", **text)
    subtitle = _subtitle(sequence, quarters, len(bars), num_bars)
    shown, size = _fitting(subtitle, room, SUBTITLE_SIZES)
    figure.text(y=1 - 48 / height, s=shown, color=FAINT_INK, size=size, **text)
    for number, (system, length) in enumerate(zip(systems, lengths)):
        bottom = height - TOP - number * pitch - BAR_NUMBERS - rows[-1].bottom
        place = np.array([LEFT, bottom, length * scale, rows[-1].bottom])
        axes = figure.add_axes(
            tuple(place / [width, height, width, height]),
            xlim=(system[0].start, system[0].start + length),
            ylim=(rows[-1].bottom, 0),
        )
        _draw_grid(axes, system, 1 + number * per_system, rows, scale)
        _draw_notes(axes, timed, row_of, 1 / scale, 0 if system is systems[-1] else EARLY)
    return figure


def _draw_grid(axes, system: Sequence[Bar], number: int, rows: Sequence[Row], scale: float) -> None:
    """Draws rows with their names, and bars, beats and sixteenths with the bars' numbers."""
    from matplotlib.collections import LineCollection

    axes.spines[:].set(color=LINES[-1][0], linewidth=1)
    names = {(row.top + row.bottom) / 2: row.name for row in rows if row.name}
    axes.set_yticks(list(names), labels=names.values(), va="center")
    axes.tick_params(length=0, labelfontfamily=FONT, labelsize=9, labelcolor=INK, pad=10)
    axes.xaxis.set_visible(False)
    text = dict(color=FAINT_INK, fontfamily=FONT, size=9, va="center")
    for at, bar in enumerate(system, number):
        axes.text(bar.start + 2 / scale, -9, str(at), **text)
    shades = [(*axes.get_xlim(), row.top, row.bottom, SHADE) for row in rows if row.shaded]
    _add_boxes(axes, shades, zorder=1)
    lines, styles = [], []
    for kind, style in enumerate(LINES):
        if kind == 2 or scale / 4 >= MIN_STEP:
            gaps = [(0.25, bar.beat, bar.length)[kind] for bar in system]
            places = [np.arange(0, bar.length, gap) + bar.start for bar, gap in zip(system, gaps)]
            new = [[(x, 0), (x, rows[-1].bottom)] for x in np.concatenate(places).tolist()]
            lines += new
            styles += [style] * len(new)
    colours, widths = zip(*styles)
    axes.add_collection(LineCollection(lines, colors=colours, linewidths=widths, zorder=2))


def _draw_notes(axes, notes: Sequence[tuple], row_of: dict, pixel: float, next_early: float):
    """Draws the notes of a system; one that sounds on into the next is drawn in both.

    Args:
      notes: (note, start, end) of all of the piece, in quarter notes.
      pixel: its width in quarter notes.
      next_early: hits so late in the system are drawn in the next.
    """
    from matplotlib.colors import to_rgb

    first, after = axes.get_xlim()
    boxes = []
    for note, start, end in notes:
        row, loudness = row_of[note.is_drum, note.pitch], min(note.velocity, 127) / 127
        top, bottom, left = row.top + 1, row.bottom - 1, start
        if note.is_drum:
            shown = first - EARLY <= start < after - next_early
            right = start + DRUM_MARK_WIDTH * pixel
            top += (bottom - top) * 0.7 * (1 - loudness)
        else:
            shown = start < after and end > first or start == first
            left = max(start, first)
            # A pixel of paper between repeated notes, and two of ink for the shortest.
            right = max(min(end, after) - pixel, left + 2 * pixel)
        if shown:
            colour = row.colour or INSTRUMENT_COLOURS[note.instrument % len(INSTRUMENT_COLOURS)]
            # Mixed with white.
            colour = [1 - (0.3 + 0.7 * loudness) * (1 - part) for part in to_rgb(colour)]
            boxes.append((left, right, top, bottom, colour))
    _add_boxes(axes, boxes, zorder=3)


def _add_boxes(axes, boxes: Sequence[tuple], zorder: int) -> None:
    """Fills boxes (left, right, top, bottom, colour), also beyond the edges of the axes."""
    from matplotlib.collections import PolyCollection

    corners = [[(x, y), (x_2, y), (x_2, y_2), (x, y_2)] for x, x_2, y, y_2, _ in boxes]
    colours = [box[-1] for box in boxes]
    filled = PolyCollection(corners, facecolors=colours, linewidths=0, zorder=zorder, clip_on=False)
    axes.add_collection(filled, autolim=False)


def bars_until(
    end: float, signatures: Sequence, quarters: TempoMap, at_most: int = MAX_BARS
) -> tuple[list[Bar], int]:
    """Lays out the bars up to `end` (in quarter notes), at least one; 4/4 where nothing is said.

    Returns:
      The first `at_most` bars, and how many there are in all.
    """
    changes = [(0.0, 4.0, 1.0)] + sorted(
        (float(quarters(np.array([s.time]))[0]), 4 * s.numerator / s.denominator, 4 / s.denominator)
        for s in signatures
        if s.numerator > 0 and s.denominator > 0
    )
    times = [time for time, _, _ in changes]
    bars = []
    at = 0.0
    while not bars or (at < end and len(bars) < at_most):
        # A meter counts from the bar in which it is announced.
        _, length, beat = changes[bisect.bisect_right(times, at + 1e-3) - 1]
        bars.append(Bar(at, length, beat))
        at += length
    return bars, len(bars) + max(0, math.ceil((end - at) / bars[-1].length))


def layout_rows(notes: Sequence) -> tuple[list[Row], dict[tuple[bool, int], Row]]:
    """The rows from top to bottom, and the row of each (is_drum, pitch)."""
    rows, row_of, top = [], {}, 0.0
    pitches = [note.pitch for note in notes if not note.is_drum]
    if pitches:
        low, high = min(pitches) - 1, max(pitches) + 1
        height = min(PITCH_ROW, MAX_PITCHED_HEIGHT / (high - low + 1))
        for pitch in range(high, low - 1, -1):
            key = pitch % 12
            named = key in NOTE_NAMES if height == PITCH_ROW else key == 0
            name = f"{NOTE_NAMES[key]}{pitch // 12 - 1}" if named else ""
            rows.append(Row(name, "", top, top + height, key in BLACK_KEYS))
            row_of[False, pitch] = rows[-1]
            top += height
    used = {note.pitch for note in notes if note.is_drum}
    known = {pitch for _, _, members, _ in DRUM_ROWS for pitch in members}
    if used or not notes:
        for name, colour, members, always in DRUM_ROWS:
            pitches = list(members) or sorted(used - known)
            if always or used.intersection(pitches):
                rows.append(Row(name, colour, top, top + DRUM_ROW, len(rows) % 2 == 0))
                row_of |= {(True, pitch): rows[-1] for pitch in pitches}
                top += DRUM_ROW
    return rows, row_of


def _subtitle(sequence, quarters: TempoMap, drawn: int, num_bars: int) -> str:
    changes = ", then others" if len(sequence.tempos) > 1 else ""
    meters = sorted({f"{s.numerator}/{s.denominator}" for s in sequence.time_signatures})
    extent = f"{num_bars} bar{'s' * (num_bars != 1)}"
    if drawn < num_bars:
        extent = f"the first {drawn} of {extent}"
    count = f"{len(sequence.notes) or 'no'} note{'s' * (len(sequence.notes) != 1)}"
    return "   ·   ".join([f"{quarters.changes[0][1]:.6g} qpm{changes}", *meters, extent, count])


def _drawable(text: str) -> str:
    """The text with ? for what the font lacks, of which Matplotlib would warn."""
    from matplotlib.font_manager import findfont, get_font

    glyphs = get_font(findfont(f"{FONT}:bold")).get_charmap()
    return "".join(letter if ord(letter) in glyphs else "?" for letter in text)


def _fitting(text: str, pixels: float, sizes: tuple[int, int], weight: str = "normal"):
    """Fits a text into a width: smaller down to a size, and then without its middle.

    The middle is left out because the names of files often differ at their ends.

    Args:
      text: one line.
      pixels: the width to fit it into.
      sizes: the usual size and the least, in points.
      weight: of the font.

    Returns:
      The text, and its size in points.
    """
    from matplotlib.backends.backend_agg import RendererAgg
    from matplotlib.font_manager import FontProperties

    renderer = RendererAgg(1, 1, DPI)

    def fits(text, size):
        # Measured as it is drawn: at small sizes, letters are put at whole pixels.
        font = FontProperties(family=FONT, weight=weight, size=size)
        return renderer.get_text_width_height_descent(text, font, ismath=False)[0] <= pixels

    usual, least = sizes
    if len(text) <= MAX_TITLE:
        for size in range(usual, least - 1, -1):
            if fits(text, size):
                return text, size

    def cut(kept):
        return f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"

    kept = range(min(len(text), MAX_TITLE))
    too_long = bisect.bisect_left(kept, True, key=lambda each: not fits(cut(each), least))
    return cut(max(too_long - 1, 0)), least
