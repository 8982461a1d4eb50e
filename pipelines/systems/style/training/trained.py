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
import re
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from configs.style import MODELS, NO_METHOD, Hparams
from models.spectral_transfer import SEEN, STRIDE
from pipelines import checkpoints, runs
from pipelines.systems.style.training import learners
from pipelines.systems.style.transfer import transfers
from pipelines.systems.style.transfer.methods import Fitted, methods

KIND = "style"
# What the method before the generator knows, as a checkpoint names it.
_OF_START = re.compile(r"start/(\w+)/\.ATTRIBUTES/VARIABLE_VALUE")


class TrainedTransfer:
    """A generator as a `transfers.Transfer`.

    Args:
      generator: of scaled mels.
      start: the method that converts the source first; None where the generator takes it as it is.
    """

    def __init__(self, generator: keras.Model, start: Fitted | None):
        self._start = start
        self._forward = tf.function(
            generator, input_signature=[tf.TensorSpec([None, None, transfers.BANDS], tf.float32)]
        )

    def convert(self, mels: np.ndarray) -> np.ndarray:
        """As of `transfers.Transfer`; what the method before leaves in silence stays silent."""
        if self._start is not None:
            mels = np.maximum(self._start.convert(mels), transfers.FLOOR_DB)
        # The networks halve the frames, so what is left over is continued with the last one.
        padded = np.pad(mels, ((0, -len(mels) % STRIDE), (0, 0)), mode="edge")
        made = self._forward(learners.scaled(padded)[None].astype(np.float32))
        found = learners.in_db(np.asarray(made)[0, : len(mels)])
        # Biases would hum, faintly, where there is silence as far as the network sees.
        found[transfers.are_silent(mels, SEEN, SEEN)] = transfers.FLOOR_DB
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


def contents(generator: keras.Model, start: Fitted | None, **more: Any) -> tf.train.Checkpoint:
    """What a checkpoint holds: the generator, what the method before it knows, and `more`."""
    weights = [weight.value for weight in generator.weights]
    arrays = start.arrays if start is not None else {}
    kept = {name: tf.Variable(array, trainable=False) for name, array in arrays.items()}
    return tf.train.Checkpoint(generator=weights, start=kept, **more)


def read_start(method: str, saved: str) -> Fitted | None:
    """The method before the generator, of a checkpoint as `contents` has them.

    Raises:
      UserError: where the checkpoint is damaged, or has another method.
    """
    if method == NO_METHOD:
        return None
    try:
        reader = tf.train.load_checkpoint(saved)
        arrays = {
            found[1]: reader.get_tensor(name)
            for name in reader.get_variable_to_shape_map()
            if (found := _OF_START.fullmatch(name))
        }
        return methods()[method].restored(**arrays)
    except (*checkpoints.DAMAGE, TypeError) as error:
        raise checkpoints.damaged(saved, error) from error


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
    start = read_start(hparams.start, saved)
    checkpoints.restore(contents(generator, start), saved)
    return TrainedTransfer(generator, start)
