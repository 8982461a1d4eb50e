"""Sound to a spectrogram and back: what a representation keeps, before any model is there."""

import os
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from pipelines.audio import distances, reading, spectrograms
from pipelines.audio.spectrograms import Representation
from pipelines.runtime.app import UserError
from pipelines.runtime.files import new_folder, write_json
from pipelines.systems.style.sounds import each_sound

SUMMARY = "reconstruct.json"
MOST_SECONDS = 600.0


class Part(NamedTuple):
    """Which part of a sound is taken, in seconds; `seconds` of 0 is all after `start`."""

    start: float = 0.0
    seconds: float = 0.0


def reconstruct(
    path: str,
    name: str,
    output: str | os.PathLike,
    rate: int = 16_000,
    part: Part | None = None,
    vocoder: Callable[[np.ndarray], np.ndarray] | None = None,
) -> dict[str, Any]:
    """Writes what comes back of sounds from their spectrograms into a new folder.

    Files of a folder that cannot be read are left out, and said to be.

    Args:
      path: a sound file, or a folder of them.
      name: of `spectrograms.REPRESENTATIONS`.
      output: the folder to make; its files have the names of the sounds.
      rate: frames a second of all that is written.
      part: what is taken of each sound; by default all, up to `MOST_SECONDS`.
      vocoder: makes of a sound what comes back of it, instead of the representation's own way.

    Returns:
      What `reconstruct.json` says: the counts with sounds = reconstructed + rejected, a row of each
      sound that came back (file, seconds, the distances that `measured` gives), and of each that
      did not (file, reason).

    Raises:
      UserError: where there is no sound, none can be read, or the folder is in use.
    """
    start, seconds = part or Part()
    sounds = reading.sound_files(path)
    root = root_of(path)
    with new_folder(output) as folder:

        def one(sound: pathlib.Path, written: str) -> dict[str, Any]:
            samples = reading.read(sound, rate, MOST_SECONDS, start, seconds)
            try:
                if vocoder is not None:
                    again = vocoder(samples)
                else:
                    again = invert(samples, rate, spectrograms.REPRESENTATIONS[name])
            except ValueError as error:
                raise UserError(f"{error}; give another --sample_rate") from error
            each_sound.write_clipped(folder / written, sound, again, rate)
            row = {"file": written, "seconds": round(len(samples) / rate, 6)}
            return {**row, **measured(again, samples, rate)}

        jobs = zip(sounds, each_sound.written(root, sounds))
        found = each_sound.run(jobs, root, "reconstructed", one)
        summary = {"representation": name, "sample_rate": rate, **found}
        write_json(folder / SUMMARY, summary)
    return summary


def invert(samples: np.ndarray, rate: int, representation: Representation) -> np.ndarray:
    """What comes back of a sound, as long as the sound is."""
    return representation.invert(representation.analyse(samples, rate), rate, len(samples))


def measured(again: np.ndarray, samples: np.ndarray, rate: int) -> dict[str, float | None]:
    """The distances in dB of the STFTs of what came back and of the sound; None for silence.

    Of a sound that comes back exactly, the spectral convergence is None as well.
    """
    found, wanted = (spectrograms.stft(each, rate) for each in (again, samples))
    if not np.any(wanted):
        return {"spectral_convergence_db": None, "log_spectral_distance_db": None}
    convergence = distances.spectral_convergence(found, wanted)
    return {
        "spectral_convergence_db": round(convergence, 2) if np.isfinite(convergence) else None,
        "log_spectral_distance_db": round(distances.log_spectral_distance(found, wanted), 2),
    }


def root_of(path: str) -> pathlib.Path:
    """The folder that the sounds of a file or a folder are in."""
    return pathlib.Path(path) if os.path.isdir(path) else pathlib.Path(path).parent
