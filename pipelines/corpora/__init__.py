"""The corpora, one module each. A module here exports `CORPUS`, and that is all there is to add.

A corpus is data and two small functions: `sources` says what there is to read, in the job's own
process; `sequences` reads one source, in a worker. What is the same for all corpora, the Beam job,
limits, shards and counts, is in `pipelines.notesequences`.
"""

import functools
import sys
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from pipelines.midi import MAX_NOTES, MAX_SECONDS
from pipelines.protos import NoteSequence
from pipelines.registry import Registry, discovered


class Source(NamedTuple):
    """Something to read on its own: a file, a member of an archive, a tune of a book.

    Attributes:
      key: names it within the corpus, the same on every machine.
      facts: what `sequences` needs to read and label it; JSON.
    """

    key: str
    facts: dict[str, Any]


class Skipped(NamedTuple):
    """A piece that was read and left out, and why: a line of rejected.jsonl."""

    key: str
    reason: str
    detail: str


class Piece(NamedTuple):
    """A piece for the records; the id of `sequence` names it in the corpus."""

    split: str
    sequence: NoteSequence


class Limits(NamedTuple):
    """What a piece may not exceed."""

    max_seconds: float = MAX_SECONDS
    max_notes: int = MAX_NOTES


class Corpus(NamedTuple):
    """What the conversion has to know of a corpus.

    Attributes:
      name: as --corpus gives it.
      summary: a line about it and about what --input can be.
      sources: lists what is at --input: sources, and what is skipped without being opened.
        Raises UserError where --input is not this corpus.
      sequences: yields the pieces of a source, one or many, and those of them that are skipped.
        Raises records.Rejected where the source as a whole is left out.
    """

    name: str
    summary: str
    sources: Callable[[str], Iterable[Source | Skipped]]
    sequences: Callable[[Source, Limits], Iterable[Piece | Skipped]]


@functools.cache
def corpora() -> Registry[Corpus]:
    """All corpora by name."""
    return discovered("corpus", sys.modules[__name__], "CORPUS")
