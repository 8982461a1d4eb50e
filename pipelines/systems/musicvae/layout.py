"""Lays a model out for the devices that compute with it: what --layout and --precision mean."""

import re
from collections.abc import Sequence

import tensorflow.compat.v1 as tf

from models import accelerated
from models.accelerated import trial
from pipelines.runtime.app import UserError, say

# Parts of CUDA that XLA reads and runs, which a machine may have elsewhere or not at all.
_TOOLS = re.compile("libdevice|ptxas|nvlink")
_TOOLS_FIX = (
    " (install CUDA as docs/gpu.md says, or name its folder, as in "
    "XLA_FLAGS=--xla_gpu_cuda_data_dir=/usr/local/cuda)"
)

# The operations of the layout "loops": TensorFlow's loops, and its kernel for whole sequences.
_LOOPS = ("Exit", "While", "StatelessWhile", "BlockLSTM")


def choose(layout: str, devices: Sequence[str]) -> str:
    """The name of the layout to use, one in `models.accelerated.layouts.NAMES`.

    Args:
      layout: one of those, or "auto": loops on a CPU, and cuDNN on a GPU that computes the same
        with it, which is tried.
      devices: their names for `tf.device`, from `runtime.devices.use`.

    Raises:
      UserError: for cuDNN where no GPU is used.
    """
    on_gpus = all("GPU" in device for device in devices)
    if layout == "cudnn" and not on_gpus:
        raise UserError(
            "--layout=cudnn needs a GPU, and this job uses none; leave --layout out, or give "
            "--devices=GPU where there is one"
        )
    if layout != "auto":
        return layout
    if not on_gpus:
        return "loops"
    fault = trial.fault("cudnn", devices[0])
    if fault:
        fix = _TOOLS_FIX if _TOOLS.search(fault) else ""
        say(f"warning: cuDNN or XLA does not work on this GPU, loops are slower: {fault}{fix}")
        return "loops"
    return "cudnn"


def lay_out(config, layout: str, devices: Sequence[str], precision: str = "float32"):
    """Returns a config whose model is laid out as the flags say.

    Warns where cuDNN computes in another precision.

    Args:
      config: a Magenta Config, its model not built yet.
      layout, devices: as `choose` takes them.
      precision: one of `models.accelerated.layouts.PRECISIONS`.
    """
    name = choose(layout, devices)
    if name == "cudnn" and precision != "float32":
        say(
            f"warning: --precision={precision} does nothing for the layers that cuDNN runs, which "
            f"compute in float32; --layout=xla rounds the products of all layers"
        )
    return config._replace(
        model=accelerated.accelerated(config.model, layout=name, precision=precision)
    )


def say_chosen(config) -> None:
    """Says how the model of a config from `lay_out` runs, where it is unusual."""
    chosen = accelerated.layout_of(config.model)
    if chosen.compiled or chosen.bfloat16:
        say(f"layout: {chosen.name}, {chosen.precision}")


def say_used(config, **parts: tf.Tensor) -> None:
    """Says by what the parts of a built model run, where a layout other than loops was chosen.

    A decoder that draws in a way of its own samples in TensorFlow's loops in every layout.

    Args:
      config: from `lay_out`.
      **parts: what each part of the model computes, by the name of the part.
    """
    if accelerated.layout_of(config.model).compiled:
        say("layout: " + ", ".join(f"{part} {used(tensor)}" for part, tensor in parts.items()))


def used(tensor: tf.Tensor) -> str:
    """The names of the layouts by whose operations a tensor is computed, as in "cudnn and xla"."""
    names = set()
    seen, open_ends = set(), [tensor.op]
    while open_ends:
        operation = open_ends.pop()
        if operation in seen:
            continue
        seen.add(operation)
        open_ends += [each.op for each in operation.inputs]
        if operation.type == "CudnnRNNV3":
            names.add("cudnn")
        elif operation.node_def.attr["_XlaMustCompile"].b:
            names.add("xla")
        elif operation.type in _LOOPS:
            names.add("loops")
    return " and ".join(sorted(names))
