"""Figures of curves and metrics."""

import itertools
import math

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.text import Text

from pipelines.media import curves
from pipelines.media.comparison import TRAINING, VALIDATION, Quantity
from pipelines.media.events import Curve

QUANTITIES = [
    Quantity("loss", "Loss", "nats a window"),
    Quantity("losses/r_bits", "Reconstruction", "bits a window"),
    Quantity("f1", "Hits, teacher-forced", "F1"),
]


def drawn(names, scale=1e5):
    """Runs with curves and metrics of many digits."""
    steps = np.arange(0, 100_001, 10_000)
    rng = np.random.default_rng(0)
    return [
        curves.Drawn(
            name,
            place,
            {
                part: {
                    each.name: Curve(steps, scale * rng.uniform(0.1, 1.0, len(steps)))
                    for each in QUANTITIES
                }
                for part in (TRAINING, VALIDATION)
            },
            {each.name: scale * rng.uniform(0.1, 1.0) for each in QUANTITIES},
        )
        for place, name in enumerate(names)
    ]


def boxes(figure):
    """The texts that are drawn with the rectangles that they take, in pixels."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    texts = list(figure.texts)
    for legend in figure.legends:
        texts += legend.get_texts()
    for axes in figure.axes:
        texts += [axes.title, axes.xaxis.label, axes.yaxis.label, *axes.texts]
        for axis, ends in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            # Ticks beyond the ends of an axis have labels, too, which are not drawn.
            for tick in axis.get_major_ticks():
                if min(ends) <= tick.get_loc() <= max(ends):
                    texts.append(tick.label1)
            texts.append(axis.get_offset_text())
    return [
        (text.get_text(), text.get_window_extent(canvas.get_renderer()))
        for text in texts
        if text.get_visible() and text.get_text().strip()
    ]


NINE = [f"a run with quite a long name, {number}" for number in range(9)]


@pytest.mark.parametrize(
    "names, width, scale",
    [(NINE, 3.35, 1e-4), (NINE, 7.0, 1e5), (["a"], 3.35, 1e-4), (["a"], 7.0, 1.0)],
    ids=["nine, narrow", "nine, wide", "one, narrow", "one, wide"],
)
def test_no_text_lies_over_another_or_outside(names, width, scale):
    runs = drawn(names, scale)
    for figure in (
        curves.draw_curves(runs, QUANTITIES, "training step", width),
        curves.draw_metrics(runs, QUANTITIES, "validation", width),
    ):
        found = boxes(figure)
        assert {text for text, _ in found} >= {"Loss", *names}
        whole = figure.bbox
        for text, box in found:
            assert -1 <= box.x0 and box.x1 <= whole.x1 + 1, text
            assert -1 <= box.y0 and box.y1 <= whole.y1 + 1, text
        for (one, box), (other, against) in itertools.combinations(found, 2):
            across = min(box.x1, against.x1) - max(box.x0, against.x0)
            down = min(box.y1, against.y1) - max(box.y0, against.y0)
            assert across <= 1 or down <= 1, (one, other)
        # In points: they can be read where the figure keeps its width.
        assert min(text.get_fontsize() for text in figure.findobj(Text)) >= 7


def test_a_run_has_one_colour_and_its_numbers(tmp_path):
    runs = drawn(["a", "_b$"])[1:]
    figure = curves.draw_curves(runs, QUANTITIES[:1], "epoch", 4.0)
    [axes] = figure.axes
    training, validation = axes.lines
    expected = runs[0].curves[VALIDATION]["loss"]
    np.testing.assert_array_equal(validation.get_xydata(), np.array(expected).T)
    assert training.get_linestyle() != validation.get_linestyle()
    assert {line.get_color() for line in axes.lines} == {curves.COLOURS[1]}
    [legend] = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [r" _b\$", "validation", "training"]
    [axes] = curves.draw_metrics(runs, QUANTITIES[:1], "test", 4.0).axes
    [bar] = axes.patches
    assert to_hex(bar.get_facecolor()).upper() == curves.COLOURS[1]
    assert bar.get_width() == runs[0].numbers["loss"]


def test_what_is_not_finite_leaves_a_gap():
    values = np.array([1.0, math.nan, math.inf, 2.0])
    run = curves.Drawn("a", 0, {TRAINING: {"loss": Curve(np.arange(4), values)}}, {"f1": math.nan})
    [axes] = curves.draw_curves([run], QUANTITIES[:1], "step", 4.0).axes
    [line] = axes.lines
    np.testing.assert_array_equal(line.get_ydata(), [1.0, math.nan, math.nan, 2.0])
    [axes] = curves.draw_metrics([run], QUANTITIES[2:], "test", 4.0).axes
    assert [text.get_text() for text in axes.texts] == ["none"]


@pytest.mark.parametrize("ending, begin", [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_equal_figures_give_equal_files(ending, begin):
    first, second = (
        curves.encoded(curves.draw_curves(drawn(["a", "日本"]), QUANTITIES, "step", 4.0), ending)
        for _ in range(2)
    )
    assert first == second
    assert first.startswith(begin)
