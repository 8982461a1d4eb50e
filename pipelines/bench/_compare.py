"""Runs contenders in turns and puts what they measured side by side."""

import contextlib
import importlib.metadata
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

import psutil

from pipelines.app import UserError
from pipelines.bench import Benchmark

_POLL_SECONDS = 0.1
_PACKAGES = ("apache-beam", "tensorflow", "note-seq", "numpy", "protobuf")


def compare(benchmark: Benchmark, repeats: int, scratch: str | None) -> dict[str, Any]:
    """Runs every contender `repeats` times, in turns.

    Returns:
      The machine, the command line, and for each contender the list of what each run measured.
    """
    with tempfile.TemporaryDirectory(prefix="bench-", dir=scratch) as folder:
        contenders = benchmark.contenders(folder)
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in contenders}
        for number in range(repeats):
            for name, run in contenders.items():
                runs[name].append(dict(run(number)))
                last = ", ".join(f"{key} {value:g}" for key, value in runs[name][-1].items())
                print(f"round {number + 1} of {repeats}, {name}: {last}", file=sys.stderr)
    return {"benchmark": benchmark.name, "machine": machine(), "runs": runs}


def table(report: dict[str, Any]) -> str:
    """Medians by contender, and the first contender's as a share of the last's, in Markdown."""
    names = list(report["runs"])
    lines = [
        f"{report['benchmark']} on {', '.join(map(str, report['machine'].values()))}",
        "",
        f"| median of {len(report['runs'][names[0]])} | {' | '.join(names)} | ratio |",
        "|---|" + "---:|" * (len(names) + 1),
    ]
    for key in report["runs"][names[0]][0]:
        medians = [statistics.median(run[key] for run in report["runs"][name]) for name in names]
        ratio = f"{medians[0] / medians[-1]:.3f}" if medians[-1] else ""
        lines.append(f"| {key} | {' | '.join(f'{value:.6g}' for value in medians)} | {ratio} |")
    return "\n".join(lines)


def measure(command: Sequence[str], log: str) -> dict[str, float]:
    """Runs a command to its end.

    Args:
      command: the program and its arguments.
      log: file for what it prints.

    Returns:
      "seconds" of wall time, and "peak MiB": the most memory that it and its descendants held at a
      time, pages that they share counted once (Linux's PSS), looked at ten times a second.

    Raises:
      UserError: if it fails.
    """
    peak = 0
    with open(log, "wb") as output:
        start = time.monotonic()
        process = psutil.Popen(list(command), stdout=output, stderr=subprocess.STDOUT)
        while process.poll() is None:
            peak = max(peak, _memory(process))
            time.sleep(_POLL_SECONDS)
        seconds = time.monotonic() - start
    if process.returncode:
        lines = pathlib.Path(log).read_text(encoding="utf-8", errors="replace").splitlines()
        raise UserError(
            f"{command[0]} ended with {process.returncode}; it said: {' / '.join(lines[-3:])}"
        )
    return {"seconds": round(seconds, 2), "peak MiB": round(peak / 2**20, 1)}


def _memory(process: psutil.Process) -> int:
    total = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        for each in [process, *process.children(recursive=True)]:
            # A process that ends while it is looked at holds no memory.
            with contextlib.suppress(psutil.NoSuchProcess):
                total += each.memory_full_info().pss
    return total


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    model = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    versions = " ".join(f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES)
    return {
        "cpu": model[0] if model else platform.machine(),
        "cores": f"{len(psutil.Process().cpu_affinity())} cores",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "load": f"load average {os.getloadavg()[0]:.1f}",
        "python": f"Python {platform.python_version()}",
        "packages": versions,
    }
