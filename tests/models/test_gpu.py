"""The layouts for GPUs on a real one: values and gradients are those of Magenta's classes.

They run where REELGROOVE_GPU_TESTS is set: ./run.sh test tests/models/test_gpu.py
"""

import os

import pytest

from pipelines.runtime import magenta_compat

magenta_compat.apply()

import tensorflow.compat.v1 as tf  # noqa: E402

from models.accelerated import trial  # noqa: E402
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
