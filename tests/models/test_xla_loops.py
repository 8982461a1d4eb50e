"""Loops that XLA compiles: it knows how often they run.

Of others the host of a GPU waits for the outcome of every condition, with nothing else to do for
the card meanwhile (xla/backends/gpu/runtime/while_thunk.cc).
"""

import re

import pytest

from pipelines.runtime import magenta_compat

magenta_compat.apply()

import tensorflow.compat.v1 as tf  # noqa: E402
from tensorflow.python.eager import context  # noqa: E402

from models.accelerated import feedback, layouts, lstm  # noqa: E402

pytestmark = pytest.mark.slow

# XLA tries out up to 128 iterations where it does not understand a condition.
STEPS, BATCH, DEPTH, UNITS = 130, 2, 3, 4
XLA = layouts.of("xla")


@pytest.fixture(autouse=True)
def eager():
    """TensorFlow shows what it compiles only outside of a graph."""
    tf.disable_v2_behavior()
    with context.eager_mode():
        yield


def loops(function, *shapes) -> list[bool]:
    """Whether XLA knows the number of iterations, of each loop in what it compiles."""
    compiled = tf.function(function, jit_compile=True, autograph=False)
    show = compiled.experimental_get_compiler_ir(*(tf.ones(shape) for shape in shapes))
    text = show(stage="optimized_hlo")
    found = [line for line in text.splitlines() if re.search(r"= .* while\(", line)]
    return [re.search(r'"known_trip_count":{"n":"\d+"}', line) is not None for line in found]


def test_of_a_sequence_and_of_its_gradient():
    def gradients(inputs, kernel, bias):
        state = lstm.zero_state(BATCH, UNITS)
        hs = lstm.sequence([inputs], state, lstm.Weights(kernel, bias), layout=XLA)
        return tf.gradients(hs, [inputs, kernel])

    shapes = [STEPS, BATCH, DEPTH], [DEPTH + UNITS, 4 * UNITS], [4 * UNITS]
    assert loops(gradients, *shapes) == [True, True]


def test_of_what_is_fed_with_its_own_draws():
    def outputs(known, kernel, output, noise):
        state = lstm.State(tf.zeros([1, BATCH, UNITS]), tf.zeros([1, BATCH, UNITS]))
        network = feedback.Network(known, [kernel], [], (output, tf.zeros([DEPTH])), [state])
        feed = feedback.Feed(tf.zeros([BATCH, DEPTH]), noise)

        def draw(output, noise):
            return tf.cast(noise < tf.sigmoid(output), tf.float32)

        return feedback.decode(network, feed, draw, XLA).outputs

    shapes = [
        [1, BATCH, 4 * UNITS],
        [DEPTH + UNITS, 4 * UNITS],
        [UNITS, DEPTH],
        [STEPS, BATCH, DEPTH],
    ]
    assert loops(outputs, *shapes) == [True]
