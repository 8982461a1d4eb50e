"""Worker processes: the processes of a job that share its work.

A job and its workers talk through pipes, in lines of JSON. No socket is opened, and what arrives is
neither unpickled nor executed. `run` is the side of the job, `serve` the side of the worker.
"""

import collections
import contextlib
import itertools
import json
import logging
import os
import pathlib
import queue
import selectors
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any

from pipelines.runtime import beam_files
from pipelines.runtime.app import UserError, about_file

_CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
# A worker that is told to end within this time is killed otherwise.
_END_SECONDS = 30
# Messages are cut to so many characters, so that no answer has more bytes than the limit.
_MAX_MESSAGE, _MAX_ANSWER = 1 << 16, 1 << 20
# The last line that a worker is sent.
_END = b"null\n"
# What became of a name: the first word of a worker's answer.
_DONE, _BAD_INPUT, _FAILED = "done", "bad input", "failed"
_STRANGER = "another process writes to its pipes, so the job ends; give the same command again"


def run(module: str, arguments: Sequence[Any], names: Sequence[str], processes: int) -> None:
    """Has worker processes do the work of each name; whichever is free takes the next one.

    Args:
      module: the module that calls `serve` when `python -m` runs it.
      arguments: JSON values with which the worker is made.
      names: what is to be done; each name once.
      processes: how many processes; fewer where there are fewer names.

    Raises:
      UserError: if a worker raised one or had an OSError, such as a full disk, or was killed.
      RuntimeError: for any other exception of a worker, with its traceback.
    """
    todo = iter(names)
    # However this ends, no worker outlives it.
    with contextlib.ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        workers = [
            stack.enter_context(_started(module, arguments))
            for _ in range(min(processes, len(names)))
        ]
        for worker in workers:
            selector.register(worker.answers, selectors.EVENT_READ, worker)
        # Each has a name in reserve: on a busy machine, it would wait long for the job.
        for worker, name in zip(workers * 2, todo):
            worker.begin(name)
        while selector.get_map():
            for key, _ in selector.select():
                key.data.finish()
                for name in itertools.islice(todo, 1):
                    key.data.begin(name)
                if not key.data.busy:
                    selector.unregister(key.fileobj)
        for worker in workers:
            worker.send(_END)
        for worker in workers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.process.wait(_END_SECONDS)


class _Worker:
    """A worker process, as the job sees it."""

    def __init__(self, process: subprocess.Popen, lines: IO[bytes], answers: IO[bytes]):
        self.process = process
        self.answers = answers
        self._lines = lines
        self._names: collections.deque[str] = collections.deque()

    @property
    def busy(self) -> bool:
        """Whether it has not yet done all its names."""
        return bool(self._names)

    def send(self, line: bytes) -> None:
        """Sends a line. If the worker has died, its missing answer says so."""
        with contextlib.suppress(BrokenPipeError):
            self._lines.write(line)

    def begin(self, name: str) -> None:
        """Tells the worker what to do next."""
        self._names.append(name)
        self.send(_line(name))

    def finish(self) -> None:
        """Waits until the worker has done the next of its names; raises what it raised."""
        answer = self.answers.readline(_MAX_ANSWER)
        if not answer:
            raise UserError(
                "a worker process was killed, perhaps because memory ran out; use fewer workers, "
                "as in --pipeline_options=--direct_num_workers=1"
            )
        match _parsed(answer):
            case [kind, name] if kind == _DONE and name == self._names[0]:
                self._names.popleft()
                return
            case [kind, str(message)] if kind == _BAD_INPUT:
                raise UserError(message)
            case [kind, str(message)] if kind == _FAILED:
                raise RuntimeError(message)
        raise UserError(f"a worker process answered {answer[:40]!r}; {_STRANGER}")


@contextlib.contextmanager
def _started(module: str, arguments: Sequence[Any]) -> Iterator[_Worker]:
    """Starts a worker process; kills it in the end, unless it has ended by then."""
    paths = [str(_CHECKOUT), os.environ.get("PYTHONPATH")]
    # Ctrl-C reaches every process of a terminal; the job decides what it means. A worker inherits
    # that the thread which starts it does not take the signal.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process = subprocess.Popen(
            # With -P, nothing is imported from the folder where the job was started.
            [sys.executable, "-P", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Without buffers: what has arrived is in the pipe, where the selector sees it.
            bufsize=0,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    lines, answers = process.stdin, process.stdout
    assert lines is not None and answers is not None
    try:
        worker = _Worker(process, lines, answers)
        worker.send(_line([beam_files.options(), list(arguments)]))
        yield worker
    finally:
        process.kill()
        process.wait()
        answers.close()
        lines.close()


def serve(make: Callable[..., Any]) -> None:
    """Does the work of a worker process, until it fails, or the job tells it to end or has ended.

    Args:
      make: called with the arguments of `run`; returns an object whose `process` takes a name.
    """
    logging.disable(logging.ERROR)
    given, answers = _private_pipes()
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(given, lines), daemon=True).start()
    worker = None
    for line in iter(lines.get, _END):
        try:
            match _parsed(line):
                case [[*options], [*arguments]] if worker is None:
                    beam_files.configure(options)
                    worker = make(*arguments)
                    continue
                case str(name) if worker is not None:
                    worker.process(name)
                    answer = [_DONE, name]
                case _:
                    raise UserError(f"a worker process was sent {line[:40]!r}; {_STRANGER}")
        except UserError as error:
            answer = [_BAD_INPUT, str(error)[:_MAX_MESSAGE]]
        except Exception as error:
            if isinstance(error, OSError) and error.strerror:
                answer = [_BAD_INPUT, about_file(error.filename, error.strerror)[:_MAX_MESSAGE]]
            else:
                answer = [_FAILED, traceback.format_exc()[-_MAX_MESSAGE:]]
        answers.write(_line(answer))
        answers.flush()
        if answer[0] != _DONE:
            return


def _private_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """The pipes from and to the job, away from where the work may read and print."""
    pipes = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return pipes


def _read(given: IO[bytes], lines: queue.SimpleQueue) -> None:
    """Passes on the lines of the job; ends the process, busy as it may be, where the job ended."""
    for line in given:
        lines.put(line)
        if line == _END:
            return
    os._exit(1)


def _line(message: Any) -> bytes:
    return json.dumps(message).encode() + b"\n"


def _parsed(line: bytes) -> Any:
    """The message of a line; None if it is none."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
