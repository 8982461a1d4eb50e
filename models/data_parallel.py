"""Trains a MusicVAE on several devices of one machine, each with a part of every batch."""

import copy
from collections.abc import Sequence

import tensorflow.compat.v1 as tf
from magenta.models.music_vae.base_model import MusicVAE


class DataParallelMusicVAE(MusicVAE):
    """A MusicVAE whose training step is divided evenly over devices.

    The batch is split; each device computes the loss of its part and its gradients, with the same
    variables. Their means are the loss and the gradients of the whole batch, since the parts are
    equally large. Variables, checkpoints and summaries are those of the model inside.
    Dropout, scheduled sampling and z are drawn for each part by itself.

    `tf.distribute` is not used because Magenta's `music_vae_train.train` builds a graph of
    TensorFlow 1 and its session itself, in which a strategy has no place.

    Args:
      model: the MusicVAE to train. It is built once for each device.
      devices: their names for `tf.device`. The first also holds the variables.
    """

    def __init__(self, model: MusicVAE, devices: Sequence[str]):
        super().__init__(model.encoder, model.decoder)
        self._model = model
        self._devices = list(devices)

    def build(self, hparams, output_depth, is_training):
        """Keeps what the model is built with, once on each device; arguments as in MusicVAE.build.

        Args:
          hparams: their batch size is that of all devices together.

        Raises:
          ValueError: where the devices cannot share the batch evenly, or for anything but training.
        """
        if not is_training:
            raise ValueError("several devices can only train")
        if hparams.batch_size % len(self._devices):
            raise ValueError(
                f"a batch of {hparams.batch_size} cannot be divided over {len(self._devices)} "
                "devices evenly"
            )
        self._hparams = hparams
        self._output_depth = output_depth
        self.global_step = tf.train.get_or_create_global_step()

    def _compute_model_loss(
        self, input_sequence, output_sequence, sequence_length, control_sequence
    ):
        """Builds the model on each device; arguments and result as in MusicVAE's.

        The map of metrics is empty, since metrics are for evaluation.
        """
        batch = (input_sequence, output_sequence, sequence_length, control_sequence)
        with tf.device("/device:CPU:0"):
            # The host divides the batch, so that no device gets more than its part.
            split = [
                [None] * len(self._devices) if x is None else tf.split(x, len(self._devices))
                for x in batch
            ]
        hparams = copy.deepcopy(self._hparams)
        # Magenta's classes take the batch size from the hparams.
        hparams.batch_size //= len(self._devices)
        self._losses = []
        scalars = []
        summaries = tf.get_collection_ref(tf.GraphKeys.SUMMARIES)
        for number, (device, part) in enumerate(zip(self._devices, zip(*split))):
            before = len(summaries)
            # The scope keeps its name; from the second device on, its variables exist already.
            with (
                tf.device(device),
                tf.name_scope(f"device_{number}" if number else None),
                tf.variable_scope(tf.get_variable_scope(), reuse=bool(number)),
            ):
                # Cells and layers keep the variables that they are first called with, so each
                # device has cells and layers of its own.
                self._model.build(hparams, self._output_depth, is_training=True)
                scalars.append(self._model._compute_model_loss(*part)[1])
                self._losses.append(self._model.loss)
            if number:
                # A model adds summaries while it is built, such as the sampling probability: keep
                # those of the first device alone.
                del summaries[before:]
        with tf.device(self._devices[0]):
            means = {
                name: tf.reduce_mean([tf.reduce_mean(part[name]) for part in scalars])
                for name in scalars[0]
            }
            self.loss = tf.reduce_mean(self._losses)
        return {}, means

    def train(self, input_sequence, output_sequence, sequence_length, control_sequence=None):
        """Builds the loss; arguments as in MusicVAE.train.

        Returns:
          MusicVAE.train's optimizer, whose `compute_gradients` gives the gradients of the loss of
          the whole batch; each device computes those of its part.
        """
        optimizer = super().train(
            input_sequence, output_sequence, sequence_length, control_sequence
        )
        gradients_of = optimizer.compute_gradients

        def compute_gradients(loss, *args, **kwargs):
            if loss is not self.loss:
                raise ValueError("gradients can only be computed for the model's own loss")
            kwargs["colocate_gradients_with_ops"] = True
            parts = []
            for device, part in zip(self._devices, self._losses):
                with tf.device(device):
                    parts.append(gradients_of(part, *args, **kwargs))
            with tf.device(self._devices[0]):
                return [
                    (tf.add_n([gradient for gradient, _ in same]) / len(same), same[0][1])
                    for same in zip(*parts)
                ]

        optimizer.compute_gradients = compute_gradients
        return optimizer
