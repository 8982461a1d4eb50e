"""Batches of sources through Beam: what the jobs that make folders of records have in common.

The job's process writes the batches beside the parts to come. Only their names are the elements of
the pipeline; a worker reads its batch and writes one part.
"""

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from pipelines.records import parts
from pipelines.records.folder import Folder
from pipelines.runtime import beam_runner
from pipelines.runtime.app import UserError
from pipelines.runtime.progress import Progress

T = TypeVar("T")

# Batches are small enough to spread evenly over workers, and large enough that a part is worth its
# overhead.
_MIN_BATCH, _MAX_BATCH, _BATCHES = 25, 2000, 100


def batch_size(pieces: int) -> int:
    """About how many pieces a batch should have, for a job that converts so many in all."""
    return min(_MAX_BATCH, max(_MIN_BATCH, pieces // _BATCHES))


def divide(sources: Sequence[T], weights: Sequence[int]) -> Iterator[Sequence[T]]:
    """Divides sources, in their order, into batches of about equal weights.

    Args:
      sources: what is to be read.
      weights: about how many pieces each has.
    """
    size = batch_size(sum(weights))
    start = weight = 0
    for end, of_source in enumerate(weights, start=1):
        weight += of_source
        if weight >= size or end == len(sources):
            yield sources[start:end]
            start, weight = end, 0


def write(folder: str | os.PathLike, batches: Iterable[Sequence[Any]]) -> list[str]:
    """Writes batches of sources for `run`.

    Args:
      folder: `Folder.shared`.
      batches: the sources of each batch, JSON.

    Returns:
      The names of the batches.
    """
    names = []
    for number, sources in enumerate(batches):
        names.append(f"batch-{number:09d}")
        parts.write_batch(folder, names[-1], sources)
    return names


def run(
    folder: Folder,
    batches: Sequence[str],
    worker: Callable,
    worker_arguments: Sequence[Any],
    arguments: Sequence[str],
    sources: int,
    what: str,
) -> None:
    """Has workers make a part of each batch.

    Args:
      folder: the folder where the batches are and the parts will be.
      batches: the names that `write` returned.
      worker: a class whose objects have `process`, which takes such a name. Its module calls
        `worker_processes.serve` with it when it is run.
      worker_arguments: what the class is called with; JSON.
      arguments: Beam's options.
      sources: how many sources all batches have, for the progress.
      what: what is counted, e.g. "sources converted".

    Raises:
      UserError: if a worker raised one, or for what `beam_runner.run_pipeline` raises it for.
    """

    def build(pipeline, processes):
        # Beam is imported by now.
        from pipelines.records import beam_steps

        beam_steps.build(pipeline, batches, worker, worker_arguments, processes)

    with _progress(folder, sources, len(batches), what):
        try:
            beam_runner.run_pipeline(build, arguments)
        except Exception as error:
            message = _message_for_people(error)
            if not message:
                raise
            raise UserError(message) from error


def _message_for_people(error: Exception) -> str:
    """The message of a UserError that a worker may have raised, without what Beam adds to it.

    Beam appends the name of the step. An exception of another process is the text of its traceback.
    """
    text = str(error)
    if not isinstance(error, UserError):
        text = text.partition(f"\n{UserError.__module__}.{UserError.__name__}: ")[2]
    return text.partition("\n")[0].partition(" [while running ")[0]


@contextlib.contextmanager
def _progress(folder: Folder, sources: int, batches: int, what: str) -> Iterator[None]:
    """Counts the parts as they appear, which works whatever process or machine makes them."""
    done = threading.Event()

    def watch(progress: Progress):
        while not done.wait(folder.look_seconds):
            progress.update(folder.sources_done(sources, batches))

    with Progress(what, sources) as progress:
        thread = threading.Thread(target=watch, args=(progress,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
        progress.update(folder.sources_done(sources, batches))
