"""MIDI files to NoteSequence records: `convert` beside `convert_dir_to_note_sequences`."""

import csv
import io
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable, Mapping

from absl import flags

from pipelines import places, records
from pipelines.app import UserError
from pipelines.bench import Benchmark
from pipelines.bench._compare import measure

FLAGS = flags.FLAGS


def _define_flags() -> None:
    flags.DEFINE_string("input", None, "The Groove MIDI Dataset: its zip or folder.")
    flags.DEFINE_string("stock", None, "Folder of an environment with stock Magenta.")
    flags.DEFINE_integer("copies", 1, "How many copies, under different names.", lower_bound=1)


def _contenders(scratch: str) -> Mapping[str, Callable[[int], Mapping[str, float]]]:
    program = os.path.join(FLAGS.stock, "bin", "convert_dir_to_note_sequences")
    if not os.access(program, os.X_OK):
        raise UserError(f"{program} is no program; --stock is a folder with stock Magenta")
    corpus = pathlib.Path(scratch, "groove")
    _copy(FLAGS.input, corpus, FLAGS.copies)

    def ours(number: int) -> dict[str, float]:
        output = os.path.join(scratch, f"ours{number}")
        measured = measure(
            [
                sys.executable,
                "-m",
                "pipelines.convert",
                "--corpus=groove",
                f"--input={corpus}",
                f"--output={output}",
            ],
            f"{output}.log",
        )
        return {**measured, **_size(f"{output}/*.tfrecord*")}

    def stock(number: int) -> dict[str, float]:
        output = os.path.join(scratch, f"stock{number}")
        measured = measure(
            [program, f"--input_dir={corpus}", f"--output_file={output}", "--recursive"],
            f"{output}.log",
        )
        return {**measured, **_size(output)}

    python = os.path.join(FLAGS.stock, "bin", "python")
    version = subprocess.run(
        [python, "-c", "import importlib.metadata as m; print(m.version('magenta'))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {"reelgroove": ours, f"stock Magenta {version.stdout.strip()}": stock}


def _size(pattern: str) -> dict[str, float]:
    """Counts the records and deletes them: every round starts with the same disk."""
    paths = records.glob(pattern)
    count = sum(1 for path in paths for _ in records.read(path))
    for path in paths:
        os.remove(path)
    return {"records": count}


def _copy(where: str, target: pathlib.Path, copies: int) -> None:
    """Lays out copies of the dataset as one release, each drummer under a name of each copy."""
    place, root = places.open_place(where, "info.csv")
    table = place.read(root + "info.csv", 1 << 28).decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(table, newline="")))
    target.mkdir()
    with open(target / "info.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        for copy in range(copies):
            for row in rows:
                names = {
                    key: f"copy{copy}-{row[key]}" for key in ("id", "session", "midi_filename")
                }
                path = target / names["midi_filename"]
                path.parent.mkdir(parents=True, exist_ok=True)
                try:
                    path.write_bytes(place.read(root + row["midi_filename"], 1 << 26))
                except records.Rejected as error:
                    raise UserError(f"{where}: {row['midi_filename']}: {error.detail}") from error
                writer.writerow({**row, **names})


BENCHMARK = Benchmark(
    name="convert",
    summary="Groove MIDI files to NoteSequence records, beside convert_dir_to_note_sequences",
    define_flags=_define_flags,
    required=("input", "stock"),
    contenders=_contenders,
)
