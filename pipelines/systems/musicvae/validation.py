"""Measures a model on held-out windows while it is trained.

A second graph, without dropout and scheduled sampling, is given the variables of the training
session whenever it is due. That takes no second process, which would import TensorFlow, convert the
records and, on a GPU, find its memory taken; and it measures at exact steps, so that the same seed
stops at the same step.
"""

import hashlib
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf
from magenta.models.music_vae.base_model import MusicVAE

from pipelines import representations
from pipelines.examples.base import Batch, Counts
from pipelines.examples.note_sequences import NoteSequences
from pipelines.music.timing import first_qpm
from pipelines.representations.contract import Example
from pipelines.runtime.app import UserError, say
from pipelines.systems.musicvae.labels import facts_of
from pipelines.systems.musicvae.losses import TeacherForced
from pipelines.systems.musicvae.reservoir import Reservoir
from pipelines.systems.musicvae.variable_values import assign

# A latent unit is active where the variance of its posterior mean over the data exceeds this
# (Burda, Grosse and Salakhutdinov, arXiv:1509.00519, section 5).
ACTIVE_VARIANCE = 0.01
# More windows at once gain no speed on a CPU, and take memory on a GPU.
_BATCH_SIZE = 128


class Windows(NamedTuple):
    """Held-out windows that stay in memory, each with the tempo of its piece.

    Attributes:
      source: the records that they are of, as the user named them.
      examples: the windows.
      facts: what is known of the piece of each window, by name (`labels.facts_of`).
      sha256: of all their numbers.
    """

    source: str
    examples: list[tuple[float, Example]]
    facts: list[dict[str, str]]
    sha256: str

    def batches(self, size: int) -> list[Batch]:
        """All windows in batches; the last one may be smaller."""
        return [
            Batch.of(self.examples[at : at + size]) for at in range(0, len(self.examples), size)
        ]


def read_windows(held_out: NoteSequences, config, number: int) -> Windows:
    """Converts held-out records to windows.

    Where there are more than `number`, so many are drawn, always the same.

    Args:
      held_out: the records.
      config: a Magenta Config of its own: the mode of its converter is changed.
      number: the most windows to keep; 0 keeps all.

    Raises:
      UserError: where the records give no window.
    """
    rng = np.random.default_rng(0)
    counts = Counts()
    drawn: Reservoir[tuple[int, tuple[float, Example], dict[str, str]]]
    drawn = Reservoir(number or None, rng)
    for piece, examples in held_out.examples_by_piece(config, counts):
        facts = facts_of(piece)
        for place, example in enumerate(examples, 1):
            told = {**facts, "window": str(place)}
            drawn.add((drawn.seen, (first_qpm(piece), example), told))
    counts.examples = drawn.seen
    if not drawn.kept:
        raise UserError(f"{held_out.source}: nothing to validate with; {counts.summary()}")
    kept = sorted(drawn.kept, key=lambda one: one[0])
    digest = hashlib.sha256()
    for _, (qpm, example), _ in kept:
        for array in (np.float64(qpm), *example):
            digest.update(np.ascontiguousarray(array).tobytes())
    some = f", {len(kept)} of them drawn" if len(kept) < drawn.seen else ""
    say(f"validation: {counts.summary()}{some}")
    _, windows, told_of_each = zip(*kept)
    return Windows(held_out.source, list(windows), list(told_of_each), digest.hexdigest())


class _Observed(MusicVAE):
    """A MusicVAE that keeps the means of its posteriors, and draws z by a seed that is fed."""

    def __init__(self, encoder, decoder, noise_seed: tf.Tensor):
        super().__init__(encoder, decoder)
        self._noise_seed = noise_seed
        self.means: tf.Tensor | None = None

    def encode(self, sequence, sequence_length, control_sequence=None):
        """MusicVAE.encode, with draws that depend on the seed alone."""
        posterior = super().encode(sequence, sequence_length, control_sequence)
        self.means = means = posterior.loc
        noise = tf.random.stateless_normal(tf.shape(means), self._noise_seed)
        posterior.sample = lambda: means + posterior.scale.diag * noise
        return posterior


class Validation(TeacherForced):
    """Measures variables on held-out windows: the same variables always give the same numbers.

    Args:
      config: a Magenta Config with its hparams; it stays as it is.
      windows: what to measure on.

    Attributes:
      means: the means of the windows' posteriors when they were last measured, shaped
        [windows, z_size]; None before, and for a model without latent vectors.
    """

    def __init__(self, config, windows: Windows):
        self._max_beta = config.hparams.max_beta
        self._representation = representations.of(config.data_converter)
        self._size = min(_BATCH_SIZE, len(windows.examples))
        self._windows = windows
        self._number = 0
        self.means: np.ndarray | None = None
        super().__init__(config, self._size, seed=0)

    def _model(self, encoder, decoder) -> MusicVAE:
        self._noise_seed = tf.placeholder(tf.int32, [2])
        self._observed = _Observed(encoder, decoder, self._noise_seed)
        return self._observed

    def _more(self) -> tuple[dict[str, Any], dict]:
        fetches = {} if self._observed.means is None else {"means": self._observed.means}
        return fetches, {self._noise_seed: [0, self._number]}

    def load(self, values: Mapping[str, np.ndarray]) -> None:
        """Takes over the values of variables.

        Args:
          values: by the names of `variables`.
        """
        assign(self._session, self.variables, values)

    def measure(self) -> dict[str, Any]:
        """Measures all windows.

        Returns:
          What `TeacherForced.result` gives, and: reconstruction_bits; loss_at_max_beta, the loss
          with the weight that the KL term has at the end, which is comparable over all steps;
          active_units; and the metrics of teacher-forced decoding, if the music has metrics.
        """
        self.reset()
        metrics = self._representation.metrics()
        means = []
        for number, batch in enumerate(self._windows.batches(self._size)):
            self._number = number
            forced = self.update(batch)
            if "means" in self._values:
                means.append(self._values["means"][: len(batch.inputs)])
            if metrics is not None:
                depth = self._depths[1]
                metrics.update(batch.padded(batch.outputs, depth), forced, batch.qpm)
        result = self.result()
        del result["metrics"]
        result["reconstruction_bits"] = result["reconstruction_loss"] / math.log(2)
        result["loss_at_max_beta"] = (
            result["reconstruction_loss"] + self._max_beta * result["kl_loss"]
        )
        if means:
            self.means = np.concatenate(means)
            result["active_units"] = active_units(self.means)
        if metrics is not None:
            result["teacher_forced"] = metrics.result()
        return result


def active_units(means: np.ndarray) -> int:
    """How many latent units tell windows apart: those whose mean varies by over ACTIVE_VARIANCE.

    Args:
      means: the means of the posteriors, shaped [n, z_size].
    """
    return int((means.var(axis=0) > ACTIVE_VARIANCE).sum())
