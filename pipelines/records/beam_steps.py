"""The steps of the Beam pipeline that has workers make a part of each batch.

Beam imports this module in its workers. All elements are of types for which Beam has coders of its
own: for any other type, and in its `Create` and `Reshuffle` for any at all, it would pickle and
unpickle them.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import apache_beam as beam

from pipelines.runtime import worker_processes


def build(
    pipeline: beam.Pipeline,
    batches: Sequence[str],
    worker: Callable,
    arguments: Sequence[Any],
    processes: int,
) -> None:
    """Adds the steps to a pipeline; see `beam_batches.run`.

    Args:
      processes: how many worker processes a bundle of batches has; with 0, Beam's worker does the
        work.
    """
    do = _InProcesses(worker, arguments, processes) if processes else _Here(worker, arguments)
    (
        pipeline
        | "Start" >> beam.Impulse()
        | "Batches" >> beam.ParDo(_Names(batches)).with_output_types(tuple[str, bytes])
        # Without this, runners may fuse all batches into one worker's bundle.
        | "Spread" >> beam.GroupByKey()
        | "Names" >> beam.Keys().with_output_types(str)
        | "Convert" >> beam.ParDo(do).with_output_types(str)
    )


class _Names(beam.DoFn):
    """Emits the names of the batches, each with an empty value, so that they can be grouped."""

    def __init__(self, batches: Sequence[str]):
        self._batches = tuple(batches)

    def process(self, start: bytes) -> Iterable[tuple[str, bytes]]:
        """Emits them all."""
        return ((batch, b"") for batch in self._batches)


class _Here(beam.DoFn):
    """Makes a part of each batch; emits nothing."""

    def __init__(self, worker: Callable, arguments: Sequence[Any]):
        self._make = worker, tuple(arguments)

    def setup(self) -> None:
        """Makes the worker, once for many bundles."""
        worker, arguments = self._make
        self._worker = worker(*arguments)

    def process(self, batch: str) -> Iterable[str]:
        """Makes the part of a batch."""
        self._worker.process(batch)
        return ()


class _InProcesses(beam.DoFn):
    """Has worker processes make the parts of a bundle of batches; emits nothing."""

    def __init__(self, worker: Callable, arguments: Sequence[Any], processes: int):
        self._module, self._arguments = worker.__module__, tuple(arguments)
        self._processes = processes

    def start_bundle(self) -> None:
        """Begins a bundle."""
        self._batches: list[str] = []

    def process(self, batch: str) -> Iterable[str]:
        """Adds a batch to the bundle."""
        self._batches.append(batch)
        return ()

    def finish_bundle(self) -> None:
        """Makes the parts."""
        worker_processes.run(self._module, self._arguments, self._batches, self._processes)
