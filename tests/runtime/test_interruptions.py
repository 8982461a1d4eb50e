"""A signal ends a job, whatever library gets the exception that it raises."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from pipelines.runtime import interruptions
from tests.support.jobs import ROOT

JOB = """
import os, signal, sys, time
from pipelines.runtime import app

number = signal.Signals(int(sys.argv[1]))

def get_it():
    os.kill(os.getpid(), number)
    time.sleep(5)

{how}

with app.ending():
    begin()
    time.sleep(60)
    print("went on")
"""
# How a library loses an exception: Python drops one that is raised while it frees an object, or
# while it calls back for a weak reference.
LOST = {
    "a bare except": """
def begin():
    try:
        get_it()
    except:
        pass
""",
    "an object that is freed": """
class Freed:
    def __del__(self):
        get_it()

def begin():
    Freed()
""",
    "twice": """
class Freed:
    def __del__(self):
        get_it()

def begin():
    try:
        Freed()
        time.sleep(5)
    except:
        pass
""",
    "another exception": """
def begin():
    try:
        get_it()
    except BaseException:
        raise SystemError("bad argument to internal function") from None
""",
    "not at all": """
def begin():
    get_it()
""",
}
ENDS = [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")]


def run(how: str, number: signal.Signals) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", JOB.format(how=how), str(int(number))],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@pytest.mark.parametrize("number, word", ENDS)
@pytest.mark.parametrize("how", LOST)
def test_a_signal_whose_exception_is_lost_ends_the_job(how, number, word):
    done = run(LOST[how], number)
    assert done.returncode == 128 + number, done.stderr
    assert (done.stdout, done.stderr) == ("", f"{word}\n")


@pytest.mark.parametrize("number, word", ENDS)
def test_what_cleans_up_is_not_cut_short(number, word):
    """Neither by the first signal, however long it takes, nor by what it catches meanwhile."""
    how = """
import gc
def begin():
    try:
        get_it()
    finally:
        for _ in range(3):
            time.sleep(0.2)
            gc.collect()
        print("clean")
"""
    done = run(how, number)
    assert (done.returncode, done.stdout) == (128 + number, "clean\n")
    assert done.stderr == f"{word}\n"


@pytest.mark.parametrize("number, word", ENDS)
def test_a_thread_that_a_library_leaves_does_not_keep_the_job(number, word):
    """As Beam's samplers, where the signal comes before the lines that would stop them."""
    how = """
import threading
def begin():
    threading.Thread(target=time.sleep, args=(60,)).start()
    print("flushed")
    get_it()
"""
    done = run(how, number)
    assert (done.returncode, done.stdout) == (128 + number, "flushed\n")
    assert done.stderr == f"{word}\n"


def test_a_thread_that_ends_may_end_its_work():
    how = """
import threading
def work():
    time.sleep(1)
    print("done")

def begin():
    threading.Thread(target=work).start()
    get_it()
"""
    assert run(how, signal.SIGINT).stdout == "done\n"


def test_who_has_interruptions_ignored_is_not_interrupted():
    """As `nohup`, and shells that start a job in the background."""
    how = """
signal.signal(signal.SIGINT, signal.SIG_IGN)
def begin():
    os.kill(os.getpid(), number)
    sys.exit(7)
"""
    done = run(how, signal.SIGINT)
    assert (done.returncode, done.stderr) == (7, "")


# What holds SIGTERM back

HOLDS = """
import os, signal, sys, time
from pipelines.runtime import app, interruptions

with app.ending():
    with interruptions.held() as held:
        assert not held.came
        for _ in range(int(sys.argv[1])):
            os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.1)
        print("saved", held.came, flush=True)
    time.sleep(0.1)
    print("went on")
"""


@pytest.mark.parametrize("times", [0, 1, 2])
def test_a_signal_that_is_held_back_ends_the_job_afterwards(times):
    done = subprocess.run(
        [sys.executable, "-c", HOLDS, str(times)], cwd=ROOT, capture_output=True, text=True
    )
    if times:
        assert (done.returncode, done.stdout) == (143, "saved True\n")
        assert done.stderr == "terminated\n"
    else:
        assert (done.returncode, done.stdout, done.stderr) == (0, "saved False\nwent on\n", "")


def test_what_the_work_raises_wins_and_the_signal_is_told():
    raises = HOLDS.replace('print("saved", held.came, flush=True)', 'raise app.UserError("full")')
    done = subprocess.run(
        [sys.executable, "-c", raises, "1"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 1
    first, second = done.stderr.splitlines()
    assert first.startswith("told to end (SIGTERM)") and second.endswith("full")


def test_outside_of_the_main_thread_nothing_is_held_back():
    found = []

    def work():
        with interruptions.held() as held:
            found.append((held.came, signal.getsignal(signal.SIGTERM)))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(False, before)] and signal.getsignal(signal.SIGTERM) is before
