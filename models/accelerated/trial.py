"""Tries a layout on a device, before a model is trusted to it."""

import contextlib
import re
from collections.abc import Iterator

import numpy as np
import tensorflow.compat.v1 as tf

from models.accelerated import cudnn, layouts, lstm

# GPUs round the factors of products to 10 bits (TF32): with these sizes that makes up to 2e-3.
_TOLERANCE = 2e-2
_STEPS, _BATCH, _DEPTH, _UNITS = 5, 3, 4, 6


def fault(layout: str, device: str) -> str | None:
    """Computes a small layer and its gradients in a layout, and by TensorFlow's own operations.

    Args:
      layout: a name in `layouts.NAMES`.
      device: for `tf.device`, e.g. "/device:GPU:0".

    Returns:
      What is wrong, in some words; None where both are the same.
    """
    plain = layouts.of("loops", fused=False)
    tried = [layouts.of(layout)]
    if layout == "cudnn":
        # What cuDNN cannot do is done by XLA.
        tried.append(layouts.of("xla"))
    try:
        # Without a ConfigProto: this may be the first session of the process, which decides which
        # GPUs are opened and how their memory is taken (`runtime.devices`).
        with _strict_placement(), tf.Graph().as_default(), tf.Session() as session:
            with tf.device(device):
                outcomes = [_outcome(each) for each in (plain, *tried)]
            expected, *found = session.run(outcomes)
    except (tf.errors.OpError, ValueError) as error:
        return _words(error)
    for each in found:
        apart = max(float(abs(a - b).max()) for a, b in zip(expected, each, strict=True))
        if not apart < _TOLERANCE:
            return f"its results are {apart:.2g} apart from those of loops"
    return None


@contextlib.contextmanager
def _strict_placement() -> Iterator[None]:
    """Lets no other device do what the chosen one cannot, in sessions that are made meanwhile."""
    before = tf.config.get_soft_device_placement()
    tf.config.set_soft_device_placement(False)
    try:
        yield
    finally:
        tf.config.set_soft_device_placement(before)


def _words(error: Exception) -> str:
    """What an error says in one line, without the places in the program that TensorFlow names."""
    message = getattr(error, "message", str(error))
    # TensorFlow puts the cause below the node that it concerns.
    cause = re.sub(r".*\nNode: '[^\n]*'\n", "", message, flags=re.DOTALL)
    return " ".join(cause.split())[:200]


def _outcome(layout: layouts.Layout) -> list:
    """What a layer gives in both directions, one after the other, and its gradients."""
    rng = np.random.default_rng(0)

    def random(*shape):
        return tf.constant(rng.normal(0, 0.5, shape), tf.float32)

    inputs = random(_STEPS, _BATCH, _DEPTH)
    layers = [
        lstm.Weights(random(_DEPTH + _UNITS, 4 * _UNITS), random(4 * _UNITS)) for _ in range(2)
    ]
    lengths = tf.constant([_STEPS, 1, 3])
    state = lstm.State(random(_BATCH, _UNITS), random(_BATCH, _UNITS))
    hs = lstm.sequence([inputs], state, layers[0], layout=layout)
    if layout.cudnn:
        _, ends = cudnn.bidirectional(inputs, None, lengths, *layers)
    else:
        backward = tf.reverse_sequence(inputs, lengths, seq_axis=0, batch_axis=1)
        last = tf.stack([lengths - 1, tf.range(_BATCH)], axis=1)
        both = [
            lstm.sequence([x], lstm.zero_state(_BATCH, _UNITS), layer, layout=layout)
            for x, layer in zip((inputs, backward), layers)
        ]
        ends = tf.concat([tf.gather_nd(each, last) for each in both], axis=1)
    total = tf.reduce_mean(tf.square(hs)) + tf.reduce_mean(tf.square(ends))
    return [hs, ends, *tf.gradients(total, [inputs, *tf.nest.flatten(layers), *state])]
