"""What a worker of the `convert` job does, in a module that workers import by name."""

from collections.abc import Iterable, Iterator

import apache_beam as beam

from pipelines.corpora import Corpus, Ignored, Piece, Skipped, Source, corpora
from pipelines.music.limits import Limits, Rejected
from pipelines.music.note_sequence import warnings
from pipelines.records.parts import Part, read_batch


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
        corpus, limits = corpora()[self._corpus_name], Limits(*self._limits)
        with Part(self._parts, batch) as part:
            for source in (Source(*line) for line in read_batch(self._parts, batch)):
                # A corpus that says nothing of a source would lose it without a trace.
                found_any = False
                for found in _sequences(corpus, source, limits):
                    found_any = True
                    if isinstance(found, Skipped):
                        part.reject(*found)
                    elif isinstance(found, Ignored):
                        part.ignore(*found)
                    else:
                        _add(part, found)
                if not found_any:
                    part.reject(source.key, "empty", "nothing was found in it")
                part.add_source()
        return ()


def _add(part: Part, piece: Piece) -> None:
    sequence = piece.sequence
    # Deterministic: the same message gives the same bytes in every process.
    record = sequence.SerializeToString(deterministic=True)
    title = sequence.sequence_metadata.title
    part.add(piece.split, sequence.id, record, piece.keys, title)
    part.count("clean", int(not warnings(sequence)))


def _sequences(
    corpus: Corpus, source: Source, limits: Limits
) -> Iterator[Piece | Skipped | Ignored]:
    try:
        yield from corpus.sequences(source, limits)
    except Rejected as rejected:
        yield Skipped(source.key, rejected.reason, rejected.detail)
