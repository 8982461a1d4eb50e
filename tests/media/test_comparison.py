"""What runs have to compare."""

import math

import pytest

from pipelines.media import comparison
from pipelines.runtime.app import UserError
from tests.support.event_files import write_run

_LOSS = {"loss": {0: 3.0, 100: 2.0}}


def test_numbers_have_one_name_wherever_they_are_from(tmp_path):
    run_dir = write_run(
        tmp_path / "a",
        {"losses/r_loss": {0: 2 * math.log(2), 100: math.log(2)}, "global_norm_1": {100: 1.0}},
        {"loss": {0: 8.0, 100: 7.0}, "teacher_forced/f1": {0: 0.5}},
        {
            "test-step-100.json": {"step": 100, "reconstruction_loss": 3 * math.log(2)},
            "test-step-90.json": {"step": 90, "reconstruction_loss": 0.0},
            "test-most_frequent_bar.json": {"step": 0, "constant": {"f1": 1.0}},
        },
    )
    [run] = comparison.read([str(run_dir)])
    assert run.name == "a"
    bits = run.curves[comparison.TRAINING]["losses/r_bits"].values
    assert bits == pytest.approx([2.0, 1.0])
    assert "global_norm" in run.curves[comparison.TRAINING]
    assert run.metrics["test"].numbers["losses/r_bits"] == pytest.approx(3.0)
    assert run.metrics["test"].source == "eval/test-step-100.json"
    # Only what was measured at the last step.
    while_training = run.metrics[comparison.WHILE_TRAINING]
    assert (while_training.step, while_training.numbers) == (100, {"loss": 7.0})
    assert comparison.label_of_most([run]) == "test"
    assert comparison.label_of_most([run], comparison.WHILE_TRAINING) == comparison.WHILE_TRAINING
    names = [each.name for each in comparison.curve_quantities([run])]
    assert names == ["loss", "losses/r_bits", "teacher_forced/f1"]
    [chosen] = comparison.curve_quantities([run], ["global_norm"])
    assert chosen.unit == "norm of the gradients"


def test_curves_of_titles(tmp_path):
    curves = {**_LOSS, "validation/tune_to_title/MRR": {1: 0.25, 2: 0.5}}
    run_dir = write_run(tmp_path / "a", curves, kind="titles", config="")
    [run] = comparison.read([str(run_dir)])
    assert set(run.curves[comparison.TRAINING]) == {"loss"}
    assert run.curves[comparison.VALIDATION]["tune_to_title/MRR"].values.tolist() == [0.25, 0.5]
    assert run.metrics[comparison.WHILE_TRAINING].numbers == {"tune_to_title/MRR": 0.5}


def test_a_run_of_stock_magenta_has_no_run_json(tmp_path):
    run_dir = write_run(tmp_path / "a", _LOSS)
    (run_dir / "run.json").unlink()
    [run] = comparison.read([str(run_dir)])
    assert (run.kind, run.config) == ("musicvae", "")


def test_names_are_the_least_that_tells_paths_apart():
    assert comparison.told_apart(["/x/a/run", "/x/b/run/"]) == ["a/run", "b/run"]
    assert comparison.told_apart(["/x/a", "/x/b"]) == ["a", "b"]
    assert comparison.told_apart(["/x/a/run", "/y/a/run"]) == ["x/a/run", "y/a/run"]


def test_runs_of_several_configs_are_drawn_with_a_warning(tmp_path, capsys):
    one = write_run(tmp_path / "one", _LOSS)
    other = write_run(tmp_path / "other", _LOSS, config="hierdec-groove_4bar")
    assert len(comparison.read([str(one), str(other)])) == 2
    assert capsys.readouterr().err == (
        "warning: runs of several configs: flat-groove_4bar (one), hierdec-groove_4bar (other); "
        "their losses may not be comparable\n"
    )


def test_an_evaluation_that_is_damaged_is_left_out(tmp_path, capsys):
    run_dir = write_run(tmp_path / "a", _LOSS, None, {"test-step-1.json": {"loss": 1.0}})
    (run_dir / "eval" / "test-step-2.json").write_text("[")
    [run] = comparison.read([str(run_dir)])
    assert run.metrics == {}
    said = capsys.readouterr().err.splitlines()
    assert [line.partition(": not the JSON")[0] for line in said] == [
        f"warning: {run_dir}/eval/test-step-{step}.json" for step in (1, 2)
    ]


def test_bad_input_is_told(tmp_path):
    one = str(write_run(tmp_path / "one", _LOSS))
    titles = str(write_run(tmp_path / "titles", _LOSS, kind="titles"))
    bare = str(write_run(tmp_path / "bare", {}))
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    for folders, names, message in (
        ([f"{tmp_path}/none"], [], "does not exist"),
        ([f"{tmp_path}/file"], [], "is no folder"),
        ([f"{tmp_path}/empty"], [], "no run is there"),
        ([bare], [], "neither curves nor metrics"),
        ([one, titles], [], "is a run of musicvae and .* of titles"),
        ([one, f"{one}/"], [], "named twice"),
        ([one], ["a", "b"], "--names=a,b"),
        ([one, bare], ["a", "a"], "--names=a,a"),
    ):
        with pytest.raises(UserError, match=message):
            comparison.read(folders, names)
    found = comparison.read([one])
    with pytest.raises(UserError, match="--curves=lost: no run has it; did you mean loss"):
        comparison.curve_quantities(found, ["lost"])
    with pytest.raises(UserError, match="--evaluated=test: no run was measured on that"):
        comparison.label_of_most(found, "test")
    assert comparison.label_of_most(found) is None
