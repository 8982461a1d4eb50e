"""Run folders: one run.json with its kind, wherever it is."""

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys

import pytest

from pipelines import runs
from pipelines.runtime.app import UserError
from tests.support.jobs import ROOT


def test_what_is_written_is_read(tmp_path):
    assert runs.read(tmp_path, "some") == {}
    runs.write(tmp_path / "run", "some", {"b": [1, None], "a": "é"})
    assert runs.read(tmp_path / "run", "some") == {"kind": "some", "a": "é", "b": [1, None]}
    assert runs.read(runs.train_dir(tmp_path / "run"), "some")["a"] == "é"


def test_a_run_of_another_system_is_refused(tmp_path):
    runs.write(tmp_path, "some", {})
    with pytest.raises(UserError, match="is a run of some, not of other; name another --run_dir"):
        runs.read(tmp_path, "other")


def test_run_json_of_an_older_version_is_read_and_replaced(tmp_path):
    """MusicVAE's run.json was beside its checkpoints and had no kind."""
    old = tmp_path / "train" / "run.json"
    old.parent.mkdir()
    old.write_text('{"config": "x", "hparams": {}}')
    for folder in (tmp_path, tmp_path / "train"):
        assert runs.read(folder, "musicvae")["config"] == "x"
        with pytest.raises(UserError, match="a run of musicvae"):
            runs.read(folder, "titles")
    runs.write(tmp_path, "musicvae", {"config": "y"})
    assert not old.exists()
    for folder in (tmp_path, tmp_path / "train"):
        assert runs.read(folder, "musicvae")["config"] == "y"


def test_a_run_folder_may_be_called_train(tmp_path):
    runs.write(tmp_path, "outer", {})
    runs.write(tmp_path / "train", "inner", {})
    assert runs.read(tmp_path / "train", "inner")["kind"] == "inner"


@pytest.mark.parametrize("text", ["{", "[]", "5", "\xff", pytest.param("[" * 100_000, id="deep")])
def test_a_damaged_run_json_is_named(text, tmp_path):
    (tmp_path / "run.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match="run.json"):
        runs.read(tmp_path, "some")


def test_it_can_be_read_by_people(tmp_path):
    """Names are sorted, so that two runs are easy to compare."""
    runs.write(tmp_path, "some", {"b": 1, "a": 2})
    assert list(json.loads((tmp_path / "run.json").read_text())) == ["a", "b", "kind"]


TRAINS = """
import sys
from pipelines import runs
with runs.training(sys.argv[1]):
    print("trains", flush=True)
    sys.stdin.read()
"""


def another_job(run_dir) -> subprocess.Popen:
    """A process that has begun to train in a folder, and ends when its stdin is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", TRAINS, str(run_dir)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout and process.stdout.readline() == "trains\n"
    return process


@pytest.mark.parametrize("ends", ["by itself", "killed"])
def test_one_job_trains_in_a_folder_until_it_ends(ends, tmp_path):
    run_dir = tmp_path / "runs" / "first"
    with another_job(run_dir) as other:
        refused = f"another job .process {other.pid}. is training in .*first; wait for it to end"
        for _ in range(2):
            with pytest.raises(UserError, match=refused), runs.training(run_dir):
                pass
        with runs.training(tmp_path / "runs" / "second"):
            pass
        if ends == "killed":
            os.kill(other.pid, signal.SIGKILL)
            other.wait()
    with runs.training(run_dir):
        (run_dir / "run.json").write_text("{}")
    assert os.listdir(run_dir) == ["run.json"], "no lock stays behind"


def test_a_job_that_fails_at_once_leaves_no_folder(tmp_path):
    with pytest.raises(UserError, match="bad records"), runs.training(tmp_path / "run"):
        raise UserError("bad records")
    assert os.listdir(tmp_path) == []
    (tmp_path / "mine").mkdir()
    with runs.training(tmp_path / "mine"):
        pass
    assert os.listdir(tmp_path) == ["mine"]


def test_a_lock_whose_file_was_removed_meanwhile_is_taken_again(tmp_path, monkeypatch):
    """The job before removes its file between this job's opening and locking it."""
    real, seen = fcntl.flock, []

    def flock(lock, how):
        if not seen:
            os.unlink(tmp_path / ".lock")
        seen.append(lock)
        real(lock, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    with runs.training(tmp_path):
        assert len(seen) == 2 and (tmp_path / ".lock").read_text() == str(os.getpid())


def test_a_file_system_without_locks_is_warned_of(tmp_path, monkeypatch, capsys):
    def flock(lock, how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with runs.training(tmp_path):
        pass
    assert "without locks" in capsys.readouterr().err


def test_a_run_is_trained_where_its_metadata_say_so(tmp_path, capsys):
    assert not runs.is_trained(tmp_path, {}) and not runs.is_trained(tmp_path, {"finished": False})
    assert not capsys.readouterr().err
    assert runs.is_trained(tmp_path, {"finished": True})
    assert f"{tmp_path} is trained; nothing left to do" in capsys.readouterr().err


def test_a_run_goes_on_only_as_it_was_begun(tmp_path):
    settings = {"seed": 1, "records": "abc"}
    runs.require_same(tmp_path, {}, settings)
    runs.require_same(tmp_path, {**settings, "finished": True}, settings)
    with pytest.raises(UserError, match=r"begun with another seed \(seed 2\); name another"):
        runs.require_same(tmp_path, {**settings, "seed": 2}, settings)
    with pytest.raises(UserError, match=r"begun with another seed and records \(seed None\); name"):
        runs.require_same(tmp_path, {"x": 1}, settings)
    with pytest.raises(UserError, match="begun with another records; name"):
        runs.require_same(tmp_path, {**settings, "records": "def"}, settings)
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "ckpt-1.index").touch()
    with pytest.raises(UserError, match="has checkpoints but no run.json; name another --run_dir"):
        runs.require_same(tmp_path, {}, settings)
