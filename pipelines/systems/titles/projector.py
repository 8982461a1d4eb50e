"""Tunes and titles for TensorBoard's projector, as points of the space that they share."""

import os
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np
from tensorboard.plugins import projector

from pipelines.runtime import files
from pipelines.runtime.terminal import shown
from pipelines.systems.titles.towers import Towers
from pipelines.systems.titles.tunes import Tune
from pipelines.tunes import title_text

# A browser does not draw more points than this.
MAX_POINTS = 10_000
_COLUMNS = ("title", "rhythm", "mode", "meter", "id")


def write(directory: str | os.PathLike, towers: Towers, tunes: Sequence[Tune], seed: int) -> None:
    """Writes vectors and facts about their tunes as TSV, and the file by which both are found.

    Args:
      directory: the folder of a run's summaries.
      towers: what gives the vectors.
      tunes: tunes with titles; if there are more than MAX_POINTS, as many are drawn.
      seed: of what is drawn.
    """
    if len(tunes) > MAX_POINTS:
        drawn = np.random.default_rng(seed).choice(len(tunes), MAX_POINTS, replace=False)
        tunes = [tunes[at] for at in sorted(drawn)]
    folder = pathlib.Path(directory)
    config = projector.ProjectorConfig()
    vectors = {
        "tunes": towers.tune_vectors([tune.melody for tune in tunes]),
        "titles": towers.title_vectors([tune.titles[0].text for tune in tunes]),
    }
    _write(folder / "projector-points.tsv", [_COLUMNS, *map(_facts, tunes)])
    for name, values in vectors.items():
        _write(
            folder / f"projector-{name}.tsv", ([f"{x:.5f}" for x in row] for row in values.tolist())
        )
        embedding = config.embeddings.add()
        embedding.tensor_name = name
        embedding.tensor_path = f"projector-{name}.tsv"
        embedding.metadata_path = "projector-points.tsv"
    projector.visualize_embeddings(os.fspath(folder), config)


def _facts(tune: Tune) -> Iterable[str]:
    title = tune.titles[0]
    rhythm = tune.rhythm or title_text.rhythm_words(title.text)
    return title.shown, rhythm, tune.mode, tune.meter, tune.id


def _write(path: pathlib.Path, rows: Iterable[Iterable[str]]) -> None:
    with files.replacing(path) as file:
        for row in rows:
            # A tab or a line end would be another column or row.
            line = "\t".join(shown(" ".join(cell.split())) for cell in row) + "\n"
            file.write(line.encode("utf-8", "backslashreplace"))
