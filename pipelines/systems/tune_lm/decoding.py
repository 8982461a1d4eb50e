"""Draws tunes from a language model, all tunes of a batch at once, token by token.

A step is one graph: the model's step, the grammar's tables, the kinds of the next tokens, then
their pitches. What a model is told of each tune (`abc_tokens.context`) is found between the steps.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from keras import ops

from pipelines.representations.abc_tokens import context, vocabulary
from pipelines.representations.abc_tokens.steps import Given
from pipelines.representations.abc_tokens.vocabulary import PITCHES, Token
from pipelines.runtime.progress import Progress
from pipelines.systems.tune_lm import grammar
from pipelines.systems.tune_lm.grammar import Grammar

# Tunes that are not over after so many tokens are given up.
LONGEST = 1024
_BATCH = 128
# Far below any logit, and finite after all that is done to it.
_NEVER = -1e9
_BELOW_ONE = 1 - 1e-6


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How tokens are drawn.

    Attributes:
      temperature: what logits are divided by.
      top_k: of how many of the likeliest kinds, and pitches, one is drawn; 0 is all.
      top_p: the same by their probability: the smallest set that has at least so much (nucleus
        sampling, Holtzman et al., 2020).
      repetition: where the last tokens of a tune stood together before, the pitch that followed
        then is so many times less likely than the model has it.
      seed: of all that is drawn.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    repetition: float = 1.0
    seed: int = 0


class Request(NamedTuple):
    """A tune to draw.

    Attributes:
      given: what is given before its first token.
      program: the number of its program in the grammar.
    """

    given: Given
    program: int = 0


def draw(
    model: Any, of: Grammar, requests: Sequence[Request], sampling: Sampling = Sampling()
) -> Iterator[list[Token]]:
    """Yields the tokens of a tune for each request; equal arguments give equal tunes.

    Args:
      model: a `models.tune_lm.TuneLM`.
      of: the grammar.
      requests: the tunes.
      sampling: how to draw.

    Yields:
      Tokens to END, or `LONGEST` of them without an END.
    """
    step = _step(model, of, sampling)
    with Progress("tunes drawn", len(requests)) as progress:
        for start in range(0, len(requests), _BATCH):
            batch = requests[start : start + _BATCH]
            yield from _batch(model, step, of, batch, sampling.seed, start)
            progress.update(start + len(batch))


def _batch(
    model: Any, step: Callable, of: Grammar, requests: Sequence[Request], seed: int, first: int
) -> list[list[Token]]:
    contexts = [context.Context(request.given) for request in requests]
    made: list[list[Token]] = [[] for _ in requests]
    # A tune draws from numbers of its own, whatever other tunes are drawn with it.
    numbers = np.stack(
        [
            np.random.default_rng([seed, first + i]).random((LONGEST, 2), np.float32)
            for i in range(len(requests))
        ]
    )
    numbers = np.minimum(numbers, np.float32(_BELOW_ONE))
    state = model.initial_state(len(requests), LONGEST)
    place = of.begin(np.array([request.program for request in requests]))
    going = set(range(len(requests)))
    rows = np.zeros((len(requests), len(context.COLUMNS)), np.int32)
    for number in range(LONGEST):
        for i in going:
            rows[i] = contexts[i].known()
        kinds, pitches, state, place = step(rows, numbers[:, number], state, place)
        for i, kind, pitch in zip(range(len(made)), kinds.numpy(), pitches.numpy(), strict=True):
            if i not in going:
                continue
            token = vocabulary.of_kind_and_pitch(int(kind), int(pitch))
            made[i].append(token)
            if token.what == vocabulary.END:
                going.remove(i)
            else:
                contexts[i].add(token)
        if not going:
            break
    return made


def _step(model: Any, of: Grammar, sampling: Sampling) -> Callable:
    """A graph of one step of all tunes."""
    matched = [name for name, _ in context.COLUMNS].index("matched")
    longest, followed = context.LONGEST_MATCH, slice(matched + 1, matched + 3)

    @tf.function(reduce_retracing=True)
    def step(rows, numbers, state, place):
        hidden, state = model.step(rows, state)
        kinds = choose(model.kind_logits(hidden), of.kinds(ops, place), numbers[:, 0], sampling)
        logits = model.pitch_logits(hidden, kinds)
        if sampling.repetition != 1:
            kind, pitch = tf.unstack(rows[:, followed], axis=1)
            again = (rows[:, matched] == longest) & (kind == kinds)
            which = ops.one_hot(pitch, PITCHES) * ops.cast(again, "float32")[:, None]
            logits = logits - which * float(np.log(sampling.repetition))
        pitches = choose(logits, of.pitches_of(ops, place, kinds), numbers[:, 1], sampling)
        noted = kinds >= vocabulary.FIRST_NOTE
        pitches = ops.where(noted, pitches, vocabulary.NO_PITCH)
        return kinds, pitches, state, of.step(ops, place, kinds, pitches)

    def call(rows, numbers, state, place):
        tensors = grammar.Place(*map(tf.convert_to_tensor, place))
        return step(tf.constant(rows), tf.constant(numbers), state, tensors)

    return call


def choose(logits, allowed, numbers, sampling: Sampling):
    """Draws one outcome for each row, of those that are allowed.

    Args:
      logits: float tensor shaped [rows, outcomes].
      allowed: bool tensor of the same shape, with at least one outcome in each row.
      numbers: float tensor shaped [rows], drawn from [0, 1): where in the distribution of a row its
        outcome lies.
      sampling: temperature, top_k and top_p.

    Returns:
      int32 tensor shaped [rows].
    """
    logits = ops.where(allowed, logits / sampling.temperature, _NEVER)
    if 0 < sampling.top_k < logits.shape[-1]:
        least = tf.math.top_k(logits, sampling.top_k).values[:, -1:]
        logits = ops.where(logits >= least, logits, _NEVER)
    if sampling.top_p < 1:
        ordered = tf.sort(logits, axis=-1, direction="DESCENDING")
        likely = ops.softmax(ordered)
        size = ops.sum(ops.cast(ops.cumsum(likely, -1) - likely < sampling.top_p, "int32"), -1)
        least = tf.gather(ordered, size - 1, axis=1, batch_dims=1)
        logits = ops.where(logits >= least[:, None], logits, _NEVER)
    # What is not allowed has exactly no probability, and so is never the first over a number.
    until = ops.cumsum(ops.exp(logits - ops.max(logits, axis=-1, keepdims=True)), axis=-1)
    under = until <= numbers[:, None] * until[:, -1:]
    return ops.sum(ops.cast(under, "int32"), axis=-1)
