"""Draws tunes until enough of them pass the judge: `generate --keep=judge`."""

import collections
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from pipelines.judge import verdicts
from pipelines.judge.criteria import criteria
from pipelines.judge.verdicts import TuneJudge, Verdict
from pipelines.representations.abc_tokens.written import Tune
from pipelines.runtime.app import UserError, say
from pipelines.runtime.nearest import did_you_mean

JUDGE = "judge"
_DEMAND = re.compile(r"(\w+)>=(\d(?:\.\d+)?)", re.ASCII)
_FORM = "judge, or judge:CRITERION>=SCORE, such as judge:melody>=3,form>=2"
# At most so many times the tunes that are wanted are drawn.
_MOST_DRAWN = 50


def is_asked(keep: str | None) -> bool:
    """Whether a value of `--keep` asks for the judge."""
    return bool(keep) and str(keep).partition(":")[0] == JUDGE


def parse(keep: str) -> dict[str, float]:
    """The least scores that a value of `--keep` asks for, by criterion.

    Raises:
      UserError: where it cannot be read, or names no criterion.
    """
    _, colon, rest = keep.partition(":")
    least: dict[str, float] = {}
    for demand in filter(None, rest.split(",")) if colon else ():
        found = _DEMAND.fullmatch(demand.strip())
        if found is None or not 1 <= float(found[2]) <= 5:
            raise UserError(f"--keep={keep}: give {_FORM}; scores are from 1 to 5")
        if found[1] not in criteria():
            names = verdicts.ordered(list(criteria()))
            hint = did_you_mean(found[1], names) or f"; there are {', '.join(names)}"
            raise UserError(f"--keep={keep}: no criterion is named {found[1]!r}{hint}")
        least[found[1]] = float(found[2])
    if colon and not least:
        raise UserError(f"--keep={keep}: give {_FORM}")
    return least


def passes(verdict: Verdict, least: Mapping[str, float]) -> bool:
    """Whether a tune is not rejected, and has the scores that are asked for."""
    if verdict.stage != "passed":
        return False
    scores = {name: verdict.opinions[name].score for name in least}
    return all((scores[name] or 0) >= wanted for name, wanted in least.items())


class Kept(NamedTuple):
    """Tunes that passed.

    Attributes:
      tunes: as many as were wanted.
      drawn: how many were drawn for them.
      rejected: how many were rejected, by criterion; one may be for several.
    """

    tunes: list[Tune]
    drawn: int
    rejected: Mapping[str, int]


def draw(
    draw_some: Callable[[int], Sequence[Tune | None]],
    judge: TuneJudge,
    least: Mapping[str, float],
    number: int,
) -> Kept:
    """Draws tunes until enough pass, and says what share of them passed.

    Args:
      draw_some: draws tunes, given how often it was called before; None stands for no tune.
      judge: the judge.
      least: the least scores, from `parse`.
      number: how many are wanted.

    Raises:
      UserError: where hardly any passes.
    """
    kept: list[Tune] = []
    drawn = 0
    rejected: collections.Counter[str] = collections.Counter()
    while len(kept) < number:
        if drawn >= _MOST_DRAWN * number:
            told = ", ".join(f"{name} {count}" for name, count in rejected.most_common())
            raise UserError(
                f"--keep: {len(kept)} of {drawn} tunes passed ({told or 'scores too low'}), and "
                f"{number} are wanted; ask for lower scores, or train the model further"
            )
        for tune in draw_some(drawn):
            if len(kept) == number:
                break
            drawn += 1
            if tune is None:
                rejected["no tune"] += 1
                continue
            verdict = judge(tune)
            if passes(verdict, least):
                kept.append(tune)
            else:
                rejected.update(verdict.rejected_for or ["scores too low"])
    why = ", ".join(f"{name} {count}" for name, count in rejected.most_common())
    say(
        f"{number} of {drawn} tunes passed the judge ({number / drawn:.0%})"
        f"{f'; the others: {why}' if why else ''}"
    )
    return Kept(kept, drawn, dict(rejected))
