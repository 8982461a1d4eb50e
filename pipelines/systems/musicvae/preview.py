"""Plays what a model makes of a few pieces while it is trained."""

from collections.abc import Mapping, Sequence

import numpy as np
from note_seq.protobuf import music_pb2

from pipelines import representations
from pipelines.examples.base import Batch
from pipelines.media import pieces
from pipelines.music.timing import DEFAULT_QPM
from pipelines.representations.contract import Example
from pipelines.systems.musicvae import model
from pipelines.systems.musicvae.run import Run
from pipelines.systems.musicvae.variable_values import assign, variables_of

# As `generate` does by default.
_TEMPERATURE = 0.5
_SEED = 0


class Preview:
    """Decodes held-out windows, and always the same latent vectors.

    Its graph is another than the training's and is given the training's variables, so training
    goes on as it would without.

    Args:
      run: names the config, and any checkpoint of the run.
      held_out: windows with the tempo of their pieces; may be empty.
      number: of the latent vectors, which are drawn from the standard normal distribution.

    Attributes:
      variables: the variables of its graph, by name.
    """

    def __init__(self, run: Run, held_out: Sequence[tuple[float, Example]], number: int):
        self._representation = representations.of(run.config.data_converter)
        self._steps = run.config.hparams.max_seq_len
        self._held_out = Batch.of(held_out) if held_out else None
        self._tempos = [qpm for qpm, _ in held_out] + [DEFAULT_QPM] * number
        shape = number, run.config.hparams.z_size
        self._z = np.random.default_rng(_SEED).standard_normal(shape, np.float32)
        self._model = model.load(run, len(self._tempos), _SEED)
        self.variables = variables_of(self._model._sess.graph)

    def originals(self) -> list[music_pb2.NoteSequence]:
        """The held-out windows as they are."""
        return self._played(self._held_out.outputs) if self._held_out else []

    def load(self, values: Mapping[str, np.ndarray]) -> None:
        """Takes over the values of variables, by the names of `variables`."""
        assign(self._model._sess, self.variables, values)

    def play(self) -> tuple[list[music_pb2.NoteSequence], list[music_pb2.NoteSequence]]:
        """Decodes the held-out windows from the means of their posteriors, and the new pieces.

        Returns:
          The held-out windows as the model plays them, and the new pieces.
        """
        latents = self._z
        if self._held_out:
            means = model.posterior_means(self._model, self._held_out)
            latents = np.concatenate([means.astype(np.float32), latents])
        played = self._played(model.decode(self._model, latents, self._steps, _TEMPERATURE))
        at = len(played) - len(self._z)
        return played[:at], played[at:]

    def _played(self, tensors: Sequence[np.ndarray] | np.ndarray) -> list[music_pb2.NoteSequence]:
        """Music at its tempo; the held-out windows come first."""
        decoded = self._representation.decode(list(tensors))
        return [
            pieces.end_at(
                pieces.at_tempo(sequence, qpm),
                self._representation.window_seconds(self._steps, qpm),
            )
            for sequence, qpm in zip(decoded, self._tempos)
        ]
