"""What cuDNN's LSTM computes, on a CPU: for tests of what is given to it.

It reads cuDNN's buffer of weights by NVIDIA's documentation (cudnnRNNMode_t, the equations of
CUDNN_LSTM; cudnnGetRNNWeightParams, the order of the weights), and shares no code with
`models.accelerated.cudnn`. TensorFlow takes gradients through it.
"""

from typing import NamedTuple

import tensorflow.compat.v1 as tf


class _Output(NamedTuple):
    output: tf.Tensor
    output_h: tf.Tensor
    output_c: tf.Tensor


def cudnn_rnn_v3(
    input,
    input_h,
    input_c,
    params,
    sequence_lengths,
    rnn_mode,
    direction,
    is_training,
    time_major,
    **others,
):
    """In place of tf.raw_ops.CudnnRNNV3; the same arguments and results, as far as they are used.

    Raises:
      ValueError: for a length of 0, which some versions of cuDNN refuse, when the graph runs.
    """
    assert rnn_mode == "lstm" and is_training and time_major and not others
    directions = {"unidirectional": 1, "bidirectional": 2}[direction]
    count, _, units = input_h.shape.as_list()
    depth = int(input.shape[2])
    cursor = 0

    def take(*shape):
        nonlocal cursor
        size = 1
        for n in shape:
            size *= n
        part = tf.reshape(params[cursor : cursor + size], shape)
        cursor += size
        return part

    matrices = []
    for i in range(count):
        of_layer = depth if i < directions else directions * units
        matrices.append([[take(units, of_layer) for _ in range(4)]])
        matrices[-1].append([take(units, units) for _ in range(4)])
    vectors = [[[take(units) for _ in range(4)] for _ in "WR"] for _ in range(count)]
    checks = [
        tf.assert_equal(tf.size(params), cursor, message="the buffer has another size"),
        tf.assert_positive(sequence_lengths),
        tf.assert_less_equal(sequence_lengths, tf.shape(input)[0]),
    ]
    with tf.control_dependencies(checks):
        x = tf.identity(input)
    last = []
    for first in range(0, count, directions):
        outputs = []
        for way in range(directions):
            i = first + way
            given = _reversed(x, sequence_lengths) if way else x
            hs, *ends = _layer(
                given, input_h[i], input_c[i], sequence_lengths, matrices[i], vectors[i]
            )
            outputs.append(_reversed(hs, sequence_lengths) if way else hs)
            last.append(ends)
        x = tf.concat(outputs, axis=2)
    return _Output(x, *(tf.stack(each) for each in zip(*last)))


def _reversed(steps, lengths):
    return tf.reverse_sequence(steps, lengths, seq_axis=0, batch_axis=1)


def _layer(x, h, c, lengths, matrices, vectors):
    """One direction of one layer: its outputs, 0 after the end, and h and c at the end."""
    (w_i, w_f, w_c, w_o), (r_i, r_f, r_c, r_o) = matrices
    (bw_i, bw_f, bw_c, bw_o), (br_i, br_f, br_c, br_o) = vectors

    def step(before, given):
        t, x_t = given
        h, c, _ = before

        def gate(w, r, bw, br):
            return tf.matmul(x_t, w, transpose_b=True) + tf.matmul(h, r, transpose_b=True) + bw + br

        i = tf.sigmoid(gate(w_i, r_i, bw_i, br_i))
        f = tf.sigmoid(gate(w_f, r_f, bw_f, br_f))
        o = tf.sigmoid(gate(w_o, r_o, bw_o, br_o))
        after_c = f * c + i * tf.tanh(gate(w_c, r_c, bw_c, br_c))
        after_h = o * tf.tanh(after_c)
        goes_on = tf.tile((t < lengths)[:, None], [1, int(h.shape[1])])
        zeros = tf.zeros_like(h)
        return (
            tf.where(goes_on, after_h, h),
            tf.where(goes_on, after_c, c),
            tf.where(goes_on, after_h, zeros),
        )

    hs, cs, outputs = tf.scan(step, (tf.range(tf.shape(x)[0]), x), (h, c, tf.zeros_like(h)))
    outputs.set_shape([x.shape.as_list()[0], *h.shape.as_list()])
    return outputs, hs[-1], cs[-1]
