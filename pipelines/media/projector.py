"""Writes points of a space for TensorBoard's projector, with facts about each."""

import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from tensorboard.plugins import projector

from pipelines.runtime import files
from pipelines.runtime.terminal import shown

# A browser does not draw more points than this.
MAX_POINTS = 10_000
_FACTS = "projector-points.tsv"


def write(
    folder: str | os.PathLike,
    columns: Sequence[str],
    facts: Iterable[Sequence[str]],
    spaces: Mapping[str, np.ndarray],
) -> None:
    """Writes vectors and facts as TSV, and the file by which TensorBoard finds both.

    Args:
      folder: the folder of a run's summaries; made where it does not exist.
      columns: the names of the facts, at least two.
      facts: a row for each point.
      spaces: by name, the vectors of the points, each shaped [points, dimensions].
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / _FACTS, [columns, *facts])
    config = projector.ProjectorConfig()
    for name, vectors in spaces.items():
        path = f"projector-{name}.tsv"
        _write(folder / path, ([f"{x:.5f}" for x in row] for row in vectors.tolist()))
        config.embeddings.add(tensor_name=name, tensor_path=path, metadata_path=_FACTS)
    projector.visualize_embeddings(os.fspath(folder), config)


def _write(path: pathlib.Path, rows: Iterable[Iterable[str]]) -> None:
    with files.replacing(path) as file:
        for row in rows:
            # A tab or a line end would be another column or row.
            line = "\t".join(shown(" ".join(cell.split())) for cell in row) + "\n"
            file.write(line.encode("utf-8", "backslashreplace"))
