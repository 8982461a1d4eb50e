"""What the workers of the `convert` job do; Beam imports this module in each of them."""

from collections.abc import Iterable, Iterator

import apache_beam as beam

from pipelines.corpora import Corpus, Ignored, Piece, Skipped, Source, corpora
from pipelines.music.limits import Limits, Rejected
from pipelines.music.note_sequence import warnings
from pipelines.records.parts import Part, read_batch


class ConvertBatch(beam.DoFn):
    """Makes a part of the records from a batch of sources, given its name; emits nothing.

    Args:
      corpus_name: a corpus of `pipelines.corpora`.
      parts: `Folder.parts`, which all workers have to reach.
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
                # Every source has to show in the records or in the rejections.
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
    # Deterministic, so that every process makes the same bytes of the same message.
    record = sequence.SerializeToString(deterministic=True)
    title = sequence.sequence_metadata.title
    part.add(piece.split, sequence.id, record, piece.keys, title)
    told = warnings(sequence)
    part.count("clean", int(not told))
    for line, what in told:
        part.warn(sequence.id, title, line, what)


def _sequences(
    corpus: Corpus, source: Source, limits: Limits
) -> Iterator[Piece | Skipped | Ignored]:
    try:
        yield from corpus.sequences(source, limits)
    except Rejected as rejected:
        yield Skipped(source.key, rejected.reason, rejected.detail)
