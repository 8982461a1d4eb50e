"""What each step of `convert` costs in the job's own process, which no cluster shares.

    ./.venv/bin/python -m experiments.cluster.steps --input=GMD.zip --files=1000,10000,100000

The job lists the sources and writes them in batches; workers convert these; the job merges the
parts into shards. For each number of files (copies as in scale.py) a line of JSON goes to stdout:
CPU seconds of each step, by how many bytes a file the process grew while it listed, and the most
memory that it has had.
"""

import contextlib
import json
import pathlib
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import psutil
from absl import flags

from experiments.cluster import scale
from pipelines.corpora import conversion
from pipelines.records import beam_batches
from pipelines.records.folder import Folder
from pipelines.runtime import app, files

FLAGS = flags.FLAGS


def steps(archive: pathlib.Path, output: pathlib.Path, count: int) -> dict[str, float]:
    """Converts in this process; returns the CPU seconds of each step."""
    spent: dict[str, float] = {}

    def timed(name: str, function: Callable) -> Callable:
        def run(*arguments: Any, **more: Any) -> Any:
            begun, size = time.process_time(), psutil.Process().memory_info().rss
            result = function(*arguments, **more)
            spent[name] = spent.get(name, 0.0) + time.process_time() - begun
            if name == "listing":
                grown = psutil.Process().memory_info().rss - size
                spent["bytes_a_file"] = grown / count
            return result

        return run

    with _replaced(
        timed,
        (conversion, "_list_sources", "listing"),
        (beam_batches, "write", "batches"),
        (beam_batches, "run", "converting"),
        (Folder, "finish", "merging"),
    ):
        conversion.convert("groove", str(archive), str(output), pipeline_arguments=[])
    return {name: round(value, 2) for name, value in spent.items()}


@contextlib.contextmanager
def _replaced(timed: Callable, *places: tuple[Any, str, str]) -> Iterator[None]:
    """Has functions be timed, under the names that are given."""
    with contextlib.ExitStack() as stack:
        for place, attribute, name in places:
            replacement = timed(name, getattr(place, attribute))
            stack.enter_context(mock.patch.object(place, attribute, replacement))
        yield


def main() -> None:
    """Runs the experiment from its flags."""
    lines = []
    for count in map(int, FLAGS.files):
        with tempfile.TemporaryDirectory() as folder:
            work = pathlib.Path(folder)
            scale.replicate(FLAGS.input, count, work / "made.zip")
            line = {"files": count, **steps(work / "made.zip", work / "records", count)}
            line["peak_MB"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)
        print(json.dumps(line), flush=True)
        lines.append(line)
    if FLAGS.json:
        files.write_json(FLAGS.json, lines)


if __name__ == "__main__":
    flags.DEFINE_string("input", None, "The zip of the Groove MIDI Dataset.")
    flags.DEFINE_list("files", ["1000", "10000", "100000"], "How many files, in growing numbers.")
    flags.DEFINE_string("json", None, "A file for the lines.")
    app.run(main, required=("input",))
