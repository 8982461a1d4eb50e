"""Measures whether a tune's title lowers what its notes cost, beside titles of other tunes.

    python -m experiments.tune_lm.titles --run_dir=runs/tunes --tunebooks=DIR/abc \
        --records=tfrecords/tunes --output=experiments/tune_lm/titles.json

A trained model of LSTMs gets the embedding of the title as a further input, through a matrix that
begins as zeros, and is trained on with it. Then each test tune is measured under its own title,
under those of other test tunes of the same rhythm word, drawn five times, and under none.
"""

import tempfile
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import flags

from models.tune_lm import LstmTuneLM, TuneLM
from pipelines.examples import written_tunes
from pipelines.examples.written_tunes import Tune
from pipelines.representations.abc_tokens import vocabulary
from pipelines.runtime import app, files
from pipelines.runtime.app import say
from pipelines.systems.titles import text_encoders
from pipelines.systems.titles.text_encoders import loading
from pipelines.systems.tune_lm import measure, model
from pipelines.systems.tune_lm.batches import SPECS, Examples

FLAGS = flags.FLAGS
_SHUFFLES = 5
_BATCH_TOKENS = 8192


class Titled:
    """A network that is told a title.

    Args:
      network: a network of LSTMs, which is changed.
      size: of the embeddings of titles.
    """

    def __init__(self, network: TuneLM, size: int):
        assert isinstance(network, LstmTuneLM)
        self.network = network
        units = network.initial_state(1, 1)[0].shape[-1]
        self.matrix = keras.Variable(np.zeros((size, units), np.float32), name="title")
        self._title: Any = None
        without = network.inputs

        def inputs(rows, training: bool = False):
            told = keras.ops.matmul(self._title, self.matrix)
            return without(rows, training) + told[:, None]

        network.inputs = inputs  # type: ignore[method-assign]

    def log_probabilities(self, rows, kinds, pitches, title, training: bool = False):
        """As of `TuneLM`, with the embedding of each tune's title."""
        self._title = title
        return self.network.log_probabilities(rows, kinds, pitches, training)


def _embeddings(all_tunes: list[Tune]) -> dict[str, np.ndarray]:
    """The embedding of each title, of length one."""
    texts = sorted({tune.given.title for tune in all_tunes})
    with tempfile.TemporaryDirectory() as folder:
        encoder = loading.load(text_encoders.prepare("minilm", folder, lambda: texts))
        vectors = encoder(texts)
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-6)
    return dict(zip(texts, vectors.astype(np.float32)))


def _train(titled: Titled, training: list[Tune], vectors: dict[str, np.ndarray]) -> None:
    examples = Examples(training, _BATCH_TOKENS)
    batches = [each for n in range(FLAGS.epochs) for each in examples.epoch(FLAGS.seed, n)]
    schedule = keras.optimizers.schedules.CosineDecay(FLAGS.learning_rate, len(batches))
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=0.01, global_clipnorm=1.0)
    variables = [titled.matrix, *titled.network.trainable_weights]
    optimizer.build(variables)
    size = next(iter(vectors.values())).shape[0]

    @tf.function(input_signature=[*SPECS, tf.TensorSpec((None, size), tf.float32)])
    def step(rows, kinds, pitches, there, title):
        with tf.GradientTape() as tape:
            found = titled.log_probabilities(rows, kinds, pitches, title, training=True)
            loss = -tf.reduce_sum(found * there) / tf.reduce_sum(there)
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    for number, chosen in enumerate(batches, start=1):
        batch = examples.batch(chosen)
        title = np.stack([vectors[training[i].given.title] for i in chosen])
        loss = step(*batch[:4], title)
        if number % 20 == 0:
            say(f"step {number} of {len(batches)}: {float(loss):.3f} nats a token")


def _measured(titled: Titled, held_out: list[Tune], titles: list[np.ndarray]) -> measure.Priced:
    examples = Examples(held_out, _BATCH_TOKENS)
    size = titles[0].shape[0]
    signature = [*SPECS[:3], tf.TensorSpec((None, size), tf.float32)]
    program = tf.function(titled.log_probabilities, input_signature=signature)
    bits: list[np.ndarray] = [np.empty(0)] * len(held_out)
    for batch in examples.in_order():
        found = program(*batch[:3], np.stack([titles[i] for i in batch.tunes])).numpy()
        for i, row in zip(batch.tunes, found):
            bits[i] = -row[: examples.steps[i]].astype(np.float64) / np.log(2)
    return measure.Priced(
        bits,
        [tune.steps for tune in held_out],
        np.array([tune.group for tune in held_out]),
        [tune.corpus for tune in held_out],
    )


def _shuffled(held_out: list[Tune], rng: np.random.Generator) -> np.ndarray:
    """For each tune another one of the same rhythm word, where there is one."""
    kinds = np.array([vocabulary.rhythm(tune.given.rhythm) for tune in held_out])
    other = np.arange(len(held_out))
    for kind in np.unique(kinds):
        those = rng.permutation(np.flatnonzero(kinds == kind))
        other[those] = np.roll(those, 1)
    return other


def main() -> None:
    """Trains on, measures, and writes the figures."""
    opened = model.open_run(FLAGS.run_dir)
    read = written_tunes.read(FLAGS.records, FLAGS.tunebooks)
    vectors = _embeddings(read.tunes)
    model.set_seed(FLAGS.seed)
    titled = Titled(opened.network, next(iter(vectors.values())).shape[0])
    _train(titled, read.of("train"), vectors)
    held_out = read.of("test")
    own = [vectors[tune.given.title] for tune in held_out]
    rng = np.random.default_rng(FLAGS.seed)
    true = _measured(titled, held_out, own)
    none = _measured(titled, held_out, [np.zeros_like(vector) for vector in own])
    shuffled = [
        _measured(titled, held_out, [own[i] for i in _shuffled(held_out, rng)])
        for _ in range(_SHUFFLES)
    ]
    mean = [np.mean(bits, axis=0) for bits in zip(*(each.bits for each in shuffled))]
    others = true._replace(bits=mean)
    found = {
        "true": measure.report(true)["all"],
        "shuffled": measure.report(others)["all"],
        "none": measure.report(none)["all"],
        "saved beside shuffled": measure.gain(others, true),
        "saved beside none": measure.gain(none, true),
    }
    files.write_json(FLAGS.output, found)
    for name, row in found.items():
        print(f"{name}: {row['bits_per_note']:.4f} ({row['interval'][0]} to {row['interval'][1]})")


def _define_flags() -> None:
    flags.DEFINE_string("run_dir", None, "A trained run of tune_lm-lstm.")
    flags.DEFINE_string("records", None, "Folder of records, made by convert --corpus=abc.")
    flags.DEFINE_multi_string("tunebooks", None, "The tunebooks that the records were made of.")
    flags.DEFINE_integer("epochs", 2, "Passes over the training tunes.")
    flags.DEFINE_float("learning_rate", 5e-4, "AdamW's, which falls to nothing along a cosine.")
    flags.DEFINE_integer("seed", 1, "Seeds all that is drawn.")
    flags.DEFINE_string("output", None, "JSON file to write.")


if __name__ == "__main__":
    _define_flags()
    app.run(main, required=("run_dir", "records", "tunebooks", "output"))
