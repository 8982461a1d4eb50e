"""Language models of tunes that are not trained, as runs."""

import dataclasses
import os

import tensorflow as tf

from configs.tune_lm import HPARAMS
from pipelines import runs
from pipelines.systems.tune_lm import model


def untrained(run_dir, config: str = "tune_lm-lstm", units: int = 16) -> str:
    """Makes a run whose checkpoint has the weights that a network begins with."""
    hparams = dataclasses.replace(HPARAMS[config], units=units, depth=1, embedding=4)
    model.set_seed(1)
    network, step = model.build(hparams), tf.Variable(0, trainable=False, dtype=tf.int64)
    checkpoint = model.checkpoint_of(network, step)
    tf.train.CheckpointManager(checkpoint, runs.train_dir(run_dir), 1).save(0)
    metadata = {"config": config, "hparams": model.as_json(hparams), "finished": True}
    runs.write(run_dir, model.KIND, metadata)
    return os.fspath(run_dir)
