"""Encoders over whole sequences."""

import numpy as np
import tensorflow.compat.v1 as tf
from magenta.models.music_vae import base_model, lstm_models, lstm_utils

from models.accelerated import cudnn, lstm, wrappers
from models.accelerated.layouts import Layout
from models.accelerated.operations import dropout, time_major


class BidirectionalEncoder(base_model.BaseEncoder):
    """`lstm_models.BidirectionalLstmEncoder` (MusicVAE, section 3.1), layer by layer.

    Args:
      encoder: Magenta's.
      layout: how it runs.
    """

    def __init__(self, encoder: lstm_models.BidirectionalLstmEncoder, layout: Layout):
        self._encoder = encoder
        self._layout = layout

    @property
    def output_depth(self):
        """The size of an embedding."""
        return self._encoder.output_depth

    def build(self, hparams, is_training=True, name_or_scope="encoder"):
        """Builds the encoder; arguments as in Magenta's."""
        self._encoder.build(hparams, is_training, name_or_scope)
        self._units = hparams.enc_rnn_size
        self._keep_prob = hparams.dropout_keep_prob if is_training else 1.0
        self._scope = name_or_scope
        cells = [cell for direction in self._encoder._cells for cell in direction]
        self._stays_magentas = wrappers.has_other_cells(self._encoder, cells)

    def encode(self, sequence, sequence_length):
        """Encodes sequences.

        Args:
          sequence: [batch, steps, depth].
          sequence_length: [batch]; steps after it are ignored.

        Returns:
          The last h in each direction, [batch, 2 units].
        """
        if self._stays_magentas:
            return self._encoder.encode(sequence, sequence_length)
        run = self._by_cudnn if self._layout.cudnn else self._by_direction
        return run(time_major(sequence), sequence_length)

    def _by_direction(self, inputs, sequence_length):
        """`encode`, with the directions of each layer by themselves; inputs are time-major."""

        def reverse(rows):
            return tf.reverse_sequence(rows, sequence_length, seq_axis=0, batch_axis=1)

        with tf.variable_scope(self._scope):
            for i, units in enumerate(self._units):
                with tf.variable_scope(f"cell_{i}/bidirectional_rnn"):
                    forward = self._run("fw", inputs, units)
                    backward = self._run("bw", reverse(inputs), units)
                inputs = tf.concat([forward, reverse(backward)], axis=2)
        # Where a sequence ends, the reversed one has been read to its beginning. A sequence of
        # length 0 leaves the state at 0.
        last = tf.stack([tf.maximum(sequence_length - 1, 0), tf.range(inputs.shape[1])], axis=1)
        ends = tf.concat([tf.gather_nd(forward, last), tf.gather_nd(backward, last)], axis=1)
        return tf.where(
            tf.tile(sequence_length[:, None] > 0, [1, ends.shape[1]]), ends, tf.zeros_like(ends)
        )

    def _by_cudnn(self, inputs, sequence_length):
        """`encode`, with both directions of each layer at once; inputs are time-major."""
        with tf.variable_scope(self._scope):
            for i, units in enumerate(self._units):
                with tf.variable_scope(f"cell_{i}/bidirectional_rnn"):
                    layers = [self._layer(way, inputs.shape[2], units) for way in ("fw", "bw")]
                # Each direction drops by itself, as each has a cell of its own in Magenta.
                dropped = [dropout(inputs, self._keep_prob) for _ in layers]
                backward = None if dropped[1] is inputs else dropped[1]
                inputs, ends = cudnn.bidirectional(dropped[0], backward, sequence_length, *layers)
        return ends

    def _layer(self, direction: str, input_depth: int, units: int) -> lstm.Weights:
        return lstm.weights(f"{direction}/multi_rnn_cell/cell_0", input_depth, units)

    def _run(self, direction, inputs, units):
        layer = self._layer(direction, inputs.shape[2], units)
        state = lstm.zero_state(inputs.shape[1], units)
        inputs = dropout(inputs, self._keep_prob)
        return lstm.sequence([inputs], state, layer, layout=self._layout)


class ParallelHierarchicalEncoder(base_model.BaseEncoder):
    """`lstm_models.HierarchicalLstmEncoder`, all segments of a level as one batch.

    Args:
      encoder: Magenta's, around accelerated encoders.
    """

    def __init__(self, encoder: lstm_models.HierarchicalLstmEncoder):
        self._encoder = encoder

    @property
    def output_depth(self):
        """The size of an embedding."""
        return self._encoder.output_depth

    @property
    def level_lengths(self):
        """The lengths of the levels, as in Magenta's encoder."""
        return self._encoder.level_lengths

    def build(self, hparams, is_training=True):
        """Builds the encoders of all levels; arguments as in BaseEncoder.build."""
        self._encoder.build(hparams, is_training)
        self._total_length = hparams.max_seq_len

    def encode(self, sequence, sequence_length):
        """Encodes sequences of padded segments; arguments and result as in Magenta's."""
        batch, lengths = sequence.shape[0], self.level_lengths
        sequence_length = lstm_utils.maybe_split_sequence_lengths(
            sequence_length, int(np.prod(lengths[1:])), self._total_length
        )
        for level, length in enumerate(lengths):
            splits = int(np.prod(lengths[level + 1 :]))
            segments = tf.reshape(sequence, [batch * splits, length, sequence.shape[2]])
            if level:
                sequence_length = tf.fill([batch, splits], length)
            embeddings = self._encoder.level(level).encode(
                segments, tf.reshape(sequence_length, [batch * splits])
            )
            sequence = tf.reshape(embeddings, [batch, splits, embeddings.shape[1]])
        return sequence[:, 0]
