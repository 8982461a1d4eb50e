"""Training a dual tower of tunes and titles: the work of `titles train`."""

import dataclasses
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from configs.titles import Hparams
from pipelines import checkpoints, runs
from pipelines.records import leakage
from pipelines.records.manifest import content_digest, open_records
from pipelines.runtime.app import UserError, say
from pipelines.runtime.progress import Progress
from pipelines.systems.titles import evaluation, matching, projector, text_encoders, towers
from pipelines.systems.titles import tunes as titled_tunes
from pipelines.systems.titles.embeddings import Embeddings
from pipelines.systems.titles.text_encoders import loading, trust
from pipelines.systems.titles.towers import Towers
from pipelines.systems.titles.tunes import Tunes
from pipelines.tunes import title_text

# How much work an interruption may cost.
_SAVE_SECONDS = 20.0
_PACKAGES = ("keras", "tensorflow", "tensorflow-hub", "numpy")


class Pairs:
    """Pairs of a tune and one of its titles, in batches.

    Args:
      tunes: those with a title.
      embeddings: gives the embeddings of their titles, with and without rhythm words.
      hparams: how large a batch is, and how often its titles and melodies are changed.
      seed: of the order, and of what is drawn.
    """

    def __init__(self, tunes: Tunes, embeddings: Embeddings, hparams: Hparams, seed: int):
        self._hparams = hparams
        self._seed = seed
        written = towers.arrays([tune.melody for tune in tunes.tunes])
        guessed = towers.arrays([tune.guessed or tune.melody for tune in tunes.tunes])
        # Each array is [2, tunes, ...]: as written, and in the guessed key.
        self._melodies = {name: np.stack([written[name], guessed[name]]) for name in written}
        self._tunes = np.repeat(
            np.arange(len(tunes.tunes)), [len(tune.titles) for tune in tunes.tunes]
        )
        self._groups = tunes.groups[self._tunes]
        titles = [title for tune in tunes.tunes for title in tune.titles]
        self._folds = np.unique([title.fold for title in titles], return_inverse=True)[1]
        whole = [title.text for title in titles]
        # A title of nothing but rhythm words stays as it is.
        bare = [title_text.without_rhythm(text) or text for text in whole]
        self._texts = np.stack([embeddings(whole), embeddings(bare)])
        self.batch_size = min(hparams.batch_size, len(titles))
        self.batches = len(titles) // self.batch_size

    def __len__(self) -> int:
        return len(self._tunes)

    def epoch(self, number: int) -> Iterator[dict[str, np.ndarray]]:
        """The batches of an epoch, as `DualTower.call` takes them; the same for the same number.

        All are of one size. Other pairs are left over in each epoch.
        """
        rng = np.random.default_rng([self._seed, number])
        order = rng.permutation(len(self))
        for start in range(0, self.batches * self.batch_size, self.batch_size):
            yield self._batch(order[start : start + self.batch_size], rng)

    def _batch(self, pairs: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
        tunes, groups, folds = self._tunes[pairs], self._groups[pairs], self._folds[pairs]
        guessed = (rng.random(len(pairs)) < self._hparams.guessed_key).astype(int)
        bare = (rng.random(len(pairs)) < self._hparams.without_rhythm).astype(int)
        batch = {name: values[guessed, tunes] for name, values in self._melodies.items()}
        batch["title"] = self._texts[bare, pairs]
        # Versions of one tune, and tunes of one title, are not each other's negatives.
        batch["same"] = (groups[:, None] == groups) | (folds[:, None] == folds)
        return batch


def train(
    examples_path: str,
    run_dir: str,
    text_encoder: str,
    validation_path: str | None = None,
    hparams: Hparams | None = None,
    seed: int = 0,
) -> None:
    """Trains a dual tower, and writes its index of the training titles and tunes.

    A run that was stopped goes on from its last checkpoint.

    Args:
      examples_path: a glob of NoteSequence records to train on.
      run_dir: the run's folder.
      text_encoder: as `text_encoders.prepare` takes it.
      validation_path: a glob of records to measure retrieval on after each epoch, for TensorBoard;
        nothing is chosen by it.
      hparams: the defaults where it is None.
      seed: of all that is drawn.

    Raises:
      UserError: for records without enough titles, a text encoder that cannot be loaded, or a
        folder with another run, or in which another job is training.
    """
    with runs.training(run_dir):
        _train(examples_path, run_dir, text_encoder, validation_path, hparams or Hparams(), seed)


def _train(
    examples_path: str,
    run_dir: str,
    text_encoder: str,
    validation_path: str | None,
    hparams: Hparams,
    seed: int,
) -> None:
    """`train`, in a folder that no other job is training in."""
    text_encoder = text_encoders.absolute(text_encoder)
    examples = open_records(examples_path)
    leakage.require_none(examples.paths, examples.source)
    settings: dict[str, Any] = {
        "records": content_digest(examples.paths),
        "hparams": dataclasses.asdict(hparams),
        "seed": seed,
    }
    before = towers.read_metadata(run_dir)
    # Of the encoder the name is compared: only who loads it knows the rest.
    was = {**before, "text_encoder": before["text_encoder"]["name"]} if before else {}
    runs.require_same(run_dir, was, {**settings, "text_encoder": text_encoder})
    finished = bool(before) and before["finished"]
    if finished and matching.has_run_index(run_dir):
        say(f"{run_dir} is trained; nothing left to do")
        return
    tunes = titled_tunes.require_titled(
        titled_tunes.read(examples, guess_keys=True), examples.source, least=2
    )
    if finished:
        say(f"{run_dir} is trained, and its index is made again")
        matching.write_run_index(run_dir, towers.open_run(run_dir)[0], tunes.tunes)
        return
    monitor = _monitor(validation_path, tunes)
    embeddings = _embeddings(run_dir, text_encoder, tunes, before)
    metadata = {
        **settings,
        "examples_path": examples_path,
        "validation_path": validation_path,
        "text_encoder": {
            "name": text_encoder,
            "fingerprint": embeddings.encoder.fingerprint,
            "dimensions": embeddings.dimensions,
        },
        "tunes": len(tunes.tunes),
        **runs.provenance(_PACKAGES),
    }
    trust.trust(embeddings.encoder.fingerprint)
    runs.write(run_dir, towers.KIND, {**metadata, "finished": False})
    trained = fit(run_dir, tunes, embeddings, hparams, seed, monitor)
    matching.write_run_index(run_dir, trained, tunes.tunes)
    projector.write(runs.train_dir(run_dir), trained, tunes.tunes, seed)
    runs.write(run_dir, towers.KIND, {**metadata, "finished": True})


def _monitor(validation_path: str | None, tunes: Tunes) -> evaluation.Monitor | None:
    """What measures the towers after each epoch; None where there is nothing to measure them on."""
    if not validation_path:
        return None
    held_out = titled_tunes.read(open_records(validation_path))
    try:
        return evaluation.Monitor(held_out, tunes)
    except UserError as error:
        # People only look at its numbers, so training goes on without them.
        say(f"{validation_path}: retrieval is not measured while training: {error}")
        return None


def _embeddings(run_dir: str, name: str, tunes: Tunes, before: dict[str, Any]) -> Embeddings:
    if before:
        return towers.open_embeddings(run_dir, before["text_encoder"])
    folder, kept = towers.text_encoder_dir(run_dir), os.path.join(run_dir, "embeddings")
    # A run that ended before it had a run.json may have left an encoder, perhaps of other titles.
    shutil.rmtree(folder, ignore_errors=True)
    if name in text_encoders.EXPORTED:
        shutil.rmtree(kept, ignore_errors=True)
    handle = text_encoders.prepare(name, folder, lambda: encoder_texts(tunes))
    return Embeddings(loading.load(handle), kept)


def encoder_texts(tunes: Tunes) -> list[str]:
    """The texts that `builtin` is made of: the titles, with and without their rhythm words."""
    texts = [title.text for tune in tunes.tunes for title in tune.titles]
    return texts + [bare for text in texts if (bare := title_text.without_rhythm(text))]


def fit(
    run_dir: str,
    tunes: Tunes,
    embeddings: Embeddings,
    hparams: Hparams,
    seed: int,
    monitor: evaluation.Monitor | None = None,
) -> Towers:
    """Trains from the last checkpoint, or from the beginning.

    Args:
      run_dir: the run's folder, for checkpoints and summaries.
      tunes: those with a title, read with guessed keys.
      embeddings: gives the embeddings of titles.
      hparams: what is trained, and how.
      seed: of all that is drawn.
      monitor: measures the towers after each epoch, for TensorBoard.

    Raises:
      UserError: where the loss is no longer finite, or the checkpoint is damaged.
    """
    pairs = Pairs(tunes, embeddings, hparams, seed)
    directory = runs.train_dir(run_dir)
    state = _State(directory, hparams, seed, embeddings.dimensions, pairs.batches)
    if state.restored:
        say(f"going on after epoch {state.epochs} of {hparams.num_epochs}")
    say(
        f"{len(pairs)} pairs of a tune and a title, {pairs.batches} batches of {pairs.batch_size} "
        f"an epoch"
    )
    measured = Towers(state.model, embeddings)
    writer = tf.summary.create_file_writer(directory)
    with Progress("epochs", hparams.num_epochs, first=state.epochs) as progress:
        saved = time.monotonic()
        for epoch in range(state.epochs + 1, hparams.num_epochs + 1):
            loss = state.train(pairs.epoch(epoch - 1))
            with writer.as_default(step=epoch):
                tf.summary.scalar("loss", loss)
                if hparams.loss == "infonce":
                    tf.summary.scalar("temperature", state.model.contrast.temperature())
                if monitor is not None:
                    for name, value in monitor(measured).items():
                        tf.summary.scalar(f"validation/{name}", value)
            writer.flush()
            if time.monotonic() - saved > _SAVE_SECONDS or epoch == hparams.num_epochs:
                state.save()
                saved = time.monotonic()
            progress.update(epoch, f"loss {loss:.3f}")
    writer.close()
    return measured


class _State:
    """A dual tower in training, with all that a checkpoint keeps.

    Args:
      directory: the folder of checkpoints; the last one is restored, if there is one.
      hparams: what is trained, and how.
      seed: of the weights and of dropout.
      embedding_size: the dimensions of an embedding of a title.
      batches: how many batches an epoch has.

    Attributes:
      model: the dual tower.
      restored: whether a checkpoint was restored.

    Raises:
      UserError: where the checkpoint is damaged.
    """

    def __init__(
        self, directory: str, hparams: Hparams, seed: int, embedding_size: int, batches: int
    ):
        # NumPy takes seeds of 32 bits.
        keras.utils.set_random_seed(seed % 2**32)
        self.model = towers.untrained(hparams)
        towers.build(self.model, embedding_size)
        self._learning_rate = hparams.learning_rate
        self._optimizer = keras.optimizers.AdamW(
            keras.optimizers.schedules.CosineDecay(
                hparams.learning_rate, batches * hparams.num_epochs
            ),
            weight_decay=hparams.weight_decay,
        )
        self._optimizer.build(self.model.trainable_variables)
        self._step = tf.function(self._take_step)
        self._epochs = tf.Variable(0, trainable=False, dtype=tf.int64)
        weights = {id(weight) for weight in self.model.weights}
        state = tf.train.Checkpoint(
            model=self.model,
            optimizer=self._optimizer,
            epochs=self._epochs,
            # What dropout draws next, which TensorFlow does not find by itself.
            drawing=[one.value for one in self.model.variables if id(one) not in weights],
        )
        self._manager = tf.train.CheckpointManager(state, directory, 1)
        self.restored = checkpoints.go_on(self._manager)

    @property
    def epochs(self) -> int:
        """How many epochs are done."""
        return int(self._epochs.numpy())

    def train(self, batches: Iterable[dict[str, np.ndarray]]) -> float:
        """Trains an epoch; returns its mean loss.

        Raises:
          UserError: where the loss, or a vector after the last step, is no longer finite.
        """
        losses = []
        for batch in batches:
            losses.append(self._step(batch))
        loss = float(np.mean(losses))
        # The loss was computed before the last step, so the vectors after it are looked at too.
        after = self.model.tunes(batch), self.model.titles(batch["title"])
        if not all(np.isfinite(values).all() for values in (loss, *after)):
            raise UserError(
                f"the loss is {loss:g} in epoch {self.epochs + 1}, and it or vectors after it are "
                f"not finite; lower --learning_rate (now {self._learning_rate:g})"
            )
        self._epochs.assign_add(1)
        return loss

    def save(self) -> None:
        """Writes a checkpoint, in place of the one before."""
        self._manager.save(self.epochs)

    def _take_step(self, batch: dict[str, tf.Tensor]) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = self.model(batch, training=True)
        gradients = tape.gradient(loss, self.model.trainable_variables)
        self._optimizer.apply(gradients, self.model.trainable_variables)
        return loss
