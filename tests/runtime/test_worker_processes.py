"""Worker processes: each name is done once, failures reach the job, and strangers do not."""

import os
import pathlib
import signal
import threading
import time

import psutil
import pytest

from pipelines.runtime import worker_processes
from pipelines.runtime.app import UserError
from tests.support import hostile
from tests.support.sockets import listeners

MODULE = "tests.support.small_worker"


def run(folder, *names, processes=2, more=()):
    try:
        worker_processes.run(MODULE, [str(folder), *more], names, processes)
    finally:
        assert not psutil.Process().children()


def done(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_each_name_is_done_once_by_one_of_the_processes(tmp_path):
    names = [f"note {i}" for i in range(40)]
    run(tmp_path, *names)
    # The worker makes each file anew, so that a second time would fail.
    assert set(done(tmp_path)) == set(names)
    assert len(set(done(tmp_path).values())) == 2


def test_there_are_no_more_processes_than_names(tmp_path):
    run(tmp_path, "note 1", processes=5)
    assert set(done(tmp_path)) == {"note 1"}
    run(tmp_path, processes=5)


@pytest.mark.parametrize(
    "name, kind, message",
    [
        ("bad tunes.abc: is no tune", UserError, "^tunes.abc: is no tune$"),
        (
            "absent file",
            UserError,
            "^.*/file: No such file or directory; check the path, .* give the same command",
        ),
        ("bug in the code", RuntimeError, "(?s)small_worker.py.*ValueError: in the code\n$"),
        (f"bad {'é' * 70_000}", UserError, "^é{65536}$"),
    ],
)
def test_what_a_worker_raises_reaches_the_job(tmp_path, name, kind, message):
    with pytest.raises(kind, match=message):
        run(tmp_path, "wait 0", name, "note 2")


def test_a_worker_that_cannot_be_made_is_one_error(tmp_path):
    with pytest.raises(UserError, match="^too much: of it$"):
        run(tmp_path, "note 1", more=["of it"])


def test_what_the_work_prints_is_no_answer_and_there_is_nothing_for_it_to_read(tmp_path, capfd):
    run(tmp_path, "print hello", processes=1)
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err == 'hello\n["done", "all of it"]\n'


def while_it_waits(folder, act):
    """Runs a worker that waits, and has `act` done to it meanwhile in another thread."""

    def soon():
        while not (folder / "waiting").exists():
            time.sleep(0.01)
        act(psutil.Process().children()[0])

    threading.Thread(target=soon, daemon=True).start()
    run(folder, "wait 0.5", *(f"note {i}" for i in range(3)), processes=1)


def test_a_killed_worker_is_one_error(tmp_path):
    with pytest.raises(UserError, match="a worker process was killed.*use fewer workers"):
        while_it_waits(tmp_path, psutil.Process.kill)


def test_ctrl_c_is_for_the_job_alone(tmp_path, capfd):
    """A terminal sends it to the workers as well, whose tracebacks nobody wants to see."""

    def ctrl_c(worker):
        worker.send_signal(signal.SIGINT)
        time.sleep(0.1)
        assert worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            while_it_waits(tmp_path, ctrl_c)
    finally:
        signal.signal(signal.SIGINT, before)
    assert capfd.readouterr() == ("", "")


def test_workers_listen_on_nothing(tmp_path):
    found = []
    while_it_waits(tmp_path, lambda worker: found.append(listeners(worker.pid)))
    assert found == [set()]


@pytest.mark.parametrize(
    "sent",
    [
        hostile.pickled(pathlib.Path("MARKER")) + b"\n",
        b'["done", "note 1"]\n',
        b'"note 9"\n',
        b"[" * 100_000 + b"\n",
        b"\x80\x04\xff\n",
    ],
    ids=["pickle", "answer", "name", "nested", "bytes"],
)
@pytest.mark.parametrize("to", ["worker", "job"])
def test_what_another_process_writes_to_the_pipes_is_not_executed(tmp_path, sent, to):
    """On Linux, processes of the same user can write to each other's pipes."""
    marker = tmp_path / "marker"
    sent = sent.replace(b"MARKER", str(marker).encode())

    def write(worker):
        (pipe, *_) = hostile.pipes(worker, reading=to == "worker")
        pipe.write_bytes(sent)

    with pytest.raises(UserError, match="another process writes to its pipes, so the job ends"):
        while_it_waits(tmp_path, write)
    assert not marker.exists()
