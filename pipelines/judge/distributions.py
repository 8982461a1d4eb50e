"""How a judge's verdicts on many tunes are distributed: models beside people."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from pipelines.judge.verdicts import Opinion, TuneJudge, Verdict
from pipelines.representations.abc_tokens.written import Tune
from pipelines.runtime.progress import Progress

_QUANTILES = (0.1, 0.5, 0.9)


def judged(judge: TuneJudge, tunes: Sequence[Tune]) -> dict[str, Any]:
    """Judges tunes, and says how their verdicts are distributed; see `of`."""
    found = []
    with Progress("tunes judged", len(tunes)) as progress:
        for number, tune in enumerate(tunes, start=1):
            found.append(judge(tune))
            progress.update(number)
    return of(found)


def of(found: Sequence[Verdict]) -> dict[str, Any]:
    """How verdicts are distributed.

    Args:
      found: at least one.

    Returns:
      JSON values: how many `tunes`; the shares that `passed`, were `rejected`, and are `unjudged`;
      and for each criterion under `criteria` the share that it rejects and that it cannot judge,
      and the mean and some quantiles of the scores.
    """
    stages = [verdict.stage for verdict in found]
    names = list(found[0].opinions)
    return {
        "tunes": len(found),
        **{name: _share(stages, name) for name in ("passed", "rejected", "unjudged")},
        "criteria": {name: _of([verdict.opinions[name] for verdict in found]) for name in names},
    }


def _share(stages: Sequence[str], name: str) -> float:
    return round(stages.count(name) / len(stages), 4)


def _of(opinions: Sequence[Opinion]) -> dict[str, Any]:
    scores = [opinion.score for opinion in opinions if opinion.score is not None]
    made: dict[str, Any] = {
        "rejected": round(sum(opinion.fails for opinion in opinions) / len(opinions), 4),
        "unjudged": round(1 - len(scores) / len(opinions), 4),
    }
    if scores:
        made["mean"] = round(float(np.mean(scores)), 3)
        low, middle, high = np.quantile(scores, _QUANTILES)
        made |= {"low": round(low, 2), "median": round(middle, 2), "high": round(high, 2)}
    return made


def table(sets: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """The lines of a table in Markdown: a row for each set of tunes, as of `of`."""
    names = list(dict.fromkeys(name for found in sets.values() for name in found["criteria"]))
    heads = " | ".join(f"{name}: rejected, mean" for name in names)
    yield f"| tunes | number | passed | {heads} |"
    yield f"|---|---|---|{'---|' * len(names)}"
    for title, found in sets.items():
        cells = []
        for name in names:
            one = found["criteria"].get(name)
            score = f", {one['mean']:.2f}" if one and "mean" in one else ""
            cells.append(f"{one['rejected']:.0%}{score}" if one else "")
        yield f"| {title} | {found['tunes']} | {found['passed']:.0%} | {' | '.join(cells)} |"
