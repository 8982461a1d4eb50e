"""Runs the tests as `./run.sh test` does; takes pytest's arguments.

  --quick    leaves out the slow tests, for quick checks while you write

The tests of Keras 2 and those of Keras 3 run in two pytest processes, one after the other
(tests/support/keras_processes.py says why). If tests of only one of them are chosen, one process
runs. Otherwise the last line counts the outcomes of both.
"""

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

import pytest

from tests.support.keras_processes import REPORT

ROOT = pathlib.Path(__file__).resolve().parents[1]


def run(arguments: Sequence[str]) -> int:
    """Runs the chosen tests; returns the exit status, as pytest's: 5 where no test was chosen."""
    arguments = with_paths(arguments)
    began = time.monotonic()
    status, first = _pytest("any", arguments)
    if not first or first["stopped"] or not first["left_out"] or status not in (0, 1, 5):
        return status
    second_status, second = _pytest("3", arguments)
    if second:
        print(closing_line(first, second, time.monotonic() - began), flush=True)
    return merged(status, second_status)


def with_paths(arguments: Sequence[str]) -> list[str]:
    """The arguments, and the folder of all tests where none is named among them."""
    named = any(os.path.exists(argument.partition("::")[0]) for argument in arguments)
    return [*arguments, *([] if named else [str(ROOT / "tests")])]


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


def _pytest(keras: str, arguments: Sequence[str]) -> tuple[int, dict | None]:
    """Runs pytest; returns its exit status and its report, None where it ended early."""
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder, "report.json")
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml")),
                *("-p", "tests.support.keras_processes", f"--keras={keras}", *arguments),
            ],
            env={**os.environ, REPORT: str(report)},
        )
        # A terminal interrupts pytest too, which then ends by itself and tells what it did.
        signal.signal(signal.SIGINT, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        status = process.wait()
        found = json.loads(report.read_text(encoding="utf-8")) if report.exists() else None
    return status if status >= 0 else 128 - status, found


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
