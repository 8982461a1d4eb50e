"""The command `plot`."""

import csv
import json
import math

import pytest

from tests.support.event_files import write_run
from tests.support.jobs import error_of, job, without_tensorflow


@pytest.fixture
def two_runs(tmp_path):
    return [
        write_run(
            tmp_path / name,
            {"loss": {0: 9.0, 100: scale}, "losses/kl_bits": {0: 1.0, 100: 20.0}},
            {"loss": {0: 9.5, 100: math.nan}},
            {"test-step-100.json": {"step": 100, "loss": scale, "sampled": {"f1": 0.75}}},
        )
        for name, scale in (("one", 4.0), ("two <é>", 3.0))
    ]


def rows_of(path):
    return list(csv.reader(path.read_text(encoding="utf-8").splitlines()))


def test_figures_and_numbers_without_tensorflow(two_runs, tmp_path):
    done = without_tensorflow("pipelines.plot", *two_runs, "--output_dir=out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    names = ["curves.png", "curves.svg", "metrics.png", "metrics.svg", "curves.csv", "metrics.csv"]
    assert done.stdout.split() == [f"out/{name}" for name in names]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(names)
    assert done.stderr.splitlines() == [
        f"warning: {folder}: loss: NaN or infinite from step 100 on, at least in places; the "
        "curves have gaps there"
        for folder in two_runs
    ]
    rows = rows_of(tmp_path / "out" / "curves.csv")
    assert rows[0] == ["run", "part", "name", "step", "value"]
    assert ["two <é>", "training", "loss", "100", "3.0"] in rows
    assert ["one", "validation", "loss", "100", "nan"] in rows
    assert len(rows) == 1 + 2 * 6
    rows = rows_of(tmp_path / "out" / "metrics.csv")
    assert ["one", "test", "eval/test-step-100.json", "100", "sampled/f1", "0.75"] in rows


def test_json_has_the_same_numbers(two_runs, tmp_path):
    done = job("plot", two_runs[0], "--json", "--names=mine", f"--output_dir={tmp_path}/out")
    assert done.returncode == 0, done.stderr
    [run] = json.loads(done.stdout)["runs"]
    assert (run["name"], run["kind"], run["config"]) == ("mine", "musicvae", "flat-groove_4bar")
    assert run["curves"]["validation"] == {"loss": {"steps": [0, 100], "values": [9.5, None]}}
    assert run["metrics"]["test"]["numbers"]["sampled/f1"] == 0.75


@pytest.mark.slow
def test_a_run_that_was_evaluated_alone_has_metrics(tmp_path):
    evaluated = {"test-step-5.json": {"step": 5, "loss": 1.5}}
    run_dir = write_run(tmp_path / "run", {}, None, evaluated)
    done = job("plot", run_dir, f"--output_dir={tmp_path}/out")
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == [
        f"warning: {run_dir}: no curves in it, only metrics",
        "no curves.png: the runs have none",
    ]
    made = {path.name for path in (tmp_path / "out").iterdir()}
    assert made == {"metrics.png", "metrics.svg", "curves.csv", "metrics.csv"}


@pytest.mark.slow
def test_a_run_of_titles_has_its_ranks(tmp_path):
    curves = {"loss": {1: 3.0, 2: 2.0}, "validation/tune_to_title/MRR": {1: 0.1, 2: 0.2}}
    run_dir = write_run(tmp_path / "titles", curves, kind="titles", config="")
    done = job("plot", run_dir, f"--output_dir={tmp_path}/out", "--width=3.35")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.split()) == 6


def test_bad_input_is_one_line(tmp_path):
    assert "no run is there" in error_of(job("plot", tmp_path))
    assert not (tmp_path / "plots").exists()
