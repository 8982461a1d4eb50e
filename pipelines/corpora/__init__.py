"""The corpora, one module each. A module here exports `CORPUS`, and that is all there is to add.

A corpus is data and two small functions: `sources` says what there is to read, in the job's own
process; `sequences` reads one source, in a worker. What is the same for all corpora, the Beam job,
limits, shards and counts, is in `pipelines.corpora.conversion`.
"""

import functools
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from pipelines.music.limits import MAX_NOTES, MAX_SECONDS
from pipelines.music.note_sequence import NoteSequence
from pipelines.runtime.app import UserError
from pipelines.runtime.registry import Registry, discovered


class Source(NamedTuple):
    """Something to read on its own: a file, a member of an archive, a tune of a book.

    Attributes:
      key: names it within the corpus, the same on every machine.
      facts: what `sequences` needs to read and label it; JSON.
      weight: about how many pieces are in it, to give workers equal shares.
    """

    key: str
    facts: dict[str, Any]
    weight: int = 1


class Skipped(NamedTuple):
    """A piece that was read and left out, and why: a line of rejected.jsonl."""

    key: str
    reason: str
    detail: str


class Ignored(NamedTuple):
    """What lies at --input and is no part of the corpus: a line of ignored.jsonl."""

    key: str
    detail: str


class Piece(NamedTuple):
    """A piece for the records.

    Attributes:
      split: which it is in; None where the corpus does not say. Such pieces are divided at the
        end, those with a key in common into the same split.
      sequence: the piece; its id names it in the corpus.
      keys: what its tune is recognised by, as `identity.keys` gives them.
    """

    split: str | None
    sequence: NoteSequence
    keys: Sequence[str] = ()


class Limits(NamedTuple):
    """What a piece may not exceed."""

    max_seconds: float = MAX_SECONDS
    max_notes: int = MAX_NOTES


class Corpus(NamedTuple):
    """What the conversion has to know of a corpus.

    Attributes:
      name: as --corpus gives it.
      summary: a line about it and about what --input can be.
      sources: lists what is at the paths of --input: sources, and what is skipped without being
        opened. Raises UserError where that is not this corpus.
      sequences: yields the pieces of a source, one or many, and those of them that are skipped.
        Raises Rejected where the source as a whole is left out.
      has_splits: whether it says which split each of its pieces is in.
      pieces: how many it has, where that is known.
    """

    name: str
    summary: str
    sources: Callable[[Sequence[str]], Iterable[Source | Skipped]]
    sequences: Callable[[Source, Limits], Iterable[Piece | Skipped | Ignored]]
    has_splits: bool = True
    pieces: int | None = None


def one_path(name: str, paths: Sequence[str]) -> str:
    """The only one of the paths.

    Raises:
      UserError: if there are several, for a corpus that is a single archive or folder.
    """
    if len(paths) > 1:
        raise UserError(
            f"--corpus={name} takes one --input, not {len(paths)}; convert each to a folder of its "
            "own (tunebooks of several places go together with --corpus=abc)"
        )
    return paths[0]


@functools.cache
def corpora() -> Registry[Corpus]:
    """All corpora by name."""
    return discovered("corpus", sys.modules[__name__], "CORPUS", but=("conversion", "worker"))
