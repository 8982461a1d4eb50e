"""Validates while training: writes the curves, keeps the best checkpoint, stops in time."""

import glob
import math
import os
import pathlib

import tensorflow.compat.v1 as tf

from pipelines import checkpoints, runs
from pipelines.media import projector
from pipelines.runtime.app import UserError, say
from pipelines.systems.musicvae import summaries, validation_record
from pipelines.systems.musicvae.validation import Validation, Windows
from pipelines.systems.musicvae.variable_values import values_of


class ValidationHook(tf.train.SessionRunHook):
    """Measures the model on held-out windows every so many steps, and after the last one.

    Args:
      run_dir: the run folder.
      config: a Magenta Config of its own.
      windows: what to measure on.
      record: what was measured so far, from `validation_record.read`.
      every: steps between two validations.
      patience: stop after so many validations in a row without a better loss; None never stops.
      num_steps: the step that training ends at.
      start: the step that training begins at.
    """

    def __init__(
        self,
        run_dir: str,
        config,
        windows: Windows,
        record: validation_record.Record,
        every: int,
        patience: int | None,
        num_steps: int,
        start: int,
    ):
        self._run_dir = run_dir
        self._config = config
        self._windows = windows
        self._record = record
        self._every = every
        self._patience = patience
        self._num_steps = num_steps
        self._start = start
        self._validation: Validation | None = None
        self._writer: tf.summary.FileWriter | None = None

    def begin(self) -> None:
        """Adds the saver of the best checkpoint; Magenta calls it before there is a session."""
        os.makedirs(runs.validation_dir(self._run_dir), exist_ok=True)
        # All variables, so that training can go on from the best checkpoint, too.
        self._saver = tf.train.Saver(save_relative_paths=True, max_to_keep=2)
        best = self._record.best
        keep_only(runs.best_dir(self._run_dir), best.step if best else None)
        if kept := checkpoints.latest(runs.best_dir(self._run_dir)):
            # So that the saver removes it when a better one is there.
            self._saver.recover_last_checkpoints([kept])
        self._step = tf.train.get_global_step()

    def after_create_session(self, session, coord) -> None:
        """Measures before the first step, where that is due."""
        if self._writer is not None:
            return  # A worker that lost its session got another one.
        self._writer = summaries.open_writer(runs.validation_dir(self._run_dir), self._start)
        if self._start % self._every == 0 and not self._record.has(self._start):
            self._validate(session, self._start)

    def before_run(self, run_context):
        """Asks for the step of each run."""
        return tf.train.SessionRunArgs(self._step)

    def after_run(self, run_context, run_values) -> None:
        """Measures where it is due; asks for the end where the patience is exhausted."""
        # The step may have been read before it was counted up, or after.
        near = int(run_values.results) + 1
        if near % self._every > 1 and near < self._num_steps:
            return
        step = int(run_context.session.run(self._step))
        if (step % self._every and step < self._num_steps) or self._record.has(step):
            return
        self._validate(run_context.session, step)
        if self._record.exhausted(self._patience):
            run_context.request_stop()

    def end(self, session) -> None:
        """Closes the file of summaries."""
        if self._writer is not None:
            self._writer.close()

    def _validate(self, session, step: int) -> None:
        if self._validation is None:
            self._validation = Validation(self._config, self._windows)
        self._validation.load(values_of(session, self._validation.variables))
        result = self._validation.measure()
        loss = result["loss_at_max_beta"]
        better = math.isfinite(loss) and self._record.add(step, loss)
        if better:
            prefix = os.path.join(runs.best_dir(self._run_dir), "model.ckpt")
            os.makedirs(os.path.dirname(prefix), exist_ok=True)
            self._saver.save(session, prefix, global_step=step, write_meta_graph=False)
        # The checkpoint comes first, and the one before goes last: whenever a run is killed, the
        # record names one that is there.
        self._record.save()
        if better:
            keep_only(runs.best_dir(self._run_dir), step)
            self._write_points()
        assert self._writer is not None
        values = summaries.validation_scalars(result)
        self._writer.add_summary(tf.Summary(value=values), step)
        self._writer.flush()
        say(self._said(step, result, better))

    def _write_points(self) -> None:
        """Puts the latent vectors of the windows, and what they are of, into the projector."""
        if self._validation is None or self._validation.means is None:
            return
        every = math.ceil(len(self._windows.facts) / projector.MAX_POINTS)
        facts = self._windows.facts[::every]
        columns = list(dict.fromkeys(["id", *(name for each in facts for name in each)]))
        points = [[each.get(column, "") for column in columns] for each in facts]
        spaces = {"latent_means": self._validation.means[::every]}
        projector.write(runs.validation_dir(self._run_dir), columns, points, spaces)

    def _said(self, step: int, result: dict, better: bool) -> str:
        text = (
            f"validation at step {step}: loss {result['loss']:.3f} (reconstruction "
            f"{result['reconstruction_bits']:.1f} bits, KL {result['kl_bits']:.1f} bits)"
        )
        if better:
            return f"{text}, the best so far"
        best = self._record.best
        return f"{text}; best at step {best.step}" if best else text


def keep_only(folder: str, step: int | None) -> None:
    """Removes the checkpoints of a folder but that of one step; None removes all.

    A kill may leave one that the record does not know.

    Raises:
      UserError: for a link, behind which checkpoints of another run may lie.
    """
    if os.path.islink(folder):
        raise UserError(
            f"{folder} is a link, and training removes older checkpoints there; put a folder in "
            "its place, or remove it"
        )
    for path in glob.glob(os.path.join(glob.escape(folder), "model.ckpt-*")):
        if step is None or not pathlib.Path(path).name.startswith(f"model.ckpt-{step}."):
            pathlib.Path(path).unlink()
    if os.path.isdir(folder):
        checkpoints.settle(folder)


def stopped(record: validation_record.Record, patience: int | None, step: int) -> str | None:
    """Says that a run was stopped by its patience at a step; None where it was not."""
    if not record.exhausted(patience) or record.best is None or record.history[-1].step != step:
        return None
    return (
        f"stopped at step {step}: no better than at step {record.best.step} in "
        f"{record.without_improvement} validations (--patience={patience})"
    )
