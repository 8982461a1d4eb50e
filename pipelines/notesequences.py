"""A corpus to NoteSequence records: the work of the `convert` job.

The job's process lists the sources and writes the list, in batches, beside the parts to come. Beam
carries nothing but the batches' names to the workers; each reads its batch and writes one part.
"""

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from pipelines import beam_runner, records
from pipelines.app import Progress
from pipelines.corpora import Limits, Skipped, Source, corpora
from pipelines.records import Folder, Part

# Small enough to spread evenly over workers, large enough that a part is more than overhead.
_MIN_BATCH, _MAX_BATCH, _BATCHES = 25, 2000, 100
_PROGRESS_SECONDS = 0.5

DEFAULT_LIMITS = Limits()


def convert(
    corpus_name: str,
    where: str,
    output: str,
    num_shards: int = 4,
    limits: Limits = DEFAULT_LIMITS,
    pipeline_arguments: Sequence[str] | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Converts a corpus to TFRecords of NoteSequences.

    Args:
      corpus_name: a corpus of `pipelines.corpora`.
      where: where the corpus is, as it takes it.
      output: the folder for the records.
      num_shards: how many files for each split.
      limits: what a piece may not exceed.
      pipeline_arguments: Beam's options; by default those that suit the size of the corpus.
      overwrite: whether to replace an older run in `output`.

    Returns:
      The manifest.

    Raises:
      UserError: for an unknown corpus, unusable input or output, or if nothing was kept.
    """
    corpus = corpora()[corpus_name]
    with Folder(output, overwrite) as folder:
        # Workers may have another working directory.
        parts = os.fspath(folder.parts.absolute())
        sources = []
        with Part(parts, "listed") as part:
            for found in corpus.sources(where):
                if isinstance(found, Skipped):
                    part.reject(*found)
                else:
                    sources.append(found)
        batches = _write_batches(parts, sources)
        if pipeline_arguments is None:
            pipeline_arguments = beam_runner.default_arguments(len(sources))
        with _progress(folder, len(sources)):
            beam_runner.run_pipeline(
                lambda pipeline: _build(pipeline, batches, corpus_name, parts, limits),
                pipeline_arguments,
            )
        return folder.finish(
            "notesequence", corpus_name, num_shards, len(sources), {"limits": limits._asdict()}
        )


def _build(pipeline, batches: list[str], corpus_name: str, parts: str, limits: Limits) -> None:
    import apache_beam as beam

    from pipelines.convert_batch import ConvertBatch

    (
        pipeline
        | "Batches" >> beam.Create(batches)
        # Without this, runners may fuse all batches into one worker's bundle.
        | "Spread" >> beam.Reshuffle()
        | "Convert" >> beam.ParDo(ConvertBatch(corpus_name, parts, tuple(limits)))
    )


def _write_batches(parts: str, sources: list[Source]) -> list[str]:
    size = min(_MAX_BATCH, max(_MIN_BATCH, len(sources) // _BATCHES))
    batches = []
    for start in range(0, len(sources), size):
        batches.append(f"batch-{start:09d}")
        records.write_batch(parts, batches[-1], sources[start : start + size])
    return batches


@contextlib.contextmanager
def _progress(folder: Folder, total: int) -> Iterator[None]:
    """Watches the parts that appear, which works whatever process or machine makes them."""
    progress = Progress("sources converted", total)
    done = threading.Event()

    def watch():
        while not done.wait(_PROGRESS_SECONDS):
            progress.update(folder.sources_done())

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        progress.close()
