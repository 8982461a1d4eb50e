"""Bars of progress on a terminal, by tqdm, with the other lines of a job above them.

tqdm rather than rich: it never hides the cursor nor changes the terminal's settings, so a job that
is killed leaves nothing to repair; it uses no colour; TensorFlow Datasets and others here use it.
Jobs use `progress`, which imports this only where stderr is a terminal.
"""

import contextlib
import io
import sys
import threading
from collections.abc import Iterator
from typing import IO, ClassVar

from tqdm import tqdm

# Bars are drawn anew so often although nothing was counted, so that the time goes on.
_TICK_SECONDS = 1.0
_COUNTED = "[{elapsed}, {rate_noinv_fmt}{postfix}]"
_WITH_TOTAL = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, "
_WITH_TOTAL += "{rate_noinv_fmt}{postfix}]"

# One process draws here. tqdm's own lock would be shared with other processes.
tqdm.set_lock(threading.RLock())


class Bar(tqdm):
    """A bar on stderr; while one is open, what others write to the terminal goes above it."""

    # Without tqdm's thread that watches over the pace of drawing.
    monitor_interval = 0
    _open: ClassVar[list["Bar"]] = []
    _around = contextlib.ExitStack()
    _file: IO[str]

    def __init__(self, **settings):
        with tqdm.get_lock():
            if not Bar._open:
                self._begin()
            Bar._open.append(self)
            super().__init__(
                file=Bar._file, dynamic_ncols=True, miniters=0, smoothing=0, **settings
            )

    def display(self, *args, **kwargs):
        """Draws the bar, and puts the cursor at its beginning.

        What TensorFlow's C++ writes past Python then stands where the bar was, not behind it.
        """
        drawn = super().display(*args, **kwargs)
        self.fp.write("\r")
        self.fp.flush()
        return drawn

    def close(self) -> None:
        """Draws the bar for the last time, or removes it where it does not stay."""
        with tqdm.get_lock():
            super().close()
            if self in Bar._open:
                Bar._file.flush()
                Bar._open.remove(self)
                if not Bar._open:
                    Bar._around.close()

    @classmethod
    def _begin(cls) -> None:
        stderr = sys.stderr
        # Another object than sys.stderr, whose writing is changed below.
        device = io.FileIO(stderr.fileno(), "w", closefd=False)
        file = io.TextIOWrapper(device, encoding=stderr.encoding, errors="replace")
        cls._file = cls._around.enter_context(file)
        for stream in (stderr, sys.stdout):
            if stream is not None and stream.isatty():
                cls._around.enter_context(_above_bars(stream, cls._file))
        over = threading.Event()
        cls._around.callback(over.set)
        threading.Thread(target=cls._tick, args=(over,), daemon=True).start()

    @classmethod
    def _tick(cls, over: threading.Event) -> None:
        while not over.wait(_TICK_SECONDS):
            with tqdm.get_lock():
                # The job may have closed the last one and opened another meanwhile.
                for bar in [] if over.is_set() else cls._open:
                    bar.refresh()


def counting(what: str, total: int | None, first: int) -> Bar:
    """A bar that counts.

    Args:
      what: what is counted; its first word is the unit.
      total: how many there will be, if that is known.
      first: the count that it begins at; the rate is of what comes after it.
    """
    form = "{desc}: {n_fmt} " + _COUNTED if total is None else _WITH_TOTAL
    unit = f" {what.split()[0]}"
    # Only the outermost of bars within each other stays when it is closed.
    return Bar(desc=what, total=total, initial=first, unit=unit, bar_format=form, leave=None)


def waiting(what: str) -> Bar:
    """A line that tells for how long something has been waited for."""
    return Bar(desc=what, bar_format="{desc} ... {elapsed}")


@contextlib.contextmanager
def _above_bars(stream: IO[str], bars: IO[str]) -> Iterator[None]:
    """Puts what others write to a stream above the bars, in whole lines.

    Loggers keep the stream that they found when they were made, so the stream itself is changed
    for a while, rather than `sys.stderr`.
    """
    write_through = stream.write
    rest = ""

    def write(text: str) -> int:
        nonlocal rest
        with tqdm.get_lock():
            lines, newline, rest = (rest + text).rpartition("\n")
            if newline:
                with tqdm.external_write_mode(bars):
                    write_through(lines + newline)
                    stream.flush()
        return len(text)

    stream.write = write  # type: ignore[method-assign]
    try:
        yield
    finally:
        del stream.write
        write_through(rest)
