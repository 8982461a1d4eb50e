"""`./run.sh tensorboard`: which folder it shows, and to whom."""

import os
import signal
import subprocess
import sys
import urllib.request

import psutil
import pytest

from pipelines.runtime.app import UserError
from pipelines.tensorboard import arguments
from tests.support.jobs import ROOT, error_of, job

LOCAL = "--host=localhost"


@pytest.mark.parametrize(
    "given, expected",
    [
        ([], ["--logdir", ".", LOCAL]),
        (["runs"], ["--logdir", "runs", LOCAL]),
        (["runs", "--port=1"], ["--logdir", "runs", "--port=1", LOCAL]),
        (["--port", "1"], ["--logdir", ".", "--port", "1", LOCAL]),
        (["--logdir=runs", "--port=1"], ["--logdir", "runs", "--port=1", LOCAL]),
        (["--port=1", "--logdir", "runs"], ["--logdir", "runs", "--port=1", LOCAL]),
        (["runs", "--bind_all"], ["--logdir", "runs", "--bind_all"]),
        (["runs", "--host=::1"], ["--logdir", "runs", "--host=::1"]),
        (["--logdir=gs://bucket/x=1"], ["--logdir", "gs://bucket/x=1", LOCAL]),
        (["--logdir_spec=a:x,b:y"], ["--logdir_spec=a:x,b:y"]),
        (["--helpfull"], ["--helpfull"]),
    ],
)
def test_arguments(given, expected, tmp_path, monkeypatch):
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    assert arguments(given) == expected


@pytest.mark.parametrize("given", [["gone"], ["--logdir=gone"], ["--logdir", "gone"], ["--logdir"]])
def test_a_folder_that_is_not_there_is_refused(given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no such folder; name a run's folder"):
        arguments(given)


def test_it_is_refused_in_one_line(tmp_path):
    done = job("tensorboard", "gone", cwd=tmp_path)
    assert error_of(done) == (
        "error: gone: no such folder; name a run's folder, or one of several runs"
    )
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "flag, message",
    [
        ("--prot=6912", "unrecognized arguments: --prot=6912; did you mean --port"),
        ("--zzzzzzzz", "unrecognized arguments: --zzzzzzzz (./run.sh tensorboard --helpfull)"),
        ("--port=x", "argument --port: invalid value: 'x' (./run.sh tensorboard --helpfull)"),
    ],
)
def test_bad_flags_are_refused_in_one_line(flag, message, tmp_path):
    done = job("tensorboard", tmp_path, flag)
    assert message in error_of(done)
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_it_starts_quietly_and_listens_on_this_machine_alone(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines.tensorboard", str(tmp_path), "--port=0"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr
        # The first line is where it is.
        line = process.stderr.readline()
        try:
            assert line.startswith("TensorBoard ") and "http://localhost:" in line
            url = line.split(" at ")[1].split()[0]
            assert urllib.request.urlopen(url, timeout=60).status == 200
            own = psutil.Process(process.pid)
            listening = {
                connection.laddr.ip
                for each in [own, *own.children(recursive=True)]
                for connection in each.net_connections()
                if connection.status == psutil.CONN_LISTEN
            }
            assert listening and listening <= {"127.0.0.1", "::1"}
        finally:
            process.send_signal(signal.SIGINT)
