"""Measures a checkpoint on held-out records: the work of the job `evaluate`."""

import dataclasses
import itertools
import os
import re

import numpy as np
import tensorflow.compat.v1 as tf

from pipelines import representations
from pipelines.examples.base import Batch, Counts
from pipelines.examples.note_sequences import NoteSequences
from pipelines.representations.contract import Metrics
from pipelines.runtime.app import UserError, say
from pipelines.runtime.nearest import did_you_mean
from pipelines.runtime.progress import Progress
from pipelines.systems.musicvae import model, summaries
from pipelines.systems.musicvae.losses import Losses
from pipelines.systems.musicvae.run import Run


@dataclasses.dataclass(frozen=True)
class Options:
    """How a checkpoint is measured.

    Attributes:
      temperature: the temperature of sampling.
      batch_size: examples measured at once; the last batch may be smaller.
      num_batches: the number of batches to stop after, if given.
      seed: the seed of what is drawn.
    """

    temperature: float = 0.5
    batch_size: int = 64
    num_batches: int | None = None
    seed: int = 0


def evaluate(run: Run, held_out: NoteSequences, options: Options = Options()) -> dict:
    """Measures a checkpoint on every example of some records.

    Args:
      run: from `run.open_run`.
      held_out: the records.
      options: how to measure.

    Returns:
      JSON values; see the docstring of `pipelines.evaluate`.

    Raises:
      UserError: where the records give no example, or the checkpoint does not fit the config.
    """
    config = run.config
    counts = Counts()
    batches = held_out.batches(config, options.batch_size, counts, options.num_batches)
    loss = Losses(run, options.batch_size, options.seed)
    decoded = _Decoded(run, options)
    with Progress("examples measured") as progress:
        for batch in batches:
            forced = loss.update(batch)
            progress.update(counts.examples)
            decoded.update(batch, forced)
    say(counts.summary())
    _require_examples(held_out, counts)
    return {**_facts(run, held_out, counts, options.seed), **loss.result(), **decoded.result()}


class _Decoded:
    """Metrics of decoding: teacher-forced, sampled and likeliest; none if the music has no metrics.

    Args:
      run: from `run.open_run`.
      options: how to measure.
    """

    def __init__(self, run: Run, options: Options):
        self._config = run.config
        self._temperature = options.temperature
        self._representation = representations.of(run.config.data_converter)
        self._temperatures = {
            "sampled": options.temperature,
            self._representation.greedy: model.THRESHOLD_TEMPERATURE,
        }
        self._metrics: dict[str, Metrics] = {}
        for name in ("teacher_forced", *self._temperatures):
            metrics = self._representation.metrics()
            if metrics is None:
                return
            self._metrics[name] = metrics
        self._model = model.load(run, options.batch_size, options.seed)

    def update(self, batch: Batch, forced: np.ndarray) -> None:
        """Adds a batch.

        Args:
          batch: the examples.
          forced: what was decoded when the decoder was fed with them, as `Losses.update` gives it.
        """
        if not self._metrics:
            return
        target = batch.padded(batch.outputs, self._config.data_converter.output_depth)
        self._metrics["teacher_forced"].update(target, forced, batch.qpm)
        z = model.posterior_means(self._model, batch)
        for name, temperature in self._temperatures.items():
            steps = self._config.hparams.max_seq_len
            decoded = model.decode(self._model, z, steps, temperature)
            self._metrics[name].update(target, decoded, batch.qpm)

    def result(self) -> dict:
        """Returns the metrics by the way of decoding."""
        result = {name: metrics.result() for name, metrics in self._metrics.items()}
        if result:
            result["sampled"]["temperature"] = self._temperature
        return result


def evaluate_constant(
    run: Run,
    baseline: str,
    held_out: NoteSequences,
    training: NoteSequences,
    options: Options = Options(),
) -> dict:
    """Measures one bar, taken from some records and repeated, as if it had been decoded.

    Args:
      run: from `run.open_run`; only its config is used.
      baseline: "most_frequent_bar", or another baseline of the config's representation.
      held_out: the records to measure.
      training: the records that the bar is taken from.
      options: how to measure; nothing is sampled.

    Returns:
      JSON values as `evaluate` returns them, with the metrics under "constant" alone: a bar has no
      loss.

    Raises:
      UserError: where the config has no such baseline, or the records no example.
    """
    config = run.config
    representation = representations.of(config.data_converter)
    metrics, steps_per_bar = representation.metrics(), representation.steps_per_bar
    baselines = representation.baselines if metrics and steps_per_bar else {}
    if metrics is None or steps_per_bar is None or baseline not in baselines:
        raise UserError(
            f"--baseline={baseline}: {run.name} has no such baseline; it has "
            + ", ".join(["untrained", *baselines])
            + did_you_mean(baseline, ["untrained", *baselines])
        )
    windows = (
        window
        for batch in training.batches(config, options.batch_size, Counts())
        for window in batch.outputs
    )
    first = next(windows, None)
    if first is None:
        raise UserError(f"{training.source}: no examples to count bars in")
    bar = baselines[baseline](itertools.chain([first], windows), steps_per_bar)
    counts = Counts()
    for batch in held_out.batches(config, options.batch_size, counts, options.num_batches):
        target = np.array(batch.outputs)
        decoded = np.tile(bar, (len(target), target.shape[1] // steps_per_bar, 1))
        metrics.update(target, decoded, batch.qpm)
    _require_examples(held_out, counts)
    return {**_facts(run, held_out, counts, None), "constant": metrics.result()}


def _require_examples(held_out: NoteSequences, counts: Counts) -> None:
    if not counts.examples:
        raise UserError(f"{held_out.source}: nothing to measure; {counts.summary()}")


def _facts(run: Run, held_out: NoteSequences, counts: Counts, seed: int | None) -> dict:
    return {
        "config": run.name,
        "checkpoint": os.path.basename(run.checkpoint),
        "step": run.step,
        "examples_path": held_out.source,
        "records": counts.records,
        "records_without_examples": dict(counts.unused),
        "examples": counts.examples,
        "seed": seed,
    }


def label(examples_path: str) -> str:
    """A name for what was measured, from a pattern: "validation" of DIR/validation.tfrecord*."""
    name = os.path.basename(examples_path.split(",")[0]).split(".")[0]
    return re.sub(r"[^\w-]", "", name) or "examples"


def write_summaries(directory: str, result: dict) -> None:
    """Writes the numbers of an evaluation for TensorBoard, at the checkpoint's step."""
    values = list(summaries.scalars(result))
    with tf.Graph().as_default(), tf.summary.FileWriter(directory) as writer:
        writer.add_summary(tf.Summary(value=values), result["step"])
