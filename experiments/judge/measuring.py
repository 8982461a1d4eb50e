"""What the experiments on the judge share: held-out tunes, and how well measures tell two kinds.

A threshold is one that 5% of people's tunes do not reach: those of validation, by which scores are
calibrated. What share of the test tunes does not reach it is the false-alarm rate that is reported.
"""

import json
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import flags
from sklearn.metrics import roc_auc_score

from pipelines.judge.finding import CannotBeJudged, Finding, Judge, Known
from pipelines.representations.abc_tokens.written import Tune

FALSE_ALARMS = 0.05
_RESAMPLES = 1000
_INTERVAL = (2.5, 97.5)


def define_flags() -> None:
    """Defines the flags that name the tunes."""
    flags.DEFINE_string("records", None, "Folder of records, made by convert --corpus=abc.")
    flags.DEFINE_multi_string("input", None, "The tunebooks that the records were made of.")


def define_flags_of_a_criterion() -> None:
    """Defines the flags of an experiment on one criterion."""
    define_flags()
    flags.DEFINE_integer("seed", 1, "Seed of the faults and of the bootstrap.")
    flags.DEFINE_string("output", None, "JSON file to write.")


def without_warnings(tunes: Sequence[Known], records: str) -> list[Known]:
    """The tunes that the reader had nothing to say of.

    Args:
      tunes: tunes of the records.
      records: the folder of records, whose `warned.jsonl` names the others.
    """
    with (pathlib.Path(records) / "warned.jsonl").open(encoding="utf-8") as lines:
        warned = {json.loads(line)["id"] for line in lines}
    return [known for known in tunes if known.id not in warned]


def judged(judge: Judge, tune: Tune) -> Finding | None:
    """What a criterion finds; None where it cannot judge the tune."""
    try:
        return judge(tune)
    except CannotBeJudged:
        return None


def compared(
    good: np.ndarray,
    bad: np.ndarray,
    good_groups: Sequence[int],
    bad_groups: Sequence[int],
    threshold: float | None = None,
    seed: int = 1,
) -> dict[str, Any]:
    """How well a measure tells two kinds of tunes apart.

    Args:
      good, bad: the measures of people's tunes, and of those with a fault: float [tunes].
      good_groups, bad_groups: the tune that each is a version of.
      threshold: what is below it is called bad; by default what 5% of `good` do not reach.
      seed: of the bootstrap.

    Returns:
      `auc` (the area under the ROC curve), `recall`, and `false_alarms`, each with the interval in
      which 95% of resamplings of the tunes lie.
    """
    if threshold is None:
        threshold = float(np.quantile(good, FALSE_ALARMS))
    groups = np.array([*good_groups, *bad_groups])
    names, number = np.unique(groups, return_inverse=True)
    measures, is_bad = np.concatenate([good, bad]), np.repeat([False, True], [len(good), len(bad)])
    rng = np.random.default_rng(seed)
    drawn: list[np.ndarray] = [np.ones(len(measures))]
    drawn += [
        np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names))[number] * 1.0
        for _ in range(_RESAMPLES)
    ]
    found: dict[str, list[float]] = {"auc": [], "recall": [], "false_alarms": []}
    for weight in drawn:
        if not weight[is_bad].sum() or not weight[~is_bad].sum():
            continue
        found["auc"].append(roc_auc_score(is_bad, -measures, sample_weight=weight))
        below = measures < threshold
        found["recall"].append(np.average(below[is_bad], weights=weight[is_bad]))
        found["false_alarms"].append(np.average(below[~is_bad], weights=weight[~is_bad]))
    return {"tunes": len(bad), **{name: _interval(values) for name, values in found.items()}}


def _interval(values: Sequence[float]) -> list[float]:
    """The value on all tunes, and the bounds of the interval."""
    low, high = np.percentile(values[1:], _INTERVAL)
    return [round(float(each), 4) for each in (values[0], low, high)]


def shown(found: Sequence[float]) -> str:
    """A value with its interval, for a table."""
    value, low, high = found
    return f"{value:.3f} ({low:.3f} to {high:.3f})"
