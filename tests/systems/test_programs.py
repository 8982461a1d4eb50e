"""Which system's program a command line means."""

import importlib.util

import pytest

import configs
from pipelines import runs
from pipelines.systems import programs
from tests.support.jobs import error_of, without_tensorflow


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Runs of several systems, and a damaged one."""
    monkeypatch.chdir(tmp_path)
    for kind in ("musicvae", "titles", "tune_lm"):
        runs.write(kind, kind, {})
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / runs.METADATA).write_text("{")
    return tmp_path


@pytest.mark.parametrize(
    "arguments, system",
    [
        ([], "musicvae"),
        (["--config=flat-groove_4bar"], "musicvae"),
        (["--config=tune_lm-lstm"], "tune_lm"),
        (["--json", "--config", "tune_lm-transformer", "--run_dir=musicvae"], "tune_lm"),
        (["-config=tune_lm-lstm"], "tune_lm"),
        (["--config=tune_lm-lstm", "--config=flat-groove_4bar"], "musicvae"),
        (["--config=tune_lm-lsmt"], "musicvae"),
        (["--run_dir=tune_lm"], "tune_lm"),
        (["--run_dir", "musicvae"], "musicvae"),
        (["--checkpoint_file=tune_lm/best"], "tune_lm"),
        # Titles have commands of their own: the program says of what kind the run is.
        (["--run_dir=titles"], "musicvae"),
        (["--run_dir=damaged"], "musicvae"),
        (["--run_dir=none", "--pretrained=none"], "musicvae"),
        (["--pretrained=groove_4bar"], "musicvae"),
        (["--run_dir"], "musicvae"),
    ],
)
def test_the_system_of_a_command_line(arguments, system, folder):
    (folder / "tune_lm" / "best").mkdir()
    assert programs.system(arguments) == system


def test_each_system_has_a_program_for_each_command():
    for system in ("musicvae", *configs.systems()):
        for command in ("train", "evaluate", "generate"):
            name = f"pipelines.systems.{system}.commands.{command}"
            assert importlib.util.find_spec(name), name


@pytest.mark.parametrize(
    "command, arguments, message",
    [
        (
            "generate",
            ["--run_dir=tune_ln", "--rhythm=jig"],
            "not of musicvae: tune_ln: no such run folder; did you mean tune_lm?",
        ),
        (
            "train",
            ["--config=tune_lm-lsmt", "--tunebooks=a"],
            "not of musicvae: no config is named 'tune_lm-lsmt'; did you mean tune_lm-lstm",
        ),
        (
            "generate",
            ["--pretrained=tune", "--rhythm=jig"],
            "not of musicvae: no pretrained model or folder is named 'tune'; did you mean tunes?",
        ),
        (
            "generate",
            ["--rhythm=jig"],
            "not of musicvae: name a model by --run_dir or --pretrained, or its config by --config",
        ),
        (
            "train",
            ["--run_dir=new", "--tunebooks=a"],
            "not of musicvae: name a config by --config; ./run.sh configs lists them",
        ),
        (
            "generate",
            ["--run_dir=tune_lm", "--attribute=swing"],
            "--attribute is a flag of musicvae, not of tune_lm, which this command line names",
        ),
        (
            "generate",
            ["--run_dir=musicvae", "--nogrammar"],
            "--nogrammar is a flag of tune_lm, not of musicvae, which this command line names",
        ),
        (
            "train",
            ["--run_dir=.", "--tunebooks=a"],
            "not of musicvae: name a config by --config; ./run.sh configs lists them",
        ),
        (
            "train",
            ["--config=tune_lm-lstm", "--config_file=none.py"],
            "--config_file is a flag of musicvae, not of tune_lm, which this command line names",
        ),
        # It is of no system, or a slip.
        ("generate", ["--run_dir=tune_lm", "--rythm=jig"], "no flag --rythm; did you mean --rhyth"),
        ("generate", ["--run_dirr=tune_lm"], "there is no flag --run_dirr; did you mean --run_dir"),
    ],
)
def test_a_flag_of_another_system(command, arguments, message, folder):
    done = without_tensorflow(f"pipelines.{command}", *arguments, cwd=folder)
    assert message in error_of(done)
