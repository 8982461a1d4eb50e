"""How far a transfer is from the true target while it learns; pictures and sound of that."""

import pathlib
from typing import NamedTuple

import matplotlib
import numpy as np
import tensorflow as tf

from pipelines.audio import distances, reading
from pipelines.runtime.app import UserError, say
from pipelines.runtime.progress import Progress
from pipelines.systems.style.sounds import performances, sound_folders
from pipelines.systems.style.sounds.sound_folders import Pair
from pipelines.systems.style.transfer import transfers
from pipelines.systems.style.transfer.transfers import RATE, SampleTransfer, Transfer

# So many pairs, the beginning of each, are listened to at each validation.
_PAIRS, _SECONDS = 24, 5.0
_SHOWN = 3
_LOUDEST_DB = 20.0


class Example(NamedTuple):
    """A pair.

    Attributes:
      name: that of its files.
      source, target: mels in dB, [frames, bands].
      samples: of the source, float32 [samples].
    """

    name: str
    source: np.ndarray
    target: np.ndarray
    samples: np.ndarray


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
            try:
                both = [
                    reading.read(path, RATE, _SECONDS + 1, 0, _SECONDS)
                    for path in (pair.source, pair.target)
                ]
            except UserError as error:
                say(f"left out of validation: {error}")
            else:
                length = min(map(len, both))
                mels = [transfers.mels(samples)[: 1 + length // transfers.HOP] for samples in both]
                example = Example(pair.name, mels[0], mels[1], both[0])
                if example.target.max() > transfers.FLOOR_DB:
                    examples.append(example)
            progress.update(count)
    return examples


def distance(transfer: Transfer | SampleTransfer, examples: list[Example]) -> float:
    """The mean log-spectral distance, of mels in dB, of what is made from the true targets.

    Where mels are changed, it needs no sound to be made, so it is quick; `evaluate` measures the
    sound.
    """
    return float(
        np.mean(
            [
                distances.log_spectral_distance(
                    _magnitudes(_made(transfer, each)[0]), _magnitudes(each.target)
                )
                for each in examples
            ]
        )
    )


def show(transfer: Transfer | SampleTransfer, examples: list[Example]) -> None:
    """Writes pictures and sounds of the first examples to TensorBoard's default writer."""
    for each in examples[:_SHOWN]:
        made, sound = _made(transfer, each)
        picture = np.concatenate([_picture(mels) for mels in (each.source, made, each.target)])
        tf.summary.image(
            f"{each.name}/source, converted, target", picture[None], description="from the top"
        )
        if sound is None:
            sound = transfers.sound(made, (len(made) - 1) * transfers.HOP)
        tf.summary.audio(f"{each.name}/converted", np.clip(sound, -1, 1)[None, :, None], RATE)


def _made(
    transfer: Transfer | SampleTransfer, example: Example
) -> tuple[np.ndarray, np.ndarray | None]:
    """The mels of what becomes of an example, and its sound where mels are not what is changed."""
    if not isinstance(transfer, SampleTransfer):
        return transfer.convert(example.source), None
    sound = transfer.convert_samples(example.samples)
    return transfers.mels(sound)[: len(example.source)], sound


def _magnitudes(mels: np.ndarray) -> np.ndarray:
    return 10 ** (mels.T.astype(np.float64) / 20)


def _picture(mels: np.ndarray) -> np.ndarray:
    """Mels as a picture, uint8 [bands + 2, frames, 3], with low bands at the bottom."""
    span = _LOUDEST_DB - transfers.FLOOR_DB
    shares = np.clip((mels.T[::-1] - transfers.FLOOR_DB) / span, 0, 1)
    coloured = matplotlib.colormaps["magma"](shares, bytes=True)[:, :, :3]
    return np.pad(coloured, ((1, 1), (0, 0), (0, 0)), constant_values=255)
