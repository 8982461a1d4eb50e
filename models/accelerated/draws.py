"""What Magenta's decoders draw from their outputs, made of noise that was drawn before.

A loop that XLA compiles cannot draw by a seed, so all noise is drawn for it outside. A choice is
made by the Gumbel-max trick, a hit by comparing its probability with a uniform number: both as
likely as in Magenta's `_sample`.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow.compat.v1 as tf
from magenta.models.music_vae import lstm_models


class Drawer(NamedTuple):
    """How a decoder draws.

    Attributes:
      depth: how many uniform numbers a draw takes.
      draw: a function from raw outputs [batch, depth of the output], uniform numbers in [0, 1),
        [batch, depth], and the temperature, to what is drawn, [batch, output depth].
    """

    depth: int
    draw: Callable


def of(decoder: lstm_models.BaseLstmDecoder, output_depth: int) -> Drawer | None:
    """How a decoder of Magenta's draws; None if it has a way of its own.

    Args:
      decoder: it is built.
      output_depth: the size of what is drawn.
    """
    # A decoder that draws from the nucleus (models.nucleus) has a `_sample` of the instance.
    if "_sample" in vars(decoder):
        return None
    for kind, make in _DRAWERS:
        if type(decoder)._sample is kind._sample:
            return make(decoder, output_depth)
    return None


def noise(shape):
    """Uniform numbers in [0, 1) of a shape."""
    return tf.random.uniform(shape)


def _categorical(decoder, depth: int) -> Drawer:
    return Drawer(depth, _choice)


def _several(decoder, depth: int) -> Drawer:
    def draw(output, uniform, temperature):
        outputs, uniforms = (
            tf.split(each, decoder._output_depths, axis=1) for each in (output, uniform)
        )
        choices = [_choice(*part, temperature) for part in zip(outputs, uniforms)]
        return tf.concat(choices, axis=1)

    return Drawer(depth, draw)


def _boolean(decoder, depth: int) -> Drawer:
    return Drawer(depth, _hits)


def _groove(decoder, depth: int) -> Drawer:
    def draw(output, uniform, temperature):
        hits, velocities, offsets = tf.split(output, 3, axis=1)
        hits = _hits(hits, uniform, temperature)
        return tf.concat([hits, tf.sigmoid(velocities), tf.tanh(offsets)], axis=1)

    return Drawer(depth // 3, draw)


def _choice(logits, uniform, temperature):
    """One of several, as a one-hot vector."""
    gumbel = -tf.log(-tf.log(uniform))
    chosen = tf.argmax(logits / temperature + gumbel, axis=1)
    return tf.one_hot(chosen, int(logits.shape[1]))


def _hits(logits, uniform, temperature):
    """Each hit by itself: 0 or 1."""
    return tf.cast(uniform < tf.sigmoid(logits / temperature), tf.float32)


_DRAWERS = (
    (lstm_models.MultiOutCategoricalLstmDecoder, _several),
    (lstm_models.CategoricalLstmDecoder, _categorical),
    (lstm_models.GrooveLstmDecoder, _groove),
    (lstm_models.BooleanLstmDecoder, _boolean),
)
