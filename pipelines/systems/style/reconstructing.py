"""Sound to a spectrogram and back: what a representation keeps, before any model is there."""

import os
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from pipelines.audio import distances, files, reading, spectrograms
from pipelines.audio.spectrograms import Representation
from pipelines.runtime.app import UserError, say
from pipelines.runtime.files import new_folder, write_json
from pipelines.runtime.progress import Progress

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
) -> list[dict[str, Any]]:
    """Writes what comes back of sounds from their spectrograms into a new folder.

    Args:
      path: a sound file, or a folder of them.
      name: of `spectrograms.REPRESENTATIONS`.
      output: the folder to make; its files have the names of the sounds.
      rate: frames a second of all that is written.
      part: what is taken of each sound; by default all, up to `MOST_SECONDS`.
      vocoder: makes of a sound what comes back of it, instead of the representation's own way.

    Returns:
      A row for each sound: file, seconds, the distances that `measured` gives.

    Raises:
      UserError: where there is no sound, one cannot be read, or the folder is in use.
    """
    start, seconds = part or Part()
    sounds = reading.sound_files(path)
    root = pathlib.Path(path) if os.path.isdir(path) else pathlib.Path(path).parent
    names = names_of(sounds, root)
    rows = []
    with new_folder(output) as folder, Progress("sounds reconstructed", len(sounds)) as progress:
        for number, (sound, written) in enumerate(zip(sounds, names), start=1):
            samples = reading.read(sound, rate, MOST_SECONDS, start, seconds)
            try:
                if vocoder is not None:
                    again = vocoder(samples)
                else:
                    again = invert(samples, rate, spectrograms.REPRESENTATIONS[name])
            except ValueError as error:
                raise UserError(f"{error}; give another --sample_rate") from error
            clipped = int(np.sum(np.abs(again) > 1))
            if clipped:
                say(f"{sound}: {clipped} samples of {len(again)} are beyond 1 and are clipped")
            (folder / written).parent.mkdir(parents=True, exist_ok=True)
            files.write(folder / written, np.clip(again, -1, 1), rate, channels=1)
            row = {"file": written, "seconds": round(len(samples) / rate, 6)}
            rows.append({**row, **measured(again, samples, rate)})
            progress.update(number)
        write_json(folder / SUMMARY, {"representation": name, "sample_rate": rate, "files": rows})
    return rows


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


def names_of(sounds: Sequence[pathlib.Path], root: pathlib.Path) -> list[str]:
    """Where each sound is written, relative to the folder."""
    names = [sound.relative_to(root).with_suffix(".wav").as_posix() for sound in sounds]
    if twice := _repeated(names):
        raise UserError(
            f"{root}: several sounds would be written as {twice}; give them names that differ in "
            "more than the ending"
        )
    return names


def _repeated(names: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
