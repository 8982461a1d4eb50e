"""Which system's program a command line means."""

import importlib.util

import pytest

import configs
from pipelines import runs
from pipelines.systems import programs


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
