"""The beginnings of many sounds, to learn from: one that cannot be read does not end the job."""

import pathlib
from collections.abc import Iterator, Sequence

import numpy as np

from pipelines.audio import reading
from pipelines.runtime.app import UserError, say
from pipelines.runtime.progress import Progress
from pipelines.systems.style.transfer.transfers import RATE


def read(
    paths: Sequence[pathlib.Path], seconds: float, what: str
) -> Iterator[tuple[pathlib.Path, np.ndarray]]:
    """Reads the beginnings of sounds; files that cannot be read are left out, named and counted.

    Args:
      paths: the sound files.
      seconds: how much of each, at most.
      what: for the line of progress: which sounds these are.

    Yields:
      The file, and its samples, float32 shaped [samples], at `RATE`.

    Raises:
      UserError: where none of the files can be read.
    """
    rejected = 0
    with Progress(f"{what} read", len(paths)) as progress:
        for count, path in enumerate(paths, start=1):
            try:
                samples = reading.read(path, RATE, np.inf, 0, seconds)
            except UserError as error:
                rejected += 1
                if rejected == len(paths):
                    raise
                say(f"left out: {error}")
            else:
                yield path, samples
            progress.update(count)
    if rejected:
        say(f"{what}: {rejected} of {len(paths)} cannot be read and are left out")
