"""Encodings: how a tensor of an example is stored in a record, compactly and without loss.

A worker writes an example at a time with NumPy; training reads a batch at a time with TensorFlow
and no Python. tfrecords/README.md documents the records. Which encoding a tensor has is the
representation's choice, and every encoding gives back exactly what was encoded.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

_VELOCITIES = (np.arange(128) / 127.0).astype(np.float32)
_BITS_OF_BYTES = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)


class Encoding(Protocol):
    """How one tensor of an example is stored in a record."""

    def describe(self) -> dict[str, Any]:
        """Describes the encoding for the manifest, as JSON values."""

    def encode(self, array: np.ndarray) -> dict[str, bytes]:
        """Encodes an array shaped [steps, depth] as features by name.

        Raises:
          ValueError: for an array that `decode` could not give back exactly.
        """

    def features(self) -> dict[str, Any]:
        """The features that `tf.io.parse_example` reads."""

    def decode(self, parsed: dict[str, tf.Tensor], steps) -> tf.Tensor:
        """Decodes a batch to [batch, steps, depth], zeros after the end of an example."""


class Tokens:
    """Stores one-hot rows, or several side by side, as the index of each 1, plus 1; else as 0.

    Args:
      name: the tensor's name in the record.
      depths: the sizes of the one-hot rows that stand side by side in a row.
      dtype: the tensor's type.
    """

    def __init__(self, name: str, depths: Sequence[int], dtype):
        self._name = name
        self._depths = list(depths)
        self._dtype = np.dtype(dtype)
        self._number = np.dtype("<u1" if max(depths) < 256 else "<u2")

    def describe(self) -> dict:
        """Describes the encoding for the manifest, as JSON values."""
        return {"kind": "tokens", "depths": self._depths, "bytes": self._number.itemsize}

    def encode(self, array: np.ndarray) -> dict[str, bytes]:
        """Encodes an array shaped [steps, depth]; raises ValueError for other rows."""
        tokens = []
        for rows in np.split(array, np.cumsum(self._depths)[:-1], axis=1):
            ones = rows != 0
            if not np.array_equal(ones, rows) or (ones.sum(axis=1) > 1).any():
                raise ValueError(f"{self._name}: rows that are not one-hot")
            tokens.append(np.where(ones.any(axis=1), ones.argmax(axis=1) + 1, 0))
        return {self._name: np.stack(tokens, axis=1).astype(self._number).tobytes()}

    def features(self) -> dict:
        """The features that `tf.io.parse_example` reads."""
        return {self._name: tf.io.FixedLenFeature([], tf.string)}

    def tokens(self, parsed: dict, steps) -> tf.Tensor:
        """The indices of the 1s: int32 shaped [batch, steps, parts], -1 for a row of zeros."""
        raw = _decode_raw(parsed[self._name], self._number, steps * len(self._depths))
        return tf.cast(tf.reshape(raw, [-1, steps, len(self._depths)]), tf.int32) - 1

    def one_hot(self, tokens: tf.Tensor) -> tf.Tensor:
        """Turns indices, [batch, steps, parts], into rows, [batch, steps, depth]."""
        rows = [
            tf.one_hot(tokens[:, :, i], depth, on_value=True, off_value=False, dtype=tf.bool)
            for i, depth in enumerate(self._depths)
        ]
        return tf.cast(tf.concat(rows, axis=2), self._dtype)

    def decode(self, parsed: dict, steps) -> tf.Tensor:
        """Decodes a batch to [batch, steps, depth], zeros after the end of an example."""
        return self.one_hot(self.tokens(parsed, steps))


class Bits:
    """Stores rows of zeros and ones, eight in a byte, the first in its highest bit.

    Args:
      name: the tensor's name in the record.
      depth: the size of a row.
      dtype: the tensor's type.
    """

    def __init__(self, name: str, depth: int, dtype):
        self._name = name
        self._depth = depth
        self._dtype = np.dtype(dtype)

    def describe(self) -> dict:
        """Describes the encoding for the manifest, as JSON values."""
        return {"kind": "bits", "depth": self._depth}

    def encode(self, array: np.ndarray) -> dict[str, bytes]:
        """Encodes an array shaped [steps, depth]; raises ValueError for numbers but 0 and 1."""
        ones = array != 0
        if not np.array_equal(ones, array):
            raise ValueError(f"{self._name}: numbers other than 0 and 1")
        return {self._name: np.packbits(ones).tobytes()}

    def features(self) -> dict:
        """The features that `tf.io.parse_example` reads."""
        return {self._name: tf.io.FixedLenFeature([], tf.string)}

    def decode(self, parsed: dict, steps) -> tf.Tensor:
        """Decodes a batch to [batch, steps, depth], zeros after the end of an example."""
        count = steps * self._depth
        octets = _decode_raw(parsed[self._name], np.dtype("<u1"), (count + 7) // 8)
        bits = tf.gather(_BITS_OF_BYTES.astype(self._dtype), tf.cast(octets, tf.int32))
        flat = tf.reshape(bits, [-1, (count + 7) // 8 * 8])[:, :count]
        return tf.reshape(flat, [-1, steps, self._depth])


class Groove:
    """Stores drums: hits as bits, and velocities and offsets for the hits alone.

    Velocities are those of MIDI, a byte each; offsets are float32.

    Args: as for `Bits`; the depth is three times the number of drums.
    """

    def __init__(self, name: str, depth: int, dtype):
        self._names = [f"{name}/{part}" for part in ("hits", "velocities", "offsets")]
        self._drums = depth // 3
        self._hits = Bits(self._names[0], self._drums, np.float32)
        self._dtype = np.dtype(dtype)

    def describe(self) -> dict:
        """Describes the encoding for the manifest, as JSON values."""
        return {"kind": "groove", "drums": self._drums}

    def encode(self, array: np.ndarray) -> dict[str, bytes]:
        """Encodes an array shaped [steps, 3 x drums]; raises ValueError if it cannot be stored."""
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
        """The features that `tf.io.parse_example` reads."""
        return {name: tf.io.FixedLenFeature([], tf.string) for name in self._names}

    def decode(self, parsed: dict, steps) -> tf.Tensor:
        """Decodes a batch to [batch, steps, 3 x drums], zeros after the end of an example."""
        _, velocity_name, offset_name = self._names
        hits = self._hits.decode(parsed, steps)
        # The hits of the examples, one example after another, are the hits of the batch in order.
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
    """Stores any numbers as they are, the lowest byte first.

    Args: as for `Bits`.
    """

    def __init__(self, name: str, depth: int, dtype):
        self._name = name
        self._depth = depth
        self._dtype = np.dtype(dtype).newbyteorder("<")

    def describe(self) -> dict:
        """Describes the encoding for the manifest, as JSON values."""
        return {"kind": "numbers", "depth": self._depth, "dtype": self._dtype.name}

    def encode(self, array: np.ndarray) -> dict[str, bytes]:
        """Encodes an array shaped [steps, depth]."""
        return {self._name: np.asarray(array, self._dtype).tobytes()}

    def features(self) -> dict:
        """The features that `tf.io.parse_example` reads."""
        return {self._name: tf.io.FixedLenFeature([], tf.string)}

    def decode(self, parsed: dict, steps) -> tf.Tensor:
        """Decodes a batch to [batch, steps, depth], zeros after the end of an example."""
        flat = _decode_raw(parsed[self._name], self._dtype, steps * self._depth)
        return tf.reshape(flat, [-1, steps, self._depth])


def plain(name: str, depth: int, dtype) -> Encoding:
    """The encoding of rows when nothing but their type is known."""
    return (Bits if np.dtype(dtype) == np.bool_ else Numbers)(name, depth, dtype)


def _decode_raw(strings: tf.Tensor, dtype: np.dtype, count) -> tf.Tensor:
    """Decodes strings of numbers to [batch, count], with zeros after a shorter one."""
    # A size that is known makes a shape that is known.
    size = count * dtype.itemsize
    numbers = tf.io.decode_raw(strings, tf.as_dtype(dtype.newbyteorder("=")), fixed_length=size)
    return tf.reshape(numbers, [-1, count])
