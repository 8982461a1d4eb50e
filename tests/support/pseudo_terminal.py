"""Runs a job on a pseudo-terminal, and reads from an emulated screen what its user would see."""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pytest

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Seen(NamedTuple):
    """What a job showed.

    Attributes:
      status: its exit status.
      lines: the lines on the screen in the end, those above it too, without empty ones.
      ever: all lines that were on the screen at some time.
      sent: the bytes that reached the terminal.
      cursor_is_ready: whether the cursor is shown, at the beginning of an empty line.
      stdout: what went to stdout, where that was no terminal.
    """

    status: int
    lines: list[str]
    ever: set[str]
    sent: bytes
    cursor_is_ready: bool
    stdout: bytes


def run(
    command: Sequence[str],
    columns: int = 100,
    environment: Mapping[str, str] | None = None,
    interrupt_at: str | None = None,
    stdout_is_terminal: bool = True,
) -> Seen:
    """Runs a command with its output on a pseudo-terminal, to its end.

    Args:
      command: the program and its arguments.
      columns: how wide the terminal is.
      environment: what to add to the environment.
      interrupt_at: a regular expression; once a line on the screen has it, the job gets SIGINT.
      stdout_is_terminal: whether stdout goes there too, rather than into a pipe.
    """
    pyte = pytest.importorskip("pyte", reason="pyte (requirements-dev.txt) reads the screen")
    terminal, job_side = pty.openpty()
    fcntl.ioctl(job_side, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    process = subprocess.Popen(
        command,
        cwd=_ROOT,
        stdin=job_side,
        stdout=job_side if stdout_is_terminal else subprocess.PIPE,
        stderr=job_side,
        env={**os.environ, "PYTHONPATH": _ROOT, "TERM": "xterm", "CI": "", **(environment or {})},
        start_new_session=True,
    )
    os.close(job_side)
    screen = pyte.HistoryScreen(columns, 50, history=10_000)
    stream = pyte.ByteStream(screen)
    sent, ever = b"", set()
    while read := _read(terminal):
        sent += read
        # Chunk by chunk, so that no drawing is missed where several arrive together.
        for chunk in read.replace(b"\r", b"\0\r").split(b"\0"):
            stream.feed(chunk)
            ever |= {line.rstrip() for line in screen.display}
        if interrupt_at and any(re.search(interrupt_at, line) for line in ever):
            process.send_signal(signal.SIGINT)
            interrupt_at = None
    os.close(terminal)
    stdout = process.communicate()[0] or b""
    above = ["".join(row[x].data for x in range(columns)) for row in screen.history.top]
    lines = [line.rstrip() for line in (*above, *screen.display)]
    is_empty = not screen.display[screen.cursor.y].strip()
    ready = is_empty and screen.cursor.x == 0 and not screen.cursor.hidden
    return Seen(process.returncode, [*filter(None, lines)], ever - {""}, sent, ready, stdout)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # How Linux tells that the other side is closed.
        return b""
