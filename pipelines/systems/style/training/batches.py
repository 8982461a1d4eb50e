"""Batches of pieces of mel spectrograms, or of samples, drawn from the sounds of two folders."""

import os
import pathlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from pipelines.runtime.app import UserError, say
from pipelines.systems.style.sounds import each_sound, sound_folders
from pipelines.systems.style.transfer import beginnings, transfers

_LEAST_SECONDS = 10.0  # Of each sound, however many there are.


class Batch(NamedTuple):
    """What a step of training learns from.

    Attributes:
      source, target: float32 in dB, [batch, frames, bands]; or samples, [batch, frames].
      shares: float32 from 0 to 1, [batch]: where a gradient penalty looks.
    """

    source: np.ndarray
    target: np.ndarray
    shares: np.ndarray


def read(
    folder: str | os.PathLike,
    paths: Sequence[pathlib.Path],
    frames: int,
    minutes: float,
    what: str,
    analyse: Callable[[np.ndarray], np.ndarray] = transfers.mels,
    rate: int = transfers.FRAME_RATE,
) -> dict[str, np.ndarray]:
    """The mels of sounds, or something else of them, as far as they are long enough.

    Args:
      folder: where the sounds lie, for their names.
      paths: the sound files, of `sound_folders.sounds`.
      frames: what is shorter is left out, and counted.
      minutes: how much is kept: of many sounds, the beginning of each.
      what: for the line of progress: which sounds these are.
      analyse: makes of samples what is kept; it gives the same all along where there is silence.
      rate: frames a second of what is kept.

    Returns:
      By the name of the file, as of `each_sound.by_name`: by default float32 in dB, [frames,
      bands].

    Raises:
      UserError: where two files have one name, none can be read, or none is long enough and not
        silent.
    """
    named = each_sound.by_name(sound_folders.place(folder), paths)
    names = {path: name for name, path in named.items()}
    most = max(minutes * 60 / len(paths), _LEAST_SECONDS)
    number = min(len(paths), max(1, round(minutes * 60 / most)))
    chosen = [paths[at] for at in np.linspace(0, len(paths) - 1, number).round().astype(int)]
    found = {}
    short = silent = 0
    for path, samples in beginnings.read(chosen, most, what):
        kept = analyse(samples)
        if len(kept) < frames:
            short += 1
        elif np.ptp(kept) == 0:
            silent += 1
        else:
            found[names[path]] = kept
    left_out = f"{short} shorter than {frames / rate:.2g} s, {silent} silent"
    if not found:
        raise UserError(
            f"{folder}: no sound to learn from ({left_out}); give longer ones that are not silent"
        )
    if short or silent:
        say(f"{what}: {short + silent} of {len(chosen)} are left out ({left_out})")
    return found


class Batches:
    """Draws batches, each by its number alone, so that training goes on exactly.

    Args:
      source, target: mels, or samples, by name, as `read` gives them.
      paired: whether the two pieces of an example are the same part of one performance.
      frames: of an example.
      size: examples of a batch.
      seed: of what is drawn.

    Raises:
      UserError: where pairs are wanted and no name is in both.
    """

    def __init__(
        self,
        source: dict[str, np.ndarray],
        target: dict[str, np.ndarray],
        paired: bool,
        frames: int,
        size: int,
        seed: int,
    ):
        names = sorted(source.keys() & target.keys()) if paired else []
        if paired and not names:
            raise UserError(
                "no sound of the source has the name of one of the target, so there are no pairs "
                "to learn from; style render makes some with --paired_training"
            )
        self._paired, self._frames, self._size, self._seed = paired, frames, size, seed
        self._source = [source[name] for name in names or sorted(source)]
        self._target = [target[name] for name in names or sorted(target)]

    def __getitem__(self, number: int) -> Batch:
        """The batch of a number."""
        rng = np.random.default_rng([self._seed, number])
        if self._paired:
            lengths = [min(map(len, pair)) for pair in zip(self._source, self._target)]
            places = self._places(rng, lengths)
            source, target = (self._cut(mels, places) for mels in (self._source, self._target))
        else:
            source, target = (
                self._cut(mels, self._places(rng, list(map(len, mels))))
                for mels in (self._source, self._target)
            )
        return Batch(source, target, rng.uniform(size=self._size).astype(np.float32))

    def _places(self, rng: np.random.Generator, lengths: list[int]) -> list[tuple[int, int]]:
        """Sounds, by their lengths, and where to begin in them."""
        weights = np.array(lengths) - self._frames + 1
        chosen = rng.choice(len(lengths), self._size, p=weights / weights.sum())
        return [(int(one), int(rng.integers(weights[one]))) for one in chosen]

    def _cut(self, mels: list[np.ndarray], places: list[tuple[int, int]]) -> np.ndarray:
        return np.stack([mels[one][begin : begin + self._frames] for one, begin in places])
