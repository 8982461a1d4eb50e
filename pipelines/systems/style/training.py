"""Training a model of timbre transfer: the work of `style train`."""

import functools
import time
from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from configs.style import NO_METHOD, Hparams
from models.melgan_vc import PIECES
from pipelines import checkpoints, runs
from pipelines.runtime.app import UserError, say
from pipelines.runtime.progress import Progress
from pipelines.systems.style import (
    batches,
    learners,
    sound_folders,
    trained,
    transfers,
    validation,
)
from pipelines.systems.style.batches import Batch, Batches
from pipelines.systems.style.methods import Fitted, methods
from pipelines.systems.style.trained import TrainedTransfer
from pipelines.systems.style.validation import Example

_PACKAGES = ("keras", "tensorflow", "numpy", "librosa")
_SUMMARY_STEPS = 50
# Pictures and sounds are written at each so many validations: phases take time to find.
_SHOWN_EVERY = 4


class Limits(NamedTuple):
    """When a job ends before the hyperparameters say so.

    Attributes:
      minutes: of training in this job; 0 for any.
    """

    minutes: float = 0.0


def train(
    name: str,
    hparams: Hparams,
    source: str,
    target: str,
    run_dir: str,
    seed: int = 0,
    limits: Limits | None = None,
) -> None:
    """Trains a model; a run that was stopped goes on from its last checkpoint.

    Args:
      name: of `configs.style.MODELS`.
      hparams: its hyperparameters, changed or not.
      source, target: folders of sounds. If `style render` made them as pairs, the distance to the
        true targets of their validation split is measured while the model learns; RUN_DIR/best
        keeps the checkpoint that is nearest, and training ends where that gets no nearer.
      run_dir: the run's folder.
      seed: of all that is drawn.
      limits: of this job; what it leaves undone is done by the next.

    Raises:
      UserError: for folders without sounds of some length, or with the same recordings, or a
        folder with another run, or in which another job is training.
    """
    with runs.training(run_dir):
        _train(name, hparams, source, target, run_dir, seed, limits or Limits())


def _train(
    name: str,
    hparams: Hparams,
    source: str,
    target: str,
    run_dir: str,
    seed: int,
    limits: Limits,
) -> None:
    """`train`, in a folder that no other job is training in."""
    settings = {
        "model": name,
        "hparams": trained.described(hparams),
        "source": source,
        "target": target,
        "seed": seed,
    }
    before = trained.read_metadata(run_dir)
    runs.require_same(run_dir, before, settings, hashes=("hparams",))
    if before and before["finished"]:
        say(f"{run_dir} is trained; nothing left to do")
        return
    paired = hparams.method == "paired"
    paths = _paired(source, target) if paired else sound_folders.unpaired(source, target)
    frames = PIECES * hparams.piece
    found = [
        batches.read(folder, each, frames, hparams.minutes, f"sounds of the {side}")
        for folder, each, side in zip((source, target), paths, ("source", "target"))
    ]
    examples = validation.read(validation.held_out(source, target))
    start = _fitted(hparams.start, *found)
    teacher = _fitted(hparams.teacher, *found)
    if teacher is not None:
        # Pseudo-pairs of nearest frames: Erro, Moreno and Bonafonte, "INCA algorithm for training
        # voice conversion systems from nonparallel corpora", 2010.
        found[1] = _converted(found[0], teacher)
    if start is not None:
        found[0] = _converted(found[0], start)
    aligned = paired or teacher is not None
    drawn = Batches(found[0], found[1], aligned, frames, hparams.batch_size, seed)
    metadata = {**settings, "sounds": list(map(len, found)), **runs.provenance(_PACKAGES)}
    runs.write(run_dir, trained.KIND, {**metadata, "finished": False})
    # NumPy takes seeds of 32 bits.
    keras.utils.set_random_seed(seed % 2**32)
    if fit(hparams, start, drawn, examples, run_dir, limits):
        runs.write(run_dir, trained.KIND, {**metadata, "finished": True})


def _paired(source: str, target: str) -> sound_folders.Training:
    """The sounds of two folders to learn from, of which some should be pairs."""
    found = sound_folders.Training(sound_folders.sounds(source), sound_folders.sounds(target))
    sound_folders.require_others(found.source, found.target)
    return found


def _fitted(
    method: str, source: dict[str, np.ndarray], target: dict[str, np.ndarray]
) -> Fitted | None:
    if method == NO_METHOD:
        return None
    return methods()[method].fit(list(source.values()), list(target.values()))


def _converted(sounds: dict[str, np.ndarray], method: Fitted) -> dict[str, np.ndarray]:
    return {
        name: np.maximum(method.convert(mels), transfers.FLOOR_DB) for name, mels in sounds.items()
    }


def fit(
    hparams: Hparams,
    start: Fitted | None,
    drawn: Batches,
    examples: list[Example],
    run_dir: str,
    limits: Limits,
) -> bool:
    """Trains from the last checkpoint, or from the beginning.

    Args:
      hparams: of the model.
      start: the method before the network, which has converted what is `drawn`.
      drawn: the batches by number.
      examples: of validation; there may be none.
      run_dir: the run's folder, for checkpoints and summaries.
      limits: of this job.

    Returns:
      Whether the training is over, rather than out of time.

    Raises:
      UserError: where the loss is no longer finite, or the checkpoint is damaged.
    """
    state = _State(hparams, start, run_dir)
    if state.steps:
        say(f"going on after step {state.steps} of {hparams.num_steps}")
    transfer = state.transfer()
    log, losses = _Log(run_dir, transfer, examples), _Losses()
    ends = time.monotonic() + limits.minutes * 60 if limits.minutes else np.inf
    if examples and not state.steps:
        # What the best has to beat: the distance before any training.
        state.note_distance(log.validated(0))
    with Progress("steps", hparams.num_steps, first=state.steps) as progress:
        while state.steps < hparams.num_steps:
            losses.note(state.train(drawn[state.steps]))
            step = state.steps
            progress.update(step, log.note)
            if step % _SUMMARY_STEPS == 0:
                log.losses(step, losses.means())
            is_due = step % hparams.every == 0 or step == hparams.num_steps
            if is_due and examples:
                state.note_distance(log.validated(step))
            # A job that is out of time validates nothing that one without a limit would not.
            is_late = time.monotonic() >= ends
            if is_due or is_late:
                state.save()
            if examples and state.stale >= hparams.patience:
                say(f"no nearer in {state.stale} validations, so training ends at step {step}")
                break
            if is_late:
                break
    if examples:
        say(
            f"nearest to the true targets: {state.best:.2f} dB in mels (before training "
            f"{state.first:.2f}), in {runs.best_dir(run_dir)}"
        )
    stale = bool(examples) and state.stale >= hparams.patience
    return stale or state.steps >= hparams.num_steps


class _Losses:
    """The losses of steps, of which not all have each."""

    def __init__(self) -> None:
        self._noted: dict[str, list[float]] = {}

    def note(self, losses: dict[str, float]) -> None:
        for name, value in losses.items():
            self._noted.setdefault(name, []).append(value)

    def means(self) -> dict[str, float]:
        """The means of what was noted since the last time."""
        noted, self._noted = self._noted, {}
        return {name: float(np.mean(values)) for name, values in noted.items()}


class _Log:
    """What TensorBoard gets."""

    def __init__(self, run_dir: str, transfer: TrainedTransfer, examples: Sequence[Example]):
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


class _State:
    """A model in training, with all that a checkpoint keeps.

    Args:
      hparams: of the model.
      start: the method before the network, kept in checkpoints for who uses the model.
      run_dir: the run's folder; the last checkpoint is restored, if there is one.

    Raises:
      UserError: where the checkpoint is damaged.
    """

    def __init__(self, hparams: Hparams, start: Fitted | None, run_dir: str):
        self._learner = learners.learner(hparams)
        self._averaged = learners.averaged(self._learner, hparams)
        self._hparams, self._start = hparams, start
        frames = PIECES * hparams.piece
        shape = [hparams.batch_size, frames, transfers.BANDS]
        spec = tf.TensorSpec(shape, tf.float32)
        shares, done = tf.TensorSpec([hparams.batch_size], tf.float32), tf.TensorSpec([], tf.int32)
        # One graph where it is the generator's turn and one where it is not.
        self._steps_of = {
            turn: tf.function(
                functools.partial(self._learner.step, turn=turn),
                input_signature=[spec, spec, shares, done],
            )
            for turn in (False, True)
        }
        self._steps = tf.Variable(0, trainable=False, dtype=tf.int64)
        self._stale = tf.Variable(0, trainable=False, dtype=tf.int64)
        self._best = tf.Variable(np.inf, trainable=False, dtype=tf.float64)
        self._first = tf.Variable(np.inf, trainable=False, dtype=tf.float64)
        networks = {
            name: [weight.value for weight in network.weights]
            for name, network in self._learner.networks.items()
        }
        optimizers = {
            name: [variable.value for variable in optimizer.variables]
            for name, optimizer in self._learner.optimizers.items()
        }
        state = trained.contents(
            self._averaged.network,
            start,
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
        self._kept = tf.train.CheckpointManager(
            trained.contents(self._averaged.network, start), runs.best_dir(run_dir), 1
        )
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

    def transfer(self) -> TrainedTransfer:
        """The averaged generator, whose weights go on changing, as a transfer."""
        return TrainedTransfer(self._averaged.network, self._start)

    def train(self, batch: Batch) -> dict[str, float]:
        """Takes a step; returns the losses of the networks that learnt.

        Raises:
          UserError: where a loss is not finite.
        """
        both = [learners.scaled(mels).astype(np.float32) for mels in batch[:2]]
        turn = self.steps % self._hparams.critic_steps == 0
        found = self._steps_of[turn](*both, batch.shares, np.int32(self.steps))
        losses = {name: float(value) for name, value in found.items()}
        if bad := [name for name, value in losses.items() if not np.isfinite(value)]:
            raise UserError(
                f"the loss {bad[0]} is {losses[bad[0]]:g} in step {self.steps + 1}; lower the "
                f"learning rate (--hparams=learning_rate={self._hparams.learning_rate / 10:g})"
            )
        self._steps.assign_add(1)
        if turn:
            self._averaged.update(self.steps)
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
