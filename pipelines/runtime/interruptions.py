"""Signals that end a job: each raises an exception, and again where that gets lost on its way.

Python drops an exception that a signal raises while an object is freed, and libraries have `except`
without a name. The job would go on as if nobody had told it to end. So an exception that is freed
before the job has ended with it is raised once more. What cleans up after one holds it, and is left
to finish.

An exception also comes between any two lines of a library. Beam's threads that sample where time
goes never end where it comes before the lines that stop them, and Python waits for all threads of
its own. So a job that was told to end waits for them for some seconds alone (`end_soon`).
"""

import contextlib
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Iterator


class Interrupted(KeyboardInterrupt):
    """SIGINT, as at Ctrl-C."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, by which batch systems and `kill` end a job: it ends as at Ctrl-C."""


# How long after an exception was lost it is raised again. At once it would be lost again.
_AGAIN_SECONDS = 0.05
# How long threads and what is registered by `atexit` may take to end.
_LEFT_SECONDS = 5.0
# The exceptions that no job has ended with yet.
_on_their_way: set[weakref.ref[KeyboardInterrupt]] = set()
# The signals that have come, and those whose exceptions were lost.
_came: list[int] = []
_lost: list[int] = []


def heed() -> None:
    """Lets SIGTERM and SIGINT raise; SIGINT only where it is not ignored, as `nohup` has it."""
    signal.signal(signal.SIGTERM, _raise)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _raise)
    signal.signal(signal.SIGALRM, _again)
    sys.unraisablehook = _say_what_is_dropped


def came() -> KeyboardInterrupt | None:
    """The exception of the last signal that has come; None where none has."""
    return _of(_came[-1]) if _came else None


def ignore() -> None:
    """Lets nothing cut short how the job ends: neither another signal, nor what was raised."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)
    _on_their_way.clear()


class Held:
    """Says whether SIGTERM has come while it is held back.

    Attributes:
      came: whether it has.
    """

    def __init__(self) -> None:
        self.came = False


@contextlib.contextmanager
def held() -> Iterator[Held]:
    """Holds SIGTERM back where work has to end in its own way, as by saving what it has.

    The work asks the `Held` between two of its steps. What the signal does otherwise it does as
    soon as this ends. Where the work is not in the main thread, nothing is held back. Where it
    raises, that is what the job ends with: a line on stderr says that the signal had come.
    """
    holding = Held()

    def note(number: int, frame: object) -> None:
        holding.came = True

    if threading.current_thread() is not threading.main_thread():
        yield holding
        return
    before = signal.signal(signal.SIGTERM, note)
    try:
        yield holding
    except BaseException:
        if holding.came:
            print("told to end (SIGTERM) before what follows was raised", file=sys.stderr)
        raise
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)
    if holding.came:
        signal.raise_signal(signal.SIGTERM)


def end_at_once() -> None:
    """Once the work is done, lets a signal end the process without a word, as if by itself."""
    ignore()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)


def end_soon(status: int) -> None:
    """Lets threads that never end, and signals, not keep the process; it is about to exit itself.

    Args:
      status: the exit status where it has to be ended.
    """
    ignore()
    threading.Thread(target=_end_late, args=(status,), daemon=True).start()


def _end_late(status: int) -> None:
    time.sleep(_LEFT_SECONDS)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(status)


def _again(number: int, frame: object) -> None:
    if _lost:
        os.kill(os.getpid(), _lost.pop())


def _end(number: int, frame: object) -> None:
    os._exit(0)


def _raise(number: int, frame: object) -> None:
    _came.append(number)
    # No variable holds the exception: its traceback has this frame, and it would never be freed.
    raise _made(number)


def _made(number: int) -> KeyboardInterrupt:
    def is_freed(reference: weakref.ref) -> None:
        _on_their_way.discard(reference)
        _lost.append(number)
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_SECONDS)

    error = _of(number)
    _on_their_way.add(weakref.ref(error, is_freed))
    return error


def _of(number: int) -> KeyboardInterrupt:
    return Terminated() if number == signal.SIGTERM else Interrupted()


def _say_what_is_dropped(dropped) -> None:
    """Python's report of an exception that it drops, without those that are raised again."""
    if not isinstance(dropped.exc_value, Interrupted | Terminated):
        sys.__unraisablehook__(dropped)
