"""Reads a dataset of TensorFlow Datasets that contains MIDI as examples."""

import re
from collections.abc import Iterator

import tensorflow.compat.v1 as tf
from note_seq.protobuf import music_pb2

from pipelines.examples.note_sequences import NoteSequences
from pipelines.music import midi_reader
from pipelines.music.limits import Rejected
from pipelines.runtime import tfds_downloads
from pipelines.runtime.app import UserError, say
from pipelines.runtime.nearest import did_you_mean


class TfdsExamples(NoteSequences):
    """The train split of a dataset; a MIDI file that cannot be read is left out.

    Args:
      name: as `tfds.load` takes it.
    """

    def __init__(self, name: str):
        super().__init__(name)

    def _parsed(self) -> Iterator[music_pb2.NoteSequence]:
        """Yields the NoteSequences in the order of the dataset.

        Raises:
          UserError: where the dataset cannot be loaded.
        """
        import tensorflow_datasets as tfds

        for number, example in enumerate(tfds.as_numpy(self._load())):
            try:
                yield midi_reader.midi_to_note_sequence(example["midi"])
            except Rejected as error:
                say(f"{self.source}, example {number} is left out: {error.detail}")

    def serialized(self, seed: int | None) -> tf.data.Dataset:
        """The NoteSequences as serialized strings, read by TensorFlow in the dataset's order."""

        def to_record(content):
            try:
                return midi_reader.midi_to_note_sequence(content.numpy()).SerializeToString()
            except Rejected:
                return b""

        def convert(example):
            record = tf.py_function(to_record, [example["midi"]], tf.string)
            record.set_shape(())
            return record

        return self._load().map(convert).filter(lambda record: tf.strings.length(record) > 0)

    def _load(self) -> tf.data.Dataset:
        import tensorflow_datasets as tfds  # Importing takes seconds, and few runs need it.
        from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError

        try:
            with tfds_downloads.careful():
                dataset = tfds.load(self.source, split="train")
        except tfds.core.registered.DatasetNotFoundError as error:
            # Its config and version, as in "groove/full-midionly:2.0.1", are not the builder's.
            builder = re.split("[/:]", self.source)[0]
            hint = did_you_mean(builder, tfds.list_builders())
            raise UserError(
                f"--tfds_name={self.source}: TensorFlow Datasets has no such dataset{hint}"
            ) from error
        except (
            OSError,
            ValueError,
            tfds.download.DownloadError,
            NonMatchingChecksumError,
        ) as error:
            raise UserError(
                f"--tfds_name={self.source}: cannot be loaded ({tfds_downloads.reason(error)}); "
                "give --examples_path instead"
            ) from error
        if "midi" not in dataset.element_spec:
            raise UserError(f"--tfds_name={self.source}: its examples have no MIDI")
        return dataset
