"""Trains a WaveNet to turn mels into the sound that they are of."""

import dataclasses
import pathlib
import time
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from configs.vocoder import Hparams
from models import wavenet
from pipelines import checkpoints, runs
from pipelines.runtime.app import UserError, say
from pipelines.runtime.progress import Progress
from pipelines.systems.style.sounds import sound_folders
from pipelines.systems.style.transfer import beginnings, transfers
from pipelines.systems.style.transfer.transfers import HOP, RATE
from pipelines.systems.style.vocoders import vocoder

_PACKAGES = ("keras", "tensorflow", "numpy", "librosa")
_MOST_SOUNDS, _MOST_SECONDS = 120, 15.0
_SUMMARY_STEPS = 25
_VALIDATED = 8  # Batches.


class Examples:
    """Draws parts of sounds with their mels, each batch by its number alone.

    Args:
      paths: the sound files; the beginnings of up to 120 are kept.
      hparams: of the model.
      seed: of what is drawn.

    Raises:
      UserError: where no file can be read, or none is long enough.
    """

    def __init__(self, paths: Sequence[pathlib.Path], hparams: Hparams, seed: int):
        self._hparams, self._seed = hparams, seed
        number = min(len(paths), _MOST_SOUNDS)
        chosen = np.linspace(0, len(paths) - 1, number).round().astype(int).tolist()
        self._sounds: list[tuple[np.ndarray, np.ndarray]] = []
        short = 0
        for _, samples in beginnings.read([paths[at] for at in chosen], _MOST_SECONDS, "sounds"):
            if len(samples) > hparams.frames * HOP:
                self._sounds.append((samples, vocoder.scaled(transfers.mels(samples))))
            else:
                short += 1
        least = hparams.frames * HOP / RATE
        if not self._sounds:
            raise UserError(
                f"{paths[0].parent}: none of its sounds is longer than {least:.2g} s; give longer "
                "ones"
            )
        if short:
            say(f"sounds: {short} of {number} are left out (no longer than {least:.2g} s)")

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Samples, one more than the network predicts, and mels, of the batch of a number."""
        rng = np.random.default_rng([self._seed, number])
        frames = self._hparams.frames
        samples, mels = [], []
        for _ in range(self._hparams.batch_size):
            sound, of_sound = self._sounds[rng.integers(len(self._sounds))]
            at = int(rng.integers(len(of_sound) - frames))
            part = sound[max(at * HOP - 1, 0) : (at + frames) * HOP]
            # Before the first sample is silence.
            samples.append(np.pad(part, (frames * HOP + 1 - len(part), 0)))
            mels.append(of_sound[at : at + frames])
        return np.stack(samples).astype(np.float32), np.stack(mels)


def train(
    name: str, hparams: Hparams, target: str, run_dir: str, seed: int = 0, max_minutes: float = 0.0
) -> None:
    """Trains a model; a run that was stopped goes on from its last checkpoint.

    Args:
      name: of `configs.vocoder.MODELS`.
      hparams: its hyperparameters, changed or not.
      target: the folder of sounds; where it has a split of validation, bits a sample are measured
        on it.
      run_dir: the run's folder.
      seed: of all that is drawn.
      max_minutes: ends this job after so many minutes of training; 0 for never.

    Raises:
      UserError: for a folder without sounds of some length, or with another run, or in which
        another job is training.
    """
    with runs.training(run_dir):
        settings = {
            "model": name,
            "hparams": dataclasses.asdict(hparams),
            "target": target,
            "seed": seed,
        }
        before = vocoder.read_metadata(run_dir)
        runs.require_same(run_dir, before, settings)
        if runs.is_trained(run_dir, before):
            return
        examples = Examples(sound_folders.sounds(target, "train"), hparams, seed)
        held_out = None
        if (pathlib.Path(target) / "validation").is_dir():
            held_out = Examples(sound_folders.sounds(target, "validation"), hparams, seed)
        metadata: dict[str, Any] = {**settings, **runs.provenance(_PACKAGES)}
        runs.write(run_dir, vocoder.KIND, {**metadata, "finished": False})
        # NumPy takes seeds of 32 bits.
        keras.utils.set_random_seed(seed % 2**32)
        if fit(hparams, examples, held_out, run_dir, max_minutes):
            runs.write(run_dir, vocoder.KIND, {**metadata, "finished": True})


def fit(
    hparams: Hparams, examples: Examples, held_out: Examples | None, run_dir: str, minutes: float
) -> bool:
    """Trains from the last checkpoint, or from the beginning.

    Args:
      hparams: of the model.
      examples: the batches by number.
      held_out: those of other sounds; there may be none.
      run_dir: the run's folder, for checkpoints and summaries.
      minutes: of training in this job; 0 for any.

    Returns:
      Whether all steps are done, rather than the time over.

    Raises:
      UserError: where the loss is no longer finite, or the checkpoint is damaged.
    """
    state = _State(hparams, run_dir)
    if state.steps:
        say(f"going on after step {state.steps} of {hparams.num_steps}")
    folders = runs.train_dir(run_dir), runs.validation_dir(run_dir)
    writers = [tf.summary.create_file_writer(folder) for folder in folders]
    ends = time.monotonic() + minutes * 60 if minutes else np.inf
    note = ""
    with Progress("steps", hparams.num_steps, first=state.steps) as progress:
        while state.steps < hparams.num_steps:
            bits = state.train(*examples[state.steps])
            step = state.steps
            if step % _SUMMARY_STEPS == 0:
                _write(writers[0], step, bits)
            over = step == hparams.num_steps or time.monotonic() >= ends
            if step % hparams.every == 0 or over:
                if held_out is not None:
                    found = state.measured(held_out[number] for number in range(_VALIDATED))
                    _write(writers[1], step, found)
                    note = f", {found:.3f} on sounds of validation"
                state.save()
            progress.update(step, f"{bits:.3f} bits a sample{note}")
            if over:
                break
    return state.steps >= hparams.num_steps


def _write(writer, step: int, bits: float) -> None:
    with writer.as_default(step=step):
        tf.summary.scalar("bits_per_sample", bits)
    writer.flush()


class _State:
    """A network in training, with all that a checkpoint keeps.

    Args:
      hparams: of the model.
      run_dir: the run's folder; the last checkpoint is restored, if there is one.

    Raises:
      UserError: where the checkpoint is damaged.
    """

    def __init__(self, hparams: Hparams, run_dir: str):
        self._rate = hparams.learning_rate
        self._network = vocoder.untrained(hparams)
        self._optimizer = keras.optimizers.Adam(hparams.learning_rate)
        self._optimizer.build(self._network.trainable_variables)
        size = hparams.batch_size, hparams.frames
        signature = [
            tf.TensorSpec([size[0], size[1] * HOP + 1], tf.float32),
            tf.TensorSpec([*size, transfers.BANDS], tf.float32),
        ]
        self._take = tf.function(self._step, input_signature=signature)
        self._look = tf.function(self._loss, input_signature=signature)
        self._steps = tf.Variable(0, trainable=False, dtype=tf.int64)
        state = tf.train.Checkpoint(
            network=[weight.value for weight in self._network.weights],
            optimizer=[variable.value for variable in self._optimizer.variables],
            steps=self._steps,
        )
        directory = runs.train_dir(run_dir)
        checkpoints.settle(directory)
        self._kept = tf.train.CheckpointManager(state, directory, 1)
        checkpoints.go_on(self._kept)

    @property
    def steps(self) -> int:
        """How many are done."""
        return int(self._steps.numpy())

    def _loss(self, samples, mels):
        return wavenet.loss(self._network((samples[:, :-1], mels), training=True), samples[:, 1:])

    def _step(self, samples, mels):
        with tf.GradientTape() as tape:
            loss = self._loss(samples, mels)
        variables = self._network.trainable_variables
        self._optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    def train(self, samples: np.ndarray, mels: np.ndarray) -> float:
        """Takes a step; returns the bits a sample.

        Raises:
          UserError: where they are not finite.
        """
        loss = float(self._take(samples, mels))
        if not np.isfinite(loss):
            raise UserError(
                f"the loss is {loss:g} in step {self.steps + 1}; lower the learning rate "
                f"(--hparams=learning_rate={self._rate / 10:g})"
            )
        self._steps.assign_add(1)
        return loss / np.log(2)

    def measured(self, batches: Iterable[tuple[np.ndarray, np.ndarray]]) -> float:
        """The bits a sample of other sounds."""
        return float(np.mean([self._look(*batch) for batch in batches]) / np.log(2))

    def save(self) -> None:
        """Writes a checkpoint, in place of the one before."""
        self._kept.save(self.steps)
