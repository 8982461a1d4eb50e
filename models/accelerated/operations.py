"""Operations on tensors that encoders and decoders share, around their layers."""

import tensorflow.compat.v1 as tf
from magenta.models.music_vae import lstm_utils

from models.accelerated import cudnn, lstm
from models.accelerated.layouts import LOOPS, Layout


def checked_z(z, n: int):
    """Returns z, [n, z_size], with z_size 0 for None.

    Raises:
      ValueError: where the first dimension of `z` is not n.
    """
    if z is None:
        return tf.zeros([n, 0])
    if z.shape[0] != n:
        raise ValueError(f"z has {z.shape[0]} rows for {n} sequences to sample")
    return z


def time_major(tensor):
    """Transposes [batch, steps, depth] to [steps, batch, depth], and back."""
    return tf.transpose(tensor, [1, 0, 2])


def repeated(z, inputs):
    """Repeats z, [batch, z_size], for every step of the inputs."""
    steps = tf.shape(inputs)[0]

    @tf.custom_gradient
    def repeat(z):
        def gradient(of_steps):
            return tf.reshape(lstm.column_sums(tf.reshape(of_steps, [steps, -1])), tf.shape(z))

        return tf.tile(z[tf.newaxis], [steps, 1, 1]), gradient

    return repeat(z)


def dropout(tensor, keep_prob: float):
    """Drops inputs as tf.nn.rnn_cell.DropoutWrapper does: each step has its own mask.

    Random bits are a good part of tf.nn.dropout's time, which draws 32 for each element. This draws
    16, so `keep_prob` is exact to 1 / 65,536.
    """
    if keep_prob == 1:
        return tensor
    return tensor * mask(tf.shape(tensor), keep_prob)


def mask(shape, keep_prob: float):
    """What `dropout` multiplies a tensor of a shape by: 0 or, for what is kept, a factor."""
    size = tf.reduce_prod(shape)
    drawn = tf.random.uniform(
        [(size + 3) // 4], minval=tf.int64.min, maxval=tf.int64.max, dtype=tf.int64
    )
    drawn = tf.reshape(tf.bitcast(drawn, tf.uint16), [-1])[:size]
    kept = min(max(round(keep_prob * 65536), 1), 65535)
    factors = tf.cast(drawn < tf.constant(kept, tf.uint16), tf.float32) * (65536 / kept)
    return tf.reshape(factors, shape)


def stack(inputs, states, layers, constant=None, keep_prob=1.0, layout: Layout = LOOPS):
    """Runs layers one above the other, with dropout before each, over sequences that are all known.

    Args:
      inputs: as `lstm.sequence` takes them.
      states: of each layer, before the first step.
      layers: their weights.
      constant: as `lstm.sequence` takes it. With dropout its mask would be that of all steps.
      keep_prob: what part of the inputs of each layer is kept, on average.
      layout: how they run.

    Returns:
      h of the last layer in every step, [steps, batch, units].
    """
    if layout.cudnn and keep_prob == 1 and len({layer.units for layer in layers}) == 1:
        # cuDNN has several layers at work at once, each a step behind the one below it.
        inputs = [*inputs, *([] if constant is None else [repeated(constant, inputs[0])])]
        return cudnn.stack(tf.concat(inputs, axis=2), states, layers)
    for state, layer in zip(states, layers, strict=True):
        inputs = [dropout(part, keep_prob) for part in inputs]
        inputs = [lstm.sequence(inputs, state, layer, constant, layout)]
        constant = None
    return inputs[0]


def decode_results(rnn_output, lengths) -> lstm_utils.LstmDecodeResults:
    """Makes the result of a decoder of Magenta's from its outputs and lengths alone."""
    return lstm_utils.LstmDecodeResults(
        rnn_input=None,
        rnn_output=rnn_output,
        samples=None,
        final_state=None,
        final_sequence_lengths=lengths,
    )
