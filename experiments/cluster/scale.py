"""Times `convert` of many files: in the job's process, in two worker processes, and on Flink.

    ./.venv/bin/python -m experiments.cluster.scale --input=GMD.zip --files=1000,10000

The files are those of the Groove MIDI Dataset's zip, again and again under distinct names, in one
zip that is made for the run and removed. A line of JSON for each run goes to stdout: seconds, files
a second, the largest memory (RSS) of a worker of Python, and whether the records are those of the
first run. --repeats tells how far the figures differ on a machine that others use as well.
"""

import contextlib
import csv
import io
import json
import os
import pathlib
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator

import psutil
from absl import flags

from experiments.cluster import cluster, faults, jars
from pipelines.runtime import app, files
from pipelines.runtime.app import UserError

FLAGS = flags.FLAGS
_TABLE = "groove/info.csv"
_MEMORY_SECONDS = 0.2
# A job that takes longer hangs: to start, and for each file.
_START_SECONDS, _FILE_SECONDS = 300, 0.02


def replicate(release: str, count: int, path: pathlib.Path) -> None:
    """Writes a zip of so many performances of the release, each under a name of its own."""
    with zipfile.ZipFile(release) as given, zipfile.ZipFile(path, "w") as made:
        table = csv.DictReader(io.StringIO(given.read(_TABLE).decode()))
        rows = list(table)
        written = io.StringIO(newline="")
        writer = csv.DictWriter(written, table.fieldnames or ())
        writer.writeheader()
        for number in range(count):
            row = dict(rows[number % len(rows)])
            data = given.read(f"groove/{row['midi_filename']}")
            copy = number // len(rows)
            row["id"] = f"copy{copy}/{row['id']}"
            row["midi_filename"] = f"copy{copy}/{row['midi_filename']}"
            writer.writerow(row)
            made.writestr(f"groove/{row['midi_filename']}", data, zipfile.ZIP_DEFLATED)
        made.writestr(_TABLE, written.getvalue(), zipfile.ZIP_DEFLATED)


@contextlib.contextmanager
def largest(found: Callable[[], list[psutil.Process]]) -> Iterator[list[float]]:
    """Yields a list that in the end has the largest RSS of one of the processes, in MB."""
    ended, most = threading.Event(), [0.0]

    def watch() -> None:
        while not ended.wait(_MEMORY_SECONDS):
            for process in found():
                with contextlib.suppress(psutil.Error):
                    most[0] = max(most[0], process.memory_info().rss / 1e6)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield most
    finally:
        ended.set()
        thread.join()


def timed(
    archive: pathlib.Path, count: int, output: pathlib.Path, options: str, folder: pathlib.Path
) -> tuple[float, float, dict[str, str]]:
    """Converts; returns seconds, MB of the largest worker, and the hashes of what was written."""
    begun = time.monotonic()
    client = faults.convert(["--corpus=groove", f"--input={archive}"], output, options)
    running = faults.Running(client, folder, output)

    def workers() -> list[psutil.Process]:
        if "FlinkRunner" in options:
            return running.workers()
        job = psutil.Process(client.pid)
        return job.children() if "multi_processing" in options else [job]

    def living() -> list[psutil.Process]:
        with contextlib.suppress(psutil.Error):
            return workers()
        return []

    with largest(living) as most:
        found = faults.outcome(client, output, _START_SECONDS + _FILE_SECONDS * count)
    if found.status != 0:
        raise UserError(found.line.removeprefix("error: "))
    return time.monotonic() - begun, most[0], found.result


def main() -> None:
    """Runs the experiment from its flags."""
    jars.fetch(jars.place())
    lines = []
    with contextlib.ExitStack() as stack:
        work = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.callback(cluster.stop, work / "cluster")
        cluster.start(work / "cluster")
        ways = {
            "in the job": "--direct_running_mode=in_memory",
            "two processes": "--direct_running_mode=multi_processing,--direct_num_workers=2",
            "Flink, one part": ",".join(cluster.options(work / "cluster", 1)),
            "Flink, two parts": ",".join(cluster.options(work / "cluster", 2)),
        }
        for count in map(int, FLAGS.files):
            archive, wanted = work / f"{count}.zip", None
            replicate(FLAGS.input, count, archive)
            for repeat in range(FLAGS.repeats):
                for way, options in ways.items():
                    output = work / f"{count}-{repeat}-{way.replace(' ', '-')}"
                    load = os.getloadavg()[0]
                    seconds, most, result = timed(archive, count, output, options, work / "cluster")
                    wanted = wanted or result
                    line = {
                        "files": count,
                        "way": way,
                        "seconds": round(seconds, 1),
                        "files_a_second": round(count / seconds),
                        "worker_MB": round(most),
                        "same_bytes": result == wanted,
                        "load_before": round(load, 1),
                    }
                    print(json.dumps(line), flush=True)
                    lines.append(line)
                    if FLAGS.json:
                        files.write_json(FLAGS.json, lines)
    if not all(line["same_bytes"] for line in lines):
        raise UserError("not all ways gave the same records; the lines above say which")


if __name__ == "__main__":
    flags.DEFINE_string("input", None, "The zip of the Groove MIDI Dataset.")
    flags.DEFINE_list("files", ["1000", "10000"], "How many files.")
    flags.DEFINE_integer("repeats", 1, "How often each is done.", lower_bound=1)
    flags.DEFINE_string("json", None, "A file for the lines.")
    app.run(main, required=("input",))
