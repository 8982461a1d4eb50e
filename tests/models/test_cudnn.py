"""models.accelerated.cudnn: what is given to cuDNN, by hand and by its documented arithmetic."""

import numpy as np
import pytest

from pipelines.runtime import magenta_compat

magenta_compat.apply()

import tensorflow.compat.v1 as tf  # noqa: E402

from models.accelerated import cudnn, layouts, lstm  # noqa: E402
from models.accelerated.operations import stack  # noqa: E402
from tests.support import cudnn_reference  # noqa: E402

PLAIN = layouts.of("loops", fused=False)
CUDNN = layouts.of("cudnn")


@pytest.fixture(autouse=True)
def graph(monkeypatch):
    monkeypatch.setattr(tf.raw_ops, "CudnnRNNV3", cudnn_reference.cudnn_rnn_v3)
    tf.disable_v2_behavior()
    with tf.Graph().as_default() as graph:
        yield graph


def run(*fetches):
    with tf.Session() as session:
        return session.run(fetches)


def weights(rng, depth, units):
    return lstm.Weights(
        *(
            tf.constant(rng.normal(size=s), tf.float32)
            for s in ([depth + units, 4 * units], 4 * units)
        )
    )


def test_the_buffer_by_hand():
    """Two inputs and one unit: a column of the kernel is a gate, and the gates are i, j, f, o."""
    layer = lstm.Weights(
        tf.constant([[1.0, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]),
        tf.constant([0.1, 0.2, 0.3, 0.4]),
    )
    [packed] = run(cudnn.pack([layer, layer]))
    # W of i, f, c', o; R of the same; then the biases, of which f has 1 more; then 0s.
    matrices = [1, 5, 3, 7, 2, 6, 4, 8, 9, 11, 10, 12]
    vectors = [0.1, 1.3, 0.2, 0.4, 0, 0, 0, 0]
    np.testing.assert_allclose(packed, matrices * 2 + vectors * 2, rtol=1e-6)


def test_a_unit_has_a_row_in_the_buffer():
    """With two units and one input, W of a gate is [[unit 0], [unit 1]] and R is 2 by 2 in rows."""
    kernel = np.arange(24.0).reshape(3, 8)
    layer = lstm.Weights(tf.constant(kernel, tf.float32), tf.zeros([8]))
    [packed] = run(cudnn.pack([layer]))
    of_i, of_f, of_j, of_o = [0, 1], [4, 5], [2, 3], [6, 7]
    np.testing.assert_array_equal(packed[:8], of_i + of_f + of_j + of_o)
    # Row u of R multiplies h to give unit u: rows 1 and 2 of the kernel are of h.
    r_i = [kernel[1, 0], kernel[2, 0], kernel[1, 1], kernel[2, 1]]
    np.testing.assert_array_equal(packed[8:12], r_i)
    assert packed.size == 4 * 2 * (1 + 2) + 8 * 2


@pytest.mark.parametrize("constants", [0, 2])
def test_layers_of_one_size_are_one_call_and_compute_the_same(constants, graph):
    rng = np.random.default_rng(0)
    inputs = tf.constant(rng.normal(size=[6, 3, 4]), tf.float32)
    constant = tf.constant(rng.normal(size=[3, 2]), tf.float32) if constants else None
    layers = [weights(rng, 4 + constants, 5), weights(rng, 5, 5), weights(rng, 5, 5)]
    states = [
        lstm.State(*(tf.constant(rng.normal(size=[3, 5]), tf.float32) for _ in "ch"))
        for _ in layers
    ]
    by = tf.nest.flatten([inputs, layers, states, [] if constant is None else constant])
    outcomes = []
    for layout in (PLAIN, CUDNN):
        hs = stack([inputs], states, layers, constant, layout=layout)
        assert hs.shape.as_list() == [6, 3, 5]
        outcomes.append([hs, *tf.gradients(tf.reduce_sum(hs**2 * 0.3 + hs), by)])
    # One scan over the steps for each layer, and one buffer for all of them.
    for expected, found in zip(*run(*outcomes), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_with_dropout_layers_are_calls_of_their_own(monkeypatch):
    calls = []
    reference = cudnn_reference.cudnn_rnn_v3
    monkeypatch.setattr(
        tf.raw_ops, "CudnnRNNV3", lambda **given: calls.append(given) or reference(**given)
    )
    rng = np.random.default_rng(0)
    inputs = tf.ones([4, 3, 5])
    layers = [weights(rng, 5, 5), weights(rng, 5, 5)]
    states = [lstm.zero_state(3, 5)] * 2
    stack([inputs], states, layers, layout=CUDNN)
    assert [call["input_h"].shape.as_list() for call in calls] == [[2, 3, 5]]
    calls.clear()
    stack([inputs], states, layers, keep_prob=0.5, layout=CUDNN)
    dropped, between = run(*(call["input"] for call in calls))
    assert set(np.unique(dropped)) == {0, 2}
    assert 0 < np.mean(between == 0) < 1


@pytest.mark.parametrize("apart", [False, True])
def test_both_directions_of_any_lengths(apart):
    """Each direction by itself in loops, the second over reversed sequences, gives the same."""
    rng = np.random.default_rng(1)
    lengths = np.array([6, 1, 0, 4])
    inputs, others = (tf.constant(rng.normal(size=[6, 4, 3]), tf.float32) for _ in range(2))
    second = others if apart else inputs
    layers = [weights(rng, 3, 5), weights(rng, 3, 5)]

    def reverse(rows):
        return tf.reverse_sequence(rows, lengths, seq_axis=0, batch_axis=1)

    zero = lstm.zero_state(4, 5)
    forward = lstm.sequence([inputs], zero, layers[0], layout=PLAIN)
    backward = reverse(lstm.sequence([reverse(second)], zero, layers[1], layout=PLAIN))
    within = np.arange(6)[:, None] < lengths
    expected = tf.concat([forward, backward], axis=2) * within[..., None].astype("f")
    last = [
        [forward[n - 1, i] if n else tf.zeros([5]) for i, n in enumerate(lengths)],
        [backward[0, i] if n else tf.zeros([5]) for i, n in enumerate(lengths)],
    ]
    ends = tf.concat([tf.stack(each) for each in last], axis=1)
    hs, found = cudnn.bidirectional(inputs, others if apart else None, lengths, *layers)
    assert hs.shape.as_list() == [6, 4, 10]
    by = tf.nest.flatten([inputs, layers, others if apart else []])
    mask = within[..., None].astype("f")
    outcomes = [
        [
            values * mask,
            each,
            *tf.gradients(tf.reduce_sum(values**2 * mask) + tf.reduce_sum(each**3), by),
        ]
        for values, each in ((expected, ends), (hs, found))
    ]
    theirs, ours = run(*outcomes)
    for one, other in zip(theirs, ours, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-5)


def test_an_operation_has_only_batches_with_padding_or_only_such_without(monkeypatch):
    """TensorFlow's kernel takes its first batch to say which of them all others are."""
    seen = []
    reference = cudnn_reference.cudnn_rnn_v3

    def recording(**given):
        number = len(seen)
        seen.append([])

        def record(lengths, steps):
            seen[number].append(bool(np.all(lengths == steps)))
            return lengths

        lengths = given["sequence_lengths"]
        recorded = tf.py_func(record, [lengths, tf.shape(given["input"])[0]], tf.int32)
        recorded.set_shape(lengths.shape)
        return reference(**given | {"sequence_lengths": recorded})

    monkeypatch.setattr(tf.raw_ops, "CudnnRNNV3", recording)
    rng = np.random.default_rng(2)
    inputs = tf.placeholder(tf.float32, [None, 2, 3])
    lengths = tf.placeholder(tf.int32, [2])
    layers = [weights(rng, 3, 4), weights(rng, 3, 4)]
    hs, ends = cudnn.bidirectional(inputs, None, lengths, *layers)
    gradients = tf.gradients(tf.reduce_sum(ends**2) + tf.reduce_sum(hs**3), tf.nest.flatten(layers))
    batches = [(5, [5, 5]), (5, [5, 2]), (4, [0, 4]), (5, [5, 5]), (4, [4, 4])]
    with tf.Session() as session:
        for steps, of_batch in batches:
            values = rng.normal(size=[steps, 2, 3])
            session.run([hs, ends, *gradients], {inputs: values, lengths: of_batch})
    assert sorted(map(set, seen), key=min) == [{False}, {True}]
    assert sum(map(len, seen)) == len(batches)


def test_the_reference_by_hand():
    """One unit, one step; no code is shared with what it checks.

        i = sigmoid(2 - 3 + 1) = 1/2     c' = tanh(ln 2) = 3/5
        f = sigmoid(ln 3)      = 3/4     o  = sigmoid(-ln 4) = 1/5

    With x = h = 1 and c = (ln 2 - 3/10) / (3/4): c = ln 2, h = 3/25, as in test_lstm.py.
    """
    log = np.log
    w, r = [2, log(3), log(2), 0], [-3, -2, 1, -log(4)]
    # Half of each bias stands in either place: their sum counts.
    half = [0.5, 1.0, -0.5, 0.0]
    made = cudnn_reference.cudnn_rnn_v3(
        input=tf.ones([1, 1, 1]),
        input_h=tf.ones([1, 1, 1]),
        input_c=tf.fill([1, 1, 1], np.float32((log(2) - 0.3) / 0.75)),
        params=tf.constant([*w, *r, *half, *half], tf.float32),
        sequence_lengths=tf.constant([1]),
        rnn_mode="lstm",
        direction="unidirectional",
        is_training=True,
        time_major=True,
    )
    output, h, c = run(*made)
    assert output == pytest.approx(np.full([1, 1, 1], 3 / 25), rel=1e-5)
    assert h == pytest.approx(output)
    assert c == pytest.approx(np.full([1, 1, 1], log(2)), rel=1e-5)
