"""models.accelerated.lstm beside Magenta's LSTMBlockCell, run by TensorFlow's dynamic_rnn."""

import math

import numpy as np
import pytest

from pipelines.runtime import magenta_compat

magenta_compat.apply()

import tensorflow.compat.v1 as tf  # noqa: E402
from magenta.contrib import rnn as contrib_rnn  # noqa: E402

from models.accelerated import layouts, lstm  # noqa: E402
from tests.support import cudnn_reference  # noqa: E402

# steps, batch, depth of the inputs, units; among them sequences of one step and a single number.
SIZES = [(1, 1, 1, 1), (1, 3, 4, 2), (2, 1, 3, 5), (5, 4, 1, 3), (7, 3, 6, 4), (11, 2, 5, 1)]
LAYOUTS = {
    "operations": layouts.of("loops", fused=False),
    "fused": layouts.LOOPS,
    "cudnn": layouts.of("cudnn"),
    "xla": layouts.of("xla"),
}


@pytest.fixture(autouse=True)
def graph():
    tf.disable_v2_behavior()
    with tf.Graph().as_default() as graph:
        yield graph


@pytest.fixture(params=LAYOUTS)
def layout(request, monkeypatch) -> layouts.Layout:
    """The argument `layout` of `sequence` and `step`."""
    monkeypatch.setattr(tf.raw_ops, "CudnnRNNV3", cudnn_reference.cudnn_rnn_v3)
    return LAYOUTS[request.param]


def random(rng, *shape):
    return rng.normal(0, 1, shape).astype(np.float32)


def variables(depth, units, seed):
    """The weights of a layer in the scope "rnn", with values that initializers do not give.

    Returns:
      The weights, the variables, and the operation that sets their values.
    """
    rng = np.random.default_rng(seed)
    with tf.variable_scope(tf.get_variable_scope(), reuse=tf.AUTO_REUSE):
        layer = lstm.weights("rnn", depth, units)
    made = tf.trainable_variables()
    return layer, made, [v.assign(random(rng, *v.shape.as_list())) for v in made]


def magentas(inputs, state, units):
    """h of every step, [steps, batch, units], and the last state, by Magenta's cell."""
    with tf.variable_scope(tf.get_variable_scope(), reuse=tf.AUTO_REUSE):
        return tf.nn.dynamic_rnn(
            contrib_rnn.LSTMBlockCell(units),
            inputs,
            initial_state=tf.nn.rnn_cell.LSTMStateTuple(*state),
            time_major=True,
            scope="rnn",
        )


def outcome(outputs, by, seed):
    """Tensors, and the gradients of a random combination of them by `by`."""
    rng = np.random.default_rng(seed)
    total = tf.add_n([tf.reduce_sum(o * random(rng, *o.shape.as_list())) for o in outputs])
    gradients = tf.gradients(total, by)
    assert None not in gradients
    return outputs, gradients


def assert_equal(theirs, ours, before, feeds=None):
    with tf.Session() as session:
        session.run(before)
        expected, found = session.run((theirs, ours), feeds)
    for part_expected, part_found in zip(expected, found, strict=True):
        for a, b in zip(part_expected, part_found, strict=True):
            assert a.shape == b.shape
            np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("constants", [0, 3])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_a_sequence_is_that_of_magentas_cell(sizes, constants, layout):
    """h of all steps is the same, and so are the gradients of all inputs."""
    steps, batch, depth, units = sizes
    rng = np.random.default_rng(sum(sizes))
    inputs = tf.constant(random(rng, steps, batch, depth))
    state = lstm.State(*(tf.constant(random(rng, batch, units)) for _ in "ch"))
    layer, weights, assign = variables(depth + constants, units, seed=1)
    by = [inputs, *state, *weights]
    constant, concatenated = None, inputs
    if constants:
        constant = tf.constant(random(rng, batch, constants))
        concatenated = tf.concat([inputs, tf.tile(constant[None], [steps, 1, 1])], axis=2)
        by.append(constant)
    theirs, _ = magentas(concatenated, state, units)
    before = len(tf.get_default_graph().get_operations())
    ours = lstm.sequence([inputs], state, layer, constant, layout)
    assert ours.shape == [steps, batch, units]
    assert tf.trainable_variables() == weights
    kinds = {operation.type for operation in tf.get_default_graph().get_operations()[before:]}
    assert ("BlockLSTM" in kinds) == (layout == layouts.LOOPS)
    assert bool(kinds & {"PartitionedCall", "StatefulPartitionedCall"}) == (
        layout == LAYOUTS["xla"]
    )
    assert_equal(outcome([theirs], by, 2), outcome([ours], by, 2), assign)


@pytest.mark.slow
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_steps_are_those_of_magentas_cell(sizes, layout):
    """The state after several steps is the same, and so are the gradients of all inputs."""
    steps, batch, depth, units = sizes
    rng = np.random.default_rng(sum(sizes))
    inputs = tf.constant(random(rng, steps, batch, depth))
    state = lstm.State(*(tf.constant(random(rng, batch, units)) for _ in "ch"))
    layer, weights, assign = variables(depth, units, seed=1)
    _, theirs = magentas(inputs, state, units)
    after = state
    for t in range(steps):
        after = lstm.step(inputs[t], after, layer, layout)
    by = [inputs, *state, *weights]
    assert_equal(outcome([theirs.c, theirs.h], by, 2), outcome([*after], by, 2), assign)


def test_the_number_of_steps_may_be_unknown(layout):
    """The same graph takes sequences of several lengths, with gradients."""
    inputs = tf.placeholder(tf.float32, [None, 2, 3])
    state = lstm.zero_state(2, 4)
    constant = tf.placeholder(tf.float32, [2, 1])
    layer, weights, assign = variables(4, 4, seed=1)
    tiled = tf.tile(constant[None], [tf.shape(inputs)[0], 1, 1])
    theirs, _ = magentas(tf.concat([inputs, tiled], axis=2), state, 4)
    ours = lstm.sequence([inputs], state, layer, constant, layout)
    assert ours.shape.as_list() == [None, 2, 4]
    by = [inputs, constant, *weights]
    both = [([hs], tf.gradients(tf.reduce_sum(hs**2), by)) for hs in (theirs, ours)]
    rng = np.random.default_rng(0)
    for steps in (1, 2, 9):
        feeds = {inputs: random(rng, steps, 2, 3), constant: random(rng, 2, 1)}
        assert_equal(*both, assign, feeds)


def test_a_step_by_hand(layout):
    """One unit, one input x = 1, h = 1 before; the columns of the kernel are i, j, f and o.

        i = sigmoid( 2      - 3      + 1)      = sigmoid(0)     = 1/2
        j = tanh   ( ln 2   + 1      - 1)      = tanh(ln 2)     = (2 - 1/2) / (2 + 1/2) = 3/5
        f = sigmoid( ln 3   - 2      + 1 + 1)  = sigmoid(ln 3)  = 1 / (1 + 1/3) = 3/4
        o = sigmoid( 0      - ln 4   + 0)      = sigmoid(-ln 4) = 1 / (1 + 4) = 1/5

    where the forget gate's last 1 is the forget bias. With c = (ln 2 - 3/10) / (3/4) before,

        c = 3/4 c + 1/2 3/5 = ln 2 - 3/10 + 3/10 = ln 2
        h = 1/5 tanh(ln 2) = 1/5 3/5 = 3/25
    """
    kernel = [[2, math.log(2), math.log(3), 0], [-3, 1, -2, -math.log(4)]]
    layer = lstm.Weights(tf.constant(kernel, tf.float32), tf.constant([1.0, -1, 1, 0]))
    state = lstm.State(tf.constant([[(math.log(2) - 0.3) / 0.75]]), tf.constant([[1.0]]))
    after = lstm.step(tf.constant([[1.0]]), state, layer, layout)
    hs = lstm.sequence([tf.constant([[[1.0]]])], state, layer, layout=layout)
    # The same, with the constant as the only input.
    constant = lstm.sequence([tf.zeros([1, 1, 0])], state, layer, tf.constant([[1.0]]), layout)
    with tf.Session() as session:
        after, hs, constant = session.run((after, hs, constant))
    assert after.c == pytest.approx(np.array([[math.log(2)]]), rel=1e-6)
    assert after.h == pytest.approx(np.array([[3 / 25]]), rel=1e-6)
    assert hs == pytest.approx(np.array([[[3 / 25]]]), rel=1e-6)
    assert constant == pytest.approx(np.array([[[3 / 25]]]), rel=1e-6)


def test_new_variables_are_those_of_magentas_cell():
    """Names, shapes and initial values are the same: a bias of 0."""
    with tf.variable_scope("theirs"):
        magentas(tf.zeros([1, 2, 3]), lstm.zero_state(2, 4), 4)
    with tf.variable_scope("ours"):
        layer = lstm.weights("rnn", 3, 4)
    assert layer.units == 4
    theirs, ours = (
        {v.op.name.removeprefix(scope): v.shape for v in tf.trainable_variables(scope)}
        for scope in ("theirs/", "ours/")
    )
    assert ours == theirs == {"rnn/lstm_cell/kernel": [7, 16], "rnn/lstm_cell/bias": [16]}
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        kernel, bias = session.run(layer)
    assert not bias.any()
    # Glorot's uniform distribution, as TensorFlow's own: at most sqrt(6 / (7 + 16)).
    assert 0.8 * math.sqrt(6 / 23) < abs(kernel).max() <= math.sqrt(6 / 23)
