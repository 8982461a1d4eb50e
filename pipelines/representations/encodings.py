"""Examples of a config as compact tf.train.Example records, and batches of these as its tensors.

A worker writes an example at a time with NumPy; training reads a batch at a time with TensorFlow
and no Python. tfrecords/README.md documents the records. Which encoding a tensor has follows from
the config's converter, and every encoding gives back exactly what the converter made.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from magenta.models.music_vae import data, data_hierarchical

from pipelines.representations.melody import MelodyConverter

# Their inputs and outputs are the same one-hot rows, of zeros where an example is padded.
_ONE_HOT = (
    MelodyConverter,
    data.OneHotMelodyConverter,
    data_hierarchical.MultiInstrumentPerformanceConverter,
)
# They go through Python's sets, whose order may be another in each process.
_UNORDERED = (data.LegacyEventListOneHotConverter, data.DrumsConverter)
_VELOCITIES = (np.arange(128) / 127.0).astype(np.float32)
_BITS_OF_BYTES = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)


class Example(NamedTuple):
    """What a converter makes of one window.

    Attributes:
      inputs, outputs, controls: arrays shaped [steps, depth].
      length: the steps, or those of each segment.
    """

    inputs: np.ndarray
    outputs: np.ndarray
    controls: np.ndarray
    length: int | np.ndarray


def examples_of(converter, tensors: data.ConverterTensors) -> list[Example]:
    """What a converter made of a NoteSequence, in an order that is the same in every process."""
    examples = [Example(*example) for example in zip(*tensors)]
    if isinstance(converter, _UNORDERED):
        examples.sort(key=lambda example: (example.outputs.tobytes(), example.controls.tobytes()))
    return examples


class Tokens:
    """One-hot rows, or several side by side: the index of each one, plus 1; 0 where there is none.

    Args:
      name: the tensor's name in the record.
      depths: of the one-hot rows in a row.
      dtype: of the tensor.
    """

    def __init__(self, name: str, depths: Sequence[int], dtype):
        self._name = name
        self._depths = list(depths)
        self._dtype = np.dtype(dtype)
        self._number = np.dtype("<u1" if max(depths) < 256 else "<u2")

    def describe(self) -> dict:
        """What the manifest says of it."""
        return {"kind": "tokens", "depths": self._depths, "bytes": self._number.itemsize}

    def encode(self, array: np.ndarray) -> dict[str, bytes]:
        """Encodes an array shaped [steps, depth]; raises ValueError for rows of another kind."""
        tokens = []
        for rows in np.split(array, np.cumsum(self._depths)[:-1], axis=1):
            ones = rows != 0
            if not np.array_equal(ones, rows) or (ones.sum(axis=1) > 1).any():
                raise ValueError(f"{self._name}: rows that are not one-hot")
            tokens.append(np.where(ones.any(axis=1), ones.argmax(axis=1) + 1, 0))
        return {self._name: np.stack(tokens, axis=1).astype(self._number).tobytes()}

    def features(self) -> dict:
        """What `tf.io.parse_example` is to find."""
        return {self._name: tf.io.FixedLenFeature([], tf.string)}

    def tokens(self, parsed: dict, steps) -> tf.Tensor:
        """The places of the ones: int32 shaped [batch, steps, parts], -1 where there is none."""
        raw = _decode_raw(parsed[self._name], self._number, steps * len(self._depths))
        return tf.cast(tf.reshape(raw, [-1, steps, len(self._depths)]), tf.int32) - 1

    def one_hot(self, tokens: tf.Tensor) -> tf.Tensor:
        """Places to rows: [batch, steps, parts] to [batch, steps, depth]."""
        rows = [
            tf.one_hot(tokens[:, :, i], depth, on_value=True, off_value=False, dtype=tf.bool)
            for i, depth in enumerate(self._depths)
        ]
        return tf.cast(tf.concat(rows, axis=2), self._dtype)

    def decode(self, parsed: dict, steps) -> tf.Tensor:
        """Decodes a batch to [batch, steps, depth], zeros after the end of an example."""
        return self.one_hot(self.tokens(parsed, steps))


class Bits:
    """Rows of zeros and ones: eight in a byte, the first in its highest bit.

    Args:
      name: the tensor's name in the record.
      depth: of the rows.
      dtype: of the tensor.
    """

    def __init__(self, name: str, depth: int, dtype):
        self._name = name
        self._depth = depth
        self._dtype = np.dtype(dtype)

    def describe(self) -> dict:
        """What the manifest says of it."""
        return {"kind": "bits", "depth": self._depth}

    def encode(self, array: np.ndarray) -> dict[str, bytes]:
        """Encodes an array shaped [steps, depth]; raises ValueError for other numbers."""
        ones = array != 0
        if not np.array_equal(ones, array):
            raise ValueError(f"{self._name}: numbers other than 0 and 1")
        return {self._name: np.packbits(ones).tobytes()}

    def features(self) -> dict:
        """What `tf.io.parse_example` is to find."""
        return {self._name: tf.io.FixedLenFeature([], tf.string)}

    def decode(self, parsed: dict, steps) -> tf.Tensor:
        """Decodes a batch to [batch, steps, depth], zeros after the end of an example."""
        count = steps * self._depth
        octets = _decode_raw(parsed[self._name], np.dtype("<u1"), (count + 7) // 8)
        bits = tf.gather(_BITS_OF_BYTES.astype(self._dtype), tf.cast(octets, tf.int32))
        flat = tf.reshape(bits, [-1, (count + 7) // 8 * 8])[:, :count]
        return tf.reshape(flat, [-1, steps, self._depth])


class Groove:
    """Hits, velocities and offsets of drums: hits as bits, the rest of the hits alone.

    Velocities are MIDI's, a byte each; offsets are float32.

    Args: as for `Bits`; the depth is three times the number of drums.
    """

    def __init__(self, name: str, depth: int, dtype):
        self._names = [f"{name}/{part}" for part in ("hits", "velocities", "offsets")]
        self._drums = depth // 3
        self._hits = Bits(self._names[0], self._drums, np.float32)
        self._dtype = np.dtype(dtype)

    def describe(self) -> dict:
        """What the manifest says of it."""
        return {"kind": "groove", "drums": self._drums}

    def encode(self, array: np.ndarray) -> dict[str, bytes]:
        """Encodes an array shaped [steps, 3 x drums]; raises ValueError for other numbers."""
        hits, velocities, offsets = np.split(np.asarray(array, np.float32), 3, axis=1)
        at = hits != 0
        midi = np.rint(velocities[at] * 127)
        if not (
            ((midi >= 0) & (midi < 128)).all()
            and np.array_equal(_VELOCITIES[midi.astype(np.int64)], velocities[at])
            and not velocities[~at].any()
            and not offsets[~at].any()
        ):
            raise ValueError(f"{self._names[0]}: velocities or offsets that no drum hit has")
        _, velocity_name, offset_name = self._names
        return {
            **self._hits.encode(hits),
            velocity_name: midi.astype("<u1").tobytes(),
            offset_name: offsets[at].astype("<f4").tobytes(),
        }

    def features(self) -> dict:
        """What `tf.io.parse_example` is to find."""
        return {name: tf.io.FixedLenFeature([], tf.string) for name in self._names}

    def decode(self, parsed: dict, steps) -> tf.Tensor:
        """Decodes a batch to [batch, steps, 3 x drums], zeros after the end of an example."""
        _, velocity_name, offset_name = self._names
        hits = self._hits.decode(parsed, steps)
        # One after another, the hits of the examples are those of the batch, in its order.
        at = tf.where(tf.reshape(hits, [-1]))
        octets = tf.io.decode_raw(tf.strings.reduce_join(parsed[velocity_name]), tf.uint8)
        velocities = tf.gather(_VELOCITIES, tf.cast(octets, tf.int32))
        offsets = tf.io.decode_raw(tf.strings.reduce_join(parsed[offset_name]), tf.float32)
        size = tf.size(hits, out_type=tf.int64)[None]

        def spread(values):
            return tf.reshape(tf.scatter_nd(at, values, size), tf.shape(hits))

        thirds = [hits, spread(velocities), spread(offsets)]
        return tf.cast(tf.concat(thirds, axis=2), self._dtype)


class Numbers:
    """Any numbers, as they are, the lowest byte first.

    Args: as for `Bits`.
    """

    def __init__(self, name: str, depth: int, dtype):
        self._name = name
        self._depth = depth
        self._dtype = np.dtype(dtype).newbyteorder("<")

    def describe(self) -> dict:
        """What the manifest says of it."""
        return {"kind": "numbers", "depth": self._depth, "dtype": self._dtype.name}

    def encode(self, array: np.ndarray) -> dict[str, bytes]:
        """Encodes an array shaped [steps, depth]."""
        return {self._name: np.asarray(array, self._dtype).tobytes()}

    def features(self) -> dict:
        """What `tf.io.parse_example` is to find."""
        return {self._name: tf.io.FixedLenFeature([], tf.string)}

    def decode(self, parsed: dict, steps) -> tf.Tensor:
        """Decodes a batch to [batch, steps, depth], zeros after the end of an example."""
        flat = _decode_raw(parsed[self._name], self._dtype, steps * self._depth)
        return tf.reshape(flat, [-1, steps, self._depth])


class Codec:
    """How the examples of one config are written and read.

    Inputs are stored where the converter makes others than the outputs, unless it can make them
    from these in TensorFlow (`draw_inputs`), and controls where the config has them.

    Args:
      converter: a `magenta.models.music_vae.data.BaseNoteSequenceConverter`.
    """

    def __init__(self, converter):
        self._converter = converter
        self._outputs = _encoding("outputs", converter)
        self._draws_inputs = hasattr(converter, "draw_inputs")
        self._transposes = hasattr(converter, "transpose_tokens")
        self._same = not self._draws_inputs and _inputs_are_outputs(converter)
        self._stored = {"outputs": self._outputs}
        if not (self._same or self._draws_inputs):
            self._stored["inputs"] = _encoding("inputs", converter)
        if converter.control_depth:
            self._stored["controls"] = _plain(
                "controls", converter.control_depth, converter.control_dtype
            )

    def describe(self) -> dict:
        """What the manifest says of the tensors: the encoding of each that is stored."""
        return {name: encoding.describe() for name, encoding in self._stored.items()}

    def encode(self, source: str, window: int, qpm: float, example: Example) -> bytes:
        """Encodes an example.

        Args:
          source: the id of its NoteSequence.
          window: its number in that, from 0.
          qpm: the tempo of that, in quarters a minute.
          example: its arrays.

        Returns:
          A serialized tf.train.Example: the same bytes for the same example.

        Raises:
          ValueError: where the arrays are not what the converter is known to make.
        """
        if self._same and not np.array_equal(example.inputs, example.outputs):
            raise ValueError("inputs that differ from the outputs")
        record = tf.train.Example()
        features = record.features.feature
        for name, encoding in self._stored.items():
            for key, value in encoding.encode(getattr(example, name)).items():
                features[key].bytes_list.value.append(value)
        features["steps"].int64_list.value.append(len(example.outputs))
        features["lengths"].int64_list.value.extend(np.ravel(example.length).tolist())
        features["source"].bytes_list.value.append(source.encode("utf-8", "surrogateescape"))
        features["window"].int64_list.value.append(window)
        features["qpm"].float_list.value.append(qpm)
        return record.SerializeToString(deterministic=True)

    def decode(
        self, records: tf.Tensor, seed: tf.Tensor | None = None, steps: int | None = None
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """Decodes a batch, and makes of it what the converter draws.

        Args:
          records: string tensor shaped [batch].
          seed: integer tensor shaped [2] for what is drawn; None draws nothing.
          steps: the length of each example, where all have the same one; None pads to the longest.

        Returns:
          inputs, outputs and controls, shaped [batch, steps, depth], of the converter's dtypes, and
          lengths, int32 shaped [batch] or [batch, segments].
        """
        converter = self._converter
        features = {
            "steps": tf.io.FixedLenFeature([], tf.int64),
            "lengths": tf.io.FixedLenFeature(list(map(int, converter.length_shape)), tf.int64),
        }
        for encoding in self._stored.values():
            features.update(encoding.features())
        parsed = tf.io.parse_example(records, features)
        if steps is None:
            steps = tf.cast(tf.reduce_max(parsed["steps"]), tf.int32)
        if self._transposes and seed is not None:
            tokens = self._outputs.tokens(parsed, steps)
            moved = converter.transpose_tokens(tokens[:, :, 0], seed)
            outputs = self._outputs.one_hot(moved[:, :, None])
        else:
            outputs = self._outputs.decode(parsed, steps)
        if self._draws_inputs:
            inputs = converter.draw_inputs(outputs, seed)
        elif self._same:
            inputs = outputs
        else:
            inputs = self._stored["inputs"].decode(parsed, steps)
        if "controls" in self._stored:
            controls = self._stored["controls"].decode(parsed, steps)
        else:
            controls = tf.zeros([tf.shape(outputs)[0], steps, 0], converter.control_dtype)
        batch = records.shape.concatenate([steps if isinstance(steps, int) else None])
        outputs.set_shape(batch.concatenate(converter.output_depth))
        inputs.set_shape(batch.concatenate(converter.input_depth))
        controls.set_shape(batch.concatenate(converter.control_depth or 0))
        return inputs, outputs, controls, tf.cast(parsed["lengths"], tf.int32)


def _encoding(name: str, converter):
    """The encoding of a converter's "inputs" or "outputs"."""
    kind = name.removesuffix("s")
    depth = getattr(converter, f"{kind}_depth")
    dtype = np.dtype(getattr(converter, f"{kind}_dtype"))
    one_hot = isinstance(converter, _ONE_HOT) or (
        isinstance(converter, data.DrumsConverter) and not getattr(converter, f"_roll_{kind}")
    )
    groove = isinstance(converter, data.GrooveConverter) and not converter._categorical_outputs
    if one_hot:
        return Tokens(name, [depth], dtype)
    if isinstance(converter, data.TrioConverter):
        return Tokens(name, converter._split_output_depths, dtype)
    if groove:
        return Groove(name, depth, dtype)
    return _plain(name, depth, dtype)


def _plain(name: str, depth: int, dtype) -> Bits | Numbers:
    """The encoding of rows of which nothing but their type is known."""
    return (Bits if np.dtype(dtype) == np.bool_ else Numbers)(name, depth, dtype)


def _inputs_are_outputs(converter) -> bool:
    """Whether a converter makes the same tensors twice."""
    if isinstance(converter, data.GrooveConverter):
        return not (
            converter._humanize
            or converter._tapify
            or converter._add_instruments
            or converter._fixed_velocities
            or converter._note_dropout
        )
    return isinstance(converter, (*_ONE_HOT, data.TrioConverter))


def _decode_raw(strings: tf.Tensor, dtype: np.dtype, count) -> tf.Tensor:
    """Strings of numbers to [batch, count], zeros where one is shorter."""
    # Known sizes make known shapes.
    size = count * dtype.itemsize
    numbers = tf.io.decode_raw(strings, tf.as_dtype(dtype.newbyteorder("=")), fixed_length=size)
    return tf.reshape(numbers, [-1, count])
