"""While a job runs, it listens on nothing, and takes nothing that others send it."""

import os
import re
import subprocess
import sys
import time

import psutil
import pytest

from pipelines.corpora import conversion
from pipelines.music.limits import Limits
from tests.support import groove_release, hostile
from tests.support.jobs import ROOT, job
from tests.support.records import contents
from tests.support.sockets import listeners, processes, watching

PROCESSES = "--direct_running_mode=multi_processing,--direct_num_workers=2"
THREADS = "--direct_running_mode=multi_threading,--direct_num_workers=2"

LOOPBACK = ("127.0.0.1", "::1")


@pytest.fixture
def archive(tmp_path):
    """Performances that keep two workers busy for some seconds, in more than one batch."""
    rows = [groove_release.row(number) for number in range(40)]
    long = groove_release.midi_bytes(groove_release.hits(*[(36, 9, 0)] * 3000))
    files = {row["midi_filename"]: long for row in rows}
    return groove_release.write_zip(tmp_path / "z.zip", rows, files)


def convert(archive, output, options):
    """The arguments of a job that converts."""
    flags = ["--corpus=groove", f"--input={archive}", f"--output={output}", "--max_seconds=1e9"]
    return ["convert", *flags, *([f"--pipeline_options={options}"] if options else [])]


@pytest.mark.slow
@pytest.mark.parametrize("options, most", [("", 1), (THREADS, 1), (PROCESSES, 3)])
def test_convert_listens_on_nothing(tmp_path, archive, options, most):
    with watching() as seen:
        done = job(*convert(archive, tmp_path / "r", options))
    assert done.returncode == 0, done.stderr
    assert (seen.listeners, seen.processes) == (set(), most)


@pytest.mark.slow
def test_tensors_listens_on_nothing(tmp_path):
    rows = [groove_release.row(number) for number in range(60)]
    short = groove_release.midi_bytes(groove_release.hits(*[(36, 9, 420)] * 40))
    files = {row["midi_filename"]: short for row in rows}
    archive = groove_release.write_zip(tmp_path / "z.zip", rows, files)
    conversion.convert("groove", str(archive), str(tmp_path / "r"))
    with watching() as seen:
        done = job(
            "tensors",
            "--config=flat-groove_2bar-humanize",
            f"--input={tmp_path}/r",
            f"--output={tmp_path}/t",
            f"--pipeline_options={PROCESSES}",
        )
    assert done.returncode == 0, done.stderr
    assert not seen.listeners
    # TensorFlow may start others, for a moment.
    assert seen.processes >= 3


@pytest.mark.slow
@pytest.mark.parametrize("flags, addresses", [([], LOOPBACK), (["--bind_all"], ("::", "0.0.0.0"))])
def test_tensorboard_listens_on_loopback_unless_it_is_told(tmp_path, flags, addresses):
    """Its page; the server beside it that reads the runs for it never leaves loopback."""
    line = [sys.executable, "-m", "pipelines.tensorboard", str(tmp_path), "--port=0", *flags]
    own = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True, env=own) as running:
        pages = (re.search(r" at http://[^/]*:(\d+)/", line) for line in running.stderr)
        port = int(next(filter(None, pages))[1])
        found = listeners(running.pid)
        running.terminate()
    assert {where for _, where, number in found if number == port} <= set(addresses)
    assert {where for _, where, number in found if number != port} <= set(LOOPBACK)
    assert port in {number for _, _, number in found}


@pytest.mark.slow
def test_a_pickle_that_a_job_is_sent_does_nothing(tmp_path, archive):
    """There is no port to send it to, so it goes where only the same user can write: the pipes."""
    marker = tmp_path / "marker"
    verb, *flags = convert(archive, tmp_path / "r", PROCESSES)
    with subprocess.Popen(
        [sys.executable, "-m", f"pipelines.{verb}", *flags], stderr=subprocess.PIPE, text=True
    ) as running:
        workers: list[psutil.Process] = []
        while len(workers) < 2:
            assert running.poll() is None
            time.sleep(0.02)
            workers = processes(running.pid)[1:]
        for worker, reading in zip(workers, (True, False)):
            (pipe, *_) = hostile.pipes(worker, reading)
            pipe.write_bytes(b"\n" + hostile.pickled(marker) + b"\n")
        _, stderr = running.communicate(timeout=240)
    assert not marker.exists()
    assert running.returncode == 1
    *progress, complaint = stderr.splitlines()
    assert all(line.endswith("sources converted") for line in progress)
    assert complaint.startswith("error: a worker process")
    assert "another process writes to its pipes" in complaint
    assert not (tmp_path / "r").exists()
    # The same command then gives what an undisturbed job gives.
    assert job(*convert(archive, tmp_path / "r", PROCESSES)).returncode == 0
    conversion.convert("groove", str(archive), str(tmp_path / "q"), limits=Limits(1e9))
    assert contents(tmp_path / "r") == contents(tmp_path / "q")
