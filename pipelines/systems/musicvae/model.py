"""Loads a checkpoint to encode and decode, as Magenta's TrainedModel with a seed."""

import copy
import hashlib
import os
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf
from magenta.models.music_vae import trained_model
from magenta.models.music_vae.base_model import MusicVAE

from models.nucleus import with_nucleus
from pipelines import checkpoints, representations
from pipelines.representations.contract import INFER
from pipelines.runtime.app import UserError, say
from pipelines.runtime.ordered_loops import ordered_loops
from pipelines.systems.musicvae import prior
from pipelines.systems.musicvae.run import Run

# Logits divided by this are so far from 0 that a Bernoulli hit is its probability rounded at 0.5,
# and a categorical event the likeliest one.
THRESHOLD_TEMPERATURE = 1e-6


class SeededMusicVAE(MusicVAE):
    """A MusicVAE that seeds the graph that it is built in.

    Magenta's TrainedModel makes its own graph, so nothing else can seed it.
    """

    def __init__(self, model: MusicVAE, seed: int):
        super().__init__(model.encoder, model.decoder)
        self._seed = seed

    def build(self, hparams, output_depth, is_training):
        """Seeds the graph and builds the model in it; arguments as in MusicVAE.build."""
        tf.set_random_seed(self._seed)
        super().build(hparams, output_depth, is_training)


def seeded(config, seed: int):
    """Returns a copy of a config whose model seeds its graph."""
    config = copy.deepcopy(config)
    return config._replace(model=SeededMusicVAE(config.model, seed))


def load(run: Run, batch_size: int, seed: int, top_p: float = 1.0) -> trained_model.TrainedModel:
    """Loads a run's checkpoint.

    Args:
      run: from `run.open_run`.
      batch_size: how many sequences are encoded or decoded at once.
      seed: the seed of what is drawn in the graph.
      top_p: what is decoded is drawn from the nucleus of this probability (`models.nucleus`).

    Raises:
      UserError: where the checkpoint does not fit the config, naming the variables, or its decoder
        has no nucleus.
    """
    tf.disable_v2_behavior()
    config = seeded(run.config, seed)
    try:
        config = config._replace(model=with_nucleus(config.model, top_p))
    except ValueError as error:
        raise UserError(f"--top_p: {run.name}: {error}; leave it out") from error
    try:
        with ordered_loops():
            return trained_model.TrainedModel(config, batch_size, run.checkpoint)
    except checkpoints.DAMAGE as error:
        raise _restore_error(run, error) from error


class Restart:
    """Has a loaded model draw anew what it drew at first, without building its graph again.

    What a graph draws goes on from call to call in a session, and begins anew in a new one.

    Args:
      model: from `load`.
      checkpoint: the checkpoint that it was loaded from.
    """

    def __init__(self, model: trained_model.TrainedModel, checkpoint: str):
        self._model = model
        self._checkpoint = checkpoint
        self._saver: tf.train.Saver | None = None

    def __call__(self) -> None:
        """Puts a new session in place of the model's."""
        graph = self._model._sess.graph
        self._model._sess.close()
        self._model._sess = tf.Session(graph=graph)
        if self._saver is None:
            with graph.as_default():
                self._saver = tf.train.Saver()
        self._saver.restore(self._model._sess, self._checkpoint)


def weights_sha256(model: trained_model.TrainedModel, checkpoint: str) -> str:
    """The SHA-256 of a model's weights, rounded to float16.

    Weights that are kept as float16 have the same, so that what was made for a checkpoint is still
    found to fit where its weights were made smaller.

    Args:
      model: from `load`; its graph says which variables are the model's.
      checkpoint: the checkpoint that it was loaded from.
    """
    reader = tf.train.load_checkpoint(checkpoint)
    digest = hashlib.sha256()
    with model._sess.graph.as_default():
        names = sorted(variable.op.name for variable in tf.global_variables())
    for name in names:
        tensor = reader.get_tensor(name)
        with np.errstate(over="ignore"):
            digest.update(f"{name}{tensor.shape}".encode() + tensor.astype("<f2").tobytes())
    return digest.hexdigest()


def made_for(run: Run, model: trained_model.TrainedModel) -> dict[str, Any]:
    """What a file says of the checkpoint that it was computed of, as JSON values.

    Args:
      run: the run.
      model: from `load`.
    """
    return {
        "config": run.name,
        "checkpoint": os.path.basename(run.checkpoint),
        "step": run.step,
        "weights_sha256": weights_sha256(model, run.checkpoint),
    }


def prior_of(run: Run, model: trained_model.TrainedModel, kind: str | None) -> prior.Prior:
    """What the latent vectors of new pieces are drawn from.

    Args:
      run: the run.
      model: from `load`.
      kind: one of `prior.KINDS`. By default the aggregated posterior where its file lies beside the
        checkpoint or in the run's folder and is for this checkpoint, else the standard normal.

    Raises:
      UserError: where the aggregated posterior is asked for, and was not made or is for another
        checkpoint; where its file is damaged.
    """
    z_size = run.config.hparams.z_size
    path = run.companion(prior.FILE)
    if kind == prior.STANDARD or (kind is None and path is None):
        return prior.Standard(z_size)
    if path is None:
        raise UserError(
            f"{run.source}: no {prior.FILE} beside it; ./run.sh prior makes it, or sample with "
            f"--prior={prior.STANDARD}"
        )
    found = prior.read(path, z_size)
    # The checkpoint of a model in a folder is temporary, and so is what lies beside it.
    known = path if run.model_folder is None else os.fspath(run.model_folder / prior.FILE)
    try:
        found.require_checkpoint(known, run.source, weights_sha256(model, run.checkpoint))
    except UserError as error:
        if kind:
            raise
        say(f"warning: {error}")
        return prior.Standard(z_size)
    return found


def posterior_means(model: trained_model.TrainedModel, windows) -> np.ndarray:
    """Encodes windows; returns the means of their posteriors, shaped [n, z_size].

    Args:
      model: from `load`.
      windows: an object with `inputs`, `lengths` and `controls`, each a sequence of arrays.
    """
    return posteriors(model, windows)[0]


def posteriors(model: trained_model.TrainedModel, windows) -> tuple[np.ndarray, np.ndarray]:
    """Encodes windows; returns the means and standard deviations of their posteriors.

    Args:
      model: from `load`.
      windows: an object with `inputs`, `lengths` and `controls`, each a sequence of arrays.

    Returns:
      Two arrays shaped [n, z_size].
    """
    # Magenta pads the lists in place, so it gets copies.
    _, means, deviations = model.encode_tensors(
        list(windows.inputs), list(windows.lengths), list(windows.controls)
    )
    return means, deviations


def decode(
    model: trained_model.TrainedModel, z: np.ndarray, length: int, temperature: float
) -> np.ndarray:
    """Decodes latent vectors autoregressively.

    Args:
      model: from `load`.
      z: float array shaped [n, z_size].
      length: steps to decode.
      temperature: the temperature of sampling; THRESHOLD_TEMPERATURE takes the likeliest.

    Returns:
      An array shaped [n, length, output_depth].
    """
    return np.array(model.decode_to_tensors(z, length=length, temperature=temperature))


def build_variables(config) -> None:
    """Adds to the default graph every variable that encoding and decoding with a config needs."""
    representations.of(config.data_converter).set_mode(INFER)
    hparams, converter = config.hparams, config.data_converter
    config.model.build(hparams, converter.output_depth, is_training=False)
    batch, steps = hparams.batch_size, hparams.max_seq_len
    controls = tf.zeros([batch, steps, converter.control_depth])
    config.model.encode(
        tf.zeros([batch, steps, converter.input_depth]),
        tf.zeros([batch, *converter.length_shape], tf.int32),
        controls,
    )
    config.model.sample(
        batch,
        max_length=steps,
        z=tf.zeros([batch, hparams.z_size]),
        c_input=controls[0] if converter.control_depth else None,
        temperature=1.0,  # CategoricalLstmDecoder's default is None, and it divides by it.
    )


def weight_shapes(config) -> dict[str, list[int]]:
    """The shapes of the variables that encoding and decoding need, by name.

    The training step, which Magenta's graphs have too, is not among them.
    """
    with tf.Graph().as_default():
        build_variables(copy.deepcopy(config))
        step = tf.train.get_global_step()
        return {v.op.name: v.shape.as_list() for v in tf.global_variables() if v is not step}


def restore(saver: tf.train.Saver, session: tf.Session, run: Run) -> None:
    """Restores a checkpoint; raises UserError where it does not fit, naming the variables."""
    try:
        saver.restore(session, run.checkpoint)
    except checkpoints.DAMAGE as error:
        raise _restore_error(run, error) from error


def _restore_error(run: Run, error: Exception) -> UserError:
    """Says what is wrong with a checkpoint that TensorFlow could not restore."""
    with tf.Graph().as_default():
        build_variables(copy.deepcopy(run.config))
        shapes = {v.op.name: v.shape.as_list() for v in tf.global_variables()}
    mismatch = checkpoints.shape_mismatch(run.checkpoint, shapes)
    if not mismatch:
        return checkpoints.damaged(run.checkpoint, error)
    return UserError(mismatch.replace(run.checkpoint, run.source, 1))
