"""A language model of tunes: building it, opening that of a run, and what it gives to tokens.

A run's folder holds

    run.json    the config, its hyperparameters, and what it was trained on; data only
    train/      TensorFlow's checkpoint to go on from, and summaries for TensorBoard
    best/       the checkpoint with the fewest bits on the validation tunes
"""

import dataclasses
import math
import os
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from configs.tune_lm import Hparams
from models.tune_lm import NETWORKS, TuneLM
from pipelines import checkpoints, runs
from pipelines.examples.written_tunes import Tune
from pipelines.exported import folders
from pipelines.records import manifest
from pipelines.representations.abc_tokens import context, vocabulary
from pipelines.runtime.app import UserError
from pipelines.runtime.progress import Progress
from pipelines.systems.tune_lm.batches import SPECS, Examples
from pipelines.systems.tune_lm.sources import KIND

# What run.json says of the data.
_OF_DATA = {
    "examples_path": str, "validation_path": str, "splits": list, "validation_splits": list,
    "highest": bool, "records": str,
}  # fmt: skip
# How many tokens are measured at once, padding included.
_BATCH_TOKENS = 16384


class Model(NamedTuple):
    """A trained language model of tunes.

    Attributes:
      network: the network, with its weights.
      hparams: its hyperparameters.
      metadata: what its run.json says.
      source: the checkpoint that its weights are of.
      step: the training step of that checkpoint.
    """

    network: TuneLM
    hparams: Hparams
    metadata: dict[str, Any]
    source: str
    step: int


def build(hparams: Hparams) -> TuneLM:
    """A network that is not trained, with all its variables."""
    heads = {"heads": hparams.heads} if hparams.network == "transformer" else {}
    network = NETWORKS[hparams.network](
        columns=context.COLUMNS,
        kinds=vocabulary.KINDS,
        pitches=vocabulary.PITCHES,
        units=hparams.units,
        depth=hparams.depth,
        embedding=hparams.embedding,
        dropout=hparams.dropout,
        **heads,
    )
    # Layers make their variables when they are called. Keras warns of attention to a single step.
    rows = np.zeros((1, 2, len(context.COLUMNS)), np.int32)
    network.log_probabilities(rows, rows[..., 0], rows[..., 0])
    return network


def checkpoint_of(network: TuneLM, step: tf.Variable) -> tf.train.Checkpoint:
    """What a checkpoint has that is only played or measured."""
    return tf.train.Checkpoint(weights=values(network.weights), step=step)


def values(variables: Iterable[keras.Variable]) -> dict[str, tf.Variable]:
    """TensorFlow's variables by the paths of Keras's.

    TensorFlow's checkpoints do not find the variables of layers that stand in a list.
    """
    return {variable.path: variable.value for variable in variables}


def open_run(run_dir: str | os.PathLike, checkpoint_file: str | None = None) -> Model:
    """Opens the model of a run.

    Args:
      run_dir: the run's folder.
      checkpoint_file: "best", a folder or a checkpoint; by default the best one where there is one,
        else the newest.

    Raises:
      UserError: where there is none, it is damaged, or of another kind of run.
    """
    runs.require(run_dir, KIND, "train --config=tune_lm-lstm")
    metadata = runs.read(run_dir, KIND)
    hparams = read_hparams(metadata, run_dir)
    prefix = _find(run_dir, checkpoint_file)
    network, step = build(hparams), tf.Variable(0, trainable=False, dtype=tf.int64)
    try:
        # What training needs besides is in the checkpoint too.
        restored = checkpoint_of(network, step).read(prefix)
        restored.assert_existing_objects_matched().expect_partial()
    except (*checkpoints.DAMAGE, AssertionError) as error:
        raise UserError(
            f"{prefix} is damaged or of another config; name another --checkpoint_file, or train "
            "again in another folder"
        ) from error
    return Model(network, hparams, metadata, prefix, int(step.numpy()))


def open_pretrained(name: str) -> Model:
    """Opens a model that was exported, as `folders.find` takes it.

    Raises:
      UserError: where there is none of the name, it is damaged, or of another system.
    """
    folder = folders.find(name)
    metadata = runs.read(folder, KIND)
    hparams = read_hparams(metadata, folder)
    found = folders.read(folder)
    network = build(hparams)
    shapes = {weight.path: tuple(weight.shape) for weight in network.weights}
    if {name: tensor.shape for name, tensor in found.tensors.items()} != shapes:
        raise UserError(
            f"{folder / folders.WEIGHTS}: these are not the weights of the network that "
            f"{runs.METADATA} beside them describes; export the model again"
        )
    for weight in network.weights:
        weight.assign(found.tensors[weight.path].astype(np.float32))
    return Model(network, hparams, metadata, str(folder / folders.WEIGHTS), found.step)


def open_model(run_dir: str | None, checkpoint_file: str | None, pretrained: str | None) -> Model:
    """Opens what the flags --run_dir, --checkpoint_file and --pretrained name."""
    return open_pretrained(pretrained) if pretrained else open_run(run_dir or "", checkpoint_file)


def read_hparams(metadata: dict[str, Any], source: str | os.PathLike) -> Hparams:
    """The hyperparameters that a run.json tells.

    Raises:
      UserError: where they are damaged, or of another version.
    """
    try:
        return Hparams(**{"summary": "", **metadata["hparams"]})
    except (KeyError, TypeError, UserError) as error:
        raise UserError(
            f"{os.path.join(source, runs.METADATA)} is damaged ({error!r}); restore it, or train "
            "again in another folder"
        ) from error


def require_data(metadata: dict[str, Any], source: str | os.PathLike) -> None:
    """Raises UserError unless a run.json tells what a model was trained on.

    Args:
      metadata: what run.json says.
      source: the folder that it is in.
    """
    for name, kind in _OF_DATA.items():
        value = metadata.get(name)
        if not isinstance(value, kind) or (kind is list and not _are_splits(value)):
            raise UserError(
                f"{os.path.join(source, runs.METADATA)} is damaged: {name} is {value!r}; restore "
                "it, or train again in another folder"
            )


def _are_splits(value: Any) -> bool:
    return bool(value) and all(each in manifest.SPLITS for each in value)


def _find(run_dir: str | os.PathLike, checkpoint_file: str | None) -> str:
    named = runs.named_checkpoint(os.fspath(run_dir), checkpoint_file)
    folders = [named] if named else [runs.best_dir(run_dir), runs.train_dir(run_dir)]
    if named and not os.path.isdir(named):
        return runs.checkpoint_prefix(named)
    for folder in folders:
        if prefix := checkpoints.latest(folder):
            return prefix
    raise runs.no_checkpoint(named or os.fspath(run_dir))


def probabilities(network: TuneLM, tunes: Sequence[Tune]) -> list[np.ndarray]:
    """What a network gives to the tokens of tunes, over the full vocabulary, without a grammar.

    Returns:
      For each tune a float64 array shaped [tokens].
    """
    examples = Examples(tunes, _BATCH_TOKENS)
    logarithms = tf.function(network.log_probabilities, input_signature=SPECS[:3])
    found: list[np.ndarray] = [np.empty(0)] * len(tunes)
    done = 0
    with Progress("tunes measured", len(tunes)) as progress:
        for batch in examples.in_order():
            values = logarithms(batch.rows, batch.kinds, batch.pitches).numpy()
            for tune, row in zip(batch.tunes, values):
                found[tune] = np.exp(row[: examples.steps[tune]].astype(np.float64))
            done += len(batch.tunes)
            progress.update(done)
    return found


def weights_of(network: TuneLM) -> int:
    """How many weights a network has."""
    return sum(math.prod(weight.shape) for weight in network.weights)


def set_seed(seed: int) -> None:
    """Seeds the weights and the dropout of networks that are built next."""
    keras.utils.set_random_seed(seed % 2**32)  # NumPy takes seeds of 32 bits.


def as_json(hparams: Hparams) -> dict[str, Any]:
    """The hyperparameters for run.json, without the words that describe them."""
    values = dataclasses.asdict(hparams)
    del values["summary"]
    return values
