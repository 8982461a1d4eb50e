"""A decoder whose segments are all decoded as one batch."""

import functools

import numpy as np
import tensorflow.compat.v1 as tf
from magenta.models.music_vae import lstm_utils

from models.accelerated import lstm, wrappers
from models.accelerated.operations import checked_z, decode_results, stack, time_major


class ParallelHierarchicalDecoder(wrappers.LayeredDecoder):
    """`lstm_models.HierarchicalLstmDecoder` (MusicVAE, section 3.2), all segments as one batch.

    Args:
      decoder: Magenta's, its core decoder accelerated; its segments do not depend on each other.
      layout: how it runs.
    """

    def build(self, hparams, output_depth, is_training=True):
        """Builds the conductor's cells and the core decoder; arguments as in BaseDecoder.build."""
        super().build(hparams, output_depth, is_training)
        self._total_length = hparams.max_seq_len

    def _cells(self, hparams) -> list:
        self._decoder._hier_cells = _conductors_cells(self._decoder, hparams, self._is_training)
        return self._decoder._hier_cells

    @property
    def _levels(self) -> list[int]:
        """Into how many parts each level of conductors divides a part of the level above it."""
        return self._decoder._level_lengths[:-1]

    def reconstruction_loss(self, x_input, x_target, x_length, z=None, c_input=None):
        """The loss of HierarchicalLstmDecoder.reconstruction_loss.

        Args:
          x_input, x_target: [batch, max_seq_len, output_depth], each segment padded.
          x_length: [batch, segments], or [batch] where all segments are full, or all empty.
          z: [batch, z_size] or None.
          c_input: controls, [batch, max_seq_len, control_depth] or None.

        Returns:
          The loss of each sequence, [batch]; when not training, metrics of all segments together,
          where Magenta has each one's and their mean; and LstmDecodeResults that hold
          rnn_output, [batch, max_seq_len, depth], alone.
        """
        if self._stays_magentas:
            return super().reconstruction_loss(x_input, x_target, x_length, z, c_input)
        batch = x_input.shape[0]
        splits = int(np.prod(self._levels))
        steps = self._decoder._level_lengths[-1]
        lengths = lstm_utils.maybe_split_sequence_lengths(x_length, splits, self._total_length)

        def segments(tensor):
            """[batch, max_seq_len, depth] to [batch * segments, steps, depth]."""
            if tensor is None:
                return None
            return tf.reshape(tensor, [batch * splits, steps, tensor.shape[2]])

        embeddings = self._conduct(tf.zeros([batch, 0]) if z is None else z)
        with tf.variable_scope("core_decoder", reuse=tf.AUTO_REUSE):
            losses, metrics, results = self._decoder._core_decoder.reconstruction_loss(
                segments(x_input),
                segments(x_target),
                tf.reshape(lengths, [-1]),
                embeddings,
                segments(c_input),
            )
        rnn_output = results.rnn_output
        rnn_output = tf.reshape(rnn_output, [batch, splits * steps, rnn_output.shape[2]])
        losses = tf.reduce_sum(tf.reshape(losses, [batch, splits]), axis=1)
        return losses, metrics, decode_results(rnn_output, lengths)

    def sample(self, n, max_length=None, z=None, c_input=None, temperature=1.0, end_fn=None):
        """Samples as HierarchicalLstmDecoder.sample, in one loop after the conductor's.

        Magenta's own `sample` does the work for segments that may end early or are fed with
        controls.

        Args:
          n: how many sequences.
          max_length: hparams.max_seq_len, or None, which means the same.
          z: [n, z_size] or None.
          c_input: controls, [max_seq_len, control_depth] or None.
          temperature: what the logits are divided by.
          end_fn: what ends a segment, or None.

        Returns:
          The samples, [n, max_seq_len, output_depth], and LstmDecodeResults.

        Raises:
          ValueError: where the first dimension of `z` is not n.
        """
        core = self._decoder._core_decoder
        in_one_loop = getattr(core, "samples_segments", False) and not self._stays_magentas
        if not in_one_loop or c_input is not None or end_fn is not None:
            given = {} if end_fn is None else {"end_fn": end_fn}
            return super().sample(n, max_length, z, c_input, temperature=temperature, **given)
        z = checked_z(z, n)
        if max_length is not None:
            of_config = tf.assert_equal(
                max_length, self._total_length, message="max_length must be hparams.max_seq_len"
            )
            with tf.control_dependencies([of_config]):
                z = tf.identity(z)
        embeddings = self._conduct(z)
        embeddings = tf.reshape(embeddings, [n, -1, embeddings.shape[1]])
        with tf.variable_scope("core_decoder", reuse=tf.AUTO_REUSE):
            return core.sample_segments(
                time_major(embeddings), self._decoder._level_lengths[-1], temperature
            )

    def _conduct(self, z):
        """The embeddings of all segments, [batch * segments, units], sequence by sequence."""
        embeddings = z
        for level, length in enumerate(self._levels):
            scope = tf.VariableScope(tf.AUTO_REUSE, f"decoder/hierarchical_level_{level}")
            with tf.variable_scope(scope):
                state = lstm_utils.initial_cell_state_from_embedding(
                    self._decoder._hier_cells[level], embeddings, name="initial_state"
                )
                # The conductor's input is one 0.
                depths = [1, *self._units[:-1]]
                layers = [
                    lstm.weights(f"cell_{i}", depth, units)
                    for i, (depth, units) in enumerate(zip(depths, self._units))
                ]
            embeddings = self._in_halves(
                functools.partial(self._conduct_level, length, layers),
                [lstm.State(*of_layer) for of_layer in state],
            )
            embeddings = tf.reshape(
                embeddings, [z.shape[0] * int(np.prod(self._levels[: level + 1])), self._units[-1]]
            )
        return embeddings

    def _conduct_level(self, length: int, layers, state):
        """Runs one level of conductors: h of the last layer, [batch, length, units]."""
        inputs = tf.zeros([length, state[0].h.shape[0], 1])
        return time_major(stack([inputs], state, layers, None, self._keep_prob, self._layout))


class SequentialHierarchicalDecoder(wrappers.MagentasDecoder):
    """`lstm_models.HierarchicalLstmDecoder` with dropout in its conductors only in training."""

    def build(self, hparams, output_depth, is_training=True):
        """Builds the decoder inside; arguments as in BaseDecoder.build."""
        super().build(hparams, output_depth, is_training)
        self._decoder._hier_cells = _conductors_cells(self._decoder, hparams, is_training)


def _conductors_cells(decoder, hparams, is_training: bool) -> list:
    """A stack of cells for every level above the core decoder.

    Magenta always builds them as for training, so its evaluation and its sampling go through their
    dropout.
    """
    return [
        lstm_utils.rnn_cell(
            hparams.dec_rnn_size, hparams.dropout_keep_prob, hparams.residual_decoder, is_training
        )
        for _ in decoder._level_lengths[:-1]
    ]
