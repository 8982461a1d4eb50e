"""Samples beside held-out windows: numbers by hand, draws that can be repeated, who may judge."""

import json
import shutil

import numpy as np
import pytest

from pipelines.examples import reading
from pipelines.runtime.app import UserError
from pipelines.systems.musicvae import encoder_judge, model, prior, samples
from pipelines.systems.musicvae.run import open_run
from pipelines.systems.musicvae.window_sets import WindowSet
from tests.support.datasets import write
from tests.support.jobs import error_of, job
from tests.support.pieces import random_tune
from tests.support.trained import train_run


def counted(rows, pieces=None, values=None):
    """A set of windows with one feature, of which only the counts are given."""
    pieces = np.arange(len(rows)) if pieces is None else np.array(pieces)
    values = {} if values is None else {"one": np.array(values)}
    nothing = np.zeros((len(rows), 0))
    return WindowSet(values, {"one": np.array(rows, float)}, pieces, nothing, nothing)


def features(real, learnt, **made):
    return samples._features(real, learnt, made, samples.Options(number=2))["one"]


def test_features_by_hand():
    # Held out and in training, one window in each of two bins; both samples are in the first.
    real = counted([[1, 0], [0, 1]], values=[1.0, 3.0])
    made = counted([[1, 0], [1, 0]], values=[1.0, np.nan])
    found = features(real, real, samples=made)
    assert found["held_out"] == {"mean": 2.0, "undefined": 0.0}
    assert found["training"]["overlap_area"] == pytest.approx(1)
    assert found["training"]["js_divergence"] == pytest.approx(0, abs=1e-12)
    assert found["samples"]["mean"] == 1.0 and found["samples"]["undefined"] == 0.5
    # Of (1, 0) and (1/2, 1/2).
    assert found["samples"]["overlap_area"] == 0.5
    expected = (np.log2(4 / 3) + (np.log2(2 / 3) + 1) / 2) / 2
    assert found["samples"]["js_divergence"] == pytest.approx(expected)
    assert found["samples"]["of_yardstick"] == pytest.approx(0.5)
    # Where both resampled pieces are of the first bin, samples have overlap 1, the yardstick 1/2;
    # where both are of the second, samples have none.
    assert found["samples"]["of_yardstick_low"] == 0
    assert found["samples"]["of_yardstick_high"] == pytest.approx(2)


def test_intervals_are_of_pieces():
    # The same hundred windows as pieces of their own, or as two pieces, each of one bin.
    rows = np.repeat(np.eye(2), 50, axis=0)
    made = counted(np.tile([[0.8, 0.2]], (2, 1)))
    wide, narrow = (
        features(counted(rows, pieces), counted(rows), samples=made)["samples"]
        for pieces in (np.repeat([0, 1], 50), None)
    )
    assert wide["of_yardstick"] == narrow["of_yardstick"]
    assert narrow["of_yardstick_low"] > wide["of_yardstick_low"]


def test_what_was_not_counted_has_no_distance():
    nothing, something = counted([[0, 0], [0, 0]]), counted([[1, 0], [0, 1]])
    found = features(something, something, samples=nothing)
    assert set(found["samples"].values()) == {None}
    found = features(nothing, something, samples=something)
    assert set(found["samples"].values()) == set(found["training"].values()) == {None}


def test_novelty_by_hand():
    def notes(*rows):
        packed = np.packbits(np.array(rows, bool), axis=1)
        return WindowSet({}, {}, np.arange(len(rows)), packed, packed)

    learnt = np.packbits(np.array([[1, 1, 0, 0]], bool), axis=1)
    # F1 with the only training window: 1 and 0; 4 / 5 and 2 / 3.
    sets = {
        "held_out": notes([1, 1, 0, 0], [0, 0, 1, 0]),
        "made": notes([1, 1, 1, 0], [1, 0, 0, 0]),
    }
    found = samples._novelty(sets, learnt)
    assert found["held_out"]["copies"] == 0.5 and found["held_out"]["median"] == 0.5
    # Bins of 0.05, and one of copies.
    assert np.nonzero(found["held_out"]["histogram"])[0].tolist() == [0, 20]
    assert np.nonzero(found["made"]["histogram"])[0].tolist() == [13, 16]
    assert found["made"]["copies"] == 0 and found["made"]["overlap_area"] == 0


@pytest.fixture(scope="module")
def split(groove_records):
    return {
        name: reading.open_note_sequences(f"{groove_records}/{name}.tfrecord*")
        for name in ("train", "validation")
    }


@pytest.fixture(scope="module")
def judge_run(groove_records, tmp_path_factory):
    """Another model: a hierarchical one with windows of the same length."""
    run_dir = tmp_path_factory.mktemp("judge") / "run"
    train_run(groove_records, run_dir, "hierdec-groove_4bar", num_steps=1)
    return run_dir


OPTIONS = samples.Options(number=6, batch_size=4, seed=3)


@pytest.fixture(scope="module")
def compared(tiny_run, judge_run, split):
    run = open_run(str(tiny_run))
    judge = encoder_judge.open_judge(str(judge_run), run)
    return samples.compare(run, split["validation"], split["train"], OPTIONS, judge=judge)


@pytest.mark.slow
def test_a_comparison(compared, split, tiny_run, judge_run):
    assert compared["number"] == 6 and compared["training"]["examples_path"].endswith(
        "train.tfrecord*"
    )
    assert set(compared["novelty"]) == {"held_out", "samples", "untrained", "random_bars"}
    kinds = {"training", "samples", "untrained", "random_bars"}
    for name, found in compared["features"].items():
        assert set(found) == {"held_out", *kinds}
        for kind in kinds:
            assert 0 <= found[kind]["overlap_area"] <= 1, name
            assert 0 <= found[kind]["js_divergence"] <= 1, name
    assert set(compared["mean"]) == kinds
    # Real bars are nearer to what was learnt than those of a model that has learnt nothing.
    assert compared["novelty"]["random_bars"]["median"] > compared["novelty"]["untrained"]["median"]
    assert compared["frechet"]["judge"]["config"] == "hierdec-groove_4bar"
    assert all(compared["frechet"][kind] >= 0 for kind in kinds)
    # JSON as it is, and the same again.
    assert json.loads(json.dumps(compared)) == compared
    run = open_run(str(tiny_run))
    judge = encoder_judge.open_judge(str(judge_run), run)
    again = samples.compare(run, split["validation"], split["train"], OPTIONS, judge=judge)
    assert again == compared
    lines = list(samples.table(compared))
    assert sum(line.startswith("| kick profile |") for line in lines) == 1
    columns = {line.count("|") for line in lines if line.startswith("| velocity")}
    assert columns == {lines[2].count("|")}


@pytest.mark.slow
def test_what_was_learnt_is_not_new(tiny_run, split):
    """The training records held out against themselves."""
    run = open_run(str(tiny_run))
    found = samples.compare(run, split["train"], split["train"], OPTIONS)
    assert found["novelty"]["held_out"]["copies"] == 1
    assert "frechet" not in found


@pytest.mark.slow
def test_latents_come_from_the_prior(tiny_run, tmp_path, monkeypatch):
    run_dir = tmp_path / "run"
    shutil.copytree(tiny_run, run_dir)
    run = open_run(str(run_dir))
    decoded = []
    monkeypatch.setattr(
        model,
        "decode",
        lambda _, z, steps, temperature: decoded.append(z) or np.zeros((len(z), steps, 27)),
    )
    windows, kind = samples.draw(run, OPTIONS)
    assert windows.shape == (6, 64, 27) and kind == "standard"
    assert [len(z) for z in decoded] == [4, 2]
    np.testing.assert_array_equal(
        np.concatenate(decoded), np.random.default_rng(OPTIONS.seed).standard_normal((6, 4))
    )
    # One place in latent space, for this checkpoint.
    sha256 = model.weights_sha256(model.load(run, 1, 0), run.checkpoint)
    prior.write(
        run_dir / prior.FILE,
        prior.Aggregated(
            {"weights_sha256": sha256},
            {},
            np.full(4, 0.25),
            np.eye(4),
            np.ones(1),
            np.zeros((1, 4)),
            np.zeros((1, 4, 4)),
        ),
    )
    decoded.clear()
    assert samples.draw(run, OPTIONS)[1] == "aggregated"
    np.testing.assert_allclose(np.concatenate(decoded), np.full((6, 4), 0.25))


@pytest.mark.slow
def test_no_model_judges_itself(tiny_run, tmp_path, groove_records):
    run = open_run(str(tiny_run))
    with pytest.raises(UserError, match="no model grades itself"):
        encoder_judge.open_judge(str(tiny_run), run)
    # Nor does a copy under another name.
    copy = shutil.copytree(tiny_run, tmp_path / "copy")
    with pytest.raises(UserError, match="no model grades itself"):
        encoder_judge.open_judge(str(copy), run)
    (copy / "run.json").unlink()
    with pytest.raises(UserError, match=r"copy: no run\.json"):
        encoder_judge.open_judge(str(copy), run)
    # Its windows are of two bars, and it reads taps where it gives grooves.
    train_run(groove_records, tmp_path / "tap", "flat-groove_2bar-tap", num_steps=1)
    with pytest.raises(UserError, match="does not encode the windows of flat-groove_4bar"):
        encoder_judge.open_judge(str(tmp_path / "tap"), run)


@pytest.mark.slow
def test_melodies_are_compared(tmp_path):
    for name, seeds in (("train", range(3)), ("validation", range(3, 5))):
        pieces = [random_tune(np.random.default_rng(seed)) for seed in seeds]
        write(tmp_path / f"{name}.tfrecord", pieces)
    run_dir = tmp_path / "run"
    train_run(tmp_path, run_dir, "flat-reel_2bar", num_steps=1)
    opened = [
        reading.open_note_sequences(f"{tmp_path}/{n}.tfrecord") for n in ("validation", "train")
    ]
    found = samples.compare(open_run(str(run_dir)), *opened, OPTIONS)
    # At most sixteen windows of each tune.
    assert found["held_out"] == {"windows": 32, "pieces": 2}
    assert 0 <= found["features"]["diatonic"]["held_out"]["mean"] <= 1
    assert found["features"]["pitch_histogram"]["training"]["overlap_area"] > 0


@pytest.mark.slow
def test_the_job(tiny_run, groove_records, judge_run):
    done = job(
        "evaluate",
        f"--run_dir={tiny_run}",
        f"--examples_path={groove_records}/validation.tfrecord*",
        "--eval_num_batches=1",
        "--eval_dir_suffix=_samples",
        "--samples=5",
        f"--judge_run_dir={judge_run}",
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    # The training records are those that run.json names.
    assert result["samples"]["training"]["examples_path"] == f"{groove_records}/train.tfrecord*"
    assert result["sampled"]["f1"] is not None and result["samples"]["number"] == 5
    assert "| kick profile |" in done.stderr and "Fréchet" in done.stderr
    written = (tiny_run / "eval_samples" / "validation-step-3.json").read_text()
    assert json.loads(written) == result


@pytest.mark.slow
@pytest.mark.parametrize(
    "flags, message",
    [
        (["--samples=5", "--baseline=untrained"], "leave out --baseline"),
        (["--judge_run_dir=none"], "give --samples=1000, too"),
        (["--samples=5", "--judge_run_dir=none"], "none: no such run folder"),
        (["--samples=5", "--baseline_examples_path=none*"], "no file matches 'none*'"),
    ],
)
def test_bad_command_lines_end_in_one_line(flags, message, tiny_run, groove_records):
    done = job(
        "evaluate",
        f"--run_dir={tiny_run}",
        f"--examples_path={groove_records}/validation.tfrecord*",
        *flags,
    )
    assert message in error_of(done)
