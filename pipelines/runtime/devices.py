"""The devices that TensorFlow computes on: which there are, and which a job uses.

The choice made here holds for every session of the process without a ConfigProto of its own, such
as Magenta's: TensorFlow sets those up by `tf.config`. A ConfigProto for one session would come too
late, because the first session of a process decides about its GPUs.
"""

import importlib.util
import os
import shlex
from collections.abc import Sequence
from typing import NamedTuple

import tensorflow.compat.v1 as tf

from pipelines.runtime import device_names
from pipelines.runtime.app import UserError, say

_KINDS = ("CPU", "GPU")
# This file exists if the NVIDIA driver is loaded and, in a container, passed on.
_NVIDIA_DRIVER = "/dev/nvidiactl"


class Device(NamedTuple):
    """A device that TensorFlow would make.

    Attributes:
      name: its name among all devices, e.g. "GPU:2"; TensorFlow counts only those in use.
      physical: the physical device; several devices share one that was divided by
        `tf.config.set_logical_device_configuration`.
    """

    name: str
    physical: tf.config.PhysicalDevice

    @property
    def kind(self) -> str:
        """CPU or GPU."""
        return self.physical.device_type

    def describe(self) -> str:
        """The name, and the model if TensorFlow knows it."""
        model = tf.config.experimental.get_device_details(self.physical).get("device_name")
        return f"{self.name} ({model})" if model else self.name


def found() -> list[Device]:
    """Returns the CPUs and GPUs that TensorFlow finds; opens none of them."""
    devices = []
    for kind in _KINDS:
        parts = [
            physical
            for physical in tf.config.list_physical_devices(kind)
            for _ in tf.config.get_logical_device_configuration(physical) or [None]
        ]
        devices += [Device(f"{kind}:{n}", physical) for n, physical in enumerate(parts)]
    return devices


def choose(text: str, devices: Sequence[Device]) -> list[Device]:
    """Returns the devices that `--devices` names, in its order.

    Args:
      text: "CPU", "GPU" (all GPUs), or single ones such as "GPU:0,GPU:2", in upper or lower case;
        "" for all GPUs or, if there are none, the CPU.
      devices: from `found`.

    Raises:
      UserError: for a device that is not there; it lists those that are, and says what to do.
    """
    if not text:
        gpus = [device for device in devices if device.kind == "GPU"]
        return gpus or [device for device in devices if device.kind == "CPU"][:1]
    chosen = []
    for item in device_names.read(text):
        matching = [device for device in devices if item in (device.kind, device.name)]
        if not matching:
            names = ", ".join(device.name for device in devices)
            kind = item.split(":")[0]
            fix = f"choose among those, or {_fix()}" if kind == "GPU" else "choose among those"
            raise UserError(f"--devices={text}: no {item} here; TensorFlow finds {names}: {fix}")
        # TensorFlow takes all cores for one CPU, unless several were asked for.
        chosen += matching[:1] if item == "CPU" else matching
    if len({device.name for device in chosen}) < len(chosen):
        raise UserError(f"--devices={text}: names a device twice")
    return chosen


def _fix() -> str:
    """What to do if TensorFlow does not find a GPU that is there."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None:
        return f"unset CUDA_VISIBLE_DEVICES={shlex.quote(hidden)}, which hides the others"
    if not importlib.util.find_spec("nvidia"):
        return (
            "install CUDA for TensorFlow: ./.venv/bin/uv pip install --python .venv/bin/python "
            f"'tensorflow[and-cuda]=={tf.version.VERSION}'"
        )
    return "see that nvidia-smi lists it (the NVIDIA driver; in a container --gpus=all)"


def use(text: str) -> list[str]:
    """Makes this process compute on the devices that `--devices` names, and says so.

    Call it before the first session. GPUs that are not named are not opened. Memory of those that
    are is taken as it is needed instead of all at once, so that `evaluate` can run beside `train`;
    with TF_FORCE_GPU_ALLOW_GROWTH=false all is taken at once again.

    Args:
      text: see `choose`.

    Returns:
      The names of the devices for `tf.device`, e.g. ["/device:GPU:0", "/device:GPU:1"].

    Raises:
      UserError: for a device that is not there, as `choose` raises it.
    """
    devices = found()
    chosen = choose(text, devices)
    say(
        f"device: {', '.join(device.name for device in chosen)} "
        f"(found: {', '.join(device.describe() for device in devices)})"
    )
    if not text and chosen[0].kind == "CPU" and os.path.exists(_NVIDIA_DRIVER):
        say(f"warning: there is an NVIDIA driver, but TensorFlow finds no GPU; {_fix()}")
    used = {device.physical for device in chosen}
    gpus = [gpu for gpu in tf.config.list_physical_devices("GPU") if gpu in used]
    tf.config.set_visible_devices(gpus, "GPU")
    for gpu in gpus:
        if not tf.config.get_logical_device_configuration(gpu):
            tf.config.experimental.set_memory_growth(gpu, True)
    # Operations that a device cannot do, such as reading records, go to the CPU.
    tf.config.set_soft_device_placement(True)
    # TensorFlow counts the devices that it sees, from 0.
    names = {}
    for kind in _KINDS:
        seen = [d for d in devices if d.kind == kind and (kind == "CPU" or d.physical in used)]
        names |= {device: f"/device:{kind}:{n}" for n, device in enumerate(seen)}
    return [names[device] for device in chosen]


def require_divisible(batch_size: int, names: Sequence[str], workers: int = 1) -> None:
    """Raises UserError if a batch cannot be divided evenly over workers and their devices.

    Args:
      batch_size: the number of examples in a batch of all workers together, as the user gives it.
      names: the devices, from `use`; each worker has as many.
      workers: the number of workers that share a batch.
    """
    parts = {"workers": workers, "devices": len(names)}
    number = workers * len(names)
    if batch_size % number:
        lower, higher = batch_size - batch_size % number, batch_size + -batch_size % number
        sizes = " or ".join(str(size) for size in (lower, higher) if size)
        divided = {kind: count for kind, count in parts.items() if count > 1}
        over = " x ".join(f"{count} {kind}" for kind, count in divided.items())
        raise UserError(
            f"a batch of {batch_size} cannot be divided evenly over {over}; give "
            f"--hparams=batch_size={sizes}, or fewer {' or '.join(divided)}"
        )
