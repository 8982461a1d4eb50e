"""Grooves: drums as hits, velocities and offsets, and how near decoded drums are to their piece.

Metrics are counted on the grid, step by step and class by class. A metric without anything to
measure is None, never 0.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar

import numpy as np
import tensorflow as tf
from magenta.models.music_vae import data
from note_seq.protobuf import music_pb2

from pipelines.representations import encodings, groove_features
from pipelines.representations.contract import (
    Baseline,
    Feature,
    Metrics,
    OwnRepresentation,
    ratio,
)
from pipelines.representations.groove_converter import CLASS_NAMES, GrooveConverter
from pipelines.representations.magenta import MagentaRepresentation


class GrooveMetrics:
    """Hit precision, recall and F1; velocity and timing errors on the hits that are right.

    Args:
      steps_per_quarter: steps of the grid in a quarter note.
    """

    def __init__(self, steps_per_quarter: int = 4):
        self._steps_per_quarter = steps_per_quarter
        # Hits in each class: the decoded ones that are right, all decoded ones, and the target's.
        self._right, self._predicted, self._target = np.zeros((3, len(CLASS_NAMES)), np.int64)
        self._velocity_error = np.zeros(len(CLASS_NAMES))
        self._timing_error = np.zeros(len(CLASS_NAMES))

    def update(self, target: np.ndarray, predicted: np.ndarray, qpm: np.ndarray) -> None:
        """Adds windows.

        Args:
          target: array shaped [n, steps, 27] of hits in {0, 1}, velocities in [0, 1] and offsets
            in [-1, 1] of half a step, as `GrooveConverter.to_tensors` gives it.
          predicted: the same for what was decoded.
          qpm: array shaped [n]: the tempo of each window's piece, in quarters a minute.
        """
        target_hits, target_velocity, target_offset = np.split(np.asarray(target), 3, axis=-1)
        hits, velocity, offset = np.split(np.asarray(predicted), 3, axis=-1)
        should, does = target_hits > 0.5, hits > 0.5
        right = should & does
        self._target += should.sum((0, 1))
        self._predicted += does.sum((0, 1))
        self._right += right.sum((0, 1))
        # MIDI velocities are 0 to 127.
        self._velocity_error += (127 * np.abs(velocity - target_velocity) * right).sum((0, 1))
        # An offset of 1 is half a step.
        half_step_ms = 60_000 / np.asarray(qpm) / self._steps_per_quarter / 2
        error_ms = np.abs(offset - target_offset) * half_step_ms[:, None, None]
        self._timing_error += (error_ms * right).sum((0, 1))

    def result(self) -> dict:
        """Returns the metrics over all classes, and per class under "classes".

        Velocity errors are in MIDI velocity (0 to 127), timing errors in milliseconds.
        """
        overall = self._measure(slice(None))
        overall["classes"] = {
            name: self._measure(slice(i, i + 1)) for i, name in enumerate(CLASS_NAMES)
        }
        return overall

    def _measure(self, which: slice) -> dict:
        right, predicted, target = (
            int(counts[which].sum()) for counts in (self._right, self._predicted, self._target)
        )
        return {
            "hits": target,
            "hits_decoded": predicted,
            "precision": ratio(right, predicted),
            "recall": ratio(right, target),
            # The harmonic mean of the two: 2 TP / (2 TP + FP + FN).
            "f1": ratio(2 * right, predicted + target),
            "velocity_mae": ratio(float(self._velocity_error[which].sum()), right),
            "timing_mae_ms": ratio(float(self._timing_error[which].sum()), right),
        }


def most_frequent_bar(windows: Iterable[np.ndarray], steps_per_bar: int) -> np.ndarray:
    """The bar that a model has to beat: the commonest pattern of hits, empty bars aside.

    Args:
      windows: arrays shaped [steps, 27].
      steps_per_bar: steps in a bar; it divides the steps of a window.

    Returns:
      An array shaped [steps_per_bar, 27], with the mean velocity and offset of each hit over the
      bars that have just these hits. Among equally frequent patterns, the one whose bytes come
      first is taken.
    """
    bars = np.array(list(windows)).reshape(-1, steps_per_bar, 27)
    hits = bars[:, :, :9] > 0.5
    packed = np.packbits(hits.reshape(len(bars), -1), axis=1)
    patterns, index, counts = np.unique(packed, axis=0, return_inverse=True, return_counts=True)
    counts = np.where(patterns.any(axis=1), counts, 0)
    return bars[index.reshape(-1) == counts.argmax()].mean(axis=0)


class _Magentas(MagentaRepresentation):
    """Magenta's own GrooveConverter: hits, velocities and offsets of drums."""

    # A hit is decoded wherever its probability is over 0.5.
    greedy = "thresholded"
    baselines: ClassVar[Mapping[str, Baseline]] = {"most_frequent_bar": most_frequent_bar}

    @property
    def inputs_are_outputs(self) -> bool:
        """Whether the converter has no task."""
        converter = self.converter
        return not (
            converter._humanize
            or converter._tapify
            or converter._add_instruments
            or converter._fixed_velocities
            or converter._note_dropout
        )

    def stretches(
        self, piece: music_pb2.NoteSequence, steps: int, qpm: float
    ) -> Iterator[tuple[float, music_pb2.NoteSequence]]:
        """Yields the whole piece: when inferring, windows follow each other."""
        yield 0.0, piece

    def encoding(self, name: str) -> encodings.Encoding:
        """Stores hits as bits, and velocities and offsets for the hits alone."""
        if self.converter._categorical_outputs:
            return super().encoding(name)
        return encodings.Groove(name, *self.rows(name))

    def lost_in_tensors(self) -> list[str]:
        """Says that note dropout is drawn once: Magenta's converter does it in Python."""
        if not self.converter._note_dropout:
            return []
        line = (
            "its notes are dropped once, when the tensors are made; to drop others each epoch, "
            "train from the NoteSequence records"
        )
        return [line]

    def metrics(self) -> Metrics | None:
        """Metrics of hits, where the outputs are 9 hits, 9 velocities and 9 offsets.

        The other variants of the converter (categorical, split instruments, hits as controls) have
        losses, but no hit metrics.
        """
        if not self._has_grooves():
            return None
        return GrooveMetrics(self.converter._steps_per_quarter)

    def features(self) -> Mapping[str, Feature]:
        """Features of grooves, where `metrics` are and a quarter note has four steps."""
        if not self._has_grooves() or self.converter._steps_per_quarter != 4:
            return {}
        return groove_features.all_features()

    def onsets(self, windows: np.ndarray) -> np.ndarray:
        """The hits."""
        return super().onsets(np.asarray(windows)[..., : len(CLASS_NAMES)])

    def _has_grooves(self) -> bool:
        return self.converter.output_depth == 27 and not self.converter.control_depth

    def activate(self, rnn_output: np.ndarray) -> np.ndarray:
        """Turns the raw outputs of Magenta's GrooveLstmDecoder into hits, velocities and offsets.

        Args:
          rnn_output: array shaped [..., 27] of hit logits, velocity logits and untransformed
            offsets.

        Returns:
          An array of the same shape: hits thresholded at probability 0.5, velocities in [0, 1] and
          offsets in [-1, 1] (`GrooveLstmDecoder._activate_outputs`).
        """
        hits, velocities, offsets = np.split(rnn_output, 3, axis=-1)
        return np.concatenate(
            [hits > 0, (1 + np.tanh(velocities / 2)) / 2, np.tanh(offsets)], axis=-1
        )


class GrooveRepresentation(OwnRepresentation, _Magentas):
    """This project's GrooveConverter."""

    # All of its tasks, note dropout too, are drawn from the outputs.
    draws_inputs = True

    def draw_inputs(self, outputs: tf.Tensor, seed: tf.Tensor | None) -> tf.Tensor:
        """Makes the inputs of the task, with fresh note dropout."""
        return self.converter.draw_inputs(outputs, seed)

    def lost_in_tensors(self) -> list[str]:
        """Returns no line: nothing is lost."""
        return []


REPRESENTATIONS = {data.GrooveConverter: _Magentas, GrooveConverter: GrooveRepresentation}
