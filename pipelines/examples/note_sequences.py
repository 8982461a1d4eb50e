"""Converts NoteSequences to examples: while training, and once each when measuring."""

import collections
import functools
import itertools
import random
from collections.abc import Iterable, Iterator

import numpy as np
import tensorflow.compat.v1 as tf
from magenta.models.music_vae import data
from note_seq.protobuf import music_pb2

from pipelines import representations
from pipelines.examples.base import Batch, Counts, Draw, Examples
from pipelines.music.note_sequence import parse, rhythm
from pipelines.music.timing import first_qpm
from pipelines.records import tfrecord
from pipelines.records.manifest import number_in
from pipelines.representations.contract import EVAL, TRAIN, Encoded, Example, Representation
from pipelines.runtime.app import UserError, say
from pipelines.runtime.progress import Progress

# Neighbouring windows of a piece overlap, so batches need examples of many pieces. 4,096 windows
# of four bars of drums are 60 MB.
_SHUFFLE_RECORDS = 2048
_SHUFFLE_EXAMPLES = 4096


class NoteSequences(Examples):
    """NoteSequences in record files."""

    def pieces(self) -> Iterator[music_pb2.NoteSequence]:
        """Yields the NoteSequences in the order of the files.

        Raises:
          UserError: for records that are not NoteSequences.
        """
        # Beside what a job counts, which has no total, and whose plain lines are enough.
        with Progress("records read", number_in(self.paths), plain=False) as progress:
            for number, piece in enumerate(self._parsed(), start=1):
                progress.update(number)
                yield piece

    def _parsed(self) -> Iterator[music_pb2.NoteSequence]:
        for path in self.paths:
            for record in tfrecord.read(path):
                try:
                    yield parse(record)
                except ValueError as error:
                    raise UserError(
                        f"{path}: its records are not NoteSequences; make them with "
                        "./run.sh convert"
                    ) from error

    def serialized(self, seed: int | None) -> tf.data.Dataset:
        """The NoteSequences as serialized strings, files in a random order."""
        return (
            tf.data.Dataset.from_tensor_slices(self.paths)
            .shuffle(len(self.paths), seed=seed)
            .interleave(tf.data.TFRecordDataset, cycle_length=len(self.paths))
        )

    def count(self, config) -> Counts:
        """Converts every record once, as training does, and counts what comes out."""
        representation = representations.of(config.data_converter)
        representation.set_mode(TRAIN)
        counts = Counts()
        with Progress("records counted", bar_total=number_in(self.paths)) as progress:
            for _, encoded in _encode(representation, self._parsed(), counts):
                counts.examples += len(encoded.tensors.inputs)
                progress.update(counts.records, f"({counts.examples} examples)")
        return counts

    def examples_by_piece(
        self, config, counts: Counts
    ) -> Iterator[tuple[music_pb2.NoteSequence, list[Example]]]:
        """Yields the held-out examples of each record, in the order of the records.

        Args:
          config: a Magenta Config.
          counts: is updated to what has been read so far, but for its `examples`.

        Yields:
          The piece and its examples; there may be none.
        """
        representation = representations.of(config.data_converter)
        representation.set_mode(EVAL)
        for piece, encoded in _encode(representation, self.pieces(), counts):
            yield piece, encoded.examples

    def batches(
        self, config, batch_size: int, counts: Counts, num_batches: int | None = None
    ) -> Iterator[Batch]:
        """Yields every held-out example once, in the order of the records.

        Args:
          config: a Magenta Config.
          batch_size: examples in a batch; the last one may have fewer.
          counts: is updated to what has been read and yielded so far.
          num_batches: stop after so many batches, if given.
        """
        remaining = (
            (first_qpm(piece), example)
            for piece, examples in self.examples_by_piece(config, counts)
            for example in examples
        )
        for _ in range(num_batches) if num_batches else itertools.count():
            batch = list(itertools.islice(remaining, batch_size))
            if not batch:
                return
            counts.examples += len(batch)
            yield Batch.of(batch)

    def training_dataset(self, config, draw: Draw) -> tf.data.Dataset:
        """Makes an endless, shuffled, batched dataset of a config's examples.

        It does what `magenta.models.music_vae.data.get_dataset` does when training, with three
        differences: augmentation and random slices are made afresh each epoch unless `draw.cache`,
        the order is shuffled across pieces and files, and examples are taken apart without
        `Dataset.unbatch`, which crashes TensorFlow on control tensors of depth 0. NoteSequences are
        not divided among workers.
        """
        representation = representations.of(config.data_converter)
        representation.set_mode(TRAIN)
        seed = draw.seed
        dataset = self.serialized(seed).shuffle(_SHUFFLE_RECORDS, seed=seed)
        # Augmenters and converters draw from the generators of Python and NumPy, so with a seed
        # they run one after another.
        parallel = tf.data.AUTOTUNE if seed is None else None
        if seed is not None:
            random.seed(seed)
            np.random.seed(seed % 2**32)
        if config.note_sequence_augmenter is not None:
            dataset = dataset.map(config.note_sequence_augmenter.tf_augment, parallel)
        convert = functools.partial(data.convert_to_tensors_op, converter=_Tolerant(representation))
        dataset = dataset.map(tf.autograph.experimental.do_not_convert(convert), parallel)
        dataset = dataset.flat_map(
            lambda *tensors: tf.data.Dataset.from_tensor_slices(tensors).map(_remove_padding)
        )
        if draw.cache:
            dataset = dataset.cache()
        dataset = dataset.shuffle(_SHUFFLE_EXAMPLES, seed=seed).repeat()
        # They are converted all the same: what is drawn for the others follows from them.
        if draw.taken:
            say(
                "examples that are passed over are converted for that; a run on what "
                "./run.sh tensors makes goes on sooner"
            )
        dataset = dataset.skip(draw.taken * config.hparams.batch_size)
        dataset = dataset.padded_batch(
            config.hparams.batch_size, tf.data.get_output_shapes(dataset), drop_remainder=True
        )
        options = tf.data.Options()
        options.deterministic = seed is not None
        return dataset.with_options(options).prefetch(tf.data.AUTOTUNE)


class _Tolerant:
    """Wraps a converter; gives no examples of a piece on which that raises.

    Args:
      representation: the representation of the converter inside.
    """

    def __init__(self, representation: Representation):
        self._representation = representation

    def __getattr__(self, name):
        return getattr(self._representation.converter, name)

    def to_tensors(self, piece):
        """Magenta's `to_tensors`, counted as `Representation.encode` counts it."""
        return self._representation.encode(piece).tensors


def _encode(
    representation: Representation, pieces: Iterable[music_pb2.NoteSequence], counts: Counts
) -> Iterator[tuple[music_pb2.NoteSequence, Encoded]]:
    """Yields each piece with what is made of it; fills in `counts`."""
    before = collections.Counter(representation.counts)
    for piece in pieces:
        counts.records += 1
        encoded = representation.encode(piece)
        if encoded.reason:
            counts.unused[encoded.reason] += 1
            if said := rhythm(piece):
                counts.rhythms[said] += 1
        else:
            counts.used += 1
        yield piece, encoded
    counts.notes = collections.Counter(representation.counts)
    counts.notes.subtract(before)


def _remove_padding(inputs, outputs, controls, length):
    """Cuts an example to its length; a hierarchical one is padded inside and stays as it is."""
    if length.shape.ndims:
        return inputs, outputs, controls, length
    return inputs[:length], outputs[:length], controls[:length], length
