"""The contract of a representation: what it gives to the rest of the project.

A config names a converter, Magenta's interface (`magenta.models.music_vae.data`): `to_tensors` and
`from_tensors`, with depths and dtypes. A `Representation` wraps a converter and answers
everything else that jobs ask: why a piece gives no example, what of it is stored in records of
tensors, what training draws afresh, how decoded music is measured and against which baselines. The
class here has an answer for any converter; a representation overrides what it knows better.

`pipelines.representations.of` finds the class by the converter's class. How to add one:
docs/add-a-representation.md.
"""

import collections
import functools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import tensorflow as tf
from magenta.contrib import training as contrib_training
from magenta.models.music_vae import data
from note_seq.protobuf import music_pb2

from pipelines.representations import encodings

# The tempo, in quarters a minute, of what `decode` writes, whatever tempo was encoded.
DECODED_QPM = 120.0

TRAIN, EVAL, INFER = "train", "eval", "infer"

# Attributes that change while a converter is used. (hparams are compared elsewhere.)
_STATE = ("_mode", "counts")


class NoExamplesError(ValueError):
    """A converter can make no example of a NoteSequence; the message says why."""


class Example(NamedTuple):
    """What a converter makes of one window.

    Attributes:
      inputs, outputs, controls: arrays shaped [steps, depth].
      length: the number of steps, or that of each segment.
    """

    inputs: np.ndarray
    outputs: np.ndarray
    controls: np.ndarray
    length: int | np.ndarray


class Encoded(NamedTuple):
    """What a representation makes of a piece.

    Attributes:
      tensors: Magenta's lists of inputs, outputs, controls and lengths, an entry a window; empty
        where the piece gives no example.
      reason: why the piece gives no example: a category, then ": " and details if there are any; ""
        where it gives examples.
    """

    tensors: data.ConverterTensors
    reason: str

    @property
    def examples(self) -> list[Example]:
        """The examples, one for each window, in the order of the windows."""
        return [Example(*example) for example in zip(*self.tensors, strict=True)]


class Metrics(Protocol):
    """Measures decoded windows against those that they were decoded from."""

    def update(self, target: np.ndarray, predicted: np.ndarray, qpm: np.ndarray) -> None:
        """Adds windows.

        Args:
          target, predicted: arrays shaped [n, steps, depth].
          qpm: float array shaped [n]: the tempo of each window's piece, in quarters a minute.
        """

    def result(self) -> dict[str, Any]:
        """Returns the metrics of all windows as JSON values; None without anything to measure."""


# A function of windows, arrays shaped [steps, depth], and of the steps in a bar. It returns a bar,
# shaped [steps_per_bar, depth], which is repeated and measured as if it had been decoded.
Baseline = Callable[[Iterable[np.ndarray], int], np.ndarray]


class Feature(NamedTuple):
    """A musical feature of windows, by which sets of windows are compared as distributions.

    Attributes:
      measure: a function of windows, shaped [n, steps, depth], and of the steps in a bar. It
        returns one value for each window, shaped [n], NaN where there is nothing to measure; or,
        without `edges`, what it counted in each window, shaped [n, bins].
      edges: the edges of the bins that values are counted in, ascending. A bin includes its lower
        edge. Values below the first edge or above the last go to the bins at the ends.
    """

    measure: Callable[[np.ndarray, int], np.ndarray]
    edges: tuple[float, ...] | None = None

    def counts(self, measured: np.ndarray) -> np.ndarray:
        """Counts what `measure` returned, for each window: a float array shaped [n, bins].

        Windows without a value have a bin of their own, the last: how many there are is a feature
        too.
        """
        if self.edges is None:
            return measured.astype(np.float64)
        last = len(self.edges) - 2
        bins = np.clip(np.searchsorted(self.edges, measured, side="right") - 1, 0, last)
        return np.eye(last + 2)[np.where(np.isnan(measured), last + 1, bins)]


class Representation:
    """Wraps a converter and answers what the project asks about it, whatever the music.

    Args:
      converter: a `magenta.models.music_vae.data.BaseNoteSequenceConverter`.

    Attributes:
      converter: the same.
    """

    # The name of the metrics of greedy decoding, the likeliest outcome of each step.
    greedy: ClassVar[str] = "likeliest"
    # Baselines by their names in `evaluate --baseline`.
    baselines: ClassVar[Mapping[str, Baseline]] = {}
    # Whether `draw_inputs` makes the inputs, so that they are not stored.
    draws_inputs: ClassVar[bool] = False

    def __init__(self, converter: data.BaseNoteSequenceConverter):
        self.converter = converter

    # The grid

    @property
    def steps_per_quarter(self) -> int | None:
        """Steps in a quarter note; None where steps do not divide one."""
        return None

    @property
    def steps_per_bar(self) -> int | None:
        """Steps in a bar; None where bars are not all equally long."""
        return None

    @property
    def window_steps(self) -> int | None:
        """Steps in each window if the converter fixes them; the hparam max_seq_len equals them."""
        return None

    def window_seconds(self, steps: int, qpm: float) -> float | None:
        """How long `steps` steps last at a tempo; None where steps do not divide a quarter."""
        return steps / self.steps_per_quarter * 60.0 / qpm if self.steps_per_quarter else None

    # From music

    def keep_every_example(self) -> None:
        """Lifts the cap on the examples of a piece, which Magenta's converters apply silently."""
        self.converter.max_tensors_per_notesequence = None

    def set_mode(self, mode: str) -> None:
        """Sets the purpose of encoding: TRAIN (augmented, randomly sliced), EVAL or INFER."""
        self.converter.set_mode(mode)

    def encode(self, piece: music_pb2.NoteSequence) -> Encoded:
        """Makes examples of a piece, or says why there are none; no piece makes it raise."""
        try:
            tensors = self.converter.to_tensors(piece)
        except (KeyError, ValueError, IndexError, ArithmeticError) as error:
            # Magenta's own converters raise on much that is in real files, as GrooveConverter does
            # on a pitch that is not in its map.
            reason = f"{type(self.converter).__name__} fails: {error!r}"
            return Encoded(data.ConverterTensors(), reason)
        return Encoded(tensors, "" if tensors.inputs else self.explain(piece) or "no example")

    def explain(self, piece: music_pb2.NoteSequence) -> str | None:
        """Says why a piece gives no example, or returns None where that is not known."""
        if not piece.notes:
            return "no notes"
        return f"needs what {type(self.converter).__name__} takes"

    @property
    def counts(self) -> collections.Counter:
        """What the converter has counted in all pieces so far, such as notes that it left out."""
        return collections.Counter()

    def stretches(
        self, piece: music_pb2.NoteSequence, steps: int, qpm: float
    ) -> Iterator[tuple[float, music_pb2.NoteSequence]]:
        """Yields the parts of a piece to encode one by one when inferring, with their starts.

        The windows of a part follow each other without overlap.

        Args:
          piece: an unquantized NoteSequence of one tempo.
          steps: steps in a window.
          qpm: the piece's tempo, in quarters a minute.

        Yields:
          A part's start in seconds, and the part.
        """
        yield 0.0, piece

    # Records of tensors

    @property
    def inputs_are_outputs(self) -> bool:
        """Whether the inputs of each example are its outputs, so that they are stored once."""
        return False

    def ordered(self, examples: Sequence[Example]) -> list[Example]:
        """The examples of a piece in an order that is the same in every process."""
        return list(examples)

    def encoding(self, name: str) -> encodings.Encoding:
        """The encoding that stores "inputs" or "outputs" without loss."""
        return encodings.plain(name, *self.rows(name))

    def rows(self, name: str) -> tuple[int, np.dtype]:
        """The depth and the type of the rows of "inputs" or "outputs"."""
        kind = name.removesuffix("s")
        depth, dtype = (getattr(self.converter, f"{kind}_{what}") for what in ("depth", "dtype"))
        return depth, np.dtype(dtype)

    def draw_outputs(self, outputs: encodings.Encoding, parsed: dict, steps, seed) -> tf.Tensor:
        """Decodes a batch of stored outputs, and draws what training draws afresh.

        Args:
          outputs: what `encoding` returned for "outputs".
          parsed: as `Encoding.decode` takes it.
          steps: steps in an example.
          seed: integer tensor shaped [2]; None draws nothing.

        Returns:
          A tensor shaped [batch, steps, output_depth].
        """
        return outputs.decode(parsed, steps)

    def draw_inputs(self, outputs: tf.Tensor, seed: tf.Tensor | None) -> tf.Tensor:
        """Makes the inputs of a batch from its outputs, where `draws_inputs`.

        Args:
          outputs: tensor shaped [batch, steps, output_depth].
          seed: integer tensor shaped [2]; None draws nothing.

        Returns:
          A tensor shaped [batch, steps, input_depth].
        """
        return outputs

    def lost_in_tensors(self) -> list[str]:
        """Says what training from tensors lacks, one line for the user each."""
        return []

    def settings(self) -> Any:
        """What examples depend on: the converter's class and settings, as JSON values.

        They are the same in every process. A class that has moved to another module gives its old
        name in the attribute `settings_name`, and so its settings stay the same too.
        """
        return _settings(self.converter)

    # To music

    def decode(self, samples: Sequence[np.ndarray]) -> list[music_pb2.NoteSequence]:
        """Writes decoded windows as NoteSequences at 120 quarters a minute.

        Args:
          samples: arrays shaped [steps, output_depth].
        """
        return self.converter.from_tensors(samples)

    # Measuring

    def metrics(self) -> Metrics | None:
        """Makes metrics for decoded windows; None if there is nothing to measure but the loss."""
        return None

    def features(self) -> Mapping[str, Feature]:
        """The features by which samples are compared with held-out windows, by name."""
        return {}

    def onsets(self, windows: np.ndarray) -> np.ndarray:
        """The notes of windows, to tell how many two windows share.

        Args:
          windows: array shaped [n, steps, output_depth].

        Returns:
          A bool array shaped [n, steps x m], true where a note begins; m is the number of different
          notes. Without better knowledge, it is true where a window is over 0.5.
        """
        return (np.asarray(windows) > 0.5).reshape(len(windows), -1)

    def activate(self, rnn_output: np.ndarray) -> np.ndarray:
        """Turns a decoder's raw outputs, shaped [..., depth], into what `Metrics.update` takes."""
        return rnn_output


class OwnRepresentation(Representation):
    """Wraps a converter of this project, which itself has fixed windows, explains and counts."""

    @property
    def window_steps(self) -> int:
        """Steps in one window."""
        return self.converter.window_steps

    @property
    def counts(self) -> collections.Counter:
        """What the converter has counted in all pieces so far."""
        return self.converter.counts

    def explain(self, piece: music_pb2.NoteSequence) -> str | None:
        """Says why a piece gives no window, or returns None where it gives one."""
        return self.converter.explain(piece)


def ratio(numerator: float, denominator: float) -> float | None:
    """A metric that is a share or a mean; None where there was nothing to measure."""
    return numerator / denominator if denominator else None


def _settings(value) -> Any:
    """An object's class and attributes as JSON values, the same in every process."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, contrib_training.HParams):
        return None
    if isinstance(value, Mapping):
        return sorted(
            ([_settings(key), _settings(item)] for key, item in value.items()), key=json.dumps
        )
    if isinstance(value, Set):
        return sorted(map(_settings, value), key=json.dumps)
    if isinstance(value, Sequence):
        return list(map(_settings, value))
    if isinstance(value, functools.partial):
        return [_settings(value.func), _settings(value.args), _settings(value.keywords)]
    if hasattr(value, "__qualname__"):
        own = getattr(value, "__dict__", {})
        return own.get("settings_name") or f"{value.__module__}.{value.__qualname__}"
    kept = {name: one for name, one in getattr(value, "__dict__", {}).items() if name not in _STATE}
    return [_settings(type(value)), _settings(kept)]
