"""Runs the sides of a benchmark in turns and puts what they measured side by side."""

import contextlib
import importlib.metadata
import os
import pathlib
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import psutil
from absl import flags

from pipelines.bench import Benchmark
from pipelines.runtime.app import UserError, say
from pipelines.runtime.progress import Progress

_POLL_SECONDS = 0.1
_PACKAGES = ("apache-beam", "tensorflow", "note-seq", "numpy", "protobuf")


def numbers(flag: str, such_as: str) -> list[int]:
    """The value of a list flag as positive numbers, each once; raises UserError for others."""
    given: list[str] = flags.FLAGS[flag].value or []
    try:
        values = [int(value) for value in given]
    except ValueError:
        values = []
    if not values or min(values) < 1:
        raise UserError(f"--{flag}={','.join(given)}: give numbers such as {such_as}")
    # Each number becomes a case with a folder of its own, so that none may come twice.
    return list(dict.fromkeys(values))


def compare(
    benchmark: Benchmark,
    repeats: int,
    scratch: str | None,
    save: Callable[[dict], None] = lambda report: None,
) -> dict[str, Any]:
    """Runs every side of every case `repeats` times, in turns.

    Args:
      benchmark: what to run.
      repeats: how often each side runs.
      scratch: folder for temporary files; the system's for None.
      save: called with the report after each run, so that a comparison that is stopped keeps what
        it has measured.

    Returns:
      The machine, what the sides are, and for each side of each case the list of what each run
      measured: what `table` takes, all of it JSON values.
    """
    with tempfile.TemporaryDirectory(prefix="bench-", dir=scratch) as folder:
        cases, sides = benchmark.prepare(folder)
        report: dict[str, Any] = {
            "benchmark": benchmark.name,
            "machine": machine(),
            "sides": dict(sides),
            "better": dict(benchmark.better),
            "cases": {title: {name: [] for name in runs} for title, runs in cases.items()},
        }
        turns = [
            (number, title, name)
            for number in range(repeats)
            for title, runs in cases.items()
            for name in runs
        ]
        with Progress("runs measured", len(turns)) as progress:
            for done, (number, title, name) in enumerate(turns, start=1):
                what = ", ".join(filter(None, [title, name]))
                say(f"round {number + 1} of {repeats}: {what} ...")
                measured = dict(cases[title][name](number))
                if notes := measured.pop("notes", None):
                    report.setdefault("notes", []).append(
                        {"case": title, "side": name, "round": number + 1, "lines": notes}
                    )
                    for note in notes:
                        say(note)
                say(", ".join(f"{key} {value:g}" for key, value in measured.items()))
                report["cases"][title][name].append(measured)
                save(report)
                progress.update(done)
    return report


def table(report: dict[str, Any]) -> str:
    """A Markdown table for each case: medians, and the ratios of the other sides to the last.

    Args:
      report: from `compare`.
    """
    lines = [f"{report['benchmark']} on {', '.join(map(str, report['machine'].values()))}"]
    lines += [f"{name}: {what}" for name, what in report["sides"].items()]
    for title, runs in report["cases"].items():
        names = list(runs)
        ratios = [f"{name} / {names[-1]}" for name in names[:-1]]
        lines += [
            *(["", f"**{title}**"] if title else []),
            "",
            f"| median of {len(runs[names[0]])} | {' | '.join(names + ratios)} | better |",
            "|---|" + "---:|" * len(names + ratios) + "---|",
        ]
        for key in runs[names[-1]][0]:
            medians = [statistics.median(run[key] for run in runs[name]) for name in names]
            cells = [f"{value:.6g}" for value in medians]
            *ours, last = medians
            cells += [f"{value / last:.3f}" if last else "" for value in ours]
            lines.append(f"| {key} | {' | '.join(cells)} | {report['better'].get(key, '')} |")
    return "\n".join(lines)


def measure(command: Sequence[str], log: str) -> dict[str, float]:
    """Runs a command to its end.

    Args:
      command: the program and its arguments.
      log: file for what it prints.

    Returns:
      "seconds" of wall time, and "peak MiB": the most memory that it and its descendants held at a
      time, pages that they share counted once (Linux's PSS), sampled ten times a second.

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
    require_success(process.returncode, command, log)
    return {"seconds": round(seconds, 2), "peak MiB": round(peak / 2**20, 1)}


def require_success(status: int, command: Sequence[str], log: str) -> None:
    """Raises UserError where a command has failed, with the end of what it wrote to `log`."""
    if status:
        lines = pathlib.Path(log).read_text(encoding="utf-8", errors="replace").splitlines()
        raise UserError(
            f"{' '.join(command[:3])} ended with {status}; it said: {' / '.join(lines[-3:])}"
        )


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
        **_gpus(),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "load": f"load average {os.getloadavg()[0]:.1f}",
        "python": f"Python {platform.python_version()}",
        "packages": versions,
    }


def _gpus() -> dict[str, str]:
    """The names of the GPUs that NVIDIA's driver shows, if there are any."""
    try:
        done = subprocess.run(
            ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return {}
    return {"gpus": ", ".join(done.stdout.split("\n")[:-1])}
