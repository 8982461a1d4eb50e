"""How a job shows on stderr what it is doing, how far it got, and how long that took."""

import sys
import threading
import time

from pipelines.runtime.app import say
from pipelines.runtime.terminal import shown


class Progress:
    """A line on stderr that shows how far something is that takes more than a few seconds.

    On a terminal the line is rewritten in place; a log file gets a new line now and then.

    Args:
      what: what is being counted, e.g. "examples measured".
      total: how many there will be, if that is known.
      every: seconds between lines in a log file.
    """

    def __init__(self, what: str, total: int | None = None, every: float = 10.0):
        self._what = what
        self._total = total
        self._live = sys.stderr.isatty()
        self._every = 0.5 if self._live else every
        self._last = time.monotonic()
        self._shown = False

    def update(self, count: int, note: str = "") -> None:
        """Shows the count, but at most once in `every` seconds."""
        if time.monotonic() - self._last < self._every:
            return
        self._last = time.monotonic()
        self._shown = True
        of = f" of {self._total}" if self._total is not None else ""
        line = shown(f"{count}{of} {self._what}{' ' + note if note else ''}")
        print(
            f"\r\x1b[K{line}" if self._live else line,
            end="" if self._live else "\n",
            file=sys.stderr,
            flush=True,
        )

    def close(self) -> None:
        """Ends the line, if it was being rewritten."""
        if self._live and self._shown:
            print(file=sys.stderr)


class Stages:
    """Says on stderr which stage of a job has begun, that it goes on, and how long it took.

    Use it as a context manager around the whole job, so that it stops however the job ends.

    Args:
      every: seconds between lines about a stage that takes long.
    """

    def __init__(self, every: float = 10.0):
        self._every = every
        self._over: threading.Event | None = None
        self._begun = time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stop()

    def begin(self, what: str) -> None:
        """Says that a stage begins, e.g. "loading TensorFlow"."""
        self._stop()
        say(f"{what} ...")
        self._begun = time.monotonic()
        self._over = threading.Event()
        threading.Thread(target=self._tick, args=(what, self._over), daemon=True).start()

    def end(self, result: str) -> None:
        """Says the result of the stage, e.g. "TensorFlow loaded", and the seconds that it took."""
        self._stop()
        say(f"{result} in {time.monotonic() - self._begun:.1f} s")

    def _tick(self, what: str, over: threading.Event) -> None:
        begun = time.monotonic()
        while not over.wait(self._every):
            say(f"{what}: {time.monotonic() - begun:.0f} s so far")

    def _stop(self) -> None:
        if self._over:
            self._over.set()
            self._over = None
