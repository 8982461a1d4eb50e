"""The layouts for GPUs on a real one: values and gradients are those of Magenta's classes.

They run where REELGROOVE_GPU_TESTS is set: ./run.sh test tests/models/test_gpu.py
"""

import os

import numpy as np
import pytest

from pipelines.runtime import magenta_compat

magenta_compat.apply()

import tensorflow.compat.v1 as tf  # noqa: E402

from models.accelerated import cudnn, lstm, trial  # noqa: E402
from tests.support.model_pairs import (  # noqa: E402
    DRAWN,
    KINDS,
    UNITS,
    assert_same,
    pair,
    pair_fed_with_the_likeliest,
)

pytestmark = pytest.mark.skipif(
    not os.environ.get("REELGROOVE_GPU_TESTS"), reason="REELGROOVE_GPU_TESTS is not set: no GPU"
)


@pytest.fixture(autouse=True)
def graph():
    assert tf.config.list_physical_devices("GPU"), "TensorFlow finds no GPU"
    # Otherwise products have 10 bits, and nothing is equal to 1e-5.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    tf.disable_v2_behavior()
    with tf.Graph().as_default() as graph:
        yield graph


@pytest.mark.parametrize("layout", ["loops", "cudnn", "xla"])
def test_a_layout_has_no_fault(layout):
    assert trial.fault(layout, "/device:GPU:0") is None


@pytest.mark.parametrize("layout", ["cudnn", "xla"])
@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("name", KINDS)
def test_a_model_computes_the_same(name, units, layout):
    theirs, ours = pair(KINDS[name], layout=layout, **UNITS[units])
    with theirs, ours:
        kinds = {operation.type for operation in ours.graph.get_operations()}
        assert ("CudnnRNNV3" in kinds) == (layout == "cudnn")
        theirs.randomize(0)
        ours.randomize(0)
        assert_same(theirs, ours)


@pytest.mark.parametrize("name", DRAWN)
def test_what_it_gave_itself_gives_magentas_loss(name, monkeypatch):
    theirs, ours = pair_fed_with_the_likeliest(name, "cudnn", monkeypatch)
    with theirs, ours:
        theirs.randomize(0)
        ours.randomize(0)
        assert_same(theirs, ours)


def test_batches_with_and_without_padding_follow_each_other():
    """Each gives what it gives in a session of its own, in which it is the first."""
    rng = np.random.default_rng(0)
    layers = [
        lstm.Weights(
            tf.constant(rng.normal(size=[3 + 4, 16]), tf.float32),
            tf.constant(rng.normal(size=16), tf.float32),
        )
        for _ in range(2)
    ]
    inputs, lengths = tf.constant(rng.normal(size=[5, 2, 3]), tf.float32), tf.placeholder(tf.int32)
    lengths.set_shape([2])
    hs, ends = cudnn.bidirectional(inputs, None, lengths, *layers)
    total = tf.reduce_sum(ends**2) + tf.reduce_sum(hs**3)
    fetches = [hs, ends, *tf.gradients(total, tf.nest.flatten(layers))]
    batches = [[5, 5], [5, 2], [1, 3], [5, 5]]
    with tf.Session() as session:
        found = [session.run(fetches, {lengths: batch}) for batch in batches]
    for batch, of_batch in zip(batches, found, strict=True):
        with tf.Session() as session:
            alone = session.run(fetches, {lengths: batch})
        for one, other in zip(of_batch, alone, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
