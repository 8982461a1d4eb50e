"""Songs to the sounds in them, as files: drums and the rest, or percussive and harmonic."""

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pipelines.audio import reading, separation, separation_programs
from pipelines.audio.separation import Separator
from pipelines.runtime.files import new_folder, write_json
from pipelines.runtime.progress import Progress
from pipelines.systems.style.sounds import each_sound
from pipelines.systems.style.sounds.reconstructing import root_of

SUMMARY = "separate.json"
# A WAV file counts its bytes in 32 bits; longer ones are RF64, which most programs read as well.
_MOST_BYTES_OF_WAV = (1 << 32) - (1 << 16)
_BYTES_OF_SAMPLE = 4


def separate(
    path: str,
    output: str | os.PathLike,
    method: str,
    separator: Separator | None = None,
    chunk_seconds: float = separation.CHUNK_SECONDS,
) -> dict[str, Any]:
    """Separates a song, or all songs in a folder, into a new folder.

    Songs of a folder that cannot be read, or that a program fails on, are left out, and said to be.

    Args:
      path: a sound file, whose sounds are written into the folder, or a folder of them, each of
        which gets a folder of its own name there.
      output: the folder to make.
      method: what separates, for the summary; of `separation_programs.PROGRAMS` where `separator`
        is None.
      separator: what separates.
      chunk_seconds: how much is held in memory at once.

    Returns:
      What `separate.json` says: the method, the counts with sounds = separated + rejected, a row of
      each song that was separated (file, folder, seconds, and of each sound in it the level in dB
      of full scale), and of each that was not (file, reason).

    Raises:
      UserError: where there is no sound, none can be separated, a program is missing, or the folder
        is in use.
    """
    if separator is None:
        separation_programs.find(method)
    jobs, root = _jobs(path), root_of(path)
    with new_folder(output) as folder:

        def one(song: pathlib.Path, where: str) -> dict[str, Any]:
            # What fails in the middle leaves nothing.
            with tempfile.TemporaryDirectory(dir=folder) as made:
                within = pathlib.Path(made)
                if separator is None:
                    with reading.opened(song) as sound:
                        seconds = sound.frames / sound.rate
                    names: Sequence[str] = separation_programs.separate(method, song, within)
                else:
                    names = separator.names
                    seconds = _separate_one(song, within, separator, chunk_seconds)
                levels = {name: _level(within / f"{name}.wav") for name in names}
                (folder / where).mkdir(parents=True, exist_ok=True)
                for name in names:
                    os.replace(within / f"{name}.wav", folder / where / f"{name}.wav")
            return {
                "file": song.relative_to(root).as_posix(),
                "folder": where,
                "seconds": round(seconds, 6),
                "level_db": levels,
            }

        found = each_sound.run(jobs, root, "separated", one)
        summary = {"method": method, **found}
        write_json(folder / SUMMARY, summary)
    return summary


def _jobs(path: str) -> list[tuple[pathlib.Path, str]]:
    """The songs, each with its folder, relative to that of all; "" for that itself.

    Raises:
      UserError: where two would be written into one folder.
    """
    sounds = reading.sound_files(path)
    if not os.path.isdir(path):
        return [(sounds[0], "")]
    # A song "a.wav" beside a folder "a" of songs shares that folder with them.
    found = each_sound.by_name(path, sounds)
    return [(sound, folder) for folder, sound in found.items()]


def _separate_one(
    path: pathlib.Path, folder: pathlib.Path, separator: Separator, chunk_seconds: float
) -> float:
    """Writes the sounds of a song; returns its seconds."""
    with reading.opened(path) as sound, contextlib.ExitStack() as stack:
        writers = [
            stack.enter_context(_writing(folder / f"{name}.wav", sound)) for name in separator.names
        ]
        chunks = separation.separate(sound.blocks, sound.rate, separator, chunk_seconds)
        done = 0
        with Progress("seconds separated", round(sound.frames / sound.rate)) as progress:
            for chunk in chunks:
                for writer, samples in zip(writers, chunk, strict=True):
                    writer.write(samples)
                done += len(chunk[0])
                progress.update(done // sound.rate)
        if done != sound.frames:
            raise RuntimeError(f"{path}: {done} frames of {sound.frames} were separated")
        return sound.frames / sound.rate


class _Writer:
    """Writes a file, and says of what goes wrong that it is about this file."""

    def __init__(self, sound, path: pathlib.Path):
        self._sound, self._path = sound, path

    def write(self, samples: np.ndarray) -> None:
        with _naming(self._path):
            self._sound.write(samples)


@contextlib.contextmanager
def _writing(path: pathlib.Path, like: reading.Opened) -> Iterator[_Writer]:
    """Opens a WAV file of floats, in which what is beyond 1 is not clipped."""
    import soundfile

    size = like.frames * like.channels * _BYTES_OF_SAMPLE
    with _naming(path):
        file = soundfile.SoundFile(
            os.fspath(path),
            "w",
            samplerate=like.rate,
            channels=like.channels,
            format="WAV" if size <= _MOST_BYTES_OF_WAV else "RF64",
            subtype="FLOAT",
        )
    try:
        yield _Writer(file, path)
    finally:
        with _naming(path):
            file.close()


@contextlib.contextmanager
def _naming(path: pathlib.Path) -> Iterator[None]:
    """Makes an error of libsndfile one of the system, which names the file."""
    import soundfile

    try:
        yield
    except soundfile.LibsndfileError as error:
        raise OSError(None, f"cannot be written: {error.error_string}", str(path)) from error


def _level(path: pathlib.Path) -> float | None:
    """The root mean square of a sound file in dB of full scale; None for silence."""
    with reading.opened(path) as sound:
        total = sum(float(np.sum(np.square(block, dtype=np.float64))) for block in sound.blocks)
        mean = total / (sound.frames * sound.channels)
    return round(10 * float(np.log10(mean)), 2) if mean > 0 else None
