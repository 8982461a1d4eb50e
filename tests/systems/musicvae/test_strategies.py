"""Training with steps that XLA compiles whole, beside the usual steps."""

import collections
import shutil

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import configs
from configs import ConfigRef, groove, melody
from pipelines import checkpoints, runs
from pipelines.runtime import magenta_compat
from pipelines.runtime.app import UserError
from pipelines.runtime.draws_by_step import DrawsByStep
from pipelines.systems.musicvae import strategies
from pipelines.systems.musicvae.progress_hook import ProgressHook
from tests.support.jobs import job
from tests.support.trained import TINY, train_run

STEPS = 50


@pytest.fixture
def losses(monkeypatch):
    """The losses of the steps that are taken, as they are shown."""
    losses = []
    ordinary = ProgressHook.after_run

    def after_run(self, context, values):
        losses.append(float(values.results["loss"]))
        ordinary(self, context, values)

    monkeypatch.setattr(ProgressHook, "after_run", after_run)
    return losses


def last_variables(run_dir):
    reader = tf.train.load_checkpoint(checkpoints.latest(runs.train_dir(str(run_dir))))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def tags(run_dir):
    """The tags of the curves; Magenta numbers those of its two texts by the process."""
    return {
        value.tag
        for path in (run_dir / "train").glob("events*")
        for event in tf.train.summary_iterator(str(path))
        for value in event.summary.value
        if not value.tag.startswith(("examples_path", "hparams"))
    }


@pytest.fixture
def same_noise(monkeypatch):
    """Has both steps draw the same, made of integers.

    XLA's Philox gives TensorFlow's bits, but makes other floating-point numbers of them.
    """

    def bits(draws, shape, dtype):
        key = tf.reshape(tf.bitcast(draws._next(), tf.uint64), [1])
        counter = tf.zeros([2], tf.uint64)
        return tf.raw_ops.StatelessRandomUniformFullIntV2(
            shape=shape, key=key, counter=counter, alg=1, dtype=dtype
        )

    def uniform(draws, shape, dtype, seed=0, seed2=0, name=None):
        # 23 bits, in the middle of each interval: erfinv of its ends is not finite.
        whole = tf.bitwise.right_shift(bits(draws, shape, tf.int32), 9)
        whole = tf.bitwise.bitwise_and(whole, (1 << 23) - 1)
        return (tf.cast(whole, tf.float32) + 0.5) / (1 << 23)

    def normal(draws, shape, dtype, seed=0, seed2=0, name=None):
        return 2**0.5 * tf.math.erfinv(2 * uniform(draws, shape, dtype) - 1)

    def integers(draws, shape, minval, maxval, seed=0, seed2=0, name=None):
        # Dropout alone draws integers, of 64 bits.
        return bits(draws, shape, tf.int64)

    for name, drawn in (("uniform", uniform), ("normal", normal), ("uniform_int", integers)):
        monkeypatch.setattr(DrawsByStep, f"_{name}", drawn)


@pytest.mark.slow
@pytest.mark.parametrize("config", ["flat-groove_4bar", "hierdec-groove_4bar"])
def test_fifty_compiled_steps_have_the_losses_of_the_usual_ones(
    groove_records, tmp_path, losses, same_noise, config
):
    """From the same weights, on the same batches and with the same noise, dropout included."""
    hparams = TINY + ",dropout_keep_prob=0.9"
    train_run(groove_records, tmp_path / "graph", config, 1, hparams)
    shutil.copytree(tmp_path / "graph", tmp_path / "compiled")
    curves = {}
    for strategy in ("graph", "compiled"):
        losses.clear()
        run_dir = tmp_path / strategy
        taken = train_run(groove_records, run_dir, config, 1 + STEPS, hparams, strategy=strategy)
        assert taken == STEPS
        curves[strategy] = list(losses)
    np.testing.assert_allclose(curves["compiled"], curves["graph"], rtol=1e-4)
    # The steps have learnt something, so that equal losses are no accident.
    assert curves["graph"][-1] < 0.9 * curves["graph"][0]
    graph, compiled = (last_variables(tmp_path / strategy) for strategy in curves)
    assert graph.keys() == compiled.keys()
    for name, value in graph.items():
        np.testing.assert_allclose(compiled[name], value, rtol=1e-2, atol=1e-3, err_msg=name)
    assert tags(tmp_path / "graph") == tags(tmp_path / "compiled")
    # The usual steps go on from the checkpoint of the compiled ones.
    assert train_run(groove_records, tmp_path / "compiled", config, 2 + STEPS, hparams) == 1


def build(config, compile):
    """Builds the step of a config in the default graph, on random examples, with all its noise."""
    hparams, converter = config.hparams, config.data_converter
    rng = np.random.default_rng(0)
    shape = [hparams.batch_size, hparams.max_seq_len]

    def sequence(depth):
        if not isinstance(converter, groove.GrooveConverter):
            return np.eye(depth, dtype=np.float32)[rng.integers(0, depth, shape)]
        hits = rng.random([*shape, depth // 3], np.float32) > 0.8
        return np.concatenate([hits, hits * rng.random(hits.shape, np.float32), 0 * hits], 2)

    def dataset_fn():
        draws.begin()
        inputs, outputs = sequence(converter.input_depth), sequence(converter.output_depth)
        batch = inputs, outputs, inputs[..., :0], np.full(shape[0], shape[1], np.int32)
        return tf.data.Dataset.from_tensors(batch).repeat()

    with DrawsByStep(1) as draws:
        module = magenta_compat.music_vae_train()
        config = strategies.without_fused(config)
        return strategies.build(module, config, dataset_fn, compile, "/device:CPU:0")


def build_tiny(compile):
    return build(
        ConfigRef("flat-groove_4bar", hparams=TINY + ",dropout_keep_prob=0.9").build(), compile
    )


def inside(graph, mark):
    """The operations that are compiled, without those that stand for inputs and outputs."""
    return collections.Counter(
        operation.type
        for operation in graph.get_operations()
        if mark in operation.node_def.attr and operation.type not in ("Identity", "NoOp")
    )


# The kinds of operations of each step that was compiled and held.
COMPILED = []


def kinds_of(graph):
    """The operations of a graph and of its loops, by their names and the types of their values."""
    library = graph.as_graph_def().library
    nodes = [node for function in library.function for node in function.node_def]
    nodes += [operation.node_def for operation in graph.get_operations()]
    return {
        (node.op, *((name, value.type) for name, value in sorted(node.attr.items()) if value.type))
        for node in nodes
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", [*groove.CONFIGS, *melody.CONFIGS])
def test_the_step_of_each_config_compiles(name):
    """It gives a loss and changes every variable.

    XLA has a kernel for an operation and the types of its values, or it has none. So a config that
    has the kinds of one before, and differs in its window or in its sizes, compiles as well.
    """
    config = configs.builders()[name]()
    hparams = config.hparams
    hparams.batch_size, hparams.z_size = 2, 4
    hparams.enc_rnn_size = [8] * len(hparams.enc_rnn_size)
    hparams.dec_rnn_size = [8] * len(hparams.dec_rnn_size)
    # The posterior counts from the second step on.
    hparams.beta_rate = hparams.free_bits = 0.0
    with tf.Graph().as_default() as graph, tf.Session() as session:
        step = build(config, tf.xla.experimental.compile)
        kinds = kinds_of(graph)
        if kinds in COMPILED:
            return
        session.run(tf.global_variables_initializer())
        trained = tf.trainable_variables()
        before = session.run(trained)
        for _ in range(2):
            assert np.isfinite(session.run(step.loss))
        assert session.run(step.scalars["losses/kl_loss"]) > 0
        for variable, old, new in zip(trained, before, session.run(trained), strict=True):
            assert (old != new).any(), variable.name
    COMPILED.append(kinds)


@pytest.mark.slow
def test_compiled_steps_of_melodies_have_the_losses_of_the_usual_ones(same_noise):
    """From the same weights, on three levels; drums are compared in longer runs above."""

    def uncompiled(computation, inputs):
        *values, update = computation(*inputs)
        with tf.control_dependencies([update]):
            return [tf.identity(value) for value in values]

    losses, values = [], None
    for compile in (uncompiled, tf.xla.experimental.compile):
        hparams = TINY + ",beta_rate=0.0,free_bits=0,dropout_keep_prob=0.9"
        config = ConfigRef("hierdec-jig_16bar", hparams=hparams).build()
        with tf.Graph().as_default(), tf.Session() as session:
            step = build(config, compile)
            session.run(tf.global_variables_initializer())
            values = values or session.run(tf.trainable_variables())
            for variable, value in zip(tf.trainable_variables(), values, strict=True):
                session.run(variable.assign(value))
            losses.append([session.run(step.loss) for _ in range(20)])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)
    assert losses[0][-1] < 0.99 * losses[0][0]


@pytest.mark.slow
def test_a_tpu_is_given_the_step_that_is_compiled_here():
    """`tf.tpu.rewrite` builds without a TPU; what it has inside are the same operations."""
    with tf.Graph().as_default() as compiled:
        build_tiny(tf.xla.experimental.compile)
    with tf.Graph().as_default() as rewritten:
        step = build_tiny(tf.tpu.rewrite)
    here = inside(compiled, "_xla_compile_id")
    there = inside(rewritten, "_tpu_replicate")
    del there["TPUReplicateMetadata"]
    assert here == there
    assert {"MatMul", "StatelessRandomNormal", "ResourceApplyAdam"} <= set(here)
    # Nothing of it is on the host, is fetched by the host, or has a state that is not a variable.
    host = {"PyFunc", "EagerPyFunc", "IteratorGetNext", "ScalarSummary", "Timestamp", "Print"}
    assert not (host | {"RandomUniform", "RandomUniformInt", "RandomStandardNormal"}) & set(here)
    [get_next] = [o for o in rewritten.get_operations() if o.type == "IteratorGetNext"]
    assert "_tpu_replicate" not in get_next.node_def.attr
    given = [o for o in rewritten.get_operations() if o.type == "TPUReplicatedInput"]
    assert given
    for operation in given:
        assert operation.outputs[0].shape.is_fully_defined(), operation.name
    assert step.loss.shape == []
    assert {"loss", "learning_rate", "global_norm", "active_units"} <= set(step.scalars)


@pytest.mark.slow
def test_a_model_with_kernels_that_xla_lacks_is_one_line(groove_records, tmp_path, monkeypatch):
    monkeypatch.setattr(strategies, "without_fused", lambda config: config)
    message = "--strategy=compiled: XLA has no BlockLSTM.*; train it with --strategy=graph"
    with pytest.raises(UserError, match=message):
        train_run(groove_records, tmp_path, strategy="compiled")


@pytest.mark.slow
def test_without_a_tpu_there_is_one_line(tmp_path):
    done = job(
        "train",
        "--config=flat-groove_4bar",
        "--examples_path=nothing",
        f"--run_dir={tmp_path}/run",
        "--strategy=tpu",
    )
    assert done.returncode == 1
    assert done.stderr == (
        "error: --strategy=tpu: no TPU here (neither /dev/accel0 nor /dev/vfio/0); run it on a TPU "
        "VM, or the same step on a CPU or GPU by --strategy=compiled\n"
    )


def test_a_compiled_step_is_not_divided():
    for devices, workers, message in (
        (["/device:GPU:0", "/device:GPU:1"], 1, "on one device, and 2 are there.*--devices=GPU:0"),
        (["/device:CPU:0"], 2, "for one machine; leave --num_sync_workers out"),
    ):
        strategies.require_one_device("graph", devices, workers)
        with pytest.raises(UserError, match=message):
            strategies.require_one_device("compiled", devices, workers)
    strategies.require_one_device("tpu", ["/device:CPU:0"], 1)


@pytest.mark.parametrize("given", [{"layout": "loops"}, {"precision": "bfloat16"}])
def test_a_layout_is_refused_where_the_step_is_compiled_as_a_whole(tmp_path, given):
    with pytest.raises(UserError, match="--layout and --precision are for --strategy=graph"):
        train_run(tmp_path, tmp_path / "run", strategy="compiled", **given)
    assert not (tmp_path / "run").exists()
