"""LSTM layers by NVIDIA's cuDNN, a whole layer or several in one call, on the same variables.

cuDNN has its own order of weights and no forget bias, so the variables of Magenta's cells are
packed into its buffer in every step, and gradients go back through the packing. The buffer of L
layers, as cudnnGetRNNWeightParams of NVIDIA's documentation and `jax.experimental.rnn` describe it:

    for each layer      W, [4 units, input depth] in rows; then R, [4 units, units]
    for each layer      the biases of W, [4 units]; then those of R

A gate takes `units` rows each, in the order i, f, j, o (cuDNN calls j c'). In a bidirectional layer
each direction counts as a layer of its own, forward first.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow.compat.v1 as tf

_FORGET_BIAS = 1.0


def pack(layers: Sequence[Any]):
    """The weights of layers as cuDNN has them: one vector.

    Args:
      layers: each an `lstm.Weights`, whose columns are the gates i, j, f and o.
    """
    matrices, vectors = [], []
    for layer in layers:
        units = layer.units
        rows = tf.transpose(layer.kernel)
        of_inputs, of_h = tf.split(rows, [int(rows.shape[1]) - units, units], axis=1)
        matrices += [_reordered(of_inputs), _reordered(of_h)]
        bias = layer.bias + tf.repeat([0.0, 0.0, _FORGET_BIAS, 0.0], units)
        # cuDNN adds two biases; one is enough.
        vectors += [_reordered(bias), tf.zeros_like(bias)]
    return tf.concat([tf.reshape(part, [-1]) for part in matrices + vectors], axis=0)


def stack(inputs, states: Sequence[Any], layers: Sequence[Any]):
    """Runs layers of one size, one above the other, over sequences whose inputs are all known.

    Args:
      inputs: [steps, batch, depth].
      states: of each layer before the first step: c and h, each [batch, units].
      layers: as `pack` takes them.

    Returns:
      h of the last layer in every step, [steps, batch, units].
    """
    steps = tf.shape(inputs)[0]
    c, h = (tf.stack([getattr(state, name) for state in states]) for name in "ch")
    lengths = tf.fill([int(inputs.shape[1])], steps)
    return _run(inputs, c, h, pack(layers), lengths, "unidirectional")[0]


def bidirectional(inputs, backward_inputs, lengths, forward: Any, backward: Any):
    """Runs both directions of a layer over sequences, from states of 0.

    Args:
      inputs: [steps, batch, depth].
      backward_inputs: what the backward direction reads, if that is not the same (where each has
        a dropout mask of its own); else None.
      lengths: [batch]; steps after it are ignored.
      forward, backward: as `pack` takes them.

    Returns:
      h of every step, forward and backward side by side, [steps, batch, 2 units], 0 after the
      end; and the last h of both, [batch, 2 units]. A sequence of length 0 is given to cuDNN as one
      of length 1: its last h is 0, but h of its step 0 is not.
    """
    units = forward.units
    if backward_inputs is not None:
        # cuDNN gives both the same inputs: each reads its own through weights of 0 for the other's.
        depth = int(inputs.shape[2])
        inputs = tf.concat([inputs, backward_inputs], axis=2)
        forward, backward = (
            layer._replace(
                kernel=tf.concat(
                    [
                        tf.pad(layer.kernel[:depth], [padding, [0, 0]]),
                        layer.kernel[depth:],
                    ],
                    axis=0,
                )
            )
            for layer, padding in ((forward, [0, depth]), (backward, [depth, 0]))
        )
    zeros = tf.zeros([2, int(inputs.shape[1]), units])
    # cuDNN's documentation has lengths of 1 and more in some versions, of 0 and more in others.
    given = tf.maximum(tf.cast(lengths, tf.int32), 1)
    params = pack([forward, backward])

    def run():
        return _run(inputs, zeros, zeros, params, given, "bidirectional")

    # TensorFlow's kernel keeps what it describes a layer to cuDNN with, for each number of steps,
    # and among that whether there may be padding, by the first batch alone (CudnnRNNKernelCommon in
    # cudnn_rnn_ops.cc). So batches of full sequences have an operation of their own.
    steps = tf.shape(inputs)[0]
    with tf.device("/device:CPU:0"):
        # Where TensorFlow has the lengths of operations on a GPU, too: no step waits for the card.
        full = tf.reduce_all(tf.equal(given, steps))
    hs, last = tf.cond(full, run, run)
    there = tf.cast(lengths > 0, tf.float32)[:, tf.newaxis]
    ends = tf.concat([last[0], last[1]], axis=1) * there
    return hs, ends


def _run(inputs, c, h, params, lengths, direction: str):
    """h of every step, and the last h, from cuDNN."""
    made = tf.raw_ops.CudnnRNNV3(
        input=inputs,
        input_h=h,
        input_c=c,
        params=params,
        sequence_lengths=lengths,
        rnn_mode="lstm",
        direction=direction,
        # cuDNN keeps what gradients need only then.
        is_training=True,
        time_major=True,
    )
    hs = made.output
    directions = 2 if direction == "bidirectional" else 1
    hs.set_shape([*inputs.shape.as_list()[:2], directions * int(h.shape[2])])
    return hs, made.output_h


def _reordered(rows):
    """Rows of the gates i, j, f and o as rows of i, f, j and o."""
    i, j, f, o = tf.split(rows, 4, axis=0)
    return tf.concat([i, f, j, o], axis=0)
