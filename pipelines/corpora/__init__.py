"""The corpora, one module each: a new corpus is a new module here that exports `CORPUS`.

A corpus is data and two small functions. `sources` lists what there is to read, in the job's own
process; `sequences` reads one source, in a worker. What all corpora share (the Beam job,
batches, shards, counts) is in `pipelines.corpora.conversion`.
"""

import functools
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from pipelines.music.limits import Limits
from pipelines.music.note_sequence import NoteSequence
from pipelines.runtime.app import UserError
from pipelines.runtime.registry import Registry, discovered


class Source(NamedTuple):
    """Something that a worker reads by itself: a file, a member of an archive, part of a book.

    Attributes:
      key: names it within the corpus, the same on every machine.
      facts: what `sequences` needs to read and label it; JSON.
      weight: about how many pieces it has, so that workers get equal shares.
      split: the split of its pieces, where the input says so and `Corpus.has_splits` is None.
    """

    key: str
    facts: dict[str, Any]
    weight: int = 1
    split: str | None = None


class Skipped(NamedTuple):
    """A piece that is left out, and why; becomes a line of `rejected.jsonl`.

    Attributes:
      key: where it is.
      reason: a word to count by.
      detail: what exactly is wrong.
      title: its title, where it has one.
    """

    key: str
    reason: str
    detail: str
    title: str = ""


class Ignored(NamedTuple):
    """Something at --input that is no part of the corpus; becomes a line of `ignored.jsonl`."""

    key: str
    detail: str


class Counted(NamedTuple):
    """Numbers about the listing that the manifest should have under a name."""

    name: str
    counts: dict[str, int]


class Piece(NamedTuple):
    """A piece for the records.

    Attributes:
      split: the split that it is in, or None where the corpus does not say. The job divides such
        pieces at the end, and puts those with a key in common into the same split.
      sequence: the piece; its id names it within the corpus.
      keys: what its tune is recognised by, as `identity.keys` gives them.
    """

    split: str | None
    sequence: NoteSequence
    keys: Sequence[str] = ()


class Corpus(NamedTuple):
    """What the conversion has to know of a corpus.

    Attributes:
      name: the value of --corpus.
      summary: one line that says what it is and what --input can be.
      sources: lists what is at the paths of --input: sources, and what is skipped or ignored
        without being opened. Raises UserError where this corpus is not there. Where the corpus
        takes labels, it is also given the path of --labels, or None.
      sequences: yields the pieces of a source, and what in it is skipped or ignored. Raises
        Rejected if the source as a whole is left out.
      has_splits: whether the corpus says which split each of its pieces is in; None where that
        depends on the input, and each source says its split, or none does.
      pieces: the number of its pieces, if it is known.
      takes_labels: whether it takes a table of labels, --labels.
    """

    name: str
    summary: str
    sources: Callable[..., Iterable[Source | Skipped | Ignored | Counted]]
    sequences: Callable[[Source, Limits], Iterable[Piece | Skipped | Ignored]]
    has_splits: bool | None = True
    pieces: int | None = None
    takes_labels: bool = False


def one_path(name: str, paths: Sequence[str]) -> str:
    """The path of a corpus that is a single archive or folder.

    Raises:
      UserError: if there are several paths.
    """
    if len(paths) > 1:
        raise UserError(
            f"--corpus={name} takes one --input, not {len(paths)}; convert each to a folder of its "
            "own (with --corpus=abc, tunebooks from several paths go together)"
        )
    return paths[0]


@functools.cache
def corpora() -> Registry[Corpus]:
    """All corpora by name."""
    return discovered("corpus", sys.modules[__name__], "CORPUS", but=("conversion", "worker"))
