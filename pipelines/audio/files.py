"""Sound files, written by soundfile: libsndfile comes in its wheels, with the encoder of MP3."""

import os
import pathlib
from collections.abc import Iterable

import numpy as np

from pipelines.runtime import files
from pipelines.runtime.app import UserError

# The name of a format in libsndfile, and how its samples are encoded.
_FORMATS = {
    "wav": ("WAV", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}
ENDINGS = tuple(_FORMATS)


def write(path: str | os.PathLike, samples: np.ndarray | Iterable[np.ndarray], rate: int) -> None:
    """Writes a sound file in the format that its name ends with, in place of what was there.

    Args:
      path: ends in .wav, .flac or .mp3.
      samples: shaped [frames, 2], between -1 and 1; or blocks of them, for long pieces.
      rate: frames a second.

    Raises:
      UserError: for another ending.
      OSError: where the file cannot be written.
    """
    path = pathlib.Path(path)
    ending = path.suffix.lower().removeprefix(".")
    if ending not in _FORMATS:
        raise UserError(f"{path}: sound is written as {', '.join('.' + name for name in ENDINGS)}")
    import soundfile

    kind, subtype = _FORMATS[ending]
    with files.replacing(path) as file:
        # By its name: soundfile loses the error of a full disk in a file that Python has opened.
        try:
            with soundfile.SoundFile(
                file.name, "w", samplerate=rate, channels=2, format=kind, subtype=subtype
            ) as sound:
                for block in [samples] if isinstance(samples, np.ndarray) else samples:
                    sound.write(block)
        except soundfile.LibsndfileError as error:
            raise OSError(None, f"cannot be written: {error.error_string}", str(path)) from error
