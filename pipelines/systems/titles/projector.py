"""Tunes and titles for TensorBoard's projector, as points of the space that they share."""

import os
from collections.abc import Sequence

import numpy as np

from pipelines.media import projector
from pipelines.systems.titles.towers import Towers
from pipelines.systems.titles.tunes import Tune
from pipelines.tunes import title_text

_COLUMNS = ("title", "rhythm", "mode", "meter", "id")


def write(directory: str | os.PathLike, towers: Towers, tunes: Sequence[Tune], seed: int) -> None:
    """Writes the vectors of tunes and of their titles.

    Args:
      directory: the folder of a run's summaries.
      towers: what gives the vectors.
      tunes: tunes with titles; if there are more than `projector.MAX_POINTS`, as many are drawn.
      seed: of what is drawn.
    """
    if len(tunes) > projector.MAX_POINTS:
        number = projector.MAX_POINTS
        drawn = np.random.default_rng(seed).choice(len(tunes), number, replace=False)
        tunes = [tunes[at] for at in sorted(drawn)]
    spaces = {
        "tunes": towers.tune_vectors([tune.melody for tune in tunes]),
        "titles": towers.title_vectors([tune.titles[0].text for tune in tunes]),
    }
    projector.write(directory, _COLUMNS, map(_facts, tunes), spaces)


def _facts(tune: Tune) -> Sequence[str]:
    title = tune.titles[0]
    rhythm = tune.rhythm or title_text.rhythm_words(title.text)
    return title.shown, rhythm, tune.mode, tune.meter, tune.id
