"""Sound files that people have, as mono at one rate: whatever libsndfile reads."""

import contextlib
import os
import pathlib
import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from pipelines.audio import resampling
from pipelines.runtime.app import UserError

ENDINGS = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".caf", ".w64")
_BLOCK = 1 << 16  # Frames.
# What a program writes as the size of a WAV file that it cannot know yet; from here up.
_UNKNOWN_SIZE = 0xFFFFFF00


def sound_files(path: str | os.PathLike) -> list[pathlib.Path]:
    """A sound file, or all in a folder and the folders in it, sorted.

    Raises:
      UserError: where there is none.
    """
    path = pathlib.Path(path)
    if not path.is_dir():
        if not path.exists():
            raise UserError(f"{path}: no such file; name a sound file or a folder of them")
        return [path]
    found = sorted(each for each in path.rglob("*") if each.suffix.lower() in ENDINGS)
    if not found:
        raise UserError(f"{path}: no sound file in it ({', '.join(ENDINGS)}); name another folder")
    return found


def read(
    path: str | os.PathLike, rate: int, most_seconds: float, start: float = 0, seconds: float = 0
) -> np.ndarray:
    """Reads a sound as the mean of its channels.

    Args:
      path: any file that libsndfile reads, of any rate, width and number of channels.
      rate: frames a second to resample it to.
      most_seconds: the longest part that may be read.
      start: seconds from the begin of the file to leave out.
      seconds: how much to read; 0 for all.

    Returns:
      Float32 shaped [frames]; between -1 and 1, but for files of floating-point samples.

    Raises:
      UserError: where the file cannot be read, is cut short or empty, has samples that are not
        finite, or is too long.
    """
    with opened(path, start, seconds) as sound:
        if sound.frames > most_seconds * sound.rate:
            raise UserError(
                f"{path}: {sound.frames / sound.rate:.0f} s are more than {most_seconds:g}; "
                f"take a part of it by --start and --seconds={most_seconds:g}"
            )
        return np.concatenate(list(resampling.mono(sound.blocks, sound.rate, rate)))


class Opened(NamedTuple):
    """A sound that is being read.

    Attributes:
      rate: frames a second.
      channels: how many.
      frames: how many there will be.
      blocks: float32 shaped [frames, channels]; raises UserError where the file is cut short or
        has samples that are not finite.
    """

    rate: int
    channels: int
    frames: int
    blocks: Iterator[np.ndarray]


@contextlib.contextmanager
def opened(path: str | os.PathLike, start: float = 0, seconds: float = 0) -> Iterator[Opened]:
    """Opens a sound to read it block by block, with the rate and the channels that it has.

    Args:
      path, start, seconds: as `read` takes them.

    Raises:
      UserError: where the file cannot be read, is cut short or empty; also while it is read.
    """
    import soundfile

    begun = False
    try:
        with soundfile.SoundFile(os.fspath(path)) as sound:
            begun = True
            _require_whole(path, sound.extra_info)
            first = round(start * sound.samplerate)
            frames = max(sound.frames - first, 0)
            if seconds:
                frames = min(frames, round(seconds * sound.samplerate))
            if not frames:
                raise UserError(f"{path}: no sound after {start:g} s; give another file or --start")
            sound.seek(first)
            blocks = _blocks(path, sound, frames)
            yield Opened(sound.samplerate, sound.channels, frames, blocks)
    except soundfile.LibsndfileError as error:
        reason = error.error_string.removeprefix("Error : ").rstrip(". ")
        if begun:
            raise UserError(f"{path}: damaged or cut short ({reason}); get it anew") from error
        raise UserError(f"{path}: cannot be read as sound ({_unread(path, reason)}") from error
    except OSError as error:
        error.filename = error.filename or os.fspath(path)
        raise


def _blocks(path: str | os.PathLike, sound, frames: int) -> Iterator[np.ndarray]:
    left = frames
    while left:
        block = sound.read(min(_BLOCK, left), dtype="float32", always_2d=True)
        if not len(block):
            raise UserError(
                f"{path}: cut short: {left} of {frames} frames are missing; get it anew"
            )
        if not np.isfinite(block).all():
            raise UserError(f"{path}: has samples that are not finite; make the file again")
        left -= len(block)
        yield block


def _require_whole(path: str | os.PathLike, log: str) -> None:
    """Raises UserError for a WAV file that has less sound than its header says.

    libsndfile reads what there is, and says in its log what there should be.
    """
    found = re.search(r"^ *data *: *(\d+) \(should be (\d+)\)", log, re.MULTILINE)
    if found and int(found[2]) < int(found[1]) < _UNKNOWN_SIZE:
        share = int(found[2]) / int(found[1])
        raise UserError(
            f"{path}: cut short: it has {share:.0%} of the sound that its header says; get it anew"
        )


def _unread(path: str | os.PathLike, reason: str) -> str:
    """Why libsndfile does not read a file, and what to do."""
    import soundfile

    from pipelines.music import formats

    name = os.path.basename(path)
    if name.lower().endswith(formats.MIDI):
        return (
            f"{reason}); MIDI has notes and no sound: ./run.sh page --audio=wav makes sound of the "
            "MIDI files in a folder"
        )
    if name.lower().endswith(".mp3") and "MP3" not in soundfile.available_formats():
        reason = "the libsndfile of this system has no decoder for MP3"
    return f"{reason}); make a WAV file of it, such as by ffmpeg -i {name} {name}.wav"
