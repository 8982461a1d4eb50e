"""Draws curves and metrics of runs beside each other, as figures for papers.

Text has its size in print where the figure keeps its width. Colours are those of Okabe and Ito
(https://jfly.uni-koeln.de/color/), which the colour-blind tell apart; each run has a marker of its
own besides, for print in black and white.
"""

import io
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from pipelines.media.comparison import TRAINING, VALIDATION, Quantity
from pipelines.media.events import Curve

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "os^Dv<>PX*"
DPI = 300
# Inches: what a panel needs, and its height without and with the names of runs.
_PANEL_WIDTH, _PANEL_HEIGHT = 3.2, 1.9
_BAR, _AROUND_BARS = 0.2, 0.62
_LETTER = 0.07
_FONT_SIZE = 8
_TICKS = (1, 2, 5, 10)
_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": _FONT_SIZE,
    "axes.titlesize": _FONT_SIZE,
    "axes.labelsize": _FONT_SIZE,
    "xtick.labelsize": _FONT_SIZE - 1,
    "ytick.labelsize": _FONT_SIZE - 1,
    "legend.fontsize": _FONT_SIZE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "grid.linewidth": 0.4,
    "grid.color": "#d0d0d0",
    "svg.hashsalt": "reelgroove",  # the same runs give the same bytes
}


class Drawn(NamedTuple):
    """A run to draw.

    Attributes:
      name: its name.
      place: among all runs, which gives it the same colour in all figures.
      curves: by where they were measured, then by name.
      numbers: metrics by name.
    """

    name: str
    place: int
    curves: Mapping[str, Mapping[str, Curve]]
    numbers: Mapping[str, float]


def draw_curves(
    drawn: Sequence[Drawn], quantities: Sequence[Quantity], steps: str, width: float
) -> Figure:
    """A panel for each quantity, with the curves of all runs over the steps of training.

    Args:
      drawn: the runs; values that are not finite leave gaps.
      quantities: what to draw, at least one.
      steps: what training goes on in.
      width: of the figure, in inches.
    """
    with rc_context(_STYLE):
        columns = _columns(width, len(quantities))
        rows = math.ceil(len(quantities) / columns)
        legend_rows, legend_columns = _legend_shape([run.name for run in drawn], width)
        figure = Figure((width, rows * _PANEL_HEIGHT + 0.18 * legend_rows), layout="constrained")
        parts: set[str] = set()
        for number, quantity in enumerate(quantities, start=1):
            axes = figure.add_subplot(rows, columns, number)
            for run in drawn:
                parts |= _draw_run(axes, run, quantity)
            axes.set_title(quantity.title)
            axes.set_ylabel(quantity.unit)
            axes.xaxis.set_major_locator(MaxNLocator(5, steps=_TICKS, integer=True))
            axes.yaxis.set_major_locator(MaxNLocator(5, steps=_TICKS))
            axes.yaxis.set_major_formatter("{x:.10g}")
            axes.xaxis.set_major_formatter("{x:.10g}")
            axes.grid(True)
            if number > len(quantities) - columns:
                axes.set_xlabel(steps)
        _add_legend(figure, drawn, parts, legend_columns)
        return figure


def _draw_run(axes: Axes, run: Drawn, quantity: Quantity) -> set[str]:
    """Draws what a run has of a quantity; returns where it was measured."""
    parts = set()
    colour, marker = _look(run.place)
    for part, width, alpha in ((TRAINING, 0.8, 0.6), (VALIDATION, 1.4, 1.0)):
        curve = run.curves.get(part, {}).get(quantity.name)
        if curve is None or not np.isfinite(curve.values).any():
            continue
        parts.add(part)
        # The curve of training is thin, and has its marker where it ends.
        every = max(1, len(curve.steps) // 8) if part == VALIDATION else [len(curve.steps) - 1]
        values = np.where(np.isfinite(curve.values), curve.values, np.nan)
        axes.plot(
            curve.steps,
            values,
            color=colour,
            alpha=alpha,
            linewidth=width,
            linestyle="-" if part == VALIDATION else (0, (3, 1)),
            marker=marker,
            markevery=every,
            markersize=3 if part == VALIDATION else 2,
        )
    return parts


def _add_legend(figure: Figure, drawn: Sequence[Drawn], parts: set[str], columns: int) -> None:
    handles, labels = [], []
    for run in drawn:
        colour, marker = _look(run.place)
        handles.append(Line2D([], [], color=colour, marker=marker, markersize=3, linewidth=1.4))
        labels.append(_plain(run.name))
    for part, line, width in ((VALIDATION, "-", 1.4), (TRAINING, (0, (3, 1)), 0.8)):
        if part in parts:
            handles.append(Line2D([], [], color="#606060", linestyle=line, linewidth=width))
            labels.append(part)
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False)


def draw_metrics(
    drawn: Sequence[Drawn], quantities: Sequence[Quantity], measured_on: str, width: float
) -> Figure:
    """A panel for each metric, with a bar for each run and its number beside it.

    Args:
      drawn: the runs; metrics that are missing or not finite have no bar.
      quantities: what to draw, at least one.
      measured_on: what the metrics were measured on.
      width: of the figure, in inches.
    """
    with rc_context(_STYLE):
        names = [run.name for run in drawn]
        # They stand at the left of each row of panels.
        beside = max(map(len, names)) * _LETTER
        columns = _columns(width - beside, len(quantities), narrow=0.6)
        rows = math.ceil(len(quantities) / columns)
        height = rows * (_AROUND_BARS + _BAR * len(names)) + 0.25
        figure = Figure((width, height), layout="constrained")
        figure.suptitle(f"measured on: {_plain(measured_on)}", fontsize=_FONT_SIZE)
        for number, quantity in enumerate(quantities):
            axes = figure.add_subplot(rows, columns, number + 1)
            numbers = [run.numbers.get(quantity.name, math.nan) for run in drawn]
            shown = [value if math.isfinite(value) else 0.0 for value in numbers]
            colours = [_look(run.place)[0] for run in drawn]
            bars = axes.barh(range(len(names)), shown, color=colours, height=0.7)
            written = [f"{value:.4g}" if math.isfinite(value) else "none" for value in numbers]
            axes.bar_label(bars, written, padding=2, fontsize=_FONT_SIZE - 1)
            # Room for the numbers, which the layout does not see.
            axes.margins(x=0.28)
            axes.invert_yaxis()
            axes.set_yticks(range(len(names)), map(_plain, names))
            axes.tick_params(left=False, labelleft=number % columns == 0)
            axes.xaxis.set_major_locator(MaxNLocator(3, steps=_TICKS))
            axes.xaxis.set_major_formatter("{x:.10g}")
            axes.set_title(quantity.title)
            axes.set_xlabel(quantity.unit)
        return figure


def encoded(figure: Figure, ending: str) -> bytes:
    """A figure as a file: "png" or "svg"; equal figures give equal bytes."""
    metadata = {"Date": None} if ending == "svg" else {"Software": None}
    with rc_context(_STYLE), warnings.catch_warnings():
        # Names may have letters that the font lacks; they are drawn as boxes.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        file = io.BytesIO()
        figure.savefig(file, format=ending, dpi=DPI, metadata=metadata)
        return file.getvalue()


def _columns(width: float, panels: int, narrow: float = 1.0) -> int:
    return min(panels, max(1, round(width / (_PANEL_WIDTH * narrow))))


def _look(place: int) -> tuple[str, str]:
    """The colour and the marker of a run."""
    return COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)]


def _legend_shape(names: Sequence[str], width: float) -> tuple[int, int]:
    """How many rows and columns a legend of runs, and of the two kinds of lines, has."""
    labels = [*names, VALIDATION, TRAINING]
    columns = max(1, min(len(labels), int(width / (max(map(len, labels)) * _LETTER + 0.45))))
    return math.ceil(len(labels) / columns), columns


def _plain(name: str) -> str:
    """A name as matplotlib shows it: no formula, and no legend's entry to leave out."""
    return (" " if name.startswith("_") else "") + name.replace("$", r"\$")
