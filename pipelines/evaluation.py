"""Measuring a checkpoint on held-out records: the work of the job `evaluate`."""

import os
import re

import numpy as np
import tensorflow.compat.v1 as tf
from magenta.models.music_vae import data

from pipelines import examples, groove_metrics, trained_model
from pipelines.app import Progress, UserError, say
from pipelines.losses import Losses


def is_groove(config) -> bool:
    """Whether a config's outputs are 9 hits, 9 velocities and 9 offsets, with nothing to control.

    The other variants of Magenta's GrooveConverter (categorical, split instruments, hits as
    controls) have losses, but no hit metrics.
    """
    converter = config.data_converter
    return (
        isinstance(converter, data.GrooveConverter)
        and converter.output_depth == 27
        and converter.control_depth == 0
    )


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
      temperature: of the sampled hits.
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
    counts = examples.Counts()
    batches = examples.batches(config, examples_path, batch_size, counts, num_batches)
    loss = Losses(run, batch_size, seed)
    metrics = {}
    drums = is_groove(config)
    if drums:
        model = trained_model.load(run, batch_size, seed)
        temperatures = {"sampled": temperature, "thresholded": trained_model.THRESHOLD_TEMPERATURE}
        metrics = {name: _metrics(converter) for name in ("teacher_forced", *temperatures)}
    progress = Progress("examples measured")
    for batch in batches:
        rnn_output = loss.update(batch)
        progress.update(counts.examples)
        if not drums:
            continue
        target = batch.padded(batch.outputs, converter.output_depth)
        metrics["teacher_forced"].update(target, groove_metrics.activate(rnn_output), batch.qpm)
        z = trained_model.posterior_means(model, batch)
        for name, value in temperatures.items():
            decoded = trained_model.decode(model, z, config.hparams.max_seq_len, value)
            metrics[name].update(target, decoded, batch.qpm)
    progress.close()
    say(counts.summary())
    if not counts.examples:
        raise UserError(f"{examples_path}: nothing to measure; {counts.summary()}")
    result = {**_facts(run, examples_path, counts, seed), **loss.result()}
    result.update({name: metric.result() for name, metric in metrics.items()})
    if drums:
        result["sampled"]["temperature"] = temperature
    return result


def evaluate_most_frequent_bar(
    run,
    examples_path: str,
    baseline_examples_path: str,
    batch_size: int = 64,
    num_batches: int | None = None,
) -> dict:
    """Measures the commonest bar of some records, repeated, as if it had been decoded.

    Returns:
      JSON values as `evaluate` returns them, with the hit metrics under "constant" alone: a bar
      has no loss.
    """
    config = run.config
    if not is_groove(config):
        raise UserError(f"--baseline=most_frequent_bar needs a groove config, not {run.name}")
    steps_per_bar = config.data_converter._steps_per_bar
    windows = [
        window
        for batch in examples.batches(config, baseline_examples_path, batch_size, examples.Counts())
        for window in batch.outputs
    ]
    if not windows:
        raise UserError(f"{baseline_examples_path}: no examples to count bars in")
    bar = groove_metrics.most_frequent_bar(np.array(windows), steps_per_bar)
    metrics = _metrics(config.data_converter)
    counts = examples.Counts()
    for batch in examples.batches(config, examples_path, batch_size, counts, num_batches):
        target = np.array(batch.outputs)
        decoded = np.tile(bar, (len(target), target.shape[1] // steps_per_bar, 1))
        metrics.update(target, decoded, batch.qpm)
    return {**_facts(run, examples_path, counts, None), "constant": metrics.result()}


def _metrics(converter) -> groove_metrics.GrooveMetrics:
    return groove_metrics.GrooveMetrics(converter._steps_per_quarter)


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
