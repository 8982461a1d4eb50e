"""How far a transfer is from the true target while it learns; pictures and sound of that."""

import pathlib
from typing import NamedTuple

import matplotlib
import numpy as np
import tensorflow as tf

from pipelines.audio import distances, reading
from pipelines.runtime.progress import Progress
from pipelines.systems.style import performances, sound_folders, transfers
from pipelines.systems.style.sound_folders import Pair
from pipelines.systems.style.transfers import RATE, Transfer

# So many pairs, the beginning of each, are listened to at each validation.
_PAIRS, _SECONDS = 24, 5.0
_SHOWN = 3
_LOUDEST_DB = 20.0


class Example(NamedTuple):
    """The mels of a pair, in dB, [frames, bands]."""

    name: str
    source: np.ndarray
    target: np.ndarray


def held_out(source: str, target: str) -> list[Pair]:
    """The pairs of validation of two folders that `style render` made; [] of other folders."""
    roots = pathlib.Path(source).absolute(), pathlib.Path(target).absolute()
    beside = roots[0].parent == roots[1].parent
    if not beside or [root.name for root in roots] != [performances.SOURCE, performances.TARGET]:
        return []
    if not sound_folders.has_pairs(roots[0].parent, "validation"):
        return []
    return sound_folders.pairs(roots[0].parent, "validation")


def read(pairs: list[Pair]) -> list[Example]:
    """The mels of some pairs, evenly spread over their names; silent targets are left out."""
    number = min(len(pairs), _PAIRS)
    chosen = [pairs[at] for at in np.linspace(0, len(pairs) - 1, number).round().astype(int)]
    examples = []
    with Progress("pairs of validation read", number) as progress:
        for count, pair in enumerate(chosen, start=1):
            both = [
                transfers.mels(reading.read(path, RATE, _SECONDS + 1, 0, _SECONDS))
                for path in (pair.source, pair.target)
            ]
            frames = min(map(len, both))
            example = Example(pair.name, *(mels[:frames] for mels in both))
            if example.target.max() > transfers.FLOOR_DB:
                examples.append(example)
            progress.update(count)
    return examples


def distance(transfer: Transfer, examples: list[Example]) -> float:
    """The mean log-spectral distance, of mels in dB, of what is made from the true targets.

    It needs no sound to be made, so it is quick; `evaluate` measures the sound.
    """
    return float(
        np.mean(
            [
                distances.log_spectral_distance(
                    _magnitudes(transfer.convert(each.source)), _magnitudes(each.target)
                )
                for each in examples
            ]
        )
    )


def show(transfer: Transfer, examples: list[Example]) -> None:
    """Writes pictures and sounds of the first examples to TensorBoard's default writer."""
    for each in examples[:_SHOWN]:
        made = transfer.convert(each.source)
        picture = np.concatenate([_picture(mels) for mels in (each.source, made, each.target)])
        tf.summary.image(
            f"{each.name}/source, converted, target", picture[None], description="from the top"
        )
        sound = np.clip(transfers.sound(made, (len(made) - 1) * transfers.HOP), -1, 1)
        tf.summary.audio(f"{each.name}/converted", sound[None, :, None], RATE)


def _magnitudes(mels: np.ndarray) -> np.ndarray:
    return 10 ** (mels.T.astype(np.float64) / 20)


def _picture(mels: np.ndarray) -> np.ndarray:
    """Mels as a picture, uint8 [bands + 2, frames, 3], with low bands at the bottom."""
    span = _LOUDEST_DB - transfers.FLOOR_DB
    shares = np.clip((mels.T[::-1] - transfers.FLOOR_DB) / span, 0, 1)
    coloured = matplotlib.colormaps["magma"](shares, bytes=True)[:, :, :3]
    return np.pad(coloured, ((1, 1), (0, 0), (0, 0)), constant_values=255)
