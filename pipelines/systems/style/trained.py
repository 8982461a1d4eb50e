"""A trained model of transfer on disk, and what it makes of mels.

A run's folder holds

    run.json    the model, its hyperparameters, what it was trained on; data only
    train/      TensorFlow's checkpoints, and summaries for TensorBoard
    validation/ summaries of the distance to the true target
    media/      spectrograms and sound of what the model makes, for TensorBoard
    best/       the checkpoint that was nearest to the true targets of validation
"""

import dataclasses
import os
from typing import Any

import keras
import numpy as np
import scipy.ndimage
import tensorflow as tf

from configs.style import MODELS, Hparams
from models.spectral_transfer import SEEN, STRIDE
from pipelines import checkpoints, runs
from pipelines.systems.style import learners, transfers
from pipelines.systems.style.methods import quantile

KIND = "style"


class TrainedTransfer:
    """A generator as a `transfers.Transfer`.

    Args:
      generator: of scaled mels.
      matched: maps the bands of the source to those of the target first; None for no such thing.
    """

    def __init__(self, generator: keras.Model, matched: quantile.Quantiles | None):
        self._matched = matched
        self._forward = tf.function(
            generator, input_signature=[tf.TensorSpec([None, None, transfers.BANDS], tf.float32)]
        )

    def convert(self, mels: np.ndarray) -> np.ndarray:
        """As of `transfers.Transfer`; what lies in silence stays silent."""
        loudest = scipy.ndimage.maximum_filter1d(mels.max(axis=1), 2 * SEEN + 1)
        if self._matched is not None:
            mels = self._matched.convert(mels)
        # The networks halve the frames, so what is left over is continued with the last one.
        padded = np.pad(mels, ((0, -len(mels) % STRIDE), (0, 0)), mode="edge")
        made = self._forward(learners.scaled(padded)[None].astype(np.float32))
        found = learners.in_db(np.asarray(made)[0, : len(mels)])
        # Biases would hum, faintly, where there is silence as far as the network sees.
        found[loudest <= transfers.FLOOR_DB] = transfers.FLOOR_DB
        return np.maximum(found, transfers.FLOOR_DB).astype(np.float32)


def described(hparams: Hparams) -> dict[str, Any]:
    """The hyperparameters as run.json has them."""
    values = dataclasses.asdict(hparams)
    del values["summary"]
    return values


def _is_whole(found: dict[str, Any]) -> bool:
    """Whether run.json has what training wrote; may raise as `runs.read_checked` allows."""
    Hparams(summary="", **found["hparams"])
    return found["model"] in MODELS and {"finished", "source", "target"} <= found.keys()


def read_metadata(run_dir: str | os.PathLike) -> dict[str, Any]:
    """What run.json says; {} where there is none.

    Raises:
      UserError: where it is damaged, or of another kind of run.
    """
    return runs.read_checked(run_dir, KIND, _is_whole)


def contents(
    generator: keras.Model, matched: list[tf.Variable], **more: Any
) -> tf.train.Checkpoint:
    """What a checkpoint holds: the generator, the quantiles of both sides, and `more`."""
    weights = [weight.value for weight in generator.weights]
    return tf.train.Checkpoint(generator=weights, matched=matched, **more)


def quantile_variables(fitted: quantile.Quantiles | None = None) -> list[tf.Variable]:
    """The quantiles of the source's bands and of the target's, as a checkpoint keeps them."""
    shape = (quantile.QUANTILES, transfers.BANDS)
    sides = (np.zeros(shape),) * 2 if fitted is None else (fitted.source, fitted.target)
    return [tf.Variable(side, trainable=False, dtype=tf.float64) for side in sides]


def open_transfer(run_dir: str, checkpoint_file: str | None = None) -> TrainedTransfer:
    """Loads a model.

    Args:
      run_dir: the run's folder.
      checkpoint_file: as `checkpoints.find` takes it. By default the best checkpoint, where there
        is one, else the newest.

    Raises:
      UserError: where there is no such run or checkpoint, or the checkpoint is damaged or of
        another model.
    """
    runs.require(run_dir, KIND, "style train")
    hparams = Hparams(summary="", **read_metadata(run_dir)["hparams"])
    if checkpoint_file is None and checkpoints.latest(runs.best_dir(run_dir)):
        checkpoint_file = runs.BEST
    saved = checkpoints.find(run_dir, checkpoint_file)
    generator = learners.untrained_generator(hparams)
    matched = quantile_variables() if hparams.quantiles else []
    try:
        status = contents(generator, matched).restore(saved).expect_partial()
        status.assert_existing_objects_matched()
    except (*checkpoints.DAMAGE, AssertionError) as error:
        raise checkpoints.damaged(saved, error) from error
    fitted = quantile.Quantiles(*(side.numpy() for side in matched)) if matched else None
    return TrainedTransfer(generator, fitted)
