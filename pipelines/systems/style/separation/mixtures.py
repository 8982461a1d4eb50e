"""Mixtures of drums and of other music, with the drums in them known: what separation learns from.

They are made of folders that `style render` wrote: a performance of each, with random loudness,
speed and colour, so that few sounds stand for more. A mixture depends on its number alone.
"""

import os
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from configs.separation import Hparams
from pipelines.audio import reading, separation
from pipelines.records.manifest import SPLITS
from pipelines.runtime.app import UserError

# Frequencies at which the gain of a source is drawn, in hertz; it changes evenly between them.
_EQUALIZER = (60, 200, 600, 2000, 6000)
_LOUDNESS_DB = (-40.0, -10.0)  # Of the drums, of full scale.
_SILENCE = 1e-4
_MOST_SECONDS = 600.0


class Sound(NamedTuple):
    """A rendered file, and how long it is."""

    path: pathlib.Path
    seconds: float


class Sounds(NamedTuple):
    """The files of one split: for each folder that was given, so each sound, a list."""

    drums: list[list[Sound]]
    rest: list[list[Sound]]


class Batch(NamedTuple):
    """Spectra of mixtures, float32 shaped [mixtures, frames, bins]; see `distortion_db`."""

    magnitudes: np.ndarray
    mixtures: np.ndarray
    crosses: np.ndarray
    sources: np.ndarray


def find(drums: Sequence[str], rest: Sequence[str], split: str) -> Sounds:
    """The files of a split.

    Args:
      drums, rest: folders, in each of which is a folder of the split.
      split: train, validation or test.

    Raises:
      UserError: where one of them has no sounds of the split.
    """
    return Sounds([_files(each, split) for each in drums], [_files(each, split) for each in rest])


def _files(folder: str, split: str) -> list[Sound]:
    within = pathlib.Path(folder, split)
    if not within.is_dir():
        raise UserError(
            f"{folder}: no folder {split!r} in it; name a folder that ./run.sh style render wrote, "
            f"of records with the splits {', '.join(SPLITS)}"
        )
    found = []
    for path in reading.sound_files(within):
        with reading.opened(path) as sound:
            found.append(Sound(path, sound.frames / sound.rate))
    return found


def bins(hparams: Hparams) -> int:
    """How many bins of the STFT a network is given: all but the one at half the rate."""
    return separation.window(hparams.rate, hparams.window_seconds) // 2


def batch(sounds: Sounds, hparams: Hparams, seed: int, number: int) -> Batch:
    """The mixtures of a number; the same for the same seed and number."""
    made = [
        _spectra(sounds, hparams, np.random.default_rng([seed, number, place]))
        for place in range(hparams.batch_size)
    ]
    drums, rest = (np.stack(each).astype(np.complex64) for each in zip(*made))
    mixed = drums + rest
    squares = np.square(mixed.real) + np.square(mixed.imag)
    return Batch(
        np.sqrt(squares),
        squares,
        drums.real * mixed.real + drums.imag * mixed.imag,
        np.square(drums.real) + np.square(drums.imag),
    )


def _spectra(
    sounds: Sounds, hparams: Hparams, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The spectra of drums and of the rest, [frames, bins], of a random mixture."""
    loudness = rng.uniform(*_LOUDNESS_DB)
    drums = _part(sounds.drums, hparams, rng)
    rest = _part(sounds.rest, hparams, rng)
    if rng.random() < hparams.second:
        rest = rest + _part(sounds.rest, hparams, rng) * 10 ** (rng.uniform(-6, 6) / 20)
    apart = rng.uniform(-hparams.level_db, hparams.level_db)
    return (
        _spectrum(_at(drums, loudness), hparams, rng),
        _spectrum(_at(rest, loudness + apart), hparams, rng),
    )


def _part(
    choices: Sequence[Sequence[Sound]], hparams: Hparams, rng: np.random.Generator
) -> np.ndarray:
    """Some seconds of a sound, of one loudness unless they are silent."""
    kind = choices[int(rng.integers(len(choices)))]
    sound = kind[int(rng.integers(len(kind)))]
    speed = float(np.exp(rng.uniform(-1, 1) * np.log(hparams.speed)))
    needed = hparams.seconds * speed
    start = rng.uniform(0, max(sound.seconds - needed, 0))
    # More frames than there are at the rate, played at the rate, are slower.
    rate = round(hparams.rate / speed)
    samples = reading.read(sound.path, rate, _MOST_SECONDS, start, needed)
    length = round(hparams.seconds * hparams.rate)
    return _at(np.pad(samples[:length], (0, max(length - len(samples), 0))), 0.0)


def _at(samples: np.ndarray, level_db: float) -> np.ndarray:
    """The samples with another root mean square, in dB of full scale; silence stays as it is."""
    found = float(np.sqrt(np.mean(np.square(samples))))
    return samples * np.float32(10 ** (level_db / 20) / found) if found > _SILENCE else samples * 0


def _spectrum(samples: np.ndarray, hparams: Hparams, rng: np.random.Generator) -> np.ndarray:
    """An STFT with a random colour, [frames, bins]."""
    import librosa

    size = separation.window(hparams.rate, hparams.window_seconds)
    spectrum = librosa.stft(samples, n_fft=size, hop_length=size // 4, center=False)[:-1]
    frequencies = np.maximum(np.arange(len(spectrum)), 1) * hparams.rate / size
    gains = rng.normal(0, hparams.equalizer_db, len(_EQUALIZER))
    curve = np.interp(np.log(frequencies), np.log(_EQUALIZER), gains)
    return spectrum.T * (10 ** (curve / 20)).astype(np.float32)


def digest_of(folders: Sequence[str]) -> list[str]:
    """What tells folders apart from others: the last two parts of their names."""
    return ["/".join(pathlib.Path(os.path.abspath(each)).parts[-2:]) for each in folders]
