"""Writes summaries for TensorBoard: numbers by name, and the settings of a run."""

import math
import os
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import tensorflow.compat.v1 as tf
from tensorboard.plugins.hparams import summary_v2 as hparams_plugin
from tensorboard.plugins.text import summary_v2 as text_plugin

from pipelines.runtime.app import say
from pipelines.systems.musicvae import input_wait
from pipelines.systems.musicvae.validation import ACTIVE_VARIANCE


def open_writer(folder: str, start: int) -> tf.summary.FileWriter:
    """Opens a file of summaries for a run that goes on from a step.

    What was written of later steps, before the run was killed, is then not shown.

    Args:
      folder: of the summaries; made where it does not exist.
      start: the step that the run goes on from.
    """
    # In training's graph, the writer would add that graph to its file.
    with tf.Graph().as_default():
        writer = tf.summary.FileWriter(folder)
    writer.add_session_log(tf.SessionLog(status=tf.SessionLog.START), start + 1)
    return writer


def scalars(result: Mapping[str, Any], prefix: str = "") -> Iterator[tf.Summary.Value]:
    """The numbers of nested JSON values as summaries, named "outer/inner"; whole numbers are left.

    Args:
      result: JSON values.
      prefix: what all names begin with.
    """
    for name, value in result.items():
        if isinstance(value, dict):
            yield from scalars(value, f"{prefix}{name}/")
        elif isinstance(value, float):
            yield tf.Summary.Value(tag=prefix + name, simple_value=value)


def validation_scalars(result: Mapping[str, Any]) -> list[tf.Summary.Value]:
    """What `Validation.measure` gives, by the names that training's summaries have.

    The same names in two runs lie over each other in TensorBoard.
    """
    named: dict[str, Any] = {
        "loss": result["loss"],
        "losses/r_loss": result["reconstruction_loss"],
        "losses/r_bits": result["reconstruction_bits"],
        "losses/kl_loss": result["kl_loss"],
        "losses/kl_bits": result["kl_bits"],
        "losses/kl_beta": result["kl_beta"],
        "loss_at_max_beta": result["loss_at_max_beta"],
    }
    if "active_units" in result:
        named["active_units"] = float(result["active_units"])
    if "teacher_forced" in result:
        named["teacher_forced"] = result["teacher_forced"]
    return list(scalars(named))


def add_training_summaries(in_step: bool = False) -> None:
    """Adds to a graph that is built for training what Magenta's summaries lack.

    These are the reconstruction loss in bits, and the active latent units of the batch. Call it
    after everything else is built: what is drawn depends on how many nodes there were before.

    Args:
      in_step: whether the step has the active units already; XLA gives no tensor from inside of
        what it compiles.
    """
    for summary in tf.get_collection(tf.GraphKeys.SUMMARIES):
        if summary.op.name.endswith("losses/r_loss"):
            tf.summary.scalar("losses/r_bits", summary.op.inputs[1] / math.log(2))
    if not in_step:
        add_active_units()


def add_active_units() -> None:
    """Adds a summary of the active latent units of the batch, where there are latent vectors."""
    # One for each device, where several share the batch.
    means = [
        operation.outputs[0]
        for operation in tf.get_default_graph().get_operations()
        if operation.name.endswith("encoder/mu/BiasAdd")
    ]
    if means:
        variances = tf.math.reduce_variance(tf.concat(means, axis=0), axis=0)
        active = tf.reduce_sum(tf.cast(variances > ACTIVE_VARIANCE, tf.float32))
        tf.summary.scalar("active_units", active)


def write_settings(run_dir: str, hparams: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
    """Writes a run's hparams for the hparams plugin, and its run.json as text.

    They go to the run folder itself, so that the plugin finds the metrics of its folders `train`
    and `validation` beside them.

    Args:
      run_dir: the run folder.
      hparams: as the run is trained with.
      metadata: JSON values that say what the run is.
    """
    values = {
        name: value if isinstance(value, bool | int | float | str) else str(value)
        for name, value in {"config": metadata.get("config", ""), **hparams}.items()
    }
    table = ["| what | value |", "|---|---|"]
    table += [f"| {name} | {_cell(value)} |" for name, value in sorted(metadata.items())]
    summaries = (
        hparams_plugin.hparams_pb(values, trial_id=os.path.abspath(run_dir)),
        text_plugin.text_pb("run", "\n".join(table)),
    )
    with tf.Graph().as_default(), tf.summary.FileWriter(run_dir) as writer:
        for summary in summaries:
            writer.add_summary(tf.Summary.FromString(summary.SerializeToString()), 0)


def _cell(value: Any) -> str:
    return "`" + str(value).replace("|", "\\|").replace("`", "'").replace("\n", " ") + "`"


class ThroughputHook(tf.train.SessionRunHook):
    """Writes how many examples a second training takes, and in what share of the time it waits.

    Steps a second are in the summaries of TensorFlow's own session. The share is said at the end.

    Args:
      folder: of training's summaries.
      batch_size: examples in a step.
      every: steps between two summaries.
    """

    def __init__(self, folder: str, batch_size: int, every: int = 100):
        self._folder = folder
        self._batch_size = batch_size
        self._every = every
        # The first step waits for the shuffle buffers, and is not counted.
        self._first: _Counted | None = None
        self._last = self._now = _Counted(0, 0.0, 0.0)

    def begin(self) -> None:
        """Takes the writer that the session uses."""
        self._writer = tf.summary.FileWriterCache.get(self._folder)
        self._fetches = {"step": tf.train.get_global_step()}
        wait = input_wait.seconds()
        if wait is not None:
            self._fetches["wait"] = wait

    def before_run(self, run_context):
        """Asks for the step of each run, and how long it waited for its batch."""
        return tf.train.SessionRunArgs(self._fetches)

    def after_run(self, run_context, run_values) -> None:
        """Writes the examples a second and the share, every so many steps."""
        step, now = int(run_values.results["step"]), time.monotonic()
        if self._first is None:
            self._first = self._last = self._now = _Counted(step, now, 0.0)
            return
        waited = self._now.waited + float(run_values.results.get("wait", 0.0))
        self._now = _Counted(step, now, waited)
        if step - self._last.step >= self._every:
            steps, seconds, waited = self._now.since(self._last)
            values = {"global_step/examples_per_sec": steps * self._batch_size / seconds}
            if "wait" in self._fetches:
                values["global_step/input_wait"] = waited / seconds
            self._writer.add_summary(tf.Summary(value=scalars(values)), step)
            self._last = self._now

    def end(self, session) -> None:
        """Says the share of the whole run."""
        if self._first is None or "wait" not in self._fetches:
            return
        steps, seconds, waited = self._now.since(self._first)
        if steps:
            say(f"waited for examples in {waited / seconds:.1%} of the time")


class _Counted(NamedTuple):
    """The step, the time, and the seconds that were waited for batches so far."""

    step: int
    time: float
    waited: float

    def since(self, before: "_Counted") -> "_Counted":
        """What came after another."""
        return _Counted(
            self.step - before.step, self.time - before.time, self.waited - before.waited
        )
