"""Sound files: WAV and FLAC by soundfile, whose wheels bring libsndfile, MP3 by lameenc."""

import os
import pathlib
from collections.abc import Iterable

import numpy as np

from pipelines.audio import mp3
from pipelines.runtime import files
from pipelines.runtime.app import UserError

# The name of a format in libsndfile, and how its samples are encoded.
_FORMATS = {
    "wav": ("WAV", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
}
ENDINGS = (*_FORMATS, "mp3")


def write(
    path: str | os.PathLike,
    samples: np.ndarray | Iterable[np.ndarray],
    rate: int,
    channels: int = 2,
) -> None:
    """Writes a sound file in the format that its name ends with, in place of what was there.

    Args:
      path: ends in .wav, .flac or .mp3.
      samples: shaped [frames, channels], between -1 and 1; or blocks of them, for long pieces.
        Those of one channel may be shaped [frames].
      rate: frames a second.
      channels: 1 or 2; MP3 has 2.

    Raises:
      UserError: for another ending.
      OSError: where the file cannot be written.
    """
    path = pathlib.Path(path)
    ending = path.suffix.lower().removeprefix(".")
    if ending not in ENDINGS:
        raise UserError(f"{path}: sound is written as {', '.join('.' + name for name in ENDINGS)}")
    blocks = [samples] if isinstance(samples, np.ndarray) else samples
    with files.replacing(path) as file:
        if ending == "mp3":
            mp3.write(file, blocks)
        else:
            _write(file.name, path, ending, blocks, rate, channels)


def _write(
    name: str,
    path: pathlib.Path,
    ending: str,
    blocks: Iterable[np.ndarray],
    rate: int,
    channels: int,
) -> None:
    """Writes the file of a name, in a format of libsndfile; errors name the path."""
    import soundfile

    kind, subtype = _FORMATS[ending]
    # By its name: soundfile loses the error of a full disk in a file that Python has opened.
    try:
        with soundfile.SoundFile(
            name, "w", samplerate=rate, channels=channels, format=kind, subtype=subtype
        ) as sound:
            for block in blocks:
                sound.write(block)
    except soundfile.LibsndfileError as error:
        raise OSError(None, f"cannot be written: {error.error_string}", str(path)) from error
