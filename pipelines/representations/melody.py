"""Melodies: one-hot events of a voice, and how near a decoded melody is to its tune.

Metrics are counted on the grid. Most steps of a melody have no event, so an accuracy over all
steps flatters: a melody that never begins a note has most of them right. The metrics of onsets, the
beginnings of notes, tell more. A metric without anything to measure is None, never 0.
"""

import collections
from collections.abc import Iterable, Mapping
from typing import ClassVar

import numpy as np
import tensorflow as tf

from pipelines.representations import encodings, melody_features
from pipelines.representations.contract import (
    Baseline,
    Feature,
    Metrics,
    OwnRepresentation,
    ratio,
)
from pipelines.representations.melody_converter import (
    FIRST_PITCH,
    STEPS_PER_QUARTER,
    MelodyConverter,
)


class MelodyMetrics:
    """Accuracy over all steps and over the onsets of notes, and both bar by bar.

    Args:
      steps_per_bar: steps in a bar.
    """

    def __init__(self, steps_per_bar: int):
        self._steps_per_bar = steps_per_bar
        # For each bar of a window, the counts that are named in `update`.
        self._counts = collections.defaultdict(int)

    def update(self, target: np.ndarray, predicted: np.ndarray, qpm: np.ndarray) -> None:
        """Adds windows.

        Args:
          target: array shaped [n, steps, depth], one-hot, as `MelodyConverter.to_tensors` gives it.
          predicted: the same for what was decoded, or logits.
          qpm: array shaped [n], not used: a melody has no times but its steps.
        """
        target, predicted = (np.argmax(array, axis=-1) for array in (target, predicted))
        should, does, same = target >= FIRST_PITCH, predicted >= FIRST_PITCH, target == predicted
        for name, cells in (
            ("steps", np.ones_like(same)),
            ("right", same),
            ("onsets", should),
            ("decoded", does),
            ("onsets_right", should & does),
            ("notes_right", should & same),
        ):
            # Windows, bars, steps.
            bars = cells.reshape(len(cells), -1, self._steps_per_bar)
            self._counts[name] = self._counts[name] + bars.sum((0, 2))

    def result(self) -> dict:
        """Returns the metrics over all bars, and those of each bar of a window under "bars".

        accuracy: the share of all steps with the right event;
        onset_accuracy: the share of the target's notes that are decoded on their step with their
          pitch; onset_precision: the share of the decoded notes that the target has;
          onset_f1: the harmonic mean of these two;
        rhythm_f1: the same for onsets of any pitch;
        pitch_accuracy: among the steps on which a note begins in both, the share with the right
          pitch.
        """
        overall = self._measure(slice(None))
        overall["bars"] = {
            f"{bar + 1:02d}": self._measure(slice(bar, bar + 1))
            for bar in range(len(self._counts["steps"]))
        }
        return overall

    def _measure(self, which: slice) -> dict:
        counts = {name: int(values[which].sum()) for name, values in self._counts.items()}
        onsets, decoded = counts["onsets"], counts["decoded"]
        onsets_right, notes_right = counts["onsets_right"], counts["notes_right"]
        return {
            "steps": counts["steps"],
            "onsets": onsets,
            "onsets_decoded": decoded,
            "accuracy": ratio(counts["right"], counts["steps"]),
            "onset_accuracy": ratio(notes_right, onsets),
            "onset_precision": ratio(notes_right, decoded),
            # The harmonic mean of the two: 2 TP / (2 TP + FP + FN).
            "onset_f1": ratio(2 * notes_right, onsets + decoded),
            "rhythm_f1": ratio(2 * onsets_right, onsets + decoded),
            "pitch_accuracy": ratio(notes_right, onsets_right),
        }


def most_frequent_bar(windows: Iterable[np.ndarray], steps_per_bar: int) -> np.ndarray:
    """The bar that a model has to beat: the commonest one, those without a note aside.

    Args:
      windows: arrays shaped [steps, depth], one-hot.
      steps_per_bar: steps in a bar; it divides the steps of a window.

    Returns:
      An array shaped [steps_per_bar, depth], one-hot. Among equally frequent bars, the one
      whose events come first in order is taken.
    """
    counts = collections.Counter()
    for window in windows:
        depth = window.shape[-1]
        for bar in np.argmax(window, axis=-1).reshape(-1, steps_per_bar):
            if bar.max() >= FIRST_PITCH:
                counts[tuple(bar.tolist())] += 1
    commonest = min(counts, key=lambda bar: (-counts[bar], bar))
    return np.eye(depth)[list(commonest)]


def most_frequent_event(windows: Iterable[np.ndarray], steps_per_bar: int) -> np.ndarray:
    """The most frequent event at every step of a bar: the baseline of accuracy over all steps.

    Arguments and result are those of `most_frequent_bar`; among equally frequent events, the first
    is taken.
    """
    counts = np.sum([np.sum(window, axis=0, dtype=np.int64) for window in windows], axis=0)
    return np.tile(np.eye(len(counts))[counts.argmax()], (steps_per_bar, 1))


class MelodyRepresentation(OwnRepresentation):
    """This project's MelodyConverter."""

    baselines: ClassVar[Mapping[str, Baseline]] = {
        "most_frequent_bar": most_frequent_bar,
        "most_frequent_event": most_frequent_event,
    }

    @property
    def inputs_are_outputs(self) -> bool:
        """Always True."""
        return True

    @property
    def steps_per_quarter(self) -> int:
        """Steps in a quarter note."""
        return STEPS_PER_QUARTER

    @property
    def steps_per_bar(self) -> int:
        """Steps in a bar of the converter's meters."""
        return self.converter.steps_per_bar

    def encoding(self, name: str) -> encodings.Tokens:
        """Stores the event of each step."""
        depth, dtype = self.rows(name)
        return encodings.Tokens(name, [depth], dtype)

    def draw_outputs(self, outputs, parsed: dict, steps, seed) -> tf.Tensor:
        """Decodes a batch, each window transposed by its own draw."""
        if seed is None:
            return super().draw_outputs(outputs, parsed, steps, seed)
        tokens = outputs.tokens(parsed, steps)
        moved = self.converter.transpose_tokens(tokens[:, :, 0], seed)
        return outputs.one_hot(moved[:, :, None])

    def metrics(self) -> Metrics:
        """Makes metrics of the accuracy over steps and over the onsets of notes."""
        return MelodyMetrics(self.converter.steps_per_bar)

    def features(self) -> Mapping[str, Feature]:
        """Features of melodies."""
        return melody_features.FEATURES

    def onsets(self, windows: np.ndarray) -> np.ndarray:
        """The beginnings of notes, with their pitches."""
        return super().onsets(np.asarray(windows)[..., FIRST_PITCH:])


REPRESENTATIONS = {MelodyConverter: MelodyRepresentation}
