"""The curves of docs/training.md."""

import json
import pathlib
import re

import numpy as np
import pytest

from experiments.dynamics import curves
from tests.support.jobs import ROOT

HERE = pathlib.Path(ROOT, "experiments", "dynamics")


def test_schedules_by_hand():
    steps = np.array([0, 1, 100])
    np.testing.assert_allclose(curves.beta(steps, 0.99, 0.04), 0.04 * (1 - 0.99**steps))
    # Magenta's beta_rate of 0: at step 0 nothing, from step 1 on all.
    assert curves.beta(steps, 0, 0.2).tolist() == [0, 0.2, 0.2]
    # After 6,931 steps, half of the learning rate is left.
    rate = curves.learning_rate(np.array([0, 6931]), 0.001, least=0)
    np.testing.assert_allclose(rate, [0.001, 0.0005], rtol=1e-3)
    # e^(t/k) = k at t = k ln k.
    assert curves.own_outputs(np.array([1000 * np.log(1000)]), 1000)[0] == pytest.approx(0.5)


def test_temperature_divides_the_logit():
    # Odds of 4, at temperature 1/2 odds of 16.
    assert curves.tempered(np.array([0.8]), 0.5)[0] == pytest.approx(16 / 17)
    assert curves.tempered(np.array([0.5]), 0.1)[0] == 0.5


def test_what_was_kept_says_what_the_page_of_the_experiment_says():
    page = (HERE / "README.md").read_text(encoding="utf-8")
    kept = json.loads((HERE / "learning.json").read_text(encoding="utf-8"))
    for name in ("flat-groove_4bar", "flat-groove_4bar-dynamics"):
        runs = kept[f"{name}, 2,000 steps"]["runs"]
        assert not runs[0]["changed"] and all(run["changed"] for run in runs[1:])
        first = runs[0]["sampled"]
        assert f"{first['f1']:.3f}, {first['velocity_mae']:.1f}" in page
    for run in kept["flat-reel_2bar, 2,000 steps"]["runs"]:
        right = [f"{run[how]['accuracy']:.3f}" for how in ("teacher_forced", "sampled")]
        assert f"| {right[0]} | {right[1]} |" in page and f"| {run['kl_bits']:.0f} |" in page
    samples = (HERE.parent / "samples" / "README.md").read_text(encoding="utf-8")
    for point in kept["groove_4bar, samples"]:
        row = rf"^\| \**{point['prior']}, {point['temperature']}[ *(].*"
        values = (point["of_the_yardstick"], point["nearly_empty_percent"], point["nearest_f1"])
        found = re.search(row, samples, re.MULTILINE)
        assert found and all(f"{value:g}" in found[0] for value in values)
    measured = json.loads((HERE / "floors.json").read_text(encoding="utf-8"))["measured"]
    for name, each in measured.items():
        row = next(line for line in page.splitlines() if line.startswith(f"| {name} |"))
        assert f"| {each['velocity_mae']:.1f} | {each['timing_mae_ms']:.1f} |" in row
