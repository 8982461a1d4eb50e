"""Training a model of melody curves: the work of `train`."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from configs.curves import Hparams
from models.curves import LOSSES
from pipelines import checkpoints, runs
from pipelines.records import leakage
from pipelines.records.manifest import content_digest, open_records
from pipelines.representations.curves import Vocabulary
from pipelines.runtime.app import UserError, say
from pipelines.runtime.progress import Progress
from pipelines.systems.curves import measuring, model, tunes
from pipelines.systems.curves.model import Model
from pipelines.systems.curves.tunes import Example, Tune, Tunes

_PACKAGES = ("keras", "tensorflow", "numpy")
# Examples of about one length go into a batch: those of so many batches are sorted by length.
_POOL = 8


class Batches:
    """Examples in batches of one size, padded to the longest.

    Args:
      examples: at least as many as a batch has.
      hparams: how large a batch is.
      seed: of the order.
    """

    def __init__(self, examples: list[Example], hparams: Hparams, seed: int):
        self._examples = examples
        self._size = hparams.batch_size
        self._seed = seed
        self.number = len(examples) // self._size

    def epoch(self, number: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """The batches of an epoch: inputs, labels and weights; the same for the same number.

        Other examples are left over in each epoch.
        """
        rng = np.random.default_rng([self._seed, number])
        order = rng.permutation(len(self._examples))[: self.number * self._size]
        lengths = np.array([len(self._examples[i].labels) for i in order])
        pools = np.arange(len(order)) // (_POOL * self._size)
        order = order[np.lexsort((lengths, pools))]
        for batch in rng.permutation(self.number):
            rows = order[batch * self._size : (batch + 1) * self._size]
            yield self._padded([self._examples[i] for i in rows])

    def _padded(self, chosen: list[Example]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        longest = max(len(one.labels) for one in chosen)
        columns = chosen[0].inputs.shape[1]
        inputs = np.full((len(chosen), longest, columns), tunes.NOTHING, np.int32)
        labels = np.zeros((len(chosen), longest), np.int32)
        weights = np.zeros((len(chosen), longest), np.float32)
        for row, one in enumerate(chosen):
            steps = len(one.labels)
            inputs[row, :steps], labels[row, :steps], weights[row, :steps] = *one, 1
        return inputs, labels, weights


def train(
    name: str,
    hparams: Hparams,
    examples_path: str,
    run_dir: str,
    validation_path: str | None = None,
    seed: int = 0,
) -> None:
    """Trains a model; a run that was stopped goes on from its last checkpoint.

    Args:
      name: the config.
      hparams: its hyperparameters, changed or not.
      examples_path: a glob of NoteSequence records to train on.
      run_dir: the run's folder.
      validation_path: a glob of records to measure on after each epoch; RUN_DIR/best keeps the
        checkpoint that takes the fewest bits a note.
      seed: of all that is drawn.

    Raises:
      UserError: for records that are fewer than a batch or have no melodies, or a folder with
        another run, or in which another job is training.
    """
    with runs.training(run_dir):
        _train(name, hparams, examples_path, run_dir, validation_path, seed)


def _train(
    name: str,
    hparams: Hparams,
    examples_path: str,
    run_dir: str,
    validation_path: str | None,
    seed: int,
) -> None:
    """`train`, in a folder that no other job is training in."""
    records = open_records(examples_path)
    leakage.require_none(records.paths, records.source)
    settings: dict[str, Any] = {
        "config": name,
        "hparams": model.described(hparams),
        "records": content_digest(records.paths),
        "seed": seed,
    }
    before = model.read_metadata(run_dir)
    runs.require_same(run_dir, before, settings, hashes=("records", "hparams"))
    if runs.is_trained(run_dir, before):
        return
    training = tunes.read(records)
    say(training.summary())
    vocabulary = _vocabulary(training, hparams)
    examples = [
        example
        for tune in training.tunes
        for example in tunes.examples(tune.melody, vocabulary, hparams)
    ]
    _require_a_batch(examples, training, hparams, records.source)
    held_out = _held_out(validation_path)
    metadata = {
        **settings,
        "examples_path": examples_path,
        "validation_path": validation_path,
        "vocabulary": vocabulary.to_json(),
        "tunes": len(training.tunes),
        **runs.provenance(_PACKAGES),
    }
    runs.write(run_dir, model.KIND, {**metadata, "finished": False})
    # NumPy takes seeds of 32 bits.
    keras.utils.set_random_seed(seed % 2**32)
    fit(model.untrained(name, hparams, vocabulary), run_dir, examples, held_out, seed)
    runs.write(run_dir, model.KIND, {**metadata, "finished": True})


def _vocabulary(training: Tunes, hparams: Hparams) -> Vocabulary:
    return Vocabulary.of(
        curve for tune in training.tunes for curve in tunes.curves_of(tune.melody, hparams)
    )


def _require_a_batch(
    examples: list[Example], training: Tunes, hparams: Hparams, source: str
) -> None:
    if len(examples) < hparams.batch_size:
        what = "windows" if hparams.window else "tunes"
        fewer = f"; --hparams=batch_size={len(examples)} takes fewer" if examples else ""
        raise UserError(
            f"{source}: its {len(training.tunes)} tunes make {len(examples)} {what}, and a batch "
            f"has {hparams.batch_size}; convert more tunes{fewer}"
        )


def _held_out(validation_path: str | None) -> list[Tune]:
    return tunes.read(open_records(validation_path)).tunes if validation_path else []


def fit(
    trained: Model, run_dir: str, examples: list[Example], held_out: list[Tune], seed: int
) -> None:
    """Trains from the last checkpoint, or from the beginning.

    Args:
      trained: the model, whose variables are trained.
      run_dir: the run's folder, for checkpoints and summaries.
      examples: at least as many as a batch has.
      held_out: the tunes to measure on after each epoch; there may be none.
      seed: of the order of the examples.

    Raises:
      UserError: where the loss is no longer finite, or the checkpoint is damaged.
    """
    hparams = trained.hparams
    batches = Batches(examples, hparams, seed)
    state = _State(trained, run_dir, batches.number)
    if state.restored:
        say(f"going on after epoch {state.epochs} of {hparams.num_epochs}")
    say(
        f"{len(trained.vocabulary)} curves, {len(examples)} examples, {batches.number} batches of "
        f"{hparams.batch_size} an epoch"
    )
    writer = tf.summary.create_file_writer(runs.train_dir(run_dir))
    validation = tf.summary.create_file_writer(runs.validation_dir(run_dir)) if held_out else None
    with Progress("epochs", hparams.num_epochs, first=state.epochs) as progress:
        for epoch in range(state.epochs + 1, hparams.num_epochs + 1):
            loss = state.train(batches.epoch(epoch - 1))
            note = f"loss {loss:.4f}"
            with writer.as_default(step=epoch):
                tf.summary.scalar("loss", loss)
            writer.flush()
            if validation:
                measured = measuring.quick(trained, held_out)
                with validation.as_default(step=epoch):
                    for name, value in measured.items():
                        tf.summary.scalar(name, value)
                validation.flush()
                state.keep_if_best(measured["bits_per_note"])
                note += f", {measured['bits_per_note']:.3f} bits a note on held-out tunes"
            state.save()
            progress.update(epoch, note)
    if validation:
        say(f"fewest bits a note on held-out tunes: {state.best:.3f}, in {runs.best_dir(run_dir)}")


class _State:
    """A model in training, with all that a checkpoint keeps.

    Args:
      trained: the model.
      run_dir: the run's folder; the last checkpoint is restored, if there is one.
      batches: how many batches an epoch has.

    Attributes:
      restored: whether a checkpoint was restored.

    Raises:
      UserError: where the checkpoint is damaged, or of another model.
    """

    def __init__(self, trained: Model, run_dir: str, batches: int):
        self._network = trained.network
        self._loss = LOSSES[trained.hparams.loss]
        rate: Any = trained.hparams.learning_rate
        self._rate = rate
        if trained.hparams.cosine:
            rate = keras.optimizers.schedules.CosineDecay(
                rate, batches * trained.hparams.num_epochs
            )
        # TensorFlow's own epsilon, a tenth of Keras's: the gradients of `sigmoid` are small.
        self._optimizer = keras.optimizers.Adam(
            rate, epsilon=1e-8, clipnorm=trained.hparams.clip or None
        )
        self._optimizer.build(self._network.trainable_variables)
        columns = 1 if not trained.hparams.context else 1 + len(model.CONTEXT)
        self._step = tf.function(
            self._take_step,
            input_signature=[
                tf.TensorSpec([None, None, columns], tf.int32),
                tf.TensorSpec([None, None], tf.int32),
                tf.TensorSpec([None, None], tf.float32),
            ],
        )
        self._epochs = tf.Variable(0, trainable=False, dtype=tf.int64)
        self._best = tf.Variable(np.inf, trainable=False, dtype=tf.float64)
        weights = {id(weight) for weight in self._network.weights}
        state = trained.contents(
            optimizer=self._optimizer,
            epochs=self._epochs,
            best=self._best,
            # What dropout draws next, which TensorFlow does not find by itself.
            drawing=[one.value for one in self._network.variables if id(one) not in weights],
        )
        directory = runs.train_dir(run_dir)
        checkpoints.settle(directory)
        self._last = tf.train.CheckpointManager(state, directory, 1)
        self._kept = tf.train.CheckpointManager(trained.contents(), runs.best_dir(run_dir), 1)
        if self._last.latest_checkpoint:
            model.require_made_with(self._last.latest_checkpoint, trained, run_dir)
        self.restored = checkpoints.go_on(self._last)

    @property
    def epochs(self) -> int:
        """How many epochs are done."""
        return int(self._epochs.numpy())

    @property
    def best(self) -> float:
        """The fewest bits a note so far."""
        return float(self._best.numpy())

    def train(self, batches: Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> float:
        """Trains an epoch; returns its mean loss.

        Raises:
          UserError: where the loss is no longer finite.
        """
        losses = [self._step(*batch) for batch in batches]
        loss = float(np.mean(losses))
        if not np.isfinite(loss):
            raise UserError(
                f"the loss is {loss:g} in epoch {self.epochs + 1}; lower the learning rate "
                f"(--hparams=learning_rate={self._rate / 10:g})"
            )
        self._epochs.assign_add(1)
        return loss

    def keep_if_best(self, bits: float) -> None:
        """Keeps the variables where they take the fewest bits a note so far."""
        if bits < self.best:
            self._kept.save(self.epochs)
            self._best.assign(bits)

    def save(self) -> None:
        """Writes a checkpoint, in place of the one before."""
        self._last.save(self.epochs)

    def _take_step(self, inputs: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits, _ = self._network(inputs, training=True)
            losses = self._loss(logits, labels) * weights
            loss = tf.reduce_sum(losses) / tf.reduce_sum(weights)
        gradients = tape.gradient(loss, self._network.trainable_variables)
        self._optimizer.apply(gradients, self._network.trainable_variables)
        return loss
