"""Batches of sources through Beam: what the jobs that make folders of records have in common.

The job's process writes the batches beside the parts to come. Beam carries nothing but their names
to the workers; each reads its batch and writes one part.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence

from pipelines.records import parts
from pipelines.records.folder import Folder
from pipelines.runtime import beam_runner
from pipelines.runtime.app import UserError
from pipelines.runtime.progress import Progress

_PROGRESS_SECONDS = 0.5


def run(
    folder: Folder,
    batches: Sequence[str],
    worker: Callable,
    arguments: Sequence[str],
    sources: int,
    what: str,
) -> None:
    """Has workers make a part of each batch.

    Args:
      folder: where the batches are, and the parts will be.
      batches: names that `parts.write_batch` was given.
      worker: makes the beam.DoFn that takes such a name; called once Beam is imported.
      arguments: Beam's options.
      sources: how many there are in all batches, for the progress.
      what: what is counted, e.g. "sources converted".

    Raises:
      UserError: what a worker raised as such, or `beam_runner.run_pipeline` does.
    """

    def build(pipeline):
        import apache_beam as beam

        (
            pipeline
            | "Batches" >> beam.Create(batches)
            # Without this, runners may fuse all batches into one worker's bundle.
            | "Spread" >> beam.Reshuffle()
            | "Convert" >> beam.ParDo(worker())
        )

    with _progress(folder, sources, what):
        try:
            beam_runner.run_pipeline(build, arguments)
        except Exception as error:
            message = _message_for_people(error)
            if not message:
                raise
            raise UserError(message) from error


def _message_for_people(error: Exception) -> str:
    """The message of a UserError that a worker may have raised, without what Beam makes of it.

    Beam adds the step, and gives what another process raised as the text of its traceback.
    """
    text = str(error)
    if not isinstance(error, UserError):
        text = text.partition(f"\n{UserError.__module__}.{UserError.__name__}: ")[2]
    return text.partition("\n")[0].partition(" [while running ")[0]


@contextlib.contextmanager
def _progress(folder: Folder, total: int, what: str) -> Iterator[None]:
    """Watches the parts that appear, which works whatever process or machine makes them."""
    progress = Progress(what, total)
    done = threading.Event()

    def watch():
        while not done.wait(_PROGRESS_SECONDS):
            progress.update(parts.sources_done(folder.parts))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        progress.close()
