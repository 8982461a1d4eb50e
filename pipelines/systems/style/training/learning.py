"""How a generator learns beside the true targets: steps, validation, checkpoints, when it ends."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from pipelines import checkpoints, runs
from pipelines.runtime.app import UserError, say
from pipelines.runtime.progress import Progress
from pipelines.systems.style.training import validation
from pipelines.systems.style.training.batches import Batch, Batches
from pipelines.systems.style.training.learners import Learner
from pipelines.systems.style.training.validation import Example
from pipelines.systems.style.transfer.transfers import SampleTransfer, Transfer

_SUMMARY_STEPS = 50
# Pictures and sounds are written at each so many validations: phases take time to find.
_SHOWN_EVERY = 4


class Limits(NamedTuple):
    """When a job ends before the hyperparameters say so.

    Attributes:
      minutes: of training in this job; 0 for any.
    """

    minutes: float = 0.0


class Schedule(Protocol):
    """Those hyperparameters that say how long a model learns, as of `configs.style.Hparams`."""

    @property
    def num_steps(self) -> int:
        """Batches to train on."""

    @property
    def every(self) -> int:
        """Steps from one validation, and checkpoint, to the next."""

    @property
    def patience(self) -> int:
        """How many validations without a new best one end the training."""


def require_same_counts(run_dir: str, before: Mapping[str, Any], counts: list[int]) -> None:
    """Raises UserError where a run that goes on was begun with more sounds, or fewer.

    Args:
      run_dir: the run's folder.
      before: what its run.json says; {} where there is none.
      counts: of the sounds of source and target.
    """
    if before and before.get("sounds") != counts:
        raise UserError(
            f"{run_dir} was begun with {before.get('sounds')} sounds of source and target, which "
            f"have {counts} now; restore them, or train in another folder"
        )


class State:
    """A model in training, with all that a checkpoint keeps.

    Args:
      learner: its networks and optimisers.
      take: learns from a batch, given the number of steps done; returns the losses of the networks
        that learnt by name.
      transfer: the generator as it is used, whose weights go on changing.
      contents: makes a checkpoint of what that needs, and of what else it is given by name.
      learning_rate: of the generator, for a message.
      run_dir: the run's folder; the last checkpoint is restored, if there is one.

    Raises:
      UserError: where the checkpoint is damaged.
    """

    def __init__(
        self,
        learner: Learner,
        take: Callable[[Batch, int], dict[str, tf.Tensor]],
        transfer: Transfer | SampleTransfer,
        contents: Callable[..., tf.train.Checkpoint],
        learning_rate: float,
        run_dir: str,
    ):
        self.transfer = transfer
        self._take, self._learning_rate = take, learning_rate
        self._steps = tf.Variable(0, trainable=False, dtype=tf.int64)
        self._stale = tf.Variable(0, trainable=False, dtype=tf.int64)
        self._best = tf.Variable(np.inf, trainable=False, dtype=tf.float64)
        self._first = tf.Variable(np.inf, trainable=False, dtype=tf.float64)
        networks = {
            name: [weight.value for weight in network.weights]
            for name, network in learner.networks.items()
        }
        optimizers = {
            name: [variable.value for variable in optimizer.variables]
            for name, optimizer in learner.optimizers.items()
        }
        state = contents(
            networks=networks,
            optimizers=optimizers,
            steps=self._steps,
            stale=self._stale,
            best=self._best,
            first=self._first,
        )
        directory = runs.train_dir(run_dir)
        checkpoints.settle(directory)
        self._last = tf.train.CheckpointManager(state, directory, 1)
        self._kept = tf.train.CheckpointManager(contents(), runs.best_dir(run_dir), 1)
        checkpoints.go_on(self._last)

    @property
    def steps(self) -> int:
        """How many are done."""
        return int(self._steps.numpy())

    @property
    def stale(self) -> int:
        """How many validations there were since the best."""
        return int(self._stale.numpy())

    @property
    def best(self) -> float:
        """The least distance so far, in dB."""
        return float(self._best.numpy())

    @property
    def first(self) -> float:
        """The distance before training, in dB."""
        return float(self._first.numpy())

    def train(self, batch: Batch) -> dict[str, float]:
        """Takes a step; returns the losses of the networks that learnt.

        Raises:
          UserError: where a loss is not finite.
        """
        found = self._take(batch, self.steps)
        losses = {name: float(value) for name, value in found.items()}
        if bad := [name for name, value in losses.items() if not np.isfinite(value)]:
            raise UserError(
                f"the loss {bad[0]} is {losses[bad[0]]:g} in step {self.steps + 1}; lower the "
                f"learning rate (--hparams=learning_rate={self._learning_rate / 10:g})"
            )
        self._steps.assign_add(1)
        return losses

    def note_distance(self, distance: float) -> None:
        """Keeps the generator where it is the nearest so far."""
        if not np.isfinite(self.first):
            self._first.assign(distance)
        if distance < self.best:
            self._kept.save(self.steps)
            self._best.assign(distance)
            self._stale.assign(0)
        else:
            self._stale.assign_add(1)

    def save(self) -> None:
        """Writes a checkpoint, in place of the one before."""
        self._last.save(self.steps)


def learn(
    state: State,
    schedule: Schedule,
    drawn: Batches,
    examples: list[Example],
    run_dir: str,
    limits: Limits,
) -> bool:
    """Trains from the last checkpoint, or from the beginning.

    Args:
      state: the model.
      schedule: how long it learns.
      drawn: the batches by number.
      examples: of validation; there may be none.
      run_dir: the run's folder, for checkpoints and summaries.
      limits: of this job.

    Returns:
      Whether the training is over, rather than out of time.

    Raises:
      UserError: where the loss is no longer finite.
    """
    if state.steps:
        say(f"going on after step {state.steps} of {schedule.num_steps}")
    log, losses = _Log(run_dir, state.transfer, examples), Losses()
    ends = time.monotonic() + limits.minutes * 60 if limits.minutes else np.inf
    if examples and not state.steps:
        # What the best has to beat: the distance before any training.
        state.note_distance(log.validated(0))
    with Progress("steps", schedule.num_steps, first=state.steps) as progress:
        while state.steps < schedule.num_steps:
            losses.note(state.train(drawn[state.steps]))
            step = state.steps
            progress.update(step, log.note)
            if step % _SUMMARY_STEPS == 0:
                log.losses(step, losses.means())
            is_due = step % schedule.every == 0 or step == schedule.num_steps
            if is_due and examples:
                state.note_distance(log.validated(step))
            # A job that is out of time validates nothing that one without a limit would not.
            is_late = time.monotonic() >= ends
            if is_due or is_late:
                state.save()
            if examples and state.stale >= schedule.patience:
                say(f"no nearer in {state.stale} validations, so training ends at step {step}")
                break
            if is_late:
                break
    if examples and state.best == state.first:
        say("nothing that was learnt is nearer to the true targets than the beginning")
    if examples:
        say(
            f"nearest to the true targets: {state.best:.2f} dB in mels (before training "
            f"{state.first:.2f}), in {runs.best_dir(run_dir)}"
        )
    stale = bool(examples) and state.stale >= schedule.patience
    return stale or state.steps >= schedule.num_steps


class Losses:
    """The losses of steps, of which not all have each."""

    def __init__(self) -> None:
        self._noted: dict[str, list[float]] = {}

    def note(self, losses: dict[str, float]) -> None:
        """Keeps those of a step."""
        for name, value in losses.items():
            self._noted.setdefault(name, []).append(value)

    def means(self) -> dict[str, float]:
        """The means of what was noted since the last time."""
        noted, self._noted = self._noted, {}
        return {name: float(np.mean(values)) for name, values in noted.items()}


class _Log:
    """What TensorBoard gets."""

    def __init__(
        self, run_dir: str, transfer: Transfer | SampleTransfer, examples: Sequence[Example]
    ):
        self._transfer, self._examples = transfer, list(examples)
        folders = runs.train_dir(run_dir), runs.validation_dir(run_dir), runs.media_dir(run_dir)
        self._train, self._validation, self._media = (
            tf.summary.create_file_writer(folder) for folder in folders
        )
        self._count = 0
        self.note = ""

    def losses(self, step: int, losses: dict[str, float]) -> None:
        with self._train.as_default(step=step):
            for name, value in losses.items():
                tf.summary.scalar(f"losses/{name}", value)
        self._train.flush()

    def validated(self, step: int) -> float:
        found = validation.distance(self._transfer, self._examples)
        with self._validation.as_default(step=step):
            tf.summary.scalar("log_spectral_distance_db", found)
        self._validation.flush()
        if self._count % _SHOWN_EVERY == 0:
            with self._media.as_default(step=step):
                validation.show(self._transfer, self._examples)
            self._media.flush()
        self._count += 1
        self.note = f"{found:.2f} dB from the true targets"
        return found
