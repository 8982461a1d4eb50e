"""Breaks a Flink cluster while a job runs on it, and looks at what comes of the job.

    ./.venv/bin/python -m experiments.cluster.faults --corpus=groove --input=GMD.zip --trials=3

Each trial starts `convert` on a cluster of two TaskManagers, waits until the first part of the
records is there, and breaks something: `--faults` names what. Then

- the job either ends with 0 and has left the bytes that a job without a cluster leaves, or it ends
  with another status, one line that begins with "error:", and nothing that looks finished;
- what died is started again, and the same command gives these bytes.

A line of JSON for each trial goes to stdout, a table at the end.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psutil
from absl import flags

from experiments.cluster import cluster, jars
from experiments.faults import kill
from pipelines.runtime import app, files
from pipelines.runtime.app import UserError

FLAGS = flags.FLAGS
ROOT = pathlib.Path(__file__).resolve().parents[2]
# A job that has not ended so long after it was disturbed hangs.
_GIVE_UP_SECONDS = 300


@dataclasses.dataclass
class Running:
    """A job at work on a cluster.

    Attributes:
      client: the process of the job.
      folder: the cluster's.
      output: the job's.
    """

    client: subprocess.Popen
    folder: pathlib.Path
    output: pathlib.Path

    @property
    def state(self) -> dict[str, Any]:
        """What runs of the cluster."""
        return json.loads((self.folder / "cluster.json").read_text(encoding="utf-8"))

    def workers(self) -> list[psutil.Process]:
        """The Python workers of all TaskManagers."""
        found = []
        for name in self.state["processes"]:
            if name.startswith("taskmanager"):
                found += filter(_is_python, cluster.members(self.state, name))
        return found

    def kill(self, name: str) -> None:
        """Kills a program of the cluster, but not what it started."""
        os.kill(self.state["processes"][name][0], signal.SIGKILL)


def _is_python(process: psutil.Process) -> bool:
    """Whether a process is Python by now: it begins as a copy of the TaskManager, which is Java."""
    with contextlib.suppress(psutil.Error):
        return process.name().startswith("python")
    return False


def _nothing(running: Running) -> None:
    """Breaks nothing."""


def _kill_worker(running: Running) -> None:
    running.workers()[0].kill()


# What is broken, by its name. A job may end well only where it is not the client that was hit.
FAULTS: dict[str, Callable[[Running], None]] = {
    "nothing": _nothing,
    "worker": _kill_worker,
    "taskmanager": lambda running: running.kill("taskmanager-1"),
    "jobmanager": lambda running: running.kill("jobmanager"),
    "jobserver": lambda running: running.kill("jobserver"),
    "client killed": lambda running: running.client.kill(),
    "client terminated": lambda running: running.client.terminate(),
    # These are in the workers from the beginning (bad_worker.py).
    "reader hangs": _nothing,
    "reader needs 10 GB": _nothing,
    "reader kills worker": _nothing,
}
_BAD_WORKERS = {
    "reader hangs": "hang",
    "reader needs 10 GB": "memory",
    "reader kills worker": "killed",
}


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of a job.

    Attributes:
      status: its exit status; None where it hung.
      line: the last line on stderr.
      result: the files that it left and that look finished, with their hashes.
      seconds: how long it ran after it was disturbed.
    """

    status: int | None
    line: str
    result: dict[str, str]
    seconds: float


def convert(arguments: Sequence[str], output: pathlib.Path, options: str) -> subprocess.Popen:
    """Starts `convert`.

    Args:
      arguments: its --corpus and --input.
      output: its --output.
      options: its --pipeline_options; "" for none.
    """
    command = [sys.executable, "-m", "pipelines.convert", *arguments, f"--output={output}"]
    if options:
        command.append(f"--pipeline_options={options}")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def outcome(
    client: subprocess.Popen, output: pathlib.Path, seconds: float = _GIVE_UP_SECONDS
) -> Outcome:
    """Waits for the end of a job."""
    begun = time.monotonic()
    try:
        _, errors = client.communicate(timeout=seconds)
        status: int | None = client.returncode
    except subprocess.TimeoutExpired:
        client.kill()
        _, errors = client.communicate()
        status = None
    lines = [line for line in errors.splitlines() if line.strip()] or [""]
    return Outcome(status, lines[-1], kill.records(output), time.monotonic() - begun)


def parts_done(output: pathlib.Path) -> int:
    """How many parts of its records a running job has, beside what the listing found."""
    return len(list(output.glob(".unfinished/parts-*/batch-*.json")))


def disturbed(
    arguments: Sequence[str],
    folder: pathlib.Path,
    output: pathlib.Path,
    name: str,
) -> Outcome:
    """Runs a job on the cluster in a folder, and breaks something once the first part is done."""
    options = ",".join(cluster.options(folder))
    if kind := _BAD_WORKERS.get(name):
        good = str(folder.absolute() / "worker")
        options = options.replace(good, str(_bad_worker(folder, kind)))
    client = convert(arguments, output, options)
    while client.poll() is None and not parts_done(output):
        time.sleep(0.02)
    if client.poll() is None:
        FAULTS[name](Running(client, folder, output))
    return outcome(client, output)


def _bad_worker(folder: pathlib.Path, kind: str) -> pathlib.Path:
    """Writes the program of a worker whose reader misbehaves; returns its path."""
    path = folder.absolute() / f"worker-{kind}"
    line = shlex.join([sys.executable, "-m", "experiments.cluster.bad_worker", kind])
    path.write_text(f'#!/bin/sh\nulimit -v 6000000\nexec {line} "$@"\n', encoding="utf-8")
    path.chmod(0o755)
    return path


def faults_of(found: Outcome, wanted: dict[str, str]) -> Iterator[str]:
    """What is wrong with what came of a job; nothing where it held."""
    if found.status == 0:
        if found.result != wanted:
            yield "it reports success, and its records are not those of an undisturbed job"
    elif found.result:
        yield "it failed, and something looks finished"
    elif found.status is None:
        yield "it hangs"
    elif found.status != -signal.SIGKILL:
        if not found.line.startswith(("error: ", "terminated")):
            yield f"its last line is {found.line!r}"


def trial(
    arguments: Sequence[str],
    folder: pathlib.Path,
    output: pathlib.Path,
    name: str,
    wanted: dict[str, str],
) -> dict[str, Any]:
    """Disturbs a job, mends the cluster and runs the job again; says what happened."""
    first = disturbed(arguments, folder, output, name)
    wrong = list(faults_of(first, wanted))
    again = None
    if first.status != 0:
        cluster.restart(folder)
        again = outcome(convert(arguments, output, ",".join(cluster.options(folder))), output)
        if again.status != 0 or again.result != wanted:
            wrong.append(f"run again: {again.status}, {again.line}")
    cluster.restart(folder)
    return {
        "fault": name,
        "status": first.status,
        "line": first.line,
        "seconds": round(first.seconds, 1),
        "again": again and round(again.seconds, 1),
        "wrong": wrong,
    }


def main() -> None:
    """Runs the experiment from its flags."""
    arguments = [f"--corpus={FLAGS.corpus}", f"--input={os.path.abspath(FLAGS.input)}"]
    jars.fetch(jars.place())
    tried: list[dict[str, Any]] = []
    with contextlib.ExitStack() as stack:
        work = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        undisturbed = outcome(convert(arguments, work / "undisturbed", ""), work / "undisturbed")
        if undisturbed.status != 0:
            raise UserError(undisturbed.line.removeprefix("error: "))
        stack.callback(cluster.stop, work / "cluster")
        cluster.start(work / "cluster")
        for number in range(FLAGS.trials):
            for name in FLAGS.faults or FAULTS:
                output = work / f"{number}-{len(tried)}"
                found = trial(arguments, work / "cluster", output, name, undisturbed.result)
                print(json.dumps(found), flush=True)
                tried.append(found)
                if FLAGS.json:
                    files.write_json(FLAGS.json, tried)
    table = Counter(
        (each["fault"], each["line"] if each["status"] else "complete") for each in tried
    )
    for (name, ending), times in sorted(table.items()):
        print(f"{name:18} {times:3} {ending}")
    if any(each["wrong"] for each in tried):
        raise UserError("not everything held; the lines above say what")


if __name__ == "__main__":
    flags.DEFINE_string("corpus", "groove", "As in convert.")
    flags.DEFINE_string("input", None, "As in convert.")
    flags.DEFINE_integer("trials", 1, "How often each fault is tried.", lower_bound=1)
    flags.DEFINE_list("faults", [], f"Only these of: {', '.join(FAULTS)}.")
    flags.DEFINE_string("json", None, "A file for what happened.")
    app.run(main, required=("input",))
