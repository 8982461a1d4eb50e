"""`train`, `evaluate` and `generate` of melody curves as whole commands: output and errors."""

import json

import pytest

from pipelines import runs
from tests.support.jobs import error_of, job, without_tensorflow
from tests.support.melodies import records

pytestmark = [pytest.mark.keras3, pytest.mark.slow]

JIG = "X:1\nT:A Jig\nM:6/8\nL:1/8\nK:D\nd|def gab|agf efg|fed cde|d3 d2|\n"


def test_a_tune_is_continued_from_records_on(tmp_path):
    made = records(tmp_path / "records", [("train", 5), ("test", 2)], bars=20)
    run = f"--run_dir={tmp_path / 'run'}"
    training = f"--examples_path={made}/train.tfrecord*"
    hparams = "--hparams=units=4,batch_size=4,num_epochs=1"
    done = job("train", "--config=curves", training, run, hparams)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path / 'run'}\n"
    assert f"next: ./run.sh evaluate {run} --examples_path='{made}/test.tfrecord*'" in done.stderr
    done = job("evaluate", run, f"--examples_path={made}/test.tfrecord*", "--json")
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)["sections"]) == {"all", "next_eight_bars"}
    (tmp_path / "jig.abc").write_text(JIG)
    output = f"--output_dir={tmp_path / 'music'}"
    arguments = ["--mode=continue", f"--input={tmp_path / 'jig.abc'}", output, "--num_outputs=1"]
    done = job("generate", run, *arguments, "--bars=2", "--seed=1")
    assert done.returncode == 0, done.stderr
    stem = "curves_continue_jig_seed1_000-of-001"
    assert done.stdout == f"{tmp_path / 'music' / stem}.mid\n"
    there = {path.name for path in (tmp_path / "music").iterdir()}
    kinds = {f"{stem}.{kind}" for kind in ("mid", "abc", "png", "mp3")}
    assert there == {*kinds, "index.html", "pieces.json", "inputs"}
    best = job("generate", run, *arguments, "--checkpoint_file=best")
    assert "no best checkpoint in it" in error_of(best)


def command(verb: str, *arguments: str, cwd):
    return without_tensorflow(f"pipelines.systems.curves.commands.{verb}", *arguments, cwd=cwd)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["train", "--run_dir=x", "--examples_path=y"], "missing --config"),
        (["train", "--config=curve", "--run_dir=x", "--examples_path=y"], "did you mean curves"),
        (["train", "--config=curves", "--run_dir=x", "--examples_path=y"], "no file matches 'y'"),
        (["train", "--config=curves", "--run_dir=x", "--examples_path=y", "--hparams=unit=1"],
         "did you mean units"),
        (["evaluate", "--run_dir=x", "--examples_path=y"], "no run of curves is there"),
        (["generate", "--run_dir=x", "--output_dir=y"], "needs --input=FILE once"),
        (["generate", "--run_dir=x", "--output_dir=y", "--input=a", "--input=b"], "FILE once"),
        (["generate", "--run_dir=x", "--output_dir=y", "--input=a"], "no run of curves is there"),
        (["generate", "--run_dir=x", "--output_dir=y", "--mode=sample"], "mode=sample"),
        (["generate", "--run_dir=x", "--output_dir=y", "--input=a", "--bars=0"], "bars=0"),
        (["generate", "--run_dir=x", "--output_dir=y", "--input=a", "--temperature=nan"],
         "temperature=nan"),
    ],
)  # fmt: skip
def test_bad_command_lines(arguments, message, tmp_path):
    done = command(*arguments, cwd=tmp_path)
    assert message in error_of(done)
    assert len(done.stderr.splitlines()) == 1


def test_an_input_that_is_not_there_is_told_before_tensorflow_is_imported(tmp_path):
    runs.write(tmp_path / "run", "curves", {"config": "curves"})
    (tmp_path / "run" / "train").mkdir()
    (tmp_path / "run" / "train" / "model.ckpt-7.index").touch()
    done = command("generate", "--run_dir=run", "--output_dir=y", "--input=a.abc", cwd=tmp_path)
    assert error_of(done).startswith("error: a.abc: No such file or directory; check the path")


@pytest.mark.parametrize("verb", ["train", "evaluate", "generate"])
def test_help_needs_no_tensorflow(verb, tmp_path):
    done = command(verb, "--help", cwd=tmp_path)
    assert done.returncode == 0 and f"./run.sh {verb}" in done.stdout
