"""The Beam DoFn of the `convert` job, in a module that workers import by name."""

from collections.abc import Iterable

import apache_beam as beam

from pipelines.corpora import Limits, corpora
from pipelines.notesequences import convert_batch


class ConvertBatch(beam.DoFn):
    """Turns the name of a batch of sources into a part of the records; emits nothing.

    Args:
      corpus_name: a corpus of `pipelines.corpora`.
      parts: the folder of batches and parts, which all workers have to reach.
      limits: the fields of `Limits`.
    """

    def __init__(self, corpus_name: str, parts: str, limits: tuple):
        self._corpus_name = corpus_name
        self._parts = parts
        self._limits = limits

    def process(self, batch: str) -> Iterable[None]:
        """Converts one batch."""
        convert_batch(batch, corpora()[self._corpus_name], self._parts, Limits(*self._limits))
        return ()
