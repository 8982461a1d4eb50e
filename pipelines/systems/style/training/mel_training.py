"""Training a model of timbre transfer: the work of `style train`."""

import functools

import keras
import numpy as np
import tensorflow as tf

from configs.style import NO_METHOD, Hparams
from models.melgan_vc import PIECES
from pipelines import checkpoints, runs
from pipelines.runtime.app import UserError
from pipelines.systems.style.sounds import sound_folders
from pipelines.systems.style.training import (
    batches,
    learners,
    learning,
    trained,
    validation,
)
from pipelines.systems.style.training.batches import Batch, Batches
from pipelines.systems.style.training.learning import Limits, State
from pipelines.systems.style.training.trained import TrainedTransfer
from pipelines.systems.style.transfer import transfers
from pipelines.systems.style.transfer.methods import Fitted, methods

_PACKAGES = ("keras", "tensorflow", "numpy", "librosa")


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
    if runs.is_trained(run_dir, before):
        return
    paired = hparams.method == "paired"
    paths = _paired(source, target) if paired else sound_folders.unpaired(source, target)
    frames = PIECES * hparams.piece
    found = [
        batches.read(folder, each, frames, hparams.minutes, f"sounds of the {side}")
        for folder, each, side in zip((source, target), paths, ("source", "target"))
    ]
    counts = [len(each) for each in found]
    learning.require_same_counts(run_dir, before, counts)
    examples = validation.read(validation.held_out(source, target))
    start = _fitted(hparams.start, *found)
    _require_same_start(run_dir, hparams.start, start)
    teacher = _fitted(hparams.teacher, *found)
    if teacher is not None:
        # Pseudo-pairs of nearest frames, as in one step of Erro, Moreno and Bonafonte, "INCA
        # algorithm for training voice conversion systems from nonparallel corpora", 2010, who
        # align and convert in turns, and take one frame for the mean of eight.
        found[1] = _converted(found[0], teacher)
    if start is not None:
        found[0] = _converted(found[0], start)
    aligned = paired or teacher is not None
    drawn = Batches(found[0], found[1], aligned, frames, hparams.batch_size, seed)
    metadata = {**settings, "sounds": counts, **runs.provenance(_PACKAGES)}
    runs.write(run_dir, trained.KIND, {**metadata, "finished": False})
    # NumPy takes seeds of 32 bits.
    keras.utils.set_random_seed(seed % 2**32)
    state = _state(hparams, start, run_dir)
    if learning.learn(state, hparams, drawn, examples, run_dir, limits):
        runs.write(run_dir, trained.KIND, {**metadata, "finished": True})


def _paired(source: str, target: str) -> sound_folders.Training:
    """The sounds of two folders to learn from, of which some should be pairs."""
    found = sound_folders.Training(sound_folders.sounds(source), sound_folders.sounds(target))
    sound_folders.require_others(found.source, found.target)
    return found


def _require_same_start(run_dir: str, method: str, start: Fitted | None) -> None:
    """Raises UserError where a run was begun with sounds that this method learnt otherwise from."""
    saved = checkpoints.latest(runs.train_dir(run_dir))
    if start is None or not saved:
        return
    known = trained.read_start(method, saved)
    for name, array in start.arrays.items():
        if known is None or not np.array_equal(known.arrays[name], array):
            raise UserError(
                f"{run_dir} was begun with other sounds of source and target; restore them, or "
                "train in another folder"
            )


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


def _state(hparams: Hparams, start: Fitted | None, run_dir: str) -> State:
    """A model in training; the method before the network is kept in its checkpoints."""
    learner = learners.learner(hparams)
    generator = learners.untrained_generator(hparams)
    averaged = learners.Averaged(learner.networks["generator"], generator, hparams.average)
    frames = PIECES * hparams.piece
    shape = [hparams.batch_size, frames, transfers.BANDS]
    spec = tf.TensorSpec(shape, tf.float32)
    shares, done = tf.TensorSpec([hparams.batch_size], tf.float32), tf.TensorSpec([], tf.int32)
    # One graph where it is the generator's turn and one where it is not.
    steps_of = {
        turn: tf.function(
            functools.partial(learner.step, turn=turn),
            input_signature=[spec, spec, shares, done],
        )
        for turn in (False, True)
    }

    def take(batch: Batch, steps: int) -> dict[str, tf.Tensor]:
        both = [learners.scaled(mels).astype(np.float32) for mels in batch[:2]]
        turn = steps % hparams.critic_steps == 0
        losses = steps_of[turn](*both, batch.shares, np.int32(steps))
        if turn:
            averaged.update(steps + 1)
        return losses

    transfer = TrainedTransfer(generator, start)
    contents = functools.partial(trained.contents, generator, start)
    return State(learner, take, transfer, contents, hparams.learning_rate, run_dir)
