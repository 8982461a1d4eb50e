"""Compiles the training step of each of our configs with XLA; for tests.models.test_xla.

    python -m tests.support.xla_program

prints a line of JSON for each. It is a program because compiled functions need TensorFlow 2's
behaviour, which a process that has chosen TensorFlow 1's cannot have back.
"""

import contextlib
import json
import sys
from typing import Any
from unittest import mock

import numpy as np

import configs
from configs import groove, melody
from models import accelerated

NAMES = [*groove.CONFIGS, *melody.CONFIGS]
# A flat and a hierarchical config. Their models are built without anything random, so that what
# XLA computes can be compared with what TensorFlow computes without it.
CERTAIN = ["flat-groove_2bar-tap", "hierdec-jig_16bar"]

_BATCH = 2


def _shrink(hparams) -> None:
    """Makes a model small; its window and its schedule stay."""
    hparams.batch_size = _BATCH
    hparams.z_size = 4
    hparams.enc_rnn_size = [8] * len(hparams.enc_rnn_size)
    hparams.dec_rnn_size = [8] * len(hparams.dec_rnn_size)


def _examples(converter, steps: int) -> list:
    """Sequences for the encoder, sequences for the decoder, and their lengths."""
    import tensorflow as tf

    rng = np.random.default_rng(0)
    shape = [_BATCH, steps]
    sequences = []
    for depth in (converter.input_depth, converter.output_depth):
        if isinstance(converter, groove.GrooveConverter):
            hits = rng.random([*shape, depth // 3]) > 0.8
            sequence = np.concatenate([hits, hits * rng.random(hits.shape), 0 * hits], 2)
        else:
            sequence = np.eye(depth)[rng.integers(0, depth, shape)]
        sequences.append(tf.constant(sequence, tf.float32))
    return [*sequences, tf.constant([steps] * _BATCH)]


def _training_step(config, examples):
    """The training step as a function of examples, in a graph of its own."""
    import tensorflow as tf
    import tensorflow.compat.v1 as tf1

    def step(inputs, outputs, lengths):
        model = accelerated.accelerated(config.model, fused=False)
        model.build(config.hparams, config.data_converter.output_depth, is_training=True)
        optimizer = model.train(inputs, outputs, lengths, None)
        gradients, variables = zip(*optimizer.compute_gradients(model.loss))
        gradients, _ = tf1.clip_by_global_norm(gradients, config.hparams.grad_clip)
        update = optimizer.apply_gradients(zip(gradients, variables), model.global_step)
        with tf1.control_dependencies([update]):
            return tf1.identity(model.loss), *map(tf1.identity, gradients)

    # Static shapes throughout, as a TPU needs.
    signature = [tf.TensorSpec(example.shape, example.dtype) for example in examples]
    return tf1.wrap_function(step, signature)


def _without_chance(hparams):
    """Removes chance from hparams; returns a context in which z is the posterior's mean."""
    import tensorflow_probability as tfp

    hparams.dropout_keep_prob = 1.0
    hparams.sampling_schedule, hparams.sampling_rate = "constant", 0.0
    # The accelerated model's `encode` is Magenta's, so this is where z is drawn.
    posterior = tfp.distributions.MultivariateNormalDiag
    return mock.patch.object(posterior, "sample", lambda self: self.mean())


def compile_and_run(name: str) -> dict:
    """Runs the compiled training step of a config once.

    Returns:
      name; loss, of the first step; unchanged, the names of trained variables that stayed the same.
      For those of CERTAIN also uncompiled, the loss without XLA; and apart, the largest difference
      of gradients, as a share of the largest gradient of the variable.
    """
    import tensorflow as tf

    config = configs.builders()[name]()
    _shrink(config.hparams)
    examples = _examples(config.data_converter, config.hparams.max_seq_len)
    certain = name in CERTAIN
    with _without_chance(config.hparams) if certain else contextlib.nullcontext():
        step = _training_step(config, examples)
    variables = step.graph.variables
    trained = step.graph.trainable_variables
    first = [variable.numpy() for variable in variables]
    outcome: dict[str, Any] = {"name": name}
    if certain:
        outcome["uncompiled"], *expected = map(np.array, step(*examples))
        outcome["uncompiled"] = float(outcome["uncompiled"])
        for variable, value in zip(variables, first):
            variable.assign(value)
    before = [variable.numpy() for variable in trained]
    compiled = tf.function(lambda *args: step(*args), jit_compile=True)  # noqa: PLW0108  step has a graph
    loss, *gradients = map(np.array, compiled(*examples))
    outcome["loss"] = float(loss)
    if certain:
        outcome["apart"] = max(
            float(abs(a - b).max() / abs(a).max())
            for a, b in zip(expected, gradients, strict=True)
            if a.any() or b.any()
        )
    after = [variable.numpy() for variable in trained]
    outcome["unchanged"] = [
        variable.name
        for variable, a, b in zip(trained, before, after)
        # Without chance z takes nothing from sigma, and beta is 0 at the first step.
        if np.array_equal(a, b) and not (certain and "sigma" in variable.name)
    ]
    return outcome


def main() -> None:
    for number, name in enumerate(NAMES, 1):
        print(json.dumps(compile_and_run(name)), flush=True)
        print(f"{number} of {len(NAMES)} compiled: {name}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
