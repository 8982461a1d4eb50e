"""Records to training examples, for `train` and `evaluate`.

NoteSequence records are converted while training; records of tensors are read by
`tensor_examples`, which the functions here call where a pattern names such records.
"""

import collections
import dataclasses
import functools
import itertools
import random
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import tensorflow.compat.v1 as tf
from google.protobuf import message
from magenta.models.music_vae import data
from note_seq.protobuf import music_pb2

from pipelines.examples import tensor_reading
from pipelines.music import midi_reader
from pipelines.music.limits import Rejected
from pipelines.records import tfrecord
from pipelines.records.manifest import kind_of, record_files
from pipelines.runtime.app import UserError, say
from pipelines.runtime.progress import Progress

# Neighbouring windows of a piece overlap, so batches need examples of many pieces. 4,096 windows
# of four bars of drums are 60 MB.
_SHUFFLE_RECORDS = 2048
_SHUFFLE_EXAMPLES = 4096


@dataclasses.dataclass
class Counts:
    """What a config makes of some records."""

    records: int = 0
    used: int = 0
    examples: int = 0
    # Reason -> records, for those that gave no example.
    unused: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    # What the converter counts itself, such as drum pitches outside its map.
    notes: collections.Counter = dataclasses.field(default_factory=collections.Counter)

    def summary(self) -> str:
        """One line for people."""
        text = f"{self.examples} examples from {self.used} of {self.records} records"
        if self.unused:
            reasons = ", ".join(f"{n} {reason}" for reason, n in self.unused.most_common())
            text += f" (none from: {reasons})"
        for what, n in sorted(self.notes.items()):
            if n:
                what = what.replace("_", " ")
                text += f"; {what}: {n}" if "windows" in what else f"; notes {what}: {n}"
        return text


def sequences(
    examples_path: str | None, tfds_name: str | None = None
) -> Iterator[music_pb2.NoteSequence]:
    """Yields the NoteSequences of a glob of record files, or of a TFDS dataset's train split.

    Raises:
      UserError: for records that are no NoteSequences, and a dataset that cannot be had.
    """
    if tfds_name:
        yield from _tfds_sequences(tfds_name)
        return
    for path in record_files(examples_path):
        for record in tfrecord.read(path):
            try:
                yield music_pb2.NoteSequence.FromString(record)
            except message.DecodeError as error:
                raise UserError(
                    f"{path}: its records are no NoteSequences; make them with ./run.sh convert"
                ) from error


def _tfds_sequences(name: str) -> Iterator[music_pb2.NoteSequence]:
    import tensorflow_datasets as tfds

    for number, example in enumerate(tfds.as_numpy(_load_tfds(name))):
        try:
            yield midi_reader.midi_to_note_sequence(example["midi"])
        except Rejected as error:
            say(f"{name}, example {number} is left out: {error.detail}")


def _tfds_records(name: str) -> tf.data.Dataset:
    """The same as serialized NoteSequences, read by TensorFlow."""

    def to_record(content):
        try:
            return midi_reader.midi_to_note_sequence(content.numpy()).SerializeToString()
        except Rejected:
            return b""

    def convert(example):
        record = tf.py_function(to_record, [example["midi"]], tf.string)
        record.set_shape(())
        return record

    return _load_tfds(name).map(convert).filter(lambda record: tf.strings.length(record) > 0)


def _load_tfds(name: str) -> tf.data.Dataset:
    import tensorflow_datasets as tfds  # Seconds to import, and few runs need it.

    try:
        dataset = tfds.load(name, split="train")
    except (tfds.core.registered.DatasetNotFoundError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"--tfds_name={name}: cannot be loaded ({reason}); give --examples_path instead"
        ) from error
    if "midi" not in dataset.element_spec:
        raise UserError(f"--tfds_name={name}: its examples have no MIDI")
    return dataset


def to_tensors(converter, piece: music_pb2.NoteSequence) -> tuple[data.ConverterTensors, str]:
    """Converts a piece; a piece that a converter cannot take gives no examples, and a reason.

    Args:
      converter: a `magenta.models.music_vae.data.BaseNoteSequenceConverter`.
      piece: an unquantized NoteSequence.

    Returns:
      The tensors, and why there are none: "" where there are some.
    """
    try:
        tensors = converter.to_tensors(piece)
    except (KeyError, ValueError, IndexError, ArithmeticError) as error:
        # Magenta's own converters raise on much that is in real files, as GrooveConverter does
        # on a pitch that is not in its map.
        return data.ConverterTensors(), f"{type(converter).__name__} fails: {error!r}"
    if tensors.inputs:
        return tensors, ""
    return tensors, _why_not(converter, piece)


def _why_not(converter, piece: music_pb2.NoteSequence) -> str:
    """Says why a converter makes no example of a piece, as well as the converter can tell."""
    if hasattr(converter, "explain"):
        return converter.explain(piece) or "no example"
    if not piece.notes:
        return "no notes"
    # What the converters of music_vae.data have in common, where they have it.
    needs = [f"what {type(converter).__name__} takes"]
    quarter, bar, window = (
        getattr(converter, f"_{name}", None)
        for name in ("steps_per_quarter", "steps_per_bar", "slice_steps")
    )
    if quarter and bar:
        needs.append(f"bars of {bar / quarter:g} quarter notes")
    if bar and window:
        needs.append(f"{window / bar:g} bars or more")
    return f"needs {', '.join(needs)}"


class _Tolerant:
    """A converter that gives no examples where the one inside raises, as `to_tensors` counts it."""

    def __init__(self, converter):
        self._converter = converter

    def __getattr__(self, name):
        return getattr(self._converter, name)

    def to_tensors(self, piece):
        return to_tensors(self._converter, piece)[0]


@dataclasses.dataclass
class Batch:
    """Examples of one config, not padded.

    Attributes:
      inputs, outputs, controls: arrays shaped [steps, depth], one an example.
      lengths: their lengths, an int or (hierarchical converters) one int a segment each.
      qpm: float array shaped [examples]: the tempo of each one's piece, in quarters a minute.
    """

    inputs: tuple[np.ndarray, ...]
    outputs: tuple[np.ndarray, ...]
    controls: tuple[np.ndarray, ...]
    lengths: tuple
    qpm: np.ndarray

    @staticmethod
    def padded(arrays: Sequence[np.ndarray], depth: int, size: int | None = None) -> np.ndarray:
        """Stacks arrays shaped [steps, depth] to [size, longest, depth], zeros after each."""
        longest = max(map(len, arrays))
        stacked = np.zeros([size or len(arrays), longest, depth], np.float32)
        for row, array in zip(stacked, arrays):
            row[: len(array)] = array
        return stacked


def _convert(converter, pieces: Iterable[music_pb2.NoteSequence], counts: Counts):
    """Yields each piece with its ConverterTensors; fills in `counts`."""
    before = collections.Counter(getattr(converter, "counts", {}))
    for piece in pieces:
        counts.records += 1
        tensors, reason = to_tensors(converter, piece)
        if reason:
            counts.unused[reason] += 1
        else:
            counts.used += 1
        yield piece, tensors
    counts.notes = collections.Counter(getattr(converter, "counts", {}))
    counts.notes.subtract(before)


def count(config, examples_path: str | None, tfds_name: str | None = None) -> Counts:
    """Converts every training record once and counts what comes out; tensors are just counted.

    Args:
      config: a Magenta Config.
      examples_path: a glob of TFRecord files of NoteSequences or tensors.
      tfds_name: the name of a TFDS dataset with MIDI in it, instead.
    """
    if _are_tensors(examples_path, tfds_name):
        number = tensor_reading.count(examples_path)
        return Counts(records=number, used=number, examples=number)
    config.data_converter.set_mode("train")
    counts = Counts()
    progress = Progress("records counted")
    pieces = sequences(examples_path, tfds_name)
    for _, tensors in _convert(config.data_converter, pieces, counts):
        counts.examples += len(tensors.inputs)
        progress.update(counts.records, f"({counts.examples} examples)")
    progress.close()
    return counts


def batches(
    config, examples_path: str, batch_size: int, counts: Counts, num_batches: int | None = None
) -> Iterator[Batch]:
    """Yields every held-out example once, in the order of the records.

    Args:
      config: a Magenta Config.
      examples_path: a glob of TFRecord files of NoteSequences.
      batch_size: examples in a batch; the last one may have fewer.
      counts: is filled in with what has been read and yielded so far.
      num_batches: stop after so many batches, if given.
    """
    config.data_converter.set_mode("eval")

    def examples():
        for piece, tensors in _convert(config.data_converter, sequences(examples_path), counts):
            qpm = piece.tempos[0].qpm if piece.tempos else 120.0
            for example in zip(*tensors):
                yield *example, qpm

    remaining = examples()
    for _ in range(num_batches) if num_batches else itertools.count():
        batch = list(itertools.islice(remaining, batch_size))
        if not batch:
            return
        counts.examples += len(batch)
        *tensors, qpm = zip(*batch)
        yield Batch(*tensors, np.array(qpm))


def require_note_sequences(examples_path: str) -> None:
    """Raises UserError where a glob matches nothing, or records of another kind."""
    kind = kind_of(record_files(examples_path))
    if kind != "notesequence":
        raise UserError(
            f"{examples_path}: holds records of kind {kind}, not notesequence; give the "
            "NoteSequence records that they were made of"
        )


def require_fit(config_name: str, config, examples_path: str) -> None:
    """Raises UserError where a glob matches nothing, or records that a config cannot train on.

    Says what training goes without, where they are tensors.
    """
    if _are_tensors(examples_path):
        tensor_reading.require_fit(config_name, config, examples_path)


def _are_tensors(examples_path: str | None, tfds_name: str | None = None) -> bool:
    return not tfds_name and kind_of(record_files(examples_path)) == "tensors"


def require_batch(counts: Counts, batch_size: int, source: str) -> None:
    """Raises UserError where there are fewer examples than a batch, which Magenta hangs on."""
    if counts.examples < batch_size:
        raise UserError(
            f"{source}: {counts.examples} examples are fewer than a batch of {batch_size}; "
            f"lower it with --hparams=batch_size={max(counts.examples, 1)} or convert more "
            f"music ({counts.summary()})"
        )


def training_dataset(
    config,
    examples_path: str | None,
    tfds_name: str | None = None,
    seed: int | None = None,
    cache: bool = False,
    worker: int = 0,
    num_workers: int = 1,
) -> tf.data.Dataset:
    """An endless, shuffled, batched dataset of one config's examples.

    From tensors, it is `tensor_examples.training_dataset`. From NoteSequences, it does what
    `magenta.models.music_vae.data.get_dataset` does when training, but for three things:
    augmentation and random slices are made afresh each epoch unless `cache`, the order is shuffled
    across pieces and files, and examples are taken apart without `Dataset.unbatch`, which crashes
    TensorFlow on control tensors of depth 0.

    Args:
      config: a Magenta Config.
      examples_path: a glob of TFRecord files of NoteSequences or tensors.
      tfds_name: the name of a TFDS dataset with MIDI in it, instead.
      seed: of the order, the augmentation and the slices; drawn afresh where it is None.
      cache: keeps the converted examples of the first epoch in memory, as Magenta does; tensors
        are converted already, and it changes nothing.
      worker, num_workers: see `tensor_examples`; NoteSequences are not divided among workers.

    Returns:
      Batches of (inputs, outputs, controls, lengths), shaped [batch_size, steps, depth] and
      [batch_size] or [batch_size, segments].
    """
    if _are_tensors(examples_path, tfds_name):
        return tensor_reading.training_dataset(config, examples_path, seed, worker, num_workers)
    converter = config.data_converter
    converter.set_mode("train")
    if tfds_name:
        dataset = _tfds_records(tfds_name)
    else:
        paths = record_files(examples_path)
        dataset = (
            tf.data.Dataset.from_tensor_slices(paths)
            .shuffle(len(paths), seed=seed)
            .interleave(tf.data.TFRecordDataset, cycle_length=len(paths))
        )
    dataset = dataset.shuffle(_SHUFFLE_RECORDS, seed=seed)
    # Augmenters and converters draw from the generators of Python and NumPy: with a seed, one
    # after another.
    parallel = tf.data.AUTOTUNE if seed is None else None
    if seed is not None:
        random.seed(seed)
        np.random.seed(seed % 2**32)
    if config.note_sequence_augmenter is not None:
        dataset = dataset.map(config.note_sequence_augmenter.tf_augment, parallel)
    convert = functools.partial(data.convert_to_tensors_op, converter=_Tolerant(converter))
    dataset = dataset.map(tf.autograph.experimental.do_not_convert(convert), parallel)
    dataset = dataset.flat_map(
        lambda *tensors: tf.data.Dataset.from_tensor_slices(tensors).map(_remove_padding)
    )
    if cache:
        dataset = dataset.cache()
    dataset = dataset.shuffle(_SHUFFLE_EXAMPLES, seed=seed).repeat()
    dataset = dataset.padded_batch(
        config.hparams.batch_size, tf.data.get_output_shapes(dataset), drop_remainder=True
    )
    options = tf.data.Options()
    options.deterministic = seed is not None
    return dataset.with_options(options).prefetch(tf.data.AUTOTUNE)


def _remove_padding(inputs, outputs, controls, length):
    """Cuts one example to its length; hierarchical ones are padded inside and stay as they are."""
    if length.shape.ndims:
        return inputs, outputs, controls, length
    return inputs[:length], outputs[:length], controls[:length], length
