"""A model of melody curves on disk.

A run's folder holds

    run.json    the config, its hyperparameters, the vocabulary, what it was trained on; data only
    train/      TensorFlow's checkpoints, and summaries for TensorBoard
    validation/ summaries of what was measured on held-out records
    best/       the checkpoint with the fewest bits a note on those
    eval/       what `evaluate` measured
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from configs.curves import HPARAMS, Hparams
from models.curves import StackedLSTM
from pipelines import checkpoints, runs
from pipelines.representations.curves import CONTEXT, Vocabulary
from pipelines.runtime.app import UserError

KIND = "curves"
# Where a checkpoint says what it is of.
_MADE_WITH = "made_with/.ATTRIBUTES/VARIABLE_VALUE"


class Model(NamedTuple):
    """A model of curves.

    Attributes:
      name: its config.
      hparams: its hyperparameters.
      vocabulary: the curves that it knows.
      network: the LSTM, with its variables.
      forward: its graph: inputs and states, as `StackedLSTM.call` takes them, to logits and states.
      checkpoint: the prefix of the checkpoint that these are from, "" for none.
      run_dir: the run's folder.
    """

    name: str
    hparams: Hparams
    vocabulary: Vocabulary
    network: StackedLSTM
    forward: Callable
    checkpoint: str = ""
    run_dir: str = ""

    def made_with(self) -> str:
        """A digest of what another checkpoint must have in common with this one."""
        told = [self.name, described(self.hparams), self.vocabulary.to_json()]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    def contents(self, **more: Any) -> tf.train.Checkpoint:
        """What a checkpoint holds: the variables, `more`, and what they are of."""
        made_with = tf.Variable(self.made_with(), trainable=False, dtype=tf.string)
        # Given by themselves, since TensorFlow does not find those of layers in a list.
        weights = [weight.value for weight in self.network.weights]
        return tf.train.Checkpoint(weights=weights, made_with=made_with, **more)


def untrained(name: str, hparams: Hparams, vocabulary: Vocabulary) -> Model:
    """A model that is not trained, with its variables."""
    sizes = list(CONTEXT.values()) if hparams.context else []
    network = StackedLSTM(
        len(vocabulary),
        sizes,
        hparams.layers,
        hparams.units,
        hparams.dropout,
        hparams.residual,
    )
    network(np.zeros((1, 1, 1 + len(sizes)), np.int32))
    forward = tf.function(
        network.call,
        input_signature=[
            tf.TensorSpec([None, None, 1 + len(sizes)], tf.int32),
            tf.TensorSpec([hparams.layers, 2, None, hparams.units], tf.float32),
        ],
    )
    return Model(name, hparams, vocabulary, network, forward)


def _is_whole(found: dict[str, Any]) -> bool:
    """Whether run.json has what training wrote; may raise as `runs.read_checked` allows."""
    summary = getattr(HPARAMS.get(found["config"]), "summary", "")
    Hparams(summary=summary, **found["hparams"])
    Vocabulary.from_json(found["vocabulary"])
    return {"finished", "records", "examples_path"} <= found.keys()


def read_metadata(run_dir: str | os.PathLike) -> dict[str, Any]:
    """What run.json says; {} where there is none.

    Raises:
      UserError: where it is damaged or of another kind of run.
    """
    return runs.read_checked(run_dir, KIND, _is_whole)


def open_run(run_dir: str, checkpoint_file: str | None = None) -> Model:
    """Loads a model.

    Args:
      run_dir: the run's folder.
      checkpoint_file: as `checkpoints.find` takes it.

    Raises:
      UserError: where there is no such run or checkpoint, or the checkpoint is damaged or of
        another config.
    """
    runs.require(run_dir, KIND, "train --config=curves")
    metadata = read_metadata(run_dir)
    hparams = Hparams(summary="", **metadata["hparams"])
    vocabulary = Vocabulary.from_json(metadata["vocabulary"])
    saved = checkpoints.find(run_dir, checkpoint_file)
    model = untrained(metadata["config"], hparams, vocabulary)
    require_made_with(saved, model, run_dir)
    checkpoints.restore(model.contents(), saved)
    return model._replace(checkpoint=saved, run_dir=os.fspath(run_dir))


def require_made_with(saved: str, model: Model, run_dir: str | os.PathLike) -> None:
    """Raises UserError for a checkpoint of another config, hyperparameters or vocabulary."""
    try:
        reader = tf.train.load_checkpoint(saved)
        told = reader.get_tensor(_MADE_WITH) if reader.has_tensor(_MADE_WITH) else b""
    except checkpoints.DAMAGE as error:
        raise checkpoints.damaged(saved, error) from error
    if told.decode() != model.made_with():
        raise UserError(
            f"{saved}: a checkpoint of another config, or trained on other records, than "
            f"{os.path.join(run_dir, runs.METADATA)} describes; name one of this run"
        )


def described(hparams: Hparams) -> dict[str, Any]:
    """The hyperparameters as run.json has them."""
    values = dataclasses.asdict(hparams)
    del values["summary"]
    return values
