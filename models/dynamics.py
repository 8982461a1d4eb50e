"""A groove decoder that learns the velocity and the timing of hits, and draws both."""

import tensorflow.compat.v1 as tf
from magenta.models.music_vae import lstm_models

from models.likelihoods import LIKELIHOODS

# A MIDI velocity over 127: from 1, since 0 is no hit.
_VELOCITY = (1 / 127, 1.0, 127)
# Half a step is 60 ticks in the Groove MIDI Dataset, so that 121 values lie in [-1, 1].
_OFFSET = (-1.0, 1.0, 121)


class DynamicsLstmDecoder(lstm_models.GrooveLstmDecoder):
    """Magenta's GrooveLstmDecoder with a likelihood of velocity and offset where there is a hit.

    Magenta's loss trains the velocity and the offset of every cell, of which nine in ten have no
    hit: it draws those of the hits towards 0. Here silent cells count for the hits alone.

    The raw outputs of a step are 9 logits of hits, then the parameters of each of 9 velocities,
    then those of 9 offsets. Which likelihood they belong to is the hparam `dynamics`, a name in
    `models.likelihoods.LIKELIHOODS`; how much they weigh beside the hits is `dynamics_weight`.
    """

    def build(self, hparams, output_depth, is_training=True):
        """Builds the decoder; arguments as in BaseDecoder.build."""
        super().build(hparams, output_depth, is_training)
        likelihood = LIKELIHOODS[hparams.dynamics]
        self._velocity, self._offset = likelihood(*_VELOCITY), likelihood(*_OFFSET)
        self._weight = hparams.dynamics_weight
        self._classes = output_depth // 3
        depth = self._classes * (1 + self._velocity.parameters + self._offset.parameters)
        self._output_layer = tf.layers.Dense(depth, name="output_projection")

    def _split(self, rnn_output):
        """Logits of hits [..., 9], and velocities and offsets [..., 9, their parameters]."""
        classes = self._classes
        sizes = [classes, classes * self._velocity.parameters, classes * self._offset.parameters]
        hits, velocities, offsets = tf.split(rnn_output, sizes, axis=-1)
        leading = tf.shape(rnn_output)[:-1]
        static = rnn_output.shape[:-1]

        def by_class(raw, parameters):
            shape = tf.concat([leading, [classes, parameters]], axis=0)
            split = tf.reshape(raw, shape)
            split.set_shape(static.concatenate([classes, parameters]))
            return split

        return (
            hits,
            by_class(velocities, self._velocity.parameters),
            by_class(offsets, self._offset.parameters),
        )

    def expected(self, rnn_output):
        """The likeliest hits and the medians of velocity and offset, [..., 27], all of raw outputs.

        Args:
          rnn_output: raw outputs, shaped [..., depth].
        """
        hits, velocities, offsets = self._split(rnn_output)
        hits = tf.cast(hits > 0, tf.float32)
        return tf.concat(
            [hits, self._velocity.median(velocities), self._offset.median(offsets)], axis=-1
        )

    def _flat_reconstruction_loss(self, flat_x_target, flat_rnn_output):
        """The loss of each step, [n], and its parts; as in BaseLstmDecoder."""
        target_hits, target_velocities, target_offsets = tf.split(flat_x_target, 3, axis=1)
        hits, velocities, offsets = self._split(flat_rnn_output)
        hits_loss = tf.reduce_sum(
            tf.nn.sigmoid_cross_entropy_with_logits(labels=target_hits, logits=hits), axis=1
        )
        velocities_loss = tf.reduce_sum(
            target_hits * self._velocity.loss(velocities, target_velocities), axis=1
        )
        offsets_loss = tf.reduce_sum(
            target_hits * self._offset.loss(offsets, target_offsets), axis=1
        )
        metrics = {
            "metrics/hits_loss": tf.metrics.mean(hits_loss),
            "metrics/velocities_loss": tf.metrics.mean(velocities_loss),
            "metrics/offsets_loss": tf.metrics.mean(offsets_loss),
        }
        return hits_loss + self._weight * (velocities_loss + offsets_loss), metrics

    def _sample(self, rnn_output, temperature=1.0):
        """Draws hits, velocities and offsets, [n, 27], all at one temperature.

        Velocity and offset are 0 where there is no hit, as in the examples that training feeds in.
        """
        hits, velocities, offsets = self._split(rnn_output)
        probability = tf.sigmoid(hits / temperature)
        drawn = tf.cast(tf.random.uniform(tf.shape(hits)) < probability, tf.float32)
        return tf.concat(
            [
                drawn,
                drawn * self._velocity.sample(velocities, temperature),
                drawn * self._offset.sample(offsets, temperature),
            ],
            axis=1,
        )
