"""What a worker of the `tensors` job does, in a module that workers import by name."""

import collections
import hashlib
import os
import random
import threading
from collections.abc import Iterable

import apache_beam as beam
import numpy as np
from google.protobuf import message

from pipelines.music.note_sequence import NoteSequence
from pipelines.records import tfrecord
from pipelines.records.parts import Part, read_batch
from pipelines.runtime.app import UserError

# Of the whole process are stderr, which TensorFlow's start holds back, and the generators of Python
# and NumPy, from which Magenta's converters draw; a worker may have several threads.
_ONE_AT_A_TIME = threading.Lock()


class TensorBatch(beam.DoFn):
    """Turns the name of a batch of NoteSequence records into a part of tensors; emits nothing.

    Args:
      config_name, config_file, hparams: the config, as `runs.configure` takes it.
      parts: the folder of batches and parts, which all workers have to reach.
    """

    def __init__(self, config_name: str, config_file: str | None, hparams: str, parts: str):
        self._configure = config_name, config_file, hparams
        self._parts = parts

    def setup(self) -> None:
        """Builds the converter: imports TensorFlow, once in a process."""
        from pipelines.runtime import tensorflow

        with _ONE_AT_A_TIME:
            tensorflow.load()
        from pipelines import runs
        from pipelines.examples import reading
        from pipelines.representations import encodings

        self._to_tensors, self._examples_of = reading.to_tensors, encodings.examples_of
        config = runs.configure(*self._configure)
        self._converter = config.data_converter
        # What is stored is converted as it is measured: what training draws afresh is left to it.
        self._converter.set_mode("eval")
        self._codec = encodings.Codec(self._converter)
        self._steps = config.hparams.max_seq_len

    def process(self, batch: str) -> Iterable[None]:
        """Converts one batch."""
        with Part(self._parts, batch) as part:
            before = collections.Counter(getattr(self._converter, "counts", {}))
            for split, path, offset, number in read_batch(self._parts, batch):
                for _, (at, record) in zip(range(number), tfrecord.read_at(path, offset)):
                    self._add(part, split, f"{os.path.basename(path)}:{at}", record)
                    part.add_source()
            noted = collections.Counter(getattr(self._converter, "counts", {}))
            for name, count in (noted - before).items():
                part.count(name, count)
        return ()

    def _add(self, part: Part, split: str, place: str, record: bytes) -> None:
        """Adds the windows of a NoteSequence, or a rejection.

        Raises:
          UserError: where the converter makes what its encoding cannot hold.
        """
        try:
            piece = NoteSequence.FromString(record)
        except message.DecodeError:
            part.reject(place, "malformed", "not a NoteSequence")
            return
        source = piece.id or place
        qpm = piece.tempos[0].qpm if piece.tempos else 120.0
        with _ONE_AT_A_TIME:
            # Some of Magenta's converters draw in every mode: here once, the same in each run.
            seed = hashlib.blake2b(source.encode("utf-8", "replace"), digest_size=4).digest()
            random.seed(seed)
            np.random.seed(int.from_bytes(seed, "big"))
            tensors, why_not = self._to_tensors(self._converter, piece)
        if why_not:
            reason, _, detail = why_not.partition(": ")
            part.reject(source, reason, detail)
            return
        windows = self._examples_of(self._converter, tensors)
        for window, example in enumerate(windows):
            key = f"{source}:{window}"
            try:
                encoded = self._codec.encode(source, window, qpm, example)
            except ValueError as error:
                raise UserError(
                    f"{source!r}: what {type(self._converter).__name__} makes of it cannot be "
                    f"stored as tensors ({error}); train from the NoteSequence records"
                ) from error
            part.add(split, key, encoded)
            part.count("full_length", int(len(example.outputs) == self._steps))
        part.count("used")
        part.count("examples", len(windows))
