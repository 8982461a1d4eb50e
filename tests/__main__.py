"""Runs the tests as `./run.sh test` does; takes pytest's arguments.

  --quick    leaves out the slow tests, for quick checks while you write

The tests of Keras 2 and those of Keras 3 run in two pytest processes
(tests/support/keras_processes.py says why): one after the other, but at once if all quick tests
run. If tests of only one Keras are chosen, one process runs. Otherwise the last line counts the
outcomes of both.
"""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from tests.support.keras_processes import REPORT

ROOT = pathlib.Path(__file__).resolve().parents[1]


def run(arguments: Sequence[str], everything: str = str(ROOT / "tests")) -> int:
    """Runs tests: those that are named, or those of the folder `everything`.

    Returns:
      The exit status, as pytest's: 5 where no test was chosen.
    """
    paths = [] if names_tests(arguments) else [everything]
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        keras_chosen = any(argument.startswith("--keras") for argument in arguments)
        both_at_once = "--quick" in arguments and bool(paths) and not keras_chosen
        arguments = [*arguments, *paths]
        if both_at_once:
            # They are quick enough not to be in each other's way. What the second writes waits.
            output = stack.enter_context(open(folder / "output", "w+", encoding="utf-8"))
            other = _Pytest("3", arguments, folder, output)
            status, first = _Pytest("2", arguments, folder).finish()
        else:
            status, first = _Pytest("any", arguments, folder).finish()
            if not first or first["stopped"] or first["keras"] != "any" or not first["left_out"]:
                return status
            other = _Pytest("3", arguments, folder)
        other_status, second = other.finish()
        if both_at_once:
            output.seek(0)
            print(output.read(), end="", flush=True)
    if first and second:
        print(closing_line(first, second, time.monotonic() - began), flush=True)
    return merged(status, other_status)


def names_tests(arguments: Sequence[str]) -> bool:
    """Whether a file or folder, or a test in one, is among the arguments."""
    return any(os.path.exists(argument.partition("::")[0]) for argument in arguments)


def merged(first: int, second: int) -> int:
    """The exit status of two pytest processes together."""
    empty = pytest.ExitCode.NO_TESTS_COLLECTED
    failures = [status for status in (first, second) if status not in (0, empty)]
    return failures[0] if failures else empty if first == second == empty else 0


def closing_line(first: dict, second: dict, seconds: float) -> str:
    """What pytest says at the end, of the reports of both processes."""
    counts = Counter(first["outcomes"]) + Counter(second["outcomes"])
    # Each process also counts the tests of the other, and both those that the options leave out.
    # (pytest-xdist counts none.)
    counts["deselected"] = max(first["outcomes"].get("deselected", 0) - first["left_out"], 0)
    order = ("failed", "passed", "skipped", "deselected", "xfailed", "xpassed", "warnings", "error")
    names = [*order, *sorted(counts.keys() - set(order))]
    told = ", ".join(f"{counts[name]} {name}" for name in names if counts[name])
    return f"= both processes: {told or 'no tests ran'} in {seconds:.2f}s ="


class _Pytest:
    """A pytest process, running."""

    _running: ClassVar[list[subprocess.Popen]] = []

    def __init__(
        self, keras: str, arguments: Sequence[str], folder: pathlib.Path, output: Any = None
    ):
        self._report = folder / f"keras-{keras}.json"
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml")),
                *("-p", "tests.support.keras_processes", f"--keras={keras}", *arguments),
            ],
            env={**os.environ, REPORT: str(self._report)},
            stdin=subprocess.DEVNULL if output else None,
            stdout=output,
            stderr=subprocess.STDOUT if output else None,
        )
        self._running.append(self._process)
        # A terminal interrupts pytest too, which then ends by itself and tells what it did.
        signal.signal(signal.SIGINT, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: [each.terminate() for each in self._running])

    def finish(self) -> tuple[int, dict | None]:
        """Waits; returns the exit status, and the report, None if the process ended early."""
        status = self._process.wait()
        self._running.remove(self._process)
        found = json.loads(self._report.read_text()) if self._report.exists() else None
        return status if status >= 0 else 128 - status, found


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
