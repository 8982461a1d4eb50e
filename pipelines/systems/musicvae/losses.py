"""Measures the teacher-forced loss of a checkpoint."""

import copy
import dataclasses
import math
import os
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf
from magenta.models.music_vae.base_model import BaseDecoder, MusicVAE

from models import accelerated
from pipelines import representations
from pipelines.examples.base import Batch
from pipelines.representations.contract import EVAL
from pipelines.systems.musicvae.model import build_variables, restore, seeded
from pipelines.systems.musicvae.run import Run
from pipelines.systems.musicvae.variable_values import variables_of


class _Recorder(BaseDecoder):
    """A decoder that keeps what its reconstruction loss was computed from."""

    def __init__(self, decoder: BaseDecoder):
        self._decoder = decoder
        self.rnn_output = None
        self.expected = None

    def build(self, hparams, output_depth, is_training=True):
        self._decoder.build(hparams, output_depth, is_training)

    def reconstruction_loss(self, *args, **kwargs):
        loss, metrics, results = self._decoder.reconstruction_loss(*args, **kwargs)
        self.rnn_output = results.rnn_output
        self.expected = accelerated.expected(self._decoder, results.rnn_output)
        return loss, metrics, results

    def sample(self, *args, **kwargs):
        return self._decoder.sample(*args, **kwargs)


class TeacherForced:
    """The teacher-forced loss of a model, as Magenta's training computes it.

    It is `MusicVAE._compute_model_loss`, with no dropout and no scheduled sampling, averaged over
    every example: a batch that is not full is padded with examples of length 0, which are not
    counted. Its variables are to be restored, or loaded, before it is used.

    Args:
      config: a Magenta Config with its hparams; it stays as it is.
      batch_size: examples in a batch.
      seed: the seed of z, one draw from the posterior for each example.

    Attributes:
      variables: the graph's variables by name, with the training step.
    """

    def __init__(self, config, batch_size: int, seed: int):
        tf.disable_v2_behavior()
        config = copy.deepcopy(config)
        representation = representations.of(config.data_converter)
        representation.set_mode(EVAL)
        config.hparams.batch_size = batch_size
        # When not training, Magenta turns any other schedule into feeding back every output.
        config.hparams.sampling_schedule = "constant"
        config.hparams.sampling_rate = 0.0
        converter = config.data_converter
        self._batch_size = batch_size
        self._depths = converter.input_depth, converter.output_depth, converter.control_depth
        with tf.Graph().as_default() as graph:
            tf.set_random_seed(seed)
            decoder = _Recorder(config.model.decoder)
            model = self._model(config.model.encoder, decoder)
            model.build(config.hparams, converter.output_depth, is_training=False)
            self._inputs, self._outputs, self._controls = (
                tf.placeholder(tf.float32, [batch_size, None, depth]) for depth in self._depths
            )
            self._lengths = tf.placeholder(tf.int32, [batch_size, *converter.length_shape])
            metrics, scalars = model._compute_model_loss(
                self._inputs,
                self._outputs,
                self._lengths,
                self._controls if converter.control_depth else None,
            )
            self._fetches = {
                "reconstruction": scalars["losses/r_loss"],
                "kl_bits": tf.reshape(scalars["losses/kl_bits"], [batch_size]),
                "kl_loss": tf.reshape(scalars["losses/kl_loss"], [batch_size]),
                "beta": scalars["losses/kl_beta"],
                "decoded": decoder.rnn_output if decoder.expected is None else decoder.expected,
            }
            # Raw outputs mean what the converter's decoder gives, where the decoder does not say.
            self._activate = representation.activate if decoder.expected is None else None
            # A hierarchical decoder's metrics are means over its segments' metrics, so those have
            # to be updated too; the result leaves them out, since nobody reads so many.
            self._updates = [update for _, update in metrics.values()]
            self._metrics = {
                name: value
                for name, (value, _) in metrics.items()
                if not name.startswith("segment/")
            }
            self.variables = variables_of(graph)
            self._saver = tf.train.Saver(tf.global_variables())
            self._session = tf.Session(graph=graph)
            self._begin = tf.local_variables_initializer()
        self.reset()

    def _model(self, encoder, decoder) -> MusicVAE:
        """The model whose loss is computed."""
        return MusicVAE(encoder, decoder)

    def _more(self) -> tuple[dict[str, Any], dict]:
        """What else is fetched, and fed."""
        return {}, {}

    def reset(self) -> None:
        """Forgets what was added."""
        self._session.run(self._begin)
        self._sums = {name: 0.0 for name in ("reconstruction", "kl_bits", "kl_loss")}
        self._examples = 0
        self._beta = 0.0

    def update(self, batch: Batch) -> np.ndarray:
        """Adds a batch; returns what is decoded when the decoder is fed with it.

        Args:
          batch: the examples.

        Returns:
          An array shaped [examples, steps, output_depth], as `Metrics.update` takes it.
        """
        n = len(batch.inputs)
        tensors = (batch.inputs, batch.outputs, batch.controls)
        feeds = [
            batch.padded(t, depth, self._batch_size) for t, depth in zip(tensors, self._depths)
        ]
        lengths = np.zeros([self._batch_size, *np.shape(batch.lengths)[1:]], np.int32)
        lengths[:n] = batch.lengths
        feed = dict(zip((self._inputs, self._outputs, self._controls), feeds))
        feed[self._lengths] = lengths
        more, fed = self._more()
        self._values, _ = self._session.run(
            [{**self._fetches, **more}, self._updates], {**feed, **fed}
        )
        for name in self._sums:
            self._sums[name] += float(self._values[name][:n].sum(dtype=np.float64))
        self._beta = float(self._values["beta"])
        self._examples += n
        decoded = self._values["decoded"][:n]
        return decoded if self._activate is None else self._activate(decoded)

    def result(self) -> dict:
        """Means over all examples; losses and KL in nats unless their name says bits."""
        means = {name: total / self._examples for name, total in self._sums.items()}
        return {
            "loss": means["reconstruction"] + self._beta * means["kl_loss"],
            "reconstruction_loss": means["reconstruction"],
            "kl_loss": means["kl_loss"],
            "kl_nats": means["kl_bits"] * math.log(2),
            "kl_bits": means["kl_bits"],
            "kl_beta": self._beta,
            "metrics": {
                name: float(value) for name, value in self._session.run(self._metrics).items()
            },
        }


class Losses(TeacherForced):
    """The teacher-forced loss of a checkpoint.

    Args:
      run: from `run.open_run`.
      batch_size, seed: as `TeacherForced` takes them.
    """

    def __init__(self, run: Run, batch_size: int, seed: int):
        super().__init__(run.config, batch_size, seed)
        restore(self._saver, self._session, run)


def untrained(run: Run, directory: str, seed: int) -> Run:
    """Returns the same run at its first step: a checkpoint of initial variables in `directory`."""
    tf.disable_v2_behavior()
    config = seeded(run.config, seed)
    with tf.Graph().as_default():
        build_variables(config)
        checkpoint = os.path.join(directory, "model.ckpt")
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            checkpoint = tf.train.Saver().save(session, checkpoint, global_step=0)
    return dataclasses.replace(run, checkpoint=checkpoint, step=0)
