"""Which devices a job uses, on machines with and without GPUs, and what it says of them."""

import json
import os
import re
import subprocess
import sys

import pytest

from configs import ConfigRef
from pipelines.runtime import devices
from pipelines.runtime.app import UserError
from pipelines.systems.musicvae import training
from tests.support.jobs import ROOT, error_of, job

tf = devices.tf


class Machine:
    """Stands in for tf.config on a machine with GPUs; the machine of the tests needs none."""

    def __init__(self, gpus, parts=()):
        physical = [("CPU", 0), *(("GPU", n) for n in range(gpus))]
        self._physical = [
            tf.config.PhysicalDevice(f"/physical_device:{kind}:{n}", kind) for kind, n in physical
        ]
        self._parts = {f"/physical_device:{name}": n for name, n in parts}
        self.visible, self.growing = None, []
        self.experimental = self

    def list_physical_devices(self, kind):
        return [device for device in self._physical if device.device_type == kind]

    def get_logical_device_configuration(self, device):
        return ["a part"] * self._parts.get(device.name, 0) or None

    def get_device_details(self, device):
        return {"device_name": "H200"} if device.device_type == "GPU" else {}

    def set_visible_devices(self, physical, kind):
        assert kind == "GPU"
        self.visible = [device.name[-1] for device in physical]

    def set_memory_growth(self, device, enable):
        assert enable
        self.growing.append(device.name[-1])

    def set_soft_device_placement(self, enabled):
        assert enabled


@pytest.fixture
def machine(monkeypatch):
    """Makes devices.py see a machine with this number of GPUs."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(devices, "_NVIDIA_DRIVER", "/nonexistent")

    def make(*args, **kwargs):
        made = Machine(*args, **kwargs)
        monkeypatch.setattr(devices.tf, "config", made)
        return made

    return make


@pytest.mark.parametrize(
    "gpus, text, names, visible",
    [
        (0, "", ["CPU:0"], ""),
        (0, "cpu", ["CPU:0"], ""),
        (2, "", ["GPU:0", "GPU:1"], "01"),
        (2, "GPU", ["GPU:0", "GPU:1"], "01"),
        (2, "CPU", ["CPU:0"], ""),
        (3, "GPU:0,gpu:2", ["GPU:0", "GPU:1"], "02"),
        (3, "gpu:2, GPU:1", ["GPU:1", "GPU:0"], "12"),
        (1, "GPU:0,CPU", ["GPU:0", "CPU:0"], "0"),
    ],
)
def test_choices(machine, gpus, text, names, visible):
    """The names are TensorFlow's, which counts only the GPUs that are visible to it."""
    made = machine(gpus)
    assert devices.use(text) == [f"/device:{name}" for name in names]
    assert "".join(made.visible) == visible
    assert "".join(made.growing) == visible


def test_a_gpu_may_be_divided(machine):
    """TensorFlow allows no memory growth on a GPU whose parts have fixed amounts of memory."""
    made = machine(2, parts=[("GPU:0", 2)])
    assert devices.use("GPU:1,GPU:2") == ["/device:GPU:1", "/device:GPU:2"]
    assert made.visible == ["0", "1"] and made.growing == ["1"]
    assert devices.use("GPU:2") == ["/device:GPU:0"]
    assert made.visible == ["1"]


def test_what_is_found_and_used_is_said(machine, capsys):
    machine(2)
    devices.use("GPU:1")
    said = capsys.readouterr().err
    assert said == "device: GPU:1 (found: CPU:0, GPU:0 (H200), GPU:1 (H200))\n"


@pytest.mark.parametrize(
    "gpus, text, message",
    [
        (0, "GPU", "no GPU here; TensorFlow finds CPU:0: "),
        (1, "GPU:0,GPU:1", "no GPU:1 here; TensorFlow finds CPU:0, GPU:0: "),
        (0, "CPU:1", "no CPU:1 here; TensorFlow finds CPU:0: choose among those$"),
        (0, "TPU", "TPU is not a device; write CPU, GPU or e.g."),
        (1, "GPU:0,", "nothing is not a device"),
        (1, "GPU:0;GPU:1", "GPU:0;GPU:1 is not a device"),
        (1, "GPU,GPU:0", "names a device twice"),
    ],
)
def test_what_cannot_be_used_is_refused(machine, gpus, text, message):
    machine(gpus)
    with pytest.raises(UserError, match=message) as error:
        devices.use(text)
    assert f"--devices={text}: " in str(error.value)


@pytest.mark.parametrize(
    "hidden, cuda, fix",
    [
        ("-1", True, "unset CUDA_VISIBLE_DEVICES=-1"),
        ("", True, "unset CUDA_VISIBLE_DEVICES=''"),
        (None, False, r"uv pip install .* 'tensorflow\[and-cuda\]==2\.\d+"),
        (None, True, "nvidia-smi"),
    ],
)
def test_the_fix_depends_on_what_is_there(machine, monkeypatch, capsys, hidden, cuda, fix):
    machine(0)
    if hidden is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    monkeypatch.setattr(devices.importlib.util, "find_spec", lambda name: cuda or None)
    with pytest.raises(UserError, match=fix):
        devices.use("GPU")
    devices.use("")
    assert "warning" not in capsys.readouterr().err
    # With a driver but without CUDA, people would train on the CPU without noticing.
    monkeypatch.setattr(devices, "_NVIDIA_DRIVER", os.devnull)
    devices.use("")
    assert "TensorFlow finds no GPU" in capsys.readouterr().err
    devices.use("CPU")
    assert "warning" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "batch_size, number, sizes",
    [(9, 2, "batch_size=8 or 10"), (1, 2, "batch_size=2"), (512, 3, "batch_size=510 or 513")],
)
def test_a_batch_that_cannot_be_divided_is_refused(batch_size, number, sizes):
    with pytest.raises(UserError, match=f"{batch_size} cannot .* over {number} .*={sizes}, "):
        devices.require_divisible(batch_size, ["x"] * number)
    devices.require_divisible(batch_size * number, ["x"] * number)


@pytest.mark.parametrize(
    "batch_size, workers, number, message",
    [
        (33, 2, 1, "33 cannot be divided evenly over 2 workers; .*=32 or 34, or fewer workers"),
        (10, 2, 2, "10 .* over 2 workers x 2 devices; .*=8 or 12, or fewer workers or devices"),
        # With more workers than examples, the only advice is a batch in which each has a part.
        (3, 8, 1, "3 .* over 8 workers; .*=8, or"),
        (1, 2, 3, "1 .* over 2 workers x 3 devices; .*=6, or"),
    ],
)
def test_a_batch_is_shared_by_workers_first(batch_size, workers, number, message):
    with pytest.raises(UserError, match=message) as error:
        devices.require_divisible(batch_size, ["x"] * number, workers)
    # The sizes that the message advises are accepted.
    advised = re.search(r"batch_size=(\d+)(?: or (\d+))?, ", str(error.value))
    for size in filter(None, advised.groups()):
        devices.require_divisible(int(size), ["x"] * number, workers)


def test_train_refuses_such_a_batch_before_it_writes(monkeypatch, tmp_path):
    monkeypatch.setattr(devices, "use", lambda text: ["/device:GPU:0", "/device:GPU:1"])
    for hparams, workers, sizes in (("batch_size=7", 0, "6 or 8"), ("batch_size=10", 2, "8 or 12")):
        with pytest.raises(UserError, match=f"--hparams=batch_size={sizes}, "):
            training.train(
                ConfigRef("flat-groove_4bar", hparams=hparams),
                str(tmp_path / "run"),
                lambda config: pytest.fail("examples are opened"),
                1,
                training.Options(num_sync_workers=workers),
            )
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_train_says_which_device_is_missing(tmp_path, groove_records):
    line = error_of(
        job(
            "train",
            "--config=flat-groove_4bar",
            f"--examples_path={groove_records}/train.tfrecord*",
            f"--run_dir={tmp_path / 'run'}",
            "--devices=GPU:7",
        )
    )
    assert "--devices=GPU:7: no GPU:7 here; TensorFlow finds CPU:0" in line


_SESSIONS = """
import json, sys
from pipelines.runtime import magenta_compat
import tensorflow.compat.v1 as tf
from pipelines.runtime import devices
tf.disable_v2_behavior()
[cpu] = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
names = devices.use("CPU:1,CPU:0")
with tf.Graph().as_default():
    with tf.device(names[0]):
        there = tf.constant(1.0) + tf.random.uniform([])
    with tf.device("/device:GPU:0"):
        soft = there + 1
    with tf.train.MonitoredTrainingSession() as session:
        session.run(soft)
    with tf.Session() as session:
        names += [device.name.split("device:")[1] for device in session.list_devices()]
print(json.dumps(names))
"""


@pytest.mark.slow
def test_the_choice_reaches_sessions_without_a_config():
    """Sessions without a ConfigProto, such as Magenta's, use the chosen devices."""
    done = subprocess.run(
        [sys.executable, "-c", _SESSIONS],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    names = json.loads(done.stdout)
    assert names == ["/device:CPU:1", "/device:CPU:0", "CPU:0", "CPU:1"]
