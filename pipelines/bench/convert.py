"""MIDI files to NoteSequence records: `convert` beside `convert_dir_to_note_sequences`."""

import csv
import io
import os
import pathlib
import sys

from absl import flags

from pipelines.bench import Benchmark, Comparison, _magenta
from pipelines.bench._compare import measure
from pipelines.corpora import _archives
from pipelines.music.limits import Rejected
from pipelines.records import tfrecord
from pipelines.records.manifest import record_files
from pipelines.runtime.app import UserError
from pipelines.runtime.flags import required_path_flag

FLAGS = flags.FLAGS


def _define_flags() -> None:
    flags.DEFINE_string("input", None, "The Groove MIDI Dataset: its zip or folder.")
    flags.DEFINE_integer("copies", 1, "How many copies, under different names.", lower_bound=1)
    _magenta.define_flags()


def _prepare(scratch: str) -> Comparison:
    sides = _magenta.sides()
    corpus = pathlib.Path(scratch, "groove")
    copy_groove(required_path_flag("input"), corpus, FLAGS.copies)

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

    def theirs(number: int) -> dict[str, float]:
        output = os.path.join(scratch, f"theirs{number}")
        measured = measure(
            [
                *_magenta.python(),
                "-m",
                "magenta.scripts.convert_dir_to_note_sequences",
                f"--input_dir={corpus}",
                f"--output_file={output}",
                "--recursive",
            ],
            f"{output}.log",
        )
        return {**measured, **_size(output)}

    return Comparison({"": {"reelgroove": ours, _magenta.name(): theirs}}, sides)


def _size(pattern: str) -> dict[str, float]:
    """Counts the records and deletes them: every round starts with the same disk."""
    paths = record_files(pattern)
    count = sum(1 for path in paths for _ in tfrecord.read(path))
    for path in paths:
        os.remove(path)
    return {"records": count}


def copy_groove(where: str, target: pathlib.Path, copies: int) -> None:
    """Lays out copies of the dataset as one release, each drummer under a name of each copy."""
    archive, root = _archives.find_archive(where, "info.csv")
    table = archive.read(root + "info.csv", 1 << 28).decode("utf-8-sig")
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
                    path.write_bytes(archive.read(root + row["midi_filename"], 1 << 26))
                except Rejected as error:
                    raise UserError(f"{where}: {row['midi_filename']}: {error.detail}") from error
                writer.writerow({**row, **names})


BENCHMARK = Benchmark(
    name="convert",
    summary="Groove MIDI files to NoteSequence records, beside convert_dir_to_note_sequences",
    define_flags=_define_flags,
    required=("input",),
    prepare=_prepare,
    better={"seconds": "less", "peak MiB": "less"},
)
