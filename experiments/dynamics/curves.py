"""Draws the curves of docs/training.md.

    ./.venv/bin/python -m experiments.dynamics.curves --output_dir=docs

Schedules are computed by Magenta's formulas (`base_model.py`, `lstm_utils.py`); everything else
is measured and kept in learning.json and floors.json beside this file.
"""

import argparse
import io
import json
import pathlib
from typing import Any

import numpy as np

from pipelines.runtime import files

_HERE = pathlib.Path(__file__).parent
# Without these, the same picture has other bytes each time.
_SETTINGS = {"svg.hashsalt": "reelgroove", "svg.fonttype": "none", "font.size": 9}


def beta(steps: np.ndarray, beta_rate: float, max_beta: float) -> np.ndarray:
    """The weight of the KL term at steps of training."""
    return (1 - beta_rate**steps) * max_beta


def learning_rate(
    steps: np.ndarray, first: float, decay_rate: float = 0.9999, least: float = 1e-5
) -> np.ndarray:
    """The learning rate at steps of training."""
    return (first - least) * decay_rate**steps + least


def own_outputs(steps: np.ndarray, rate: float) -> np.ndarray:
    """How often `inverse_sigmoid` feeds a decoder its own output, at steps of training."""
    return 1 - rate / (rate + np.exp(steps / rate))


def tempered(probability: np.ndarray, temperature: float) -> np.ndarray:
    """The probability of a hit whose logit is divided by the temperature."""
    odds = (probability / (1 - probability)) ** (1 / temperature)
    return odds / (1 + odds)


def schedules(plot: Any) -> Any:
    """What changes with the step, and what temperature does."""
    figure, axes = plot.subplots(1, 4, figsize=(11, 2.6), layout="constrained")
    steps = np.arange(0, 10_001, 50)
    for rate, largest in ((0, 0.2), (0.99999, 0.2), (0.99, 0.04)):
        label = f"beta_rate={rate}, max_beta={largest}"
        # At step 0 and rate 0, 0 to the power of 0 is 1: beta is 0 there.
        axes[0].plot(steps, beta(steps, rate, largest), label=label)
    axes[0].set(title="beta", xlabel="step")
    for first in (0.001, 0.002, 0.008):
        axes[1].plot(steps, learning_rate(steps, first), label=f"learning_rate={first}")
    axes[1].set(title="learning rate", xlabel="step")
    for rate in (500, 1000, 2000):
        axes[2].plot(steps, own_outputs(steps, rate), label=f"sampling_rate={rate}")
    axes[2].set(title="share of own outputs fed back", xlabel="step")
    odds = np.linspace(0.005, 0.995, 199)
    for temperature in (0.2, 0.5, 1.0, 1.5):
        axes[3].plot(odds, tempered(odds, temperature), label=f"temperature={temperature}")
    axes[3].set(title="probability of a hit", xlabel="as the model says it")
    for axis in axes:
        axis.legend(fontsize=6)
    return figure


def overfitting(plot: Any, learning: dict) -> Any:
    """Held-out losses and errors over the steps, for three sizes."""
    figure, axes = plot.subplots(1, 4, figsize=(11, 2.6), layout="constrained")
    for run in learning["flat-groove_4bar-dynamics, checkpoints"]:
        sizes = run["hparams"]
        label = ", ".join(f"{key.split('_')[0]} {sizes[key]}" for key in list(sizes)[:3])
        points = run["checkpoints"][1:]  # The first is untrained, at a loss of 700.
        steps = [point["step"] for point in points]
        for axis, values in zip(
            axes,
            (
                [point["loss"] for point in points],
                [point["hits_loss"] for point in points],
                [point["sampled"]["f1"] for point in points],
                [point["sampled"]["velocity_mae"] for point in points],
            ),
        ):
            axis.plot(steps, values, marker="o", label=label)
    titles = ("validation loss", "its part of the hits", "hit F1, sampled", "velocity MAE, sampled")
    for axis, title in zip(axes, titles):
        axis.set(title=title, xlabel="step")
    axes[0].legend(fontsize=6)
    return figure


def temperatures(plot: Any, learning: dict) -> Any:
    """How real samples of a trained model are, by temperature and prior."""
    figure, axes = plot.subplots(1, 3, figsize=(11, 2.6), layout="constrained")
    panels = {
        "of_the_yardstick": "overlap with held-out, of training's",
        "nearly_empty_percent": "nearly empty bars, %",
        "nearest_f1": "hit F1 with the nearest training window",
    }
    for axis, (key, title) in zip(axes, panels.items()):
        for prior in ("standard", "aggregated"):
            points = [p for p in learning["groove_4bar, samples"] if p["prior"] == prior]
            x, y = ([point[name] for point in points] for name in ("temperature", key))
            axis.plot(x, y, marker="o", label=f"{prior} prior")
        if held_out := learning["held-out pieces"].get(key):
            axis.axhline(held_out, color="#6b7280", linestyle=":", label="held-out pieces")
        axis.set(title=title, xlabel="temperature")
    axes[1].legend(fontsize=6)
    return figure


def _changed(run: dict) -> str:
    """What a run changed, two hparams in a line."""
    changed = [f"{key}={value}" for key, value in run["changed"].items()]
    pairs = (", ".join(changed[i : i + 2]) for i in range(0, len(changed), 2))
    return "\n".join(pairs) or "nothing"


def hparams(plot: Any, learning: dict) -> Any:
    """One bar for each change of hparams: a row of panels for each config."""
    figure, axes = plot.subplots(3, 3, figsize=(11, 8.5), layout="constrained")
    rows = (
        ("flat-groove_4bar", "f1", "hit F1", "velocity MAE, sampled"),
        ("flat-groove_4bar-dynamics", "f1", "hit F1", "KL, bits"),
        ("flat-reel_2bar", "accuracy", "right steps", "KL, bits"),
    )
    for row, (config, score, title, last) in zip(axes, rows):
        runs = learning[f"{config}, 2,000 steps"]["runs"]
        third = [run.get("kl_bits", run["sampled"].get("velocity_mae")) for run in runs]
        panels = (
            (f"{title}, teacher-forced", [run["teacher_forced"][score] for run in runs]),
            (f"{title}, sampled", [run["sampled"][score] for run in runs]),
            (last, third),
        )
        labels = [_changed(run) for run in runs]
        for axis, (what, values) in zip(row, panels):
            axis.barh(labels, values, color="#3b6ea8")
            share = max(values) < 1
            axis.bar_label(axis.containers[0], fmt="%.3f" if share else "%.1f")
            # Shares differ little: their bars begin near the least.
            low = min(values) - 0.05 if share else 0
            axis.set(xlim=(low, low + (max(values) - low) * 1.2), title=what)
            axis.invert_yaxis()
            axis.tick_params(axis="y", labelsize=6, labelleft=axis is row[0])
        row[0].set_ylabel(config)
    return figure


def floors(plot: Any, measured: dict) -> Any:
    """How far velocities and timing are off for what needs no model."""
    figure, axes = plot.subplots(1, 2, figsize=(11, 2.8), layout="constrained", sharey=True)
    keys = (("velocity_mae", "velocity MAE, of 127"), ("timing_mae_ms", "timing MAE, ms"))
    for axis, (key, title) in zip(axes, keys):
        axis.barh(list(measured), [each[key] for each in measured.values()], color="#3b6ea8")
        axis.bar_label(axis.containers[0], fmt="%.1f")
        axis.margins(x=0.12)
        axis.set_title(title)
    axes[0].invert_yaxis()
    return figure


def main() -> None:
    """Draws all figures."""
    import matplotlib
    import matplotlib.pyplot as plot

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output_dir", required=True)
    output = pathlib.Path(parser.parse_args().output_dir)
    matplotlib.use("svg")
    matplotlib.rcParams.update(_SETTINGS)
    learning = json.loads((_HERE / "learning.json").read_text(encoding="utf-8"))
    measured = json.loads((_HERE / "floors.json").read_text(encoding="utf-8"))["measured"]
    figures = {
        "schedules": schedules(plot),
        "overfitting": overfitting(plot, learning),
        "temperatures": temperatures(plot, learning),
        "hparams": hparams(plot, learning),
        "floors": floors(plot, measured),
    }
    for name, figure in figures.items():
        drawn = io.BytesIO()
        figure.savefig(drawn, format="svg", metadata={"Date": None})
        with files.replacing(output / f"training-{name}.svg") as file:
            file.write(drawn.getvalue())


if __name__ == "__main__":
    main()
