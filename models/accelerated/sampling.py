"""Decodes step by step, each step fed with the sample of the one before it, in one loop.

Magenta builds a loop for each segment of a hierarchical decoder. Here the state that each segment
begins with is known before the first step, since the conductor takes nothing from the segments, and
a single loop changes to it where the segment begins. As in Magenta, that step is fed with the
last sample of the segment before.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow.compat.v1 as tf


class Sampled(NamedTuple):
    """What was sampled, each [batch, all steps, its depth].

    Attributes:
      inputs: what each step was fed with.
      outputs: what the network gave for each step.
      samples: what was drawn from the outputs.
      state: the state after the last step, as `step` gives it.
    """

    inputs: tf.Tensor
    outputs: tf.Tensor
    samples: tf.Tensor
    state: list


def sample(step: Callable, states, start, steps, output_depth: int) -> Sampled:
    """Samples sequences of segments.

    Args:
      step: a function of the inputs [batch, depth], the index of the segment and the state. Gives
        the outputs [batch, output_depth], what is drawn from them [batch, depth], and the state
        after. It must not create variables.
      states: the state before each segment: a structure of tensors [segments, batch, units].
      start: [batch, depth], what the first step is fed with.
      steps: steps in each segment, an int or a scalar tensor.
      output_depth: the size of an output.
    """
    segments = tf.nest.flatten(states)[0].shape[0]
    total = segments * steps

    def body(t, inputs, state, outputs, samples):
        segment = t // steps
        state = tf.cond(
            tf.equal(t % steps, 0),
            lambda: tf.nest.map_structure(lambda all_of_them: all_of_them[segment], states),
            lambda: tf.nest.map_structure(tf.identity, state),
            strict=True,  # Otherwise a list of one layer comes back as that layer.
        )
        output, drawn, state = step(inputs, segment, state)
        return t + 1, drawn, state, outputs.write(t, output), samples.write(t, drawn)

    batch, depth = start.shape
    outputs, samples = (
        tf.TensorArray(tf.float32, total, element_shape=[batch, of]) for of in (output_depth, depth)
    )
    first = tf.nest.map_structure(lambda all_of_them: all_of_them[0], states)
    # One iteration after another, so that a seed gives the same draws.
    _, _, state, outputs, samples = tf.while_loop(
        lambda t, *_: t < total,
        body,
        [0, start, first, outputs, samples],
        parallel_iterations=1,
    )
    outputs, samples = (tf.transpose(array.stack(), [1, 0, 2]) for array in (outputs, samples))
    inputs = tf.concat([start[:, tf.newaxis], samples], axis=1)[:, :-1]
    return Sampled(inputs, outputs, samples, state)
