"""Signals to jobs and workers at random moments: a slice of `python -m experiments.faults.kill`."""

import random
import signal
import subprocess
import sys

import pytest

from experiments.faults import kill

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def jobs(tmp_path_factory) -> dict[str, kill.Job]:
    work = tmp_path_factory.mktemp("jobs")
    return {job.name: job for job in kill.record_jobs(work)}


@pytest.mark.parametrize("name", ["convert", "convert with workers"])
def test_a_job_that_is_killed_terminated_and_interrupted(jobs, tmp_path, name):
    disturber = kill.Disturber(jobs[name], tmp_path)
    rng = random.Random(name)
    assert [disturber.trial(rng, number)[1] for number in kill.SIGNALS] == [[], [], []]


# What the experiment notices


def test_processes_that_are_left_are_found():
    """A shell that starts a sleeper in its session and ends."""
    command = ["bash", "-c", "sleep 100 & echo $!"]
    shell = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    shell.stdout.readline()
    shell.wait()
    shell.stdout.close()
    assert kill.left_processes(shell.pid, seconds=0.2) == ["a process is left: sleep 100"]
    assert kill.left_processes(shell.pid, seconds=5) == []


@pytest.mark.parametrize(
    "status, lines, sent, at_worker, faults",
    [
        (143, ["terminated"], signal.SIGTERM, False, 0),
        (130, ["1 of 2 sources converted", "interrupted"], signal.SIGINT, False, 0),
        (-2, ["interrupted"], signal.SIGINT, False, 0),
        (-2, ["1 of 2 sources converted"], signal.SIGINT, False, 2),
        (-9, ["1 of 2 sources converted"], signal.SIGKILL, False, 0),
        (0, [], None, False, 0),
        (0, ["2 of 2 sources converted"], signal.SIGKILL, False, 0),
        (1, ["error: a worker process was killed, perhaps"], signal.SIGKILL, True, 0),
        (1, ["terminated"], signal.SIGTERM, False, 1),
        (143, ["half a line"], signal.SIGTERM, False, 1),
        (143, ["Traceback (most recent call last):", "x", "terminated"], signal.SIGTERM, False, 1),
        (-11, [], signal.SIGKILL, False, 1),
        (1, ["error: no space"], None, False, 1),
        (-9, [], signal.SIGKILL, True, 2),
    ],
)
def test_what_is_wrong_with_an_end(status, lines, sent, at_worker, faults):
    assert len(list(kill.faults_of_end(status, lines, sent, at_worker))) == faults


def _half(path):
    """A job that leaves a result which looks finished before it is."""
    return (
        "import pathlib, sys, time; out = pathlib.Path(sys.argv[1]); out.mkdir(exist_ok=True); "
        "(out / 'manifest.json').write_text('half'); time.sleep(1.5); "
        "(out / 'manifest.json').write_text('whole')"
    )


def test_what_looks_finished_and_is_not_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(
        kill, "command", lambda arguments: [sys.executable, "-c", _half(tmp_path), *arguments]
    )
    disturber = kill.Disturber(kill.Job("half", ["OUT"], kill.records), tmp_path)
    found = [disturber.trial(random.Random(seed), signal.SIGKILL)[1] for seed in range(4)]
    assert any("looks finished and is not" in fault for faults in found for fault in faults)
