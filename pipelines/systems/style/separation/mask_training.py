"""Training the network that separates drums from the rest, on mixtures of rendered sounds."""

import concurrent.futures
import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from configs.separation import Hparams
from models.mask_network import distortion_db
from pipelines import checkpoints, runs
from pipelines.runtime.app import UserError, say
from pipelines.runtime.progress import Progress
from pipelines.systems.style.separation import mask_folders, mask_model, mixtures
from pipelines.systems.style.separation.mask_folders import KIND
from pipelines.systems.style.separation.mask_model import Model
from pipelines.systems.style.separation.mixtures import Batch, Sounds

_PACKAGES = ("keras", "tensorflow", "numpy", "librosa")
_SUMMARY_STEPS, _SAVE_STEPS = 20, 100
_VALIDATION_BATCHES = 6
# The held-out mixtures are the same in all runs, so that runs can be compared.
_VALIDATION_SEED = 0


class Folders(NamedTuple):
    """Folders that `style render` wrote: of drums, and of other music."""

    drums: Sequence[str]
    rest: Sequence[str]


def train(folders: Folders, run_dir: str, hparams: Hparams, seed: int = 0) -> None:
    """Trains a mask network; a run that was stopped goes on from its last checkpoint.

    Args:
      folders: their split `train` is learnt from, and `validation` is measured on.
      run_dir: the run's folder.
      hparams: the network's sizes and how it is trained.
      seed: of all that is drawn.

    Raises:
      UserError: for folders without sounds, a folder with another run, or in which another job is
        training, or a loss that is no longer finite.
    """
    with runs.training(run_dir):
        _train(folders, run_dir, hparams, seed)


def _train(folders: Folders, run_dir: str, hparams: Hparams, seed: int) -> None:
    """`train`, in a folder that no other job is training in."""
    training, held_out = (mixtures.find(*folders, split) for split in ("train", "validation"))
    settings: dict[str, Any] = {
        # As JSON has it: lists for tuples.
        "hparams": json.loads(json.dumps(dataclasses.asdict(hparams))),
        "drums": mixtures.digest_of(folders.drums),
        "rest": mixtures.digest_of(folders.rest),
        "sounds": _digest(training, held_out),
        "seed": seed,
    }
    before = mask_folders.read_metadata(run_dir)
    _require_same(run_dir, before, settings)
    if runs.is_trained(run_dir, before):
        return
    metadata = {**settings, **runs.provenance(_PACKAGES)}
    runs.write(run_dir, KIND, {**metadata, "finished": False})
    keras.utils.set_random_seed(seed % 2**32)  # NumPy takes seeds of 32 bits.
    measured = fit(mask_model.untrained(hparams), run_dir, training, held_out, seed)
    runs.write(run_dir, KIND, {**metadata, "finished": True, "validation_sdr_db": measured})


def _digest(*splits: Sounds) -> str:
    """A digest of the names and the lengths of files, in their order."""
    found = [
        [sound.path.name, round(sound.seconds, 6)]
        for split in splits
        for kind in (*split.drums, *split.rest)
        for sound in kind
    ]
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()


def _require_same(run_dir: str, before: dict[str, Any], settings: dict[str, Any]) -> None:
    """Raises UserError where a run was begun with other settings, or on other sounds."""
    if not before:
        if runs.has_checkpoint(run_dir):
            # They would be taken for this run's, and replaced.
            raise UserError(
                f"{run_dir} has checkpoints but no {runs.METADATA}; name another --run_dir"
            )
        return
    other = [name for name, value in settings.items() if before.get(name) != value]
    if other:
        raise UserError(
            f"{run_dir} was begun with another {' and '.join(other)}; name another --run_dir"
        )


def fit(model: Model, run_dir: str, training: Sounds, held_out: Sounds, seed: int) -> float:
    """Trains from the last checkpoint, or from the beginning.

    Returns:
      The best signal-to-distortion ratio on held-out mixtures, in dB.

    Raises:
      UserError: where the loss is no longer finite, or the checkpoint is damaged.
    """
    hparams = model.hparams
    state = _State(model, run_dir)
    if state.restored:
        say(f"going on after step {state.steps} of {hparams.num_steps}")
    say(f"{sum(weight.shape.num_elements() for weight in model.network.weights):,} numbers")
    validation = [
        mixtures.batch(held_out, hparams, _VALIDATION_SEED, number)
        for number in range(_VALIDATION_BATCHES)
    ]
    writer = tf.summary.create_file_writer(runs.train_dir(run_dir))
    measured = tf.summary.create_file_writer(runs.validation_dir(run_dir))
    batches = _ahead(
        lambda number: mixtures.batch(training, hparams, seed + 1, number),
        range(state.steps, hparams.num_steps),
    )
    losses: list[float] = []
    with Progress("steps", hparams.num_steps, first=state.steps) as progress:
        for step, batch in enumerate(batches, start=state.steps + 1):
            losses.append(state.train(batch))
            if step % _SUMMARY_STEPS == 0 or step == hparams.num_steps:
                with writer.as_default(step=step):
                    tf.summary.scalar("distortion_db", np.mean(losses))
                losses.clear()
            if step % _SAVE_STEPS == 0 or step == hparams.num_steps:
                ratio = float(np.mean([state.ratio(batch) for batch in validation]))
                with measured.as_default(step=step):
                    tf.summary.scalar("sdr_db", ratio)
                for each in (writer, measured):
                    each.flush()
                if ratio > state.best:
                    mask_model.write(run_dir, model, step)
                state.save(ratio)
                progress.update(step, f"SDR {ratio:.2f} dB on held-out mixtures")
            else:
                progress.update(step)
    say(f"best SDR on held-out mixtures: {state.best:.2f} dB")
    return round(state.best, 3)


def _ahead(make: Callable[[int], Batch], numbers: Sequence[int]) -> Iterator[Batch]:
    """Makes each batch while the one before is learnt from."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = None
        for number in numbers:
            following = pool.submit(make, number)
            if waiting:
                yield waiting.result()
            waiting = following
        if waiting:
            yield waiting.result()


class _State:
    """A model in training, with all that a checkpoint keeps.

    Args:
      model: the model.
      run_dir: the run's folder; the last checkpoint is restored, if there is one.

    Attributes:
      restored: whether a checkpoint was restored.

    Raises:
      UserError: where the checkpoint is damaged.
    """

    def __init__(self, model: Model, run_dir: str):
        hparams = model.hparams
        self._network = model.network
        self._rate = hparams.learning_rate
        self._optimizer = keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(hparams.learning_rate, hparams.num_steps),
            clipnorm=hparams.clip,
        )
        self._optimizer.build(self._network.trainable_variables)
        spectra = tf.TensorSpec([None, None, self._network.bins], tf.float32)
        self._step = tf.function(self._take_step, input_signature=[Batch(*[spectra] * 4)])
        self._losses = tf.function(self._distortions, input_signature=[Batch(*[spectra] * 4)])
        self._steps = tf.Variable(0, trainable=False, dtype=tf.int64)
        self._best = tf.Variable(-np.inf, trainable=False, dtype=tf.float64)
        contents = tf.train.Checkpoint(
            # Given by themselves, since TensorFlow does not find those of layers in a list.
            weights=[weight.value for weight in self._network.weights],
            optimizer=self._optimizer,
            steps=self._steps,
            best=self._best,
        )
        directory = runs.train_dir(run_dir)
        checkpoints.settle(directory)
        self._last = tf.train.CheckpointManager(contents, directory, 1)
        self.restored = checkpoints.go_on(self._last)

    @property
    def steps(self) -> int:
        """How many steps are done."""
        return int(self._steps.numpy())

    @property
    def best(self) -> float:
        """The best ratio so far, in dB."""
        return float(self._best.numpy())

    def train(self, batch: Batch) -> float:
        """Takes a step; returns its loss.

        Raises:
          UserError: where the loss is no longer finite.
        """
        loss = float(self._step(batch))
        if not np.isfinite(loss):
            raise UserError(
                f"the loss is {loss:g} in step {self.steps + 1}; lower the learning rate "
                f"(--learning_rate={self._rate / 10:g})"
            )
        self._steps.assign_add(1)
        return loss

    def ratio(self, batch: Batch) -> float:
        """The mean ratio of both sources to the error, in dB; sources that are silent count not."""
        rest = batch.mixtures - 2 * batch.crosses + batch.sources
        mixed = np.sum(batch.mixtures, axis=(1, 2))
        shares = np.stack([np.sum(each, axis=(1, 2)) for each in (batch.sources, rest)]) / mixed
        heard = shares > 1e-4
        ratios = 10 * np.log10(np.maximum(shares, 1e-4)) - self._losses(batch).numpy()
        return float(ratios[heard].mean())

    def save(self, ratio: float) -> None:
        """Writes a checkpoint, in place of the one before."""
        self._best.assign(max(self.best, ratio))
        self._last.save(self.steps)

    def _distortions(self, batch: Batch) -> tf.Tensor:
        return distortion_db(self._network(batch.magnitudes), *batch[1:])

    def _take_step(self, batch: Batch) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(self._distortions(batch))
        gradients = tape.gradient(loss, self._network.trainable_variables)
        self._optimizer.apply(gradients, self._network.trainable_variables)
        return loss
