"""A corpus to NoteSequence records: the work of the `convert` job.

The job's process lists the sources; workers convert them in batches (`beam_batches`).
"""

import os
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from pipelines.corpora import Corpus, Counted, Ignored, Skipped, Source, corpora
from pipelines.corpora.worker import ConvertBatch, described, fault
from pipelines.music.limits import Limits
from pipelines.music.note_sequence import parse
from pipelines.records import address_folder, beam_batches
from pipelines.records.folder import Folder
from pipelines.records.parts import Part
from pipelines.records.shards import DuplicateKey
from pipelines.runtime import beam_files, beam_runner
from pipelines.runtime.app import UserError, say
from pipelines.runtime.progress import Progress
from pipelines.tunes import splits

DEFAULT_LIMITS = Limits()


def convert(
    corpus_name: str,
    where: str | Sequence[str],
    output: str,
    num_shards: int = 4,
    limits: Limits = DEFAULT_LIMITS,
    pipeline_arguments: Sequence[str] | None = None,
    overwrite: bool = False,
    split_percent: Sequence[int] | None = None,
    labels: str | None = None,
) -> dict[str, Any]:
    """Converts a corpus to TFRecords of NoteSequences.

    Args:
      corpus_name: a corpus of `pipelines.corpora`.
      where: the path of the corpus; several paths for a corpus that takes several.
      output: the folder for the records, also in a bucket.
      num_shards: how many files for each split.
      limits: what a piece may not exceed.
      pipeline_arguments: Beam's options; by default, options that suit the size of the corpus.
      overwrite: whether to replace an older run in `output`.
      split_percent: the shares of train, validation and test, for a corpus without splits of its
        own; 80, 10 and 10 by default.
      labels: the path of a table of labels, for a corpus that takes one.

    Returns:
      The manifest.

    Raises:
      UserError: for an unknown corpus, unusable input or output, or if nothing was kept.
    """
    corpus = corpora()[corpus_name]
    if corpus.has_splits and split_percent:
        raise UserError(f"--split_percent: {corpus_name} has splits of its own; leave the flag out")
    if labels and not corpus.takes_labels:
        takers = " and ".join(each.name for each in corpora().values() if each.takes_labels)
        raise UserError(
            f"--labels: --corpus={corpus_name} takes no table of labels, only {takers} does; "
            "leave the flag out"
        )
    paths = [where] if isinstance(where, str) else list(where)
    beam_files.configure(pipeline_arguments or ())
    with address_folder.making(output, overwrite) as folder:
        listing = _list_sources(corpus, paths, labels, os.fspath(folder.parts))
        about: dict[str, Any] = {"limits": limits._asdict()}
        if not listing.decided:
            split_percent = tuple(split_percent or splits.DEFAULT_PERCENT)
            about["split_percent"] = split_percent
        elif split_percent:
            raise UserError(
                "--split_percent: --input or --labels says which piece is in which split (folders "
                "train and test, or a column split); leave the flag out"
            )
        _make_parts(folder, corpus, listing.sources, limits, pipeline_arguments)
        try:
            manifest = folder.finish(
                "notesequence",
                corpus_name,
                num_shards,
                len(listing.sources),
                {**about, **listing.counts},
                split_percent or splits.DEFAULT_PERCENT,
            )
        except DuplicateKey as error:
            files = " and ".join(repr(parse(record).filename) for record in error.records)
            raise UserError(
                f"corpus {corpus_name}: two pieces have the id {error.key!r}, from {files}; "
                "correct the corpus: every piece needs an id of its own (docs/add-a-corpus.md)"
            ) from error
    _report(corpus, manifest)
    return manifest


class _Listing(NamedTuple):
    """What a corpus lists.

    Attributes:
      sources: all of its sources.
      decided: whether the splits are decided, by the corpus or by the input.
      counts: what the manifest should have of the listing.
    """

    sources: list[Source]
    decided: bool
    counts: dict[str, dict[str, int]]


def _make_parts(
    folder: Folder,
    corpus: Corpus,
    sources: Sequence[Source],
    limits: Limits,
    arguments: Sequence[str] | None,
) -> None:
    """Has workers convert the sources."""
    weights = [source.weight for source in sources]
    try:
        batches = beam_batches.write(folder.shared, beam_batches.divide(sources, weights))
    except (TypeError, ValueError) as error:
        where = "writing the facts of its sources, which must be JSON"
        raise fault(corpus, f"{type(error).__name__}: {error}", where) from error
    if arguments is None:
        arguments = beam_runner.default_arguments(sum(weights))

    beam_batches.run(
        folder,
        batches,
        ConvertBatch,
        (corpus.name, folder.shared, *limits),
        arguments,
        len(sources),
        "sources converted",
    )


def _list_sources(corpus: Corpus, paths: Sequence[str], labels: str | None, parts: str) -> _Listing:
    """Lists the sources at the paths; puts what else the corpus finds in a part of its own."""
    sources: list[Source] = []
    counts: dict[str, dict[str, int]] = {}
    with Part(parts, "listed") as part, Progress("sources listed") as progress:
        for found in _listed(corpus, paths, labels):
            if isinstance(found, Skipped):
                part.reject(*found)
            elif isinstance(found, Ignored):
                part.ignore(*found)
            elif isinstance(found, Counted):
                counts[found.name] = found.counts
            else:
                sources.append(found)
                progress.update(len(sources))
    decided = corpus.has_splits
    if decided is None:
        decided = any(source.split for source in sources)
    return _Listing(sources, decided, counts)


def _listed(
    corpus: Corpus, paths: Sequence[str], labels: str | None
) -> Iterator[Source | Skipped | Ignored | Counted]:
    """What the corpus lists. Raises UserError where its own code is at fault."""
    last = "at its beginning"
    try:
        for found in corpus.sources(paths, *([labels] if corpus.takes_labels else [])):
            yield found
            if isinstance(found, Source | Skipped):
                last = f"after source {found.key!r}"
    except (OSError, UserError):
        raise
    except Exception as error:
        raise fault(corpus, described(error), f"listing its sources, {last}") from error


def _report(corpus: Corpus, manifest: dict[str, Any]) -> None:
    """Says on stderr how many pieces were kept, and how many of these are clean."""
    read, clean = manifest["read"], manifest["clean"]
    kept = read - manifest["rejected"]
    if read != (corpus.pieces or read):
        say(f"warning: {read} pieces were read, but {corpus.name} has {corpus.pieces}")
    others = ", the others carry warnings: warned.jsonl" if clean < kept else ""
    say(
        f"{kept} of {read} kept ({kept / read:.1%}); {clean} of these are clean "
        f"({clean / kept:.1%}){others}"
    )
