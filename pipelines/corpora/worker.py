"""What the workers of the `convert` job do. A worker process runs this module."""

import os
import traceback
from collections.abc import Iterator

from pipelines.corpora import Corpus, Ignored, Piece, Skipped, Source, corpora
from pipelines.music.limits import Limits, Rejected, require_sound
from pipelines.music.note_sequence import NoteSequence, warnings
from pipelines.records.manifest import SPLITS
from pipelines.records.parts import Part, read_batch
from pipelines.runtime import time_limits, worker_processes
from pipelines.runtime.app import UserError

# A piece that is not read in this time never will be: the largest ones take seconds.
MAX_SECONDS_OF_PIECE = 600.0


class ConvertBatch:
    """Makes a part of the records from a batch of sources, given its name.

    Args:
      corpus_name: a corpus of `pipelines.corpora`.
      parts: `Folder.parts`, which all workers have to reach.
      *limits: the fields of `Limits`.
    """

    def __init__(self, corpus_name: str, parts: str, *limits):
        self._corpus = corpora()[corpus_name]
        self._parts = parts
        self._limits = Limits(*limits)

    def process(self, batch: str) -> None:
        """Converts one batch.

        Raises:
          UserError: where the corpus's own code is at fault, or a source does not come to an end.
        """
        key = ""
        with Part(self._parts, batch) as part:
            try:
                with time_limits.watched(MAX_SECONDS_OF_PIECE) as work:
                    for source in (Source(*line) for line in read_batch(self._parts, batch)):
                        key = source.key
                        self._convert(source, part, work)
            except time_limits.TookTooLong:
                raise UserError(
                    f"source {key!r}: no piece of it was read in {MAX_SECONDS_OF_PIECE:g} seconds; "
                    "leave it out of --input, and please report it with the file"
                ) from None

    def _convert(self, source: Source, part: Part, work: time_limits.Watched) -> None:
        """Puts all pieces of a source into a part. Every source has to show in it."""
        found_any = False
        work.alive()
        for found in _sequences(self._corpus, source, self._limits):
            work.alive()
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
    """What the corpus makes of a source; a piece that cannot be kept becomes a Skipped.

    Raises:
      UserError: where the corpus's own code is at fault.
    """
    last = ""
    try:
        for found in corpus.sequences(source, limits):
            if isinstance(found, Piece):
                last = _require_promised(corpus, source, found, last)
                try:
                    require_sound(found.sequence, limits)
                except Rejected as rejected:
                    title = found.sequence.sequence_metadata.title
                    found = Skipped(last, rejected.reason, rejected.detail, title)
            elif not isinstance(found, Skipped | Ignored):
                what = f"{type(found).__name__} is no Piece, Skipped or Ignored"
                raise fault(corpus, what, _place(source, last))
            yield found
    except Rejected as rejected:
        yield Skipped(source.key, rejected.reason, rejected.detail)
    except UserError:
        raise
    except Exception as error:
        raise fault(corpus, described(error), _place(source, last)) from error


def _require_promised(corpus: Corpus, source: Source, piece: Piece, last: str) -> str:
    """Raises UserError for a piece that is not what a corpus promises; returns its id."""
    # There may be two classes of it: note_seq's, and ours where note_seq was not imported.
    kind = getattr(piece.sequence, "DESCRIPTOR", None)
    if getattr(kind, "full_name", None) != NoteSequence.DESCRIPTOR.full_name:
        what = f"a piece that is {piece.sequence!r:.60}, not a NoteSequence"
        raise fault(corpus, what, _place(source, last))
    name = piece.sequence.id
    if not name:
        raise fault(corpus, "a piece without an id", _place(source, last))
    wrong = ""
    decided = source.split if corpus.has_splits is None else corpus.has_splits
    if corpus.has_splits is None and decided and piece.split not in (None, decided):
        wrong = f"but its source is in {decided!r}"
    elif decided and piece.split not in SPLITS:
        wrong = f"not one of {', '.join(SPLITS)}"
    elif not decided and piece.split is not None:
        wrong = "but has_splits is False" if corpus.has_splits is False else "its source has none"
    if wrong:
        where = f"source {source.key!r}, piece {name!r}"
        raise fault(corpus, f"its split is {piece.split!r}, {wrong}", where)
    return name


def _place(source: Source, last: str) -> str:
    return f"source {source.key!r}, {f'after piece {last!r}' if last else 'at its beginning'}"


def fault(corpus: Corpus, what: str, where: str) -> UserError:
    """The error that the corpus's own code is at fault: what is wrong, and where it was at."""
    return UserError(
        f"corpus {corpus.name}, {where}: {what}; correct the corpus: docs/add-a-corpus.md says "
        "what it promises"
    )


def described(error: Exception) -> str:
    """An exception out of a corpus, and the line of its file that it came from."""
    # The first frame is the one that caught it, the second the corpus's own.
    frames = traceback.extract_tb(error.__traceback__)[1:]
    own = [frame for frame in frames if frame.filename == frames[0].filename]
    where = f" ({os.path.basename(own[-1].filename)}, line {own[-1].lineno})" if own else ""
    return f"{type(error).__name__}: {error}{where}"


if __name__ == "__main__":
    worker_processes.serve(ConvertBatch)
