"""Draws tunes until enough of them pass the judge: `generate --keep=judge`."""

import collections
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from pipelines.judge import verdicts
from pipelines.judge.criteria import criteria
from pipelines.judge.verdicts import TuneJudge, Verdict
from pipelines.representations.abc_tokens.written import Tune
from pipelines.runtime.app import UserError, say
from pipelines.runtime.nearest import did_you_mean

T = TypeVar("T")

JUDGE = "judge"
_DEMAND = re.compile(r"(\w+)>=(\d(?:\.\d+)?)", re.ASCII)
_FORM = "judge, or judge:CRITERION>=SCORE in quotes, such as 'judge:melody>=3,form>=2'"
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


def most_drawn(number: int) -> int:
    """How many tunes are drawn at most where so many are wanted."""
    return _MOST_DRAWN * number


def passing(
    candidates: Iterable[tuple[T, Tune | None]],
    judge: TuneJudge,
    least: Mapping[str, float],
    number: int,
) -> Iterator[T]:
    """Yields what passes until there is enough, and says what share passed.

    Args:
      candidates: anything, each with the tune that it is; None stands for no tune. No more are
        taken than are needed.
      judge: the judge.
      least: the least scores, from `parse`.
      number: how many are wanted.

    Raises:
      UserError: where hardly any passes.
    """
    passed = drawn = 0
    rejected: collections.Counter[str] = collections.Counter()
    for candidate, tune in itertools.islice(candidates, most_drawn(number)):
        drawn += 1
        verdict = judge(tune) if tune else None
        if verdict and passes(verdict, least):
            passed += 1
            yield candidate
            if passed == number:
                break
        elif verdict:
            unkept = "scores too low" if verdict.stage == "passed" else verdict.told
            rejected.update(verdict.rejected_for or [unkept])
        else:
            rejected["no tune"] += 1
    told = ", ".join(f"{name} {count}" for name, count in rejected.most_common())
    if passed < number:
        raise UserError(
            f"--keep: {passed} of {drawn} tunes passed ({told}), and {number} are wanted; ask for "
            "lower scores, or train the model further"
        )
    others = f"; the others: {told}" if told else ""
    say(f"{passed} of {drawn} tunes passed the judge ({passed / drawn:.0%}){others}")
