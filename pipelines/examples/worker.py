"""What the workers of the `tensors` job do. A worker process runs this module."""

import collections
import hashlib
import os
import random
import threading

import numpy as np

from configs import ConfigRef
from pipelines.music.note_sequence import parse
from pipelines.music.timing import first_qpm
from pipelines.records import tfrecord
from pipelines.records.parts import Part, read_batch
from pipelines.runtime import storage_copies, worker_processes
from pipelines.runtime.app import UserError

# A worker may have several threads. They share stderr, which TensorFlow's start holds back, and the
# generators of Python and NumPy, from which Magenta's converters draw.
_ONE_AT_A_TIME = threading.Lock()


class TensorBatch:
    """Turns the name of a batch of NoteSequence records into a part of tensors.

    Imports TensorFlow and builds the converter when it is made.

    Args:
      parts: the folder of batches and parts, which all workers have to reach.
      *ref: the fields of `ConfigRef`; a user's file by its absolute path.
    """

    def __init__(self, parts: str, *ref):
        self._parts = parts
        from pipelines.runtime import tensorflow

        with _ONE_AT_A_TIME:
            tensorflow.load()
        from pipelines import representations
        from pipelines.representations.codec import Codec
        from pipelines.representations.contract import EVAL

        config = ConfigRef(*ref).build()
        self._representation = representations.of(config.data_converter)
        # Tensors are converted as for an evaluation: what training draws afresh, it draws itself.
        self._representation.set_mode(EVAL)
        self._codec = Codec(self._representation)
        self._steps = config.hparams.max_seq_len

    def process(self, batch: str) -> None:
        """Converts one batch."""
        with Part(self._parts, batch) as part:
            before = collections.Counter(self._representation.counts)
            for split, path, offset, number in read_batch(self._parts, batch):
                for _, (at, record) in zip(
                    range(number), tfrecord.read_at(storage_copies.local_copy(path), offset)
                ):
                    self._add(part, split, f"{os.path.basename(path)}:{at}", record)
                    part.add_source()
            noted = collections.Counter(self._representation.counts)
            for name, count in (noted - before).items():
                part.count(name, count)

    def _add(self, part: Part, split: str, place: str, record: bytes) -> None:
        """Adds the windows of a NoteSequence, or a rejection.

        Raises:
          UserError: where the converter makes an example that its encoding cannot store.
        """
        try:
            piece = parse(record)
        except ValueError:
            part.reject(place, "malformed", "not a NoteSequence")
            return
        source = piece.id or place
        qpm = first_qpm(piece)
        with _ONE_AT_A_TIME:
            # Some of Magenta's converters draw in every mode; a seed makes all runs draw the same.
            seed = hashlib.blake2b(source.encode("utf-8", "replace"), digest_size=4).digest()
            random.seed(seed)
            np.random.seed(int.from_bytes(seed, "big"))
            encoded = self._representation.encode(piece)
        if encoded.reason:
            reason, _, detail = encoded.reason.partition(": ")
            part.reject(source, reason, detail)
            return
        windows = self._representation.ordered(encoded.examples)
        for window, example in enumerate(windows):
            key = f"{source}:{window}"
            try:
                record = self._codec.encode(source, window, qpm, example)
            except ValueError as error:
                converter = type(self._representation.converter).__name__
                raise UserError(
                    f"{source!r}: what {converter} makes of it cannot be stored as tensors "
                    f"({error}); train from the NoteSequence records"
                ) from error
            part.add(split, key, record)
            part.count("full_length", int(len(example.outputs) == self._steps))
        part.count("used")
        part.count("examples", len(windows))


if __name__ == "__main__":
    worker_processes.serve(TensorBatch)
