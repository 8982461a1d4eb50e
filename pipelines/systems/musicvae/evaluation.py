"""Measuring a checkpoint on held-out records: the work of the job `evaluate`."""

import itertools
import os
import re

import numpy as np
import tensorflow.compat.v1 as tf

from pipelines.examples import reading
from pipelines.representations import groove_metrics, melody_metrics
from pipelines.runtime.app import UserError, say
from pipelines.runtime.progress import Progress
from pipelines.systems.musicvae import model as trained_model
from pipelines.systems.musicvae.losses import Losses

# What can be measured besides the loss, a module for each family of configs: the first of which
# `measures(config)` is true. Each also has
#   metrics(converter)   an object with update(target, predicted, qpm) and result();
#   activate(output)     turns the decoder's raw outputs into what update() takes;
#   GREEDY               what the metrics of the likeliest outputs are called;
#   BASELINES            by the names of --baseline, functions from (windows, steps_per_bar) to the
#                        bar that is repeated as if it had been decoded.
_FAMILIES = (groove_metrics, melody_metrics)


def family_of(config):
    """The module with the metrics of a config, or None where it has the loss alone."""
    return next((family for family in _FAMILIES if family.measures(config)), None)


def evaluate(
    run,
    examples_path: str,
    *,
    temperature: float = 0.5,
    batch_size: int = 64,
    num_batches: int | None = None,
    seed: int = 0,
) -> dict:
    """Measures a checkpoint on every example of some records.

    Args:
      run: from `runs.open_run`.
      examples_path: a glob of TFRecord files of NoteSequences.
      temperature: of what is sampled.
      batch_size: examples measured at once; the last batch may be smaller.
      num_batches: stop after so many batches, if given.
      seed: of what is drawn.

    Returns:
      JSON values; see the docstring of `pipelines.evaluate`.

    Raises:
      UserError: where the records give no example, or the checkpoint does not fit the config.
    """
    config = run.config
    converter = config.data_converter
    counts = reading.Counts()
    batches = reading.batches(config, examples_path, batch_size, counts, num_batches)
    loss = Losses(run, batch_size, seed)
    metrics = {}
    family = family_of(config)
    if family:
        model = trained_model.load(run, batch_size, seed)
        temperatures = {"sampled": temperature, family.GREEDY: trained_model.THRESHOLD_TEMPERATURE}
        metrics = {name: family.metrics(converter) for name in ("teacher_forced", *temperatures)}
    progress = Progress("examples measured")
    for batch in batches:
        rnn_output = loss.update(batch)
        progress.update(counts.examples)
        if not family:
            continue
        target = batch.padded(batch.outputs, converter.output_depth)
        metrics["teacher_forced"].update(target, family.activate(rnn_output), batch.qpm)
        z = trained_model.posterior_means(model, batch)
        for name, value in temperatures.items():
            decoded = trained_model.decode(model, z, config.hparams.max_seq_len, value)
            metrics[name].update(target, decoded, batch.qpm)
    progress.close()
    say(counts.summary())
    _require_examples(examples_path, counts)
    result = {**_facts(run, examples_path, counts, seed), **loss.result()}
    result.update({name: metric.result() for name, metric in metrics.items()})
    if family:
        result["sampled"]["temperature"] = temperature
    return result


def evaluate_constant(
    run,
    baseline: str,
    examples_path: str,
    baseline_examples_path: str,
    batch_size: int = 64,
    num_batches: int | None = None,
) -> dict:
    """Measures one bar, taken from some records and repeated, as if it had been decoded.

    Args:
      run: from `runs.open_run`; its config alone counts.
      baseline: "most_frequent_bar", or another of the BASELINES of the config's family.
      examples_path: a glob of TFRecord files of NoteSequences: what is measured.
      baseline_examples_path: the same for the records that the bar is taken from.
      batch_size, num_batches: as in `evaluate`.

    Returns:
      JSON values as `evaluate` returns them, with the metrics under "constant" alone: a bar has no
      loss.

    Raises:
      UserError: where the config has no such baseline, or the records no example.
    """
    config = run.config
    converter = config.data_converter
    family = family_of(config)
    baselines = family.BASELINES if family else {}
    if baseline not in baselines:
        raise UserError(
            f"--baseline={baseline}: {run.name} has no such baseline; it has "
            + ", ".join(["untrained", *baselines])
        )
    steps_per_bar = converter._steps_per_bar
    windows = (
        window
        for batch in reading.batches(config, baseline_examples_path, batch_size, reading.Counts())
        for window in batch.outputs
    )
    first = next(windows, None)
    if first is None:
        raise UserError(f"{baseline_examples_path}: no examples to count bars in")
    bar = baselines[baseline](itertools.chain([first], windows), steps_per_bar)
    metrics = family.metrics(converter)
    counts = reading.Counts()
    for batch in reading.batches(config, examples_path, batch_size, counts, num_batches):
        target = np.array(batch.outputs)
        decoded = np.tile(bar, (len(target), target.shape[1] // steps_per_bar, 1))
        metrics.update(target, decoded, batch.qpm)
    _require_examples(examples_path, counts)
    return {**_facts(run, examples_path, counts, None), "constant": metrics.result()}


def _require_examples(examples_path: str, counts: reading.Counts) -> None:
    if not counts.examples:
        raise UserError(f"{examples_path}: nothing to measure; {counts.summary()}")


def _facts(run, examples_path, counts, seed) -> dict:
    return {
        "config": run.name,
        "checkpoint": os.path.basename(run.checkpoint),
        "step": run.step,
        "examples_path": examples_path,
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
    """Adds the numbers of an evaluation to TensorBoard, at the checkpoint's step."""
    values = []

    def flatten(prefix, item):
        for name, value in item.items():
            if isinstance(value, dict):
                flatten(f"{prefix}{name}/", value)
            elif isinstance(value, float):
                values.append(tf.Summary.Value(tag=prefix + name, simple_value=value))

    flatten("", result)
    with tf.Graph().as_default(), tf.summary.FileWriter(directory) as writer:
        writer.add_summary(tf.Summary(value=values), result["step"])
