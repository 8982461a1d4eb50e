"""Makes a judge: learns its criteria from people's tunes, and calibrates their scores."""

import collections
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipelines.examples import written_tunes
from pipelines.judge.criteria import criteria
from pipelines.judge.finding import Arrays, CannotBeJudged, Judge, Known
from pipelines.judge.learnt import Learnt, Scale
from pipelines.records import manifest
from pipelines.representations.abc_tokens import steps
from pipelines.runtime.app import UserError, say
from pipelines.runtime.progress import Progress

TRAIN, VALIDATION, TEST = manifest.SPLITS
# Fewer tunes cannot say what people's tunes are like.
MIN_TUNES = 20


def read(records: str, tunebooks: Sequence[str]) -> dict[str, list[Known]]:
    """Reads the tunes of a folder of records, by split.

    Args:
      records: the folder, made by `convert --corpus=abc`.
      tunebooks: what its `--input` named.

    Raises:
      UserError: as of `written_tunes.read`.
    """
    found = written_tunes.read(records, tunebooks, highest=True)
    if found.left_out:
        told = ", ".join(f"{reason}: {count}" for reason, count in sorted(found.left_out.items()))
        say(f"{sum(found.left_out.values())} tunes are left out ({told})")
    return {split: [_known(tune) for tune in found.of(split)] for split in manifest.SPLITS}


def _known(tune: written_tunes.Tune) -> Known:
    made = steps.decode(steps.tokens_of(tune.steps), tune.given)
    return Known(tune.id, tune.corpus, tune.group, made)


def learn(tunes: Mapping[str, Sequence[Known]], names: Sequence[str] = ()) -> Learnt:
    """Learns criteria from the tunes of training, and calibrates them by those of validation.

    Args:
      tunes: the tunes of each split.
      names: the criteria; by default all.

    Raises:
      UserError: where there are too few tunes.
    """
    for split in (TRAIN, VALIDATION):
        if len(tunes[split]) < MIN_TUNES:
            raise UserError(
                f"{len(tunes[split])} tunes of {split}; a judge needs {MIN_TUNES} or more: "
                "convert more tunebooks"
            )
    arrays: dict[str, Arrays] = {}
    scales: dict[str, Scale] = {}
    for name in names or list(criteria()):
        criterion = criteria()[name]
        say(f"{name}: {criterion.summary}")
        arrays[name] = criterion.learn(tunes[TRAIN], tunes[VALIDATION])
        measures = measured(criterion.open(arrays[name]), tunes[VALIDATION])
        scales[name] = Scale(measures, criterion.rejects if criterion.stage == 1 else 0.0)
        if criterion.keeps_tunes:
            every = [known for split in manifest.SPLITS for known in tunes[split]]
            arrays[name] = criterion.learn(every, [])
    return Learnt(arrays, scales, _about(tunes))


def measured(judge: Judge, tunes: Sequence[Known]) -> np.ndarray:
    """How tunes measure by a criterion, sorted; those that cannot be judged are left out.

    Raises:
      UserError: where none can be judged.
    """
    found = []
    with Progress("tunes measured", len(tunes)) as progress:
        for number, known in enumerate(tunes, start=1):
            try:
                found.append(judge(known.tune).measure)
            except CannotBeJudged:
                pass
            progress.update(number)
    if not found:
        raise UserError("none of the tunes of validation can be judged; convert other tunebooks")
    return np.sort(found)


def _about(tunes: Mapping[str, Sequence[Known]]) -> dict[str, Any]:
    every = [known for some in tunes.values() for known in some]
    corpora = collections.Counter(known.corpus for known in every)
    return {
        "tunes": {split: len(some) for split, some in tunes.items()},
        "corpora": dict(sorted(corpora.items())),
    }
