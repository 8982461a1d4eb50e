"""Whether TensorFlow has kernels for a GPU of all operations of a training step, without a GPU.

Its package has the kernels whether there is a GPU or not. An operation without one is computed by
the CPU, to which its inputs are copied in every step; XLA does not compile it at all.
"""

import collections

import pytest

from pipelines.runtime import magenta_compat

magenta_compat.apply()

import tensorflow.compat.v1 as tf  # noqa: E402
from tensorflow.python.framework import kernels  # noqa: E402

from models import accelerated  # noqa: E402
from tests.support.model_pairs import KINDS, make_batch, make_hparams  # noqa: E402

pytestmark = pytest.mark.slow


def has_kernel(node, devices) -> bool:
    """Whether an operation has a kernel on one of the devices for the types that it has."""

    def fits(kernel) -> bool:
        for constraint in kernel.constraint:
            value = node.attr[constraint.name]
            types = value.list.type if value.WhichOneof("value") == "list" else [value.type]
            allowed = constraint.allowed_values.list.type
            # Others are of strings, such as what to do with an index that is not there.
            if allowed and not set(types) <= set(allowed):
                return False
        return kernel.device_type in devices

    return any(map(fits, kernels.get_registered_kernels_for_op(node.op).kernel))


def training_step(name, layout, precision):
    """The graph of a small training step."""
    kind = KINDS[name]
    hparams = make_hparams(
        kind, 3, dropout_keep_prob=0.7, sampling_schedule="constant", sampling_rate=0.5
    )
    with tf.Graph().as_default() as graph:
        model = accelerated.accelerated(kind.model(), layout=layout, precision=precision)
        model.build(hparams, kind.depth, is_training=True)
        x, lengths, _, controls = make_batch(kind, 3)
        x = tf.constant(x, tf.float32)
        controls = None if controls is None else tf.constant(controls, tf.float32)
        optimizer = model.train(x, x, tf.constant(lengths, tf.int32), controls)
        optimizer.apply_gradients(optimizer.compute_gradients(model.loss))
    return graph.as_graph_def()


@pytest.fixture(scope="module", autouse=True)
def compilation():
    tf.disable_v2_behavior()
    if not any(
        k.device_type == "GPU" for k in kernels.get_registered_kernels_for_op("MatMul").kernel
    ):
        pytest.skip("this TensorFlow is built without GPUs")
    # Only then does TensorFlow register what XLA compiles.
    with tf.Graph().as_default(), tf.Session() as session:
        session.run(tf.function(lambda x: x + 1, jit_compile=True)(tf.ones([])))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("layout", ["loops", "cudnn", "xla"])
@pytest.mark.parametrize("name", ["cat-mel_2bar_small", "hierdec-groove_16bar"])
def test_all_operations_of_a_step_have_kernels_for_a_gpu(name, layout, precision):
    graph = training_step(name, layout, precision)
    lacking = {node.op for node in graph.node if not has_kernel(node, ("GPU", "DEFAULT"))}
    # Summaries and their names stay on the host, and are made once in many steps.
    assert lacking <= {"ScalarSummary", "Const"}
    constants = [n for n in graph.node if n.op == "Const" and n.attr["dtype"].type != tf.string]
    assert all(has_kernel(node, ("GPU", "DEFAULT")) for node in constants)
    kinds = collections.Counter(node.op for node in graph.node)
    assert (kinds["CudnnRNNBackpropV3"] > 0) == (layout == "cudnn")


@pytest.mark.parametrize("name", ["groovae_4bar", "cat-mel_2bar_small", "hierdec-groove_16bar"])
def test_xla_compiles_all_of_its_loops_for_a_gpu(name):
    functions = training_step(name, "xla", "float32").library.function
    nodes = [node for function in functions for node in function.node_def]
    assert any("While" in node.op for node in nodes)
    assert {node.op for node in nodes if not has_kernel(node, ("XLA_GPU_JIT",))} == set()
