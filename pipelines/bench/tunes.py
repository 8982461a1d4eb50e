"""ABC tunebooks to NoteSequence records: how time and memory grow with the number of tunes.

The differences between the sizes give the time and memory of a tune, without the start of a job.
"""

import functools
import itertools
import os
import pathlib
import resource
import sys
from collections.abc import Iterator

from absl import flags

from pipelines.bench import Benchmark, Comparison
from pipelines.bench._compare import measure, numbers
from pipelines.corpora import _archives
from pipelines.music.abc import tunebook
from pipelines.music.limits import Rejected
from pipelines.records.manifest import read_manifest, record_files
from pipelines.runtime.app import UserError

FLAGS = flags.FLAGS
_TUNES_OF_A_FILE = 1000
_MAX_BYTES = 1 << 26


def _define_flags() -> None:
    flags.DEFINE_string("input", None, "Tunebooks: a file, a folder or a zip.")
    flags.DEFINE_list("tunes", ["100000", "10000", "1000"], "How many tunes to convert.")


def _prepare(scratch: str) -> Comparison:
    sizes = numbers("tunes", "10000,1000")
    tunes = list(_tunes(FLAGS.input))
    if not tunes:
        raise UserError(f"{FLAGS.input} has no tunes in it; give a tunebook in ABC notation")
    sizes_run = {}
    for size in sizes:
        books = pathlib.Path(scratch, f"books{size}")
        books.mkdir()
        _write(books, tunes, size)
        sizes_run[f"{size} tunes"] = functools.partial(_convert, books)
    return Comparison({"": sizes_run})


def _tunes(where: str) -> Iterator[tuple[str, ...]]:
    """The lines of each tune, without its titles and its number."""
    path, members, _ = _archives.list_files(where)
    archive = _archives.open_archive(path)
    for member in members:
        try:
            text = tunebook.decode(archive.read(member, _MAX_BYTES))
        except Rejected:
            continue
        for tune in tunebook.tunes(text):
            yield tuple(line for line in tune.lines if line and line[:2] not in ("X:", "T:"))


def _write(folder: pathlib.Path, tunes: list[tuple[str, ...]], size: int) -> None:
    """Writes that many tunes: the same music over and over, under different titles."""
    numbered = zip(range(size), itertools.cycle(tunes))
    for number in range(-(-size // _TUNES_OF_A_FILE)):
        with open(folder / f"book{number}.abc", "w", encoding="utf-8") as file:
            for at, lines in itertools.islice(numbered, _TUNES_OF_A_FILE):
                file.write(f"X:{at}\nT:Number {at} of the Benchmark\n" + "\n".join(lines) + "\n\n")


def _convert(books: pathlib.Path, number: int) -> dict[str, float]:
    output = f"{books}-{number}"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    measured = measure(
        [
            sys.executable,
            "-m",
            "pipelines.convert",
            "--corpus=abc",
            f"--input={books}",
            f"--output={output}",
        ],
        f"{output}.log",
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    manifest = read_manifest(output)
    for path in record_files(f"{output}/*.tfrecord*"):
        os.remove(path)
    kept = sum(split["records"] for split in manifest["splits"].values())
    return {**measured, "CPU seconds": round(busy, 2), "records": kept}


BENCHMARK = Benchmark(
    name="tunes",
    summary="ABC tunebooks to NoteSequence records: time and memory over the number of tunes",
    define_flags=_define_flags,
    required=("input",),
    prepare=_prepare,
    better={"seconds": "less", "peak MiB": "less", "CPU seconds": "less"},
)
