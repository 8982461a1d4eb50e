"""Runs jobs one after another without importing TensorFlow for each.

The import takes 8 to 10 seconds of a core, and the demo has 12 jobs with a model. On two cores the
installation and the demo take 3 min 26 s this way; a new Python for each job would add a minute
and a half, and together they would not stay under five minutes.

Where a fork is safe (Linux), this process imports TensorFlow once and each job with a model runs in
a fork of it, with the flags, the output and the exit status that it has as a command. TensorFlow
looks for devices and starts its threads in the fork. Elsewhere, and without a model, a job is a new
Python.
"""

import functools
import multiprocessing
import os
import runpy
import subprocess
import sys
from collections.abc import Sequence

from absl import flags

from pipelines.runtime import tensorflow

_WITH_MODELS = ("train", "evaluate", "generate", "titles")


def run(job: str, arguments: Sequence[str], stdout: str | None = None) -> int:
    """Runs a job as `./run.sh JOB ARGUMENTS` does.

    Args:
      job: the name of a module in `pipelines`.
      arguments: its flags, and before them the words that belong to its name.
      stdout: a file for what it prints, if that is not to be seen.

    Returns:
      Its exit status; negative where a signal ended it.
    """
    if sys.platform == "linux" and job in _WITH_MODELS:
        _load()
        process = multiprocessing.get_context("fork").Process(
            target=_in_fork, args=(job, arguments, stdout)
        )
        process.start()
        process.join()
        assert process.exitcode is not None  # It has been joined.
        return process.exitcode
    command = [sys.executable, "-m", f"pipelines.{job}", *arguments]
    if stdout is None:
        return subprocess.run(command, check=False).returncode
    with open(stdout, "wb") as file:
        return subprocess.run(command, stdout=file, check=False).returncode


@functools.cache
def _load() -> None:
    """Imports what the jobs with a model import."""
    tensorflow.load()
    from pipelines.systems.musicvae import evaluation, generation, training  # noqa: F401


def _in_fork(job: str, arguments: Sequence[str], stdout: str | None) -> None:
    if stdout is not None:
        file = os.open(stdout, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        os.dup2(file, 1)
        os.close(file)
    # The job defines its own flags, some by the names of those of this program (absl knows a
    # program by its first argument).
    for flag in list(flags.FLAGS.flags_by_module_dict().get(sys.argv[0], [])):
        delattr(flags.FLAGS, flag.name)
    sys.argv[1:] = arguments
    runpy.run_module(f"pipelines.{job}", run_name="__main__", alter_sys=True)
