"""Lays a model out for the devices that compute with it: what --layout and --precision mean."""

from collections.abc import Sequence

from models import accelerated
from models.accelerated import trial
from pipelines.runtime.app import UserError, say


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
        say(f"warning: cuDNN or XLA does not work on this GPU, loops are slower: {fault}")
        return "loops"
    return "cudnn"


def lay_out(config, layout: str, devices: Sequence[str], precision: str = "float32"):
    """Returns a config whose model is laid out as the flags say; says so where it is unusual.

    Args:
      config: a Magenta Config, its model not built yet.
      layout, devices: as `choose` takes them.
      precision: one of `models.accelerated.layouts.PRECISIONS`.
    """
    name = choose(layout, devices)
    if (name, precision) != ("loops", "float32"):
        say(f"layout: {name}, {precision}")
    return config._replace(
        model=accelerated.accelerated(config.model, layout=name, precision=precision)
    )
