"""How a job shows on stderr what it is doing, how far it got, and how long that took.

A terminal gets bars (`bars`), everything else plain lines now and then: files, pipes, notebooks,
terminals that cannot rewrite a line (TERM=dumb), and the logs of continuous integration (CI=true).
"""

import os
import sys
import threading
import time
from typing import Any

from pipelines.runtime.app import say
from pipelines.runtime.terminal import shown

# What is over sooner leaves no bar behind.
_WORTH_A_BAR_SECONDS = 0.5


def on_terminal() -> bool:
    """Whether stderr is a terminal on which people watch a line that is rewritten."""
    dumb = os.environ.get("TERM", "") in ("", "dumb", "unknown")
    watched = os.environ.get("CI", "").lower() in ("", "0", "false")
    return sys.stderr.isatty() and not dumb and watched


class Progress:
    """Shows on stderr how far something is that takes more than a few seconds.

    Use it as a context manager, so that the terminal is left clean however the work ends.

    Args:
      what: what is being counted, e.g. "examples measured".
      total: how many there will be, if that is known.
      every: seconds between plain lines.
      first: the count that this begins at.
      bar_total: the total for the bar alone; by default `total`.
      plain: whether there are plain lines where no bar can be, rather than nothing.
    """

    def __init__(
        self,
        what: str,
        total: int | None = None,
        every: float = 10.0,
        first: int = 0,
        bar_total: int | None = None,
        plain: bool = True,
    ):
        self._what = what
        self._total = total
        self._every = every
        self._plain = plain
        self._begun = self._last = time.monotonic()
        self._bar: Any = None
        self._live = on_terminal()
        self._settings = shown(what), bar_total or total, first
        # A bar without a total waits for the first count: until then, a library may show a bar of
        # its own, as of a download.
        if self._live and self._settings[1]:
            self._open()

    def _open(self) -> None:
        from pipelines.runtime import bars

        self._bar = bars.counting(*self._settings)
        self._bar.start_t -= time.monotonic() - self._begun

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def update(self, count: int, note: str = "", bar_note: str | None = None) -> None:
        """Shows the count, but not more often than can be read.

        Args:
          count: how many there are so far.
          note: what a plain line says beside it.
          bar_note: what the bar says, which tells the rate and the time left itself; by default
            the same.
        """
        if self._live:
            if self._bar is None:
                self._open()
            self._bar.postfix = shown(note if bar_note is None else bar_note)
            self._bar.update(count - self._bar.n)
            return
        if not self._plain or time.monotonic() - self._last < self._every:
            return
        self._last = time.monotonic()
        of = f" of {self._total}" if self._total is not None else ""
        say(f"{count}{of} {self._what}{' ' + note if note else ''}")

    def close(self) -> None:
        """Leaves the bar as it is last."""
        if self._bar is not None:
            if time.monotonic() - self._begun < _WORTH_A_BAR_SECONDS:
                self._bar.leave = False
            self._bar.close()


class Stages:
    """Says on stderr which stage of a job has begun, that it goes on, and how long it took.

    Use it as a context manager around the whole job, so that it stops however the job ends.

    Args:
      every: seconds between plain lines about a stage that takes long.
    """

    def __init__(self, every: float = 10.0):
        self._every = every
        self._over: threading.Event | None = None
        self._bar: Any = None
        self._begun = time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stop()

    def begin(self, what: str) -> None:
        """Says that a stage begins, e.g. "loading TensorFlow"."""
        self._stop()
        self._begun = time.monotonic()
        if on_terminal():
            from pipelines.runtime import bars

            self._bar = bars.waiting(shown(what))
            return
        say(f"{what} ...")
        self._over = threading.Event()
        threading.Thread(target=self._tick, args=(what, self._over), daemon=True).start()

    def end(self, result: str) -> None:
        """Says the result of the stage, e.g. "TensorFlow loaded", and the seconds that it took."""
        self._stop(leave=False)
        say(f"{result} in {time.monotonic() - self._begun:.1f} s")

    def _tick(self, what: str, over: threading.Event) -> None:
        begun = time.monotonic()
        while not over.wait(self._every):
            say(f"{what}: {time.monotonic() - begun:.0f} s so far")

    def _stop(self, leave: bool = True) -> None:
        """Ends the stage; what it was stays on the terminal where it has no result."""
        if self._over:
            self._over.set()
            self._over = None
        if self._bar is not None:
            self._bar.leave = leave
            self._bar.close()
            self._bar = None
