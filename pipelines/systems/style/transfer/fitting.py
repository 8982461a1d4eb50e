"""Fits a method that is not trained to the sounds of two folders."""

import os
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np

from pipelines.runtime.app import UserError
from pipelines.systems.style.sounds import sound_folders
from pipelines.systems.style.sounds.performances import SOURCE, TARGET
from pipelines.systems.style.transfer import beginnings, transfers
from pipelines.systems.style.transfer.methods import methods
from pipelines.systems.style.transfer.transfers import Transfer

# More sounds, and more of each, change little.
MOST_SOUNDS, MOST_SECONDS = 60, 20.0


def fitted(
    names: Sequence[str], source: str | os.PathLike, target: str | os.PathLike, seed: int = 0
) -> dict[str, Transfer]:
    """Fits methods to what is to be trained on in two folders.

    Args:
      names: of `methods`.
      source, target: folders of sounds, which need not be the same music.
      seed: draws the sounds.

    Raises:
      UserError: for folders that `sound_folders.unpaired` refuses, and for those of which no sound
        can be read, or all are silent.
    """
    paths = sound_folders.unpaired(source, target)
    found = [
        list(clips(some, seed, f"sounds of the {what}", MOST_SECONDS))
        for some, what in zip(paths, (SOURCE, TARGET))
    ]
    for folder, sounds in zip((source, target), found):
        if max(mels.max() for mels in sounds) <= transfers.FLOOR_DB:
            raise UserError(f"{folder}: all of its sounds are silent; give others")
    return {name: methods()[name].fit(*found) for name in names}


def clips(
    paths: Sequence[pathlib.Path], seed: int, what: str, seconds: float
) -> Iterator[np.ndarray]:
    """The mels of the beginnings of some sounds, which the seed draws; as `beginnings.read`."""
    chosen = np.random.default_rng(seed).permutation(len(paths))[:MOST_SOUNDS]
    for _, samples in beginnings.read([paths[at] for at in sorted(chosen)], seconds, what):
        yield transfers.mels(samples)
