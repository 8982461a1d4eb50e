"""The reference of benchmarks: stock Magenta in its own environment, or its classes in this one."""

import json
import os
import subprocess
import sys
import time

from absl import flags

from pipelines.bench._compare import require_success
from pipelines.runtime import (
    files,
    magenta_compat,  # noqa: F401  chooses Keras 2 for Magenta in other processes too
)
from pipelines.runtime.app import UserError

FLAGS = flags.FLAGS
_SIDE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "side")
_VERSIONS = (
    "import importlib.metadata as m, platform; print('Magenta', m.version('magenta'),"
    " 'on TensorFlow', m.version('tensorflow'), 'and Python', platform.python_version())"
)


def define_flags() -> None:
    """Defines --stock."""
    flags.DEFINE_string(
        "stock",
        None,
        "Folder of an environment with stock Magenta; without it, Magenta's own classes in this "
        "environment.",
    )


def name() -> str:
    """The name of Magenta's side."""
    return "stock" if FLAGS.stock else "Magenta here"


def sides() -> dict[str, str]:
    """The description of Magenta's side, for `Comparison.sides`.

    Raises:
      UserError: where --stock names no environment with Magenta in it.
    """
    try:
        done = subprocess.run(
            [*python(), "-c", _VERSIONS], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise UserError(
            f"--stock={FLAGS.stock}: no environment with Magenta (its bin/python has to have it)"
        ) from error
    where = "an environment of its own" if FLAGS.stock else "this environment: no --stock is given"
    return {name(): f"{done.stdout.strip()}, in {where}"}


def python() -> list[str]:
    """The command of the Python that Magenta runs in; stock Magenta's ignores this environment."""
    if not FLAGS.stock:
        return [sys.executable]
    return [os.path.join(os.path.expanduser(FLAGS.stock), "bin", "python"), "-I"]


def run_side(command: list[str], job: dict, path: str) -> dict[str, float]:
    """Runs one side of a benchmark: the programs in the folder `side`.

    Args:
      command: the Python to run it with.
      job: as they describe it; the time of its start is added.
      path: the beginning of the paths of the files that this makes.

    Returns:
      What it measured, by name.

    Raises:
      UserError: if it fails.
    """
    result = f"{path}.result.json"
    files.write_json(f"{path}.job.json", {**job, "start": time.time()})
    command = [*command, _SIDE, f"{path}.job.json", result]
    # The process reports its own peak of memory, since watching it would take time.
    with open(f"{path}.log", "wb") as log:
        status = subprocess.call(command, stdout=log, stderr=subprocess.STDOUT)
    require_success(status, command, f"{path}.log")
    with open(result, encoding="utf-8") as file:
        return json.load(file)
