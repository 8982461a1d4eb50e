"""Tunes in batches of about the same length, for training and for measuring."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from pipelines.examples.written_tunes import Tune
from pipelines.representations.abc_tokens import context, vocabulary
from pipelines.runtime.progress import Progress

# Batches are padded to multiples of this, so that their shapes are few.
_MULTIPLE = 16
# How much the lengths by which an epoch is sorted are changed at random, so that other tunes meet.
_SHAKEN = 0.1


# What TensorFlow is told of the first fields of a batch, whatever its size: a program for some
# sizes alone would round otherwise than one for all, and a run that goes on would differ.
SPECS = (
    tf.TensorSpec((None, None, len(context.COLUMNS)), tf.int32),
    tf.TensorSpec((None, None), tf.int32),
    tf.TensorSpec((None, None), tf.int32),
    tf.TensorSpec((None, None), tf.float32),
)


class Batch(NamedTuple):
    """Some tunes, padded to the same length.

    Attributes:
      rows: int32 array shaped [tunes, steps, columns], as of `context.rows`.
      kinds, pitches: int32 arrays shaped [tunes, steps], as of `context.targets`.
      there: float32 array shaped [tunes, steps]: 1 for tokens, 0 for padding.
      tunes: which tunes, by their numbers.
    """

    rows: np.ndarray
    kinds: np.ndarray
    pitches: np.ndarray
    there: np.ndarray
    tunes: np.ndarray


class Examples:
    """Tunes as a network takes them.

    Args:
      tunes: at least one.
      batch_tokens: how many tokens a batch has, about, padding included.

    Attributes:
      notes, tokens: how many all tunes have.
      steps: the number of tokens of each tune.
    """

    def __init__(self, tunes: Sequence[Tune], batch_tokens: int):
        self._rows, self._targets = [], []
        with Progress("tunes prepared", len(tunes)) as progress:
            for count, tune in enumerate(tunes, start=1):
                self._rows.append(context.rows(tune.steps, tune.given))
                self._targets.append(context.targets(tune.steps))
                progress.update(count)
        self._batch_tokens = batch_tokens
        self.steps = np.array([len(rows) for rows in self._rows])
        self.tokens = int(self.steps.sum())
        self.notes = int(sum(tune.steps.is_note.sum() for tune in tunes))

    def epoch(self, seed: int, number: int) -> list[np.ndarray]:
        """Which tunes each batch of an epoch has; the same for the same seed and number."""
        rng = np.random.default_rng([seed, number])
        lengths = self.steps * rng.uniform(1 - _SHAKEN, 1 + _SHAKEN, len(self.steps))
        batches = list(self._divided(np.argsort(lengths, kind="stable")))
        return [batches[i] for i in rng.permutation(len(batches))]

    def in_order(self) -> Iterator[Batch]:
        """All tunes once, the short ones first."""
        for tunes in self._divided(np.argsort(self.steps, kind="stable")):
            yield self.batch(tunes)

    def batch(self, tunes: np.ndarray) -> Batch:
        """The batch of some tunes."""
        steps = -(-int(self.steps[tunes].max()) // _MULTIPLE) * _MULTIPLE
        rows = np.zeros((len(tunes), steps, len(context.COLUMNS)), np.int32)
        targets = np.zeros((len(tunes), steps, 2), np.int32)
        targets[..., 1] = vocabulary.NO_PITCH
        there = np.zeros((len(tunes), steps), np.float32)
        for i, tune in enumerate(tunes):
            size = self.steps[tune]
            rows[i, :size], targets[i, :size] = self._rows[tune], self._targets[tune]
            there[i, :size] = 1
        return Batch(rows, targets[..., 0], targets[..., 1], there, tunes)

    def _divided(self, order: np.ndarray) -> Iterator[np.ndarray]:
        """Tunes in batches, in some order: as many as there is room for, with the padding."""
        first, longest = 0, 0
        for i, tune in enumerate(order):
            longest = max(longest, int(self.steps[tune]))
            if i > first and longest * (i + 1 - first) > self._batch_tokens:
                yield order[first:i]
                first, longest = i, int(self.steps[tune])
        yield order[first:]
