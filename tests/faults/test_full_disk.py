"""Disks that are full or read-only: one line, nothing half-made, and the job goes on later."""

import os
import pathlib
import subprocess

import numpy as np
import pytest
import soundfile

from experiments.faults import kill
from pipelines import checkpoints
from pipelines.audio import files as sound_files
from pipelines.media import pieces
from tests.support.jobs import error_of, job
from tests.support.pieces import drums
from tests.support.trained import TINY

pytestmark = pytest.mark.slow


class Disk:
    """A file system of a few kilobytes, in memory."""

    def __init__(self, path: pathlib.Path):
        self.path = path

    def mount(self, options: str) -> None:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")

    def change(self, options: str) -> None:
        self.mount(f"remount,{options}")

    def unmount(self) -> None:
        subprocess.run(["umount", "-l", str(self.path)], check=True)


@pytest.fixture
def disk(tmp_path):
    (tmp_path / "disk").mkdir()
    made = Disk(tmp_path / "disk")
    made.mount("size=64k")
    yield made
    made.unmount()


@pytest.fixture(scope="module")
def jobs(tmp_path_factory) -> dict[str, kill.Job]:
    return {each.name: each for each in kill.record_jobs(tmp_path_factory.mktemp("jobs"))}


def run(made: kill.Job, out: pathlib.Path) -> subprocess.CompletedProcess:
    verb, *arguments = [word.replace("OUT", str(out)) for word in made.arguments]
    return job(verb, *arguments)


@pytest.mark.parametrize("name", ["convert", "convert with workers"])
def test_records_on_a_disk_that_is_full(disk, jobs, tmp_path, name):
    line = error_of(run(jobs[name], disk.path / "records"))
    assert "No space left on device" in line
    assert not kill.records(disk.path / "records")
    disk.change("size=64m")
    assert run(jobs[name], disk.path / "records").returncode == 0
    assert run(jobs[name], tmp_path / "undisturbed").returncode == 0
    assert kill.records(disk.path / "records") == kill.records(tmp_path / "undisturbed")


def test_records_on_a_disk_that_may_only_be_read(disk, jobs):
    disk.change("ro")
    assert "Read-only file system" in error_of(run(jobs["convert"], disk.path / "records"))
    assert os.listdir(disk.path) == []


@pytest.mark.parametrize("ending", sound_files.ENDINGS)
def test_sound_on_a_disk_that_is_full(disk, ending):
    path = disk.path / f"noise.{ending}"
    path.write_bytes(b"earlier")
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (20 * 44_100, 2)).astype(np.float32)
    with pytest.raises(OSError, match=rf"noise\.{ending}"):
        sound_files.write(path, noise, 44_100)
    assert os.listdir(disk.path) == [path.name] and path.read_bytes() == b"earlier"
    disk.change("ro")
    with pytest.raises(OSError, match=rf"Read-only file system.*noise\.{ending}"):
        sound_files.write(path, noise[:1000], 44_100)
    disk.change("rw,size=64m")
    sound_files.write(path, noise[:1000], 44_100)
    assert soundfile.info(path).frames == 1000


def test_the_page_says_that_its_sound_does_not_fit(disk):
    pytest.importorskip("tinysoundfont")
    pieces.write(drums([(i / 4, 36, 90) for i in range(200)]), f"{disk.path}/a.mid", draw=False)
    line = error_of(job("page", "--audio=wav", disk.path))
    assert "a.wav" in line
    assert os.listdir(disk.path) == ["a.mid"]


def test_training_on_a_disk_that_is_full_goes_on_where_it_was(disk, groove_records):
    flags = [
        "--config=flat-groove_4bar",
        f"--examples_path={groove_records}/train.tfrecord*",
        f"--run_dir={disk.path}/run",
        f"--hparams={TINY}",
        "--num_steps=4",
        "--seed=1",
    ]
    done = job("train", *flags)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert "the disk is full" in done.stderr.splitlines()[-1]
    disk.change("size=64m")
    assert job("train", *flags).returncode == 0
    assert checkpoints.last_step(str(disk.path / "run" / "train")) == 4
