"""What people see and hear: the listening page of many pieces, and their sound as MP3.

The pieces are those of the demo's built-in corpora, over and over: drum grooves, and tunes with
their notation.
"""

import functools
import itertools
import os
import pathlib
import sys

from absl import flags

from pipelines.bench import Benchmark, Comparison
from pipelines.bench._compare import measure, numbers

FLAGS = flags.FLAGS


def _define_flags() -> None:
    flags.DEFINE_list("pieces", ["1000", "100"], "How many pieces the page has.")
    flags.DEFINE_bool("sound", True, "Also make the sound of all pieces, as MP3.")


def _prepare(scratch: str) -> Comparison:
    sizes = numbers("pieces", "1000,100")
    cases = {}
    for size in sizes:
        folders = {name: pathlib.Path(scratch, f"{name}{size}") for name in ("drums", "tunes")}
        for folder in folders.values():
            folder.mkdir()
        _write_drums(folders["drums"], scratch, size)
        _write_tunes(folders["tunes"], scratch, size)
        cases[f"{size} pieces"] = {
            f"page of {name}": functools.partial(_page, folder) for name, folder in folders.items()
        }
        if FLAGS.sound:
            cases[f"sound of {size} pieces"] = {
                name: functools.partial(_sound, folder) for name, folder in folders.items()
            }
    return Comparison(cases)


def _write_drums(folder: pathlib.Path, scratch: str, size: int) -> None:
    from pipelines.demo import grooves

    corpus = pathlib.Path(scratch, "grooves")
    if not corpus.exists():
        grooves.write_corpus(str(corpus))
    found = itertools.cycle(sorted(corpus.rglob("*.mid")))
    for number, path in zip(range(size), found):
        (folder / f"{number:05d}.mid").write_bytes(path.read_bytes())


def _write_tunes(folder: pathlib.Path, scratch: str, size: int) -> None:
    # What imports note_seq, and TensorFlow with it, waits until a command line was found good.
    from pipelines.corpora import _archives
    from pipelines.demo import tunes
    from pipelines.media import pieces
    from pipelines.music import formats

    corpus = pathlib.Path(scratch, "tunebooks")
    if not corpus.exists():
        tunes.write_corpus(str(corpus))
    place, members, _ = _archives.list_files(str(corpus))
    archive = _archives.open_archive(place)
    read = [
        tune
        for member in members
        for tune in formats.tunes(archive.read(member, 1 << 26))
        if not isinstance(tune, formats.Unread)
    ]
    for number, tune in zip(range(size), itertools.cycle(read)):
        pieces.write(tune, str(folder / f"{number:05d}.mid"), draw=False)


def _page(folder: pathlib.Path, number: int) -> dict[str, float]:
    """Makes the page by its command."""
    from pipelines.media.page import writing

    command = [sys.executable, "-m", "pipelines.page", "--audio=none", str(folder)]
    measured = measure(command, f"{folder}-{number}.log")
    return {**measured, "page MB": round(os.path.getsize(folder / writing.FILE) / 1e6, 2)}


def _sound(folder: pathlib.Path, number: int) -> dict[str, float]:
    """Makes the sound of all pieces, and the page with it, by the page's command."""
    import soundfile

    for path in folder.rglob("*.mp3"):
        path.unlink()
    command = [sys.executable, "-m", "pipelines.page", "--audio=mp3", str(folder)]
    measured = measure(command, f"{folder}-sound-{number}.log")
    seconds = sum(soundfile.info(path).duration for path in folder.rglob("*.mp3"))
    return {
        **measured,
        "minutes of sound": round(seconds / 60, 1),
        "times real time": round(seconds / measured["seconds"], 1),
    }


BENCHMARK = Benchmark(
    name="media",
    summary="the listening page and the sound of pieces: time, memory and size over their number",
    define_flags=_define_flags,
    required=(),
    prepare=_prepare,
    better={"seconds": "less", "peak MiB": "less", "page MB": "less", "times real time": "more"},
)
