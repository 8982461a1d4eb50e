"""Writes examples of one config as tf.train.Example records, and reads batches of them back.

tfrecords/README.md documents the records.
"""

import numpy as np
import tensorflow as tf

from pipelines.representations import encodings
from pipelines.representations.contract import Example, Representation


class Codec:
    """How the examples of one config are written and read.

    Inputs are stored where they differ from the outputs, unless training draws them from these
    (`Representation.draws_inputs`), and controls where the config has them.

    Args:
      representation: the representation of the config's converter.
    """

    def __init__(self, representation: Representation):
        self._representation = representation
        self._same = representation.inputs_are_outputs and not representation.draws_inputs
        self._outputs = representation.encoding("outputs")
        self._stored = {"outputs": self._outputs}
        if not (self._same or representation.draws_inputs):
            self._stored["inputs"] = representation.encoding("inputs")
        converter = representation.converter
        if converter.control_depth:
            self._stored["controls"] = encodings.plain(
                "controls", converter.control_depth, converter.control_dtype
            )

    def describe(self) -> dict:
        """What the manifest says of the tensors: the encoding of each that is stored."""
        return {name: encoding.describe() for name, encoding in self._stored.items()}

    def encode(self, source: str, window: int, qpm: float, example: Example) -> bytes:
        """Encodes an example.

        Args:
          source: the id of the NoteSequence that it is from.
          window: its index among the windows of the NoteSequence, from 0.
          qpm: the tempo of the NoteSequence, in quarters a minute.
          example: its arrays.

        Returns:
          A serialized tf.train.Example: the same bytes for the same example.

        Raises:
          ValueError: where the arrays are not what the converter should make and cannot be stored.
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
        """Decodes a batch, and draws what the converter draws in training.

        Args:
          records: string tensor shaped [batch].
          seed: integer tensor shaped [2] that seeds the draws; None draws nothing.
          steps: the length of each example, if it is the same for all; None pads to the longest.

        Returns:
          inputs, outputs and controls, shaped [batch, steps, depth], of the converter's dtypes, and
          lengths, int32 shaped [batch] or [batch, segments].
        """
        converter = self._representation.converter
        features = {
            "steps": tf.io.FixedLenFeature([], tf.int64),
            "lengths": tf.io.FixedLenFeature(list(map(int, converter.length_shape)), tf.int64),
        }
        for encoding in self._stored.values():
            features.update(encoding.features())
        parsed = tf.io.parse_example(records, features)
        if steps is None:
            steps = tf.cast(tf.reduce_max(parsed["steps"]), tf.int32)
        outputs = self._representation.draw_outputs(self._outputs, parsed, steps, seed)
        if self._representation.draws_inputs:
            inputs = self._representation.draw_inputs(outputs, seed)
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
