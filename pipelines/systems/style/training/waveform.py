"""A trained WaveNet that changes samples, on disk, and what it makes of a sound.

A run's folder holds what that of a model of mels holds (`trained`).
"""

import dataclasses
import os
from typing import Any

import keras
import numpy as np
import scipy.ndimage
import tensorflow as tf

from configs.wavenet_gan import MODELS, Hparams
from models import wavenet_gan
from pipelines import checkpoints, runs

KIND = "waveform"
# Half of what 16 bits round to: what is softer all around is silence.
_SILENT = 2.0**-16


def untrained_generator(hparams: Hparams) -> keras.Model:
    """The generator of a model, for weights that are read."""
    return wavenet_gan.generator(
        hparams.layers, hparams.stacks, hparams.channels, hparams.skip_channels, hparams.group
    )


class WaveformTransfer:
    """A generator as a `transfers.SampleTransfer`.

    Args:
      generator: of samples.
      hparams: those that it was made with.
    """

    def __init__(self, generator: keras.Model, hparams: Hparams):
        self._group = hparams.group
        self._seen = wavenet_gan.seen(hparams.layers, hparams.stacks, hparams.group)
        self._forward = tf.function(
            generator, input_signature=[tf.TensorSpec([None, None], tf.float32)]
        )

    def convert_samples(self, samples: np.ndarray) -> np.ndarray:
        """As of `transfers.SampleTransfer`; what lies in silence stays silent."""
        loudest = scipy.ndimage.maximum_filter1d(
            np.abs(samples), 2 * self._seen + 1, mode="constant"
        )
        padded = np.pad(samples, (0, -len(samples) % self._group))
        made = np.array(self._forward(padded[None].astype(np.float32)))[0, : len(samples)]
        # None of the 256 levels is 0.
        made[loudest < _SILENT] = 0
        return made


def _is_whole(found: dict[str, Any]) -> bool:
    """Whether run.json has what training wrote; may raise as `runs.read_checked` allows."""
    Hparams(**found["hparams"])
    return found["model"] in MODELS and {"finished", "source", "target"} <= found.keys()


def read_metadata(run_dir: str | os.PathLike) -> dict[str, Any]:
    """What run.json says; {} where there is none.

    Raises:
      UserError: where it is damaged, or of another kind of run.
    """
    return runs.read_checked(run_dir, KIND, _is_whole)


def contents(generator: keras.Model, **more: Any) -> tf.train.Checkpoint:
    """What a checkpoint holds: the generator, and `more`."""
    return tf.train.Checkpoint(generator=[weight.value for weight in generator.weights], **more)


def open_transfer(run_dir: str) -> WaveformTransfer:
    """Loads a model: the best checkpoint, where there is one, else the newest.

    Raises:
      UserError: where there is no such run, or its checkpoint is damaged.
    """
    runs.require(run_dir, KIND, f"style train --model={next(iter(MODELS))}")
    hparams = Hparams(**read_metadata(run_dir)["hparams"])
    best = runs.BEST if checkpoints.latest(runs.best_dir(run_dir)) else None
    saved = checkpoints.find(run_dir, best)
    generator = untrained_generator(hparams)
    checkpoints.restore(contents(generator), saved)
    return WaveformTransfer(generator, hparams)


def described(hparams: Hparams) -> dict[str, Any]:
    """The hyperparameters as run.json has them."""
    return dataclasses.asdict(hparams)
