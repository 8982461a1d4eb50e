"""Training on two devices: the losses, gradients and variables of one.

TensorFlow's devices can be set up once in a process, so two logical CPUs need one of their own:
this file, run as a program, computes what its tests compare.
"""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from pipelines import checkpoints
from pipelines.runtime import magenta_compat

magenta_compat.apply()

import tensorflow.compat.v1 as tf  # noqa: E402
import tensorflow_probability as tfp  # noqa: E402
from magenta.models.music_vae import configs, lstm_models  # noqa: E402
from magenta.models.music_vae.base_model import MusicVAE  # noqa: E402

from models.accelerated import accelerated  # noqa: E402
from models.data_parallel import DataParallelMusicVAE  # noqa: E402
from pipelines import runs  # noqa: E402
from pipelines.systems.musicvae.progress_hook import ProgressHook  # noqa: E402
from tests.support.jobs import ROOT  # noqa: E402
from tests.support.trained import TINY, train_run  # noqa: E402

pytestmark = pytest.mark.slow

TWO = ["/device:CPU:0", "/device:CPU:1"]
BATCH, STEPS, DEPTH, UPDATES = 6, 8, 6, 4
VOICES = [2, DEPTH - 2]


def encoder():
    return lstm_models.BidirectionalLstmEncoder()


def hierarchical(core, **kwargs):
    return lstm_models.HierarchicalLstmDecoder(core, level_lengths=[2, STEPS // 2], **kwargs)


def ours(encoder, decoder):
    return accelerated(MusicVAE(encoder, decoder))


# Each has another kind of encoder and decoder in our layout; one has Magenta's classes unchanged,
# one has loops that XLA compiles on each device.
MODELS = {
    "flat-groove": lambda: ours(encoder(), lstm_models.GrooveLstmDecoder()),
    "flat-groove-xla": lambda: accelerated(
        MusicVAE(encoder(), lstm_models.GrooveLstmDecoder()), layout="xla"
    ),
    "flat-melody": lambda: ours(encoder(), lstm_models.CategoricalLstmDecoder()),
    "flat-melody-magentas": lambda: MusicVAE(encoder(), lstm_models.CategoricalLstmDecoder()),
    "hierarchical-groove": lambda: ours(
        encoder(), hierarchical(lstm_models.GrooveLstmDecoder(), disable_autoregression=True)
    ),
    # It has two voices, each with a core decoder of its own.
    "hierarchical-melody": lambda: ours(
        lstm_models.HierarchicalLstmEncoder(lstm_models.BidirectionalLstmEncoder, [STEPS // 2, 2]),
        hierarchical(
            lstm_models.SplitMultiOutLstmDecoder(
                [lstm_models.CategoricalLstmDecoder() for _ in VOICES], VOICES
            ),
            disable_autoregression=True,
        ),
    ),
}


def batch(name):
    """A batch of examples of differing lengths, where the model takes them."""
    rng = np.random.default_rng(5)
    if "groove" in name:
        hits = rng.integers(0, 2, [BATCH, STEPS, DEPTH // 3])
        rest = [rng.uniform(low, 1, hits.shape) for low in (0, -1)]
        x = np.concatenate([hits, *rest], axis=2)
    else:
        depths = VOICES if name.startswith("hierarchical") else [DEPTH]
        voices = [np.eye(depth)[rng.integers(0, depth, [BATCH, STEPS])] for depth in depths]
        x = np.concatenate(voices, axis=2)
    lengths = rng.integers(1, STEPS + 1, BATCH) if name.startswith("flat") else [STEPS] * BATCH
    return x.astype(np.float32), np.array(lengths, np.int32)


def train_in_graph(name, devices):
    """Trains one of MODELS as music_vae_train does.

    Returns:
      The losses before each update, the gradients before the first, and the tags of the summaries.
    """
    hparams = configs.merge_hparams(
        lstm_models.get_default_hparams(),
        configs.HParams(
            batch_size=BATCH, max_seq_len=STEPS, z_size=4, enc_rnn_size=[5], dec_rnn_size=[5, 5]
        ),
    )
    if "melody" in name:
        # Every input is sampled: otherwise each part of a batch would draw which ones are.
        hparams.sampling_schedule, hparams.sampling_rate = "constant", 1.0
    with tf.Graph().as_default():
        model = MODELS[name]()
        if devices:
            model = DataParallelMusicVAE(model, devices)
        model.build(hparams, DEPTH, is_training=True)
        x, lengths = batch(name)
        x = tf.constant(x)
        optimizer = model.train(x, x, tf.constant(lengths), None)
        gradients, variables = zip(*optimizer.compute_gradients(model.loss))
        clipped = tf.clip_by_global_norm(gradients, hparams.grad_clip)[0]
        update = optimizer.apply_gradients(zip(clipped, variables), model.global_step)
        rng = np.random.default_rng(6)
        initial = [
            variable.assign(rng.normal(0, 0.5, variable.shape.as_list()))
            for variable in sorted(tf.trainable_variables(), key=lambda variable: variable.name)
        ]
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            session.run(initial)
            first = session.run(dict(zip([v.op.name for v in variables], gradients)))
            losses = []
            for _ in range(UPDATES):
                losses.append(session.run(model.loss))
                session.run(update)
            summary = tf.Summary.FromString(session.run(tf.summary.merge_all()))
        kernels = [
            op.device[-5:]
            for op in tf.get_default_graph().get_operations()
            if "LSTM" in op.type or op.type == "MatMul"
        ]
        return {
            "losses": [float(loss) for loss in losses],
            "gradients": {key: value.tolist() for key, value in sorted(first.items())},
            "variables": sorted(variable.op.name for variable in tf.global_variables()),
            "summaries": {value.tag: value.simple_value for value in summary.value},
            "kernels": {device: kernels.count(device) for device in sorted(set(kernels))},
        }


def train_folders(records, folder):
    """The losses and variables of a run on one device, and of one that moves to two and back."""
    losses = []
    ordinary = ProgressHook.after_run

    def after_run(self, context, values):
        losses.append(float(values.results["loss"]))
        ordinary(self, context, values)

    ProgressHook.after_run = after_run
    hparams = f"{TINY},dropout_keep_prob=1"  # The parts of a batch draw their own masks.
    start = os.path.join(folder, "start")
    train_run(records, start, num_steps=1, hparams=hparams)
    results = []
    for name, devices in (("one", ["CPU:0", "CPU:0"]), ("two", ["CPU:0,cpu:1", "CPU"])):
        losses.clear()
        run_dir = os.path.join(folder, name)
        shutil.copytree(start, run_dir)
        for num_steps, names in zip((3, 4), devices):
            train_run(records, run_dir, num_steps=num_steps, hparams=hparams, devices=names)
        last = checkpoints.latest(runs.train_dir(run_dir))
        results.append({"losses": list(losses), "variables": tf.train.list_variables(last)})
    return results


def likeliest(decoder, rnn_output, temperature=1.0):
    """Stands in for CategoricalLstmDecoder._sample."""
    return tf.one_hot(tf.argmax(rnn_output, axis=1), rnn_output.shape[1])


def main(records, folder):
    """Writes what the tests compare to a file in `folder`."""
    tf.disable_v2_behavior()
    [cpu] = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    # Without this, the parts of a batch would draw other noise than the whole.
    tfp.distributions.MultivariateNormalDiag.sample = lambda self: self.mean()
    lstm_models.CategoricalLstmDecoder._sample = likeliest
    results = {}
    tf.config.set_soft_device_placement(True)
    for name in MODELS:
        results[name] = [train_in_graph(name, devices) for devices in (None, TWO)]
    results["folders"] = train_folders(records, folder)
    with open(os.path.join(folder, "results.json"), "w", encoding="utf-8") as file:
        json.dump(results, file)


@pytest.fixture(scope="module")
def results(groove_records, tmp_path_factory):
    folder = tmp_path_factory.mktemp("two_devices")
    done = subprocess.run(
        [sys.executable, "-m", "tests.models.test_data_parallel", str(groove_records), str(folder)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "results.json").read_text()) | {"log": done.stderr}


@pytest.mark.parametrize("name", MODELS)
def test_two_devices_compute_what_one_does(results, name):
    one, two = results[name]
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=1e-5)
    assert len(set(one["losses"])) == UPDATES  # The updates changed something.
    assert one["gradients"].keys() == two["gradients"].keys()
    for key, gradient in one["gradients"].items():
        # A gradient near 0 is a sum of larger numbers, and rounded as those are.
        atol = 1e-5 * np.max(np.abs(gradient))
        np.testing.assert_allclose(two["gradients"][key], gradient, rtol=1e-5, atol=atol)


@pytest.mark.parametrize("name", MODELS)
def test_two_devices_have_the_variables_of_one(results, name):
    one, two = results[name]
    assert one["variables"] == two["variables"]


@pytest.mark.parametrize("name", MODELS)
def test_the_summaries_are_of_the_whole_batch_and_once(results, name):
    one, two = results[name]
    assert one["summaries"].keys() == two["summaries"].keys()
    for tag, value in one["summaries"].items():
        assert two["summaries"][tag] == pytest.approx(value, rel=1e-4, abs=1e-6), tag
    sampling = any("sampling_probability" in tag for tag in one["summaries"])
    assert sampling == ("melody" in name)


@pytest.mark.parametrize("name", MODELS)
def test_both_devices_have_the_same_work(results, name):
    """Each has as many cells and products, forwards and backwards; none is without a device."""
    one, two = results[name]
    [number] = one["kernels"].values()
    assert two["kernels"] == {"CPU:0": number, "CPU:1": number}


def test_a_run_goes_from_one_device_to_two_and_back(results):
    one, two = results["folders"]
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=1e-5)
    assert len(one["losses"]) == 3
    assert one["variables"] == two["variables"]
    assert "device: CPU:0, CPU:1 (found: CPU:0, CPU:1)" in results["log"]


def test_only_training_is_divided():
    model = DataParallelMusicVAE(MODELS["flat-groove"](), TWO)
    hparams = lstm_models.get_default_hparams()
    with pytest.raises(ValueError, match="only train"):
        model.build(hparams, DEPTH, is_training=False)
    hparams.batch_size = 7
    with pytest.raises(ValueError, match="7 cannot be divided over 2"):
        model.build(hparams, DEPTH, is_training=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
