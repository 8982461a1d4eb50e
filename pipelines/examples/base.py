"""Opened examples: the interface that jobs use, batches of them, and their counts."""

import abc
import collections
import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf

from pipelines.representations.contract import Example
from pipelines.runtime.app import UserError


@dataclasses.dataclass
class Counts:
    """Counts what a config makes of some records."""

    records: int = 0
    used: int = 0
    examples: int = 0
    # Reason -> records, for those that gave no example.
    unused: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    # What the R: fields of those records say, where they say anything.
    rhythms: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    # What the converter itself counts, such as drum pitches outside its map.
    notes: collections.Counter = dataclasses.field(default_factory=collections.Counter)

    def summary(self) -> str:
        """Says it in one line, for the user."""
        text = f"{self.examples} examples from {self.used} of {self.records} records"
        if self.unused:
            reasons = ", ".join(f"{n} {reason}" for reason, n in self.unused.most_common())
            text += f" (none from: {reasons})"
        for what, n in sorted(self.notes.items()):
            if n:
                what = what.replace("_", " ")
                text += f"; {what}: {n}" if "windows" in what else f"; notes {what}: {n}"
        return text

    def require_batch(self, batch_size: int, source: str) -> None:
        """Raises UserError for fewer examples than a batch, with which Magenta would hang.

        Args:
          batch_size: how many examples there must be.
          source: where the examples are from, for the message.
        """
        if not self.examples:
            fix = "choose another config or other --hparams, or convert other music"
            if self.rhythms and any(each.startswith("filtered by rhythm") for each in self.unused):
                found = ", ".join(f"{n} {rhythm}" for rhythm, n in self.rhythms.most_common(6))
                fix = f"change --hparams=rhythm=...: the rhythms here are {found}"
                fix += ", ..." if len(self.rhythms) > 6 else ""
            raise UserError(f"{source}: {self.summary()}; {fix}")
        if self.examples < batch_size:
            raise UserError(
                f"{source}: {self.examples} examples are fewer than a batch of {batch_size}; "
                f"lower it with --hparams=batch_size={self.examples} or convert more "
                f"music ({self.summary()})"
            )


@dataclasses.dataclass
class Batch:
    """Examples of one config, not padded.

    Attributes:
      inputs, outputs, controls: arrays shaped [steps, depth], one an example.
      lengths: the length of each example: an int or, with hierarchical converters, one for each
        segment.
      qpm: float array shaped [examples]: the tempo of each example's piece, in quarters a minute.
    """

    inputs: tuple[np.ndarray, ...]
    outputs: tuple[np.ndarray, ...]
    controls: tuple[np.ndarray, ...]
    lengths: tuple
    qpm: np.ndarray

    @classmethod
    def of(cls, examples: Sequence[tuple[float, Example]]) -> "Batch":
        """Makes a batch of at least one example, each with the tempo of its piece."""
        qpm, arrays = zip(*examples)
        inputs, outputs, controls, lengths = zip(*arrays)
        return cls(inputs, outputs, controls, lengths, np.array(qpm))

    @staticmethod
    def padded(arrays: Sequence[np.ndarray], depth: int, size: int | None = None) -> np.ndarray:
        """Stacks arrays shaped [steps, depth] to [size, longest, depth], zeros after each."""
        longest = max(map(len, arrays))
        stacked = np.zeros([size or len(arrays), longest, depth], np.float32)
        for row, array in zip(stacked, arrays):
            row[: len(array)] = array
        return stacked


class Draw(NamedTuple):
    """How a training dataset is drawn from its examples.

    Attributes:
      seed: the seed of the order, the augmentation and the slices; None draws a new one.
      cache: whether to keep the converted examples of the first epoch in memory, as Magenta does.
      worker: which worker's share to read, from 0.
      num_workers: how many workers there are.
      taken: how many batches were taken before, by a run that goes on; they are passed over.
    """

    seed: int | None = None
    cache: bool = False
    worker: int = 0
    num_workers: int = 1
    taken: int = 0


class Examples(abc.ABC):
    """Examples to train on, opened once, by `pipelines.examples.reading`.

    Attributes:
      source: what was opened, as the user gave it.
      paths: the record files, sorted; empty where the examples are not in files.
    """

    def __init__(self, source: str, paths: Sequence[str] = ()):
        self.source = source
        self.paths = list(paths)

    def require_fit(self, name: str, config) -> None:  # noqa: B027  most fit every config
        """Raises UserError where a config cannot train on them; tells the user what it lacks.

        Args:
          name: the config's name.
          config: a Magenta Config, with its hparams.
        """

    @abc.abstractmethod
    def count(self, config) -> Counts:
        """Counts the examples that there are to train a config on."""

    @abc.abstractmethod
    def training_dataset(self, config, draw: Draw) -> tf.data.Dataset:
        """Makes an endless, shuffled, batched dataset of a config's examples.

        Args:
          config: a Magenta Config that `require_fit` took.
          draw: how they are drawn.

        Returns:
          Batches of (inputs, outputs, controls, lengths), shaped [batch_size, steps, depth] and
          [batch_size] or [batch_size, segments].
        """
