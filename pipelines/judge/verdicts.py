"""A judge of tunes: verdicts by all criteria, in two stages.

As in the AI Music Generation Challenge 2022 (B. L. T. Sturm), a tune is first rejected where it is
copied, not in rhythm or in no mode; those that pass are graded by form and melody.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from pipelines.judge import learnt
from pipelines.judge.criteria import criteria
from pipelines.judge.finding import CannotBeJudged, Finding, Judge
from pipelines.judge.learnt import Learnt
from pipelines.representations.abc_tokens.written import Tune

# Criteria that may know what a tune is called, and which dance it says that it is.
_TOLD_NAMES = ("copied", "rhythm")


class Opinion(NamedTuple):
    """What a criterion says of a tune.

    Attributes:
      score: from 1 to 5; None where it cannot be judged.
      finding: what it found; None where it cannot be judged.
      problem: why it cannot be judged, or "".
      fails: whether the tune is rejected for it.
    """

    score: float | None
    finding: Finding | None
    problem: str = ""
    fails: bool = False

    def as_json(self) -> dict[str, Any]:
        """The opinion as JSON values."""
        if self.finding is None:
            return {"score": None, "says": f"cannot be judged: {self.problem}"}
        return {
            "score": self.score,
            "says": self.finding.says,
            "fails": self.fails,
            "bars": [{"bar": mark.bar + 1, "text": mark.text} for mark in self.finding.marks],
            **self.finding.evidence,
        }


class Verdict(NamedTuple):
    """What a judge says of a tune.

    Attributes:
      opinions: by criterion, in the order in which they are asked.
    """

    opinions: Mapping[str, Opinion]

    @property
    def rejected_for(self) -> list[str]:
        """The criteria that reject it."""
        return [name for name, opinion in self.opinions.items() if opinion.fails]

    @property
    def stage(self) -> str:
        """How far it came: "rejected", "passed", or "unjudged" where nothing could be judged."""
        if all(opinion.finding is None for opinion in self.opinions.values()):
            return "unjudged"
        return "rejected" if self.rejected_for else "passed"

    def as_json(self) -> dict[str, Any]:
        """The verdict as JSON values."""
        found = {name: opinion.as_json() for name, opinion in self.opinions.items()}
        return {"verdict": self.stage, "rejected_for": self.rejected_for, **found}


def unjudged(names: Sequence[str], problem: str) -> Verdict:
    """The verdict on what is no tune that can be judged."""
    return Verdict({name: Opinion(None, None, problem) for name in names})


class TuneJudge:
    """A judge of tunes.

    Args:
      learnt: what it knows.
      replaced: judges that take the place of what criteria have learnt, by name.
    """

    def __init__(self, learnt: Learnt, replaced: Mapping[str, Judge] | None = None):
        given = dict(replaced or {})
        self._scales = learnt.scales
        self._judges: dict[str, Callable[[Tune], Finding]] = {
            name: given.get(name) or criteria()[name].open(arrays)
            for name, arrays in learnt.arrays.items()
        }
        self.names = tuple(self._judges)

    def __call__(self, tune: Tune) -> Verdict:
        """Judges a tune."""
        blind = tune._replace(title="", rhythm="")
        return Verdict(
            {
                name: self._opinion(name, judge, tune if name in _TOLD_NAMES else blind)
                for name, judge in self._judges.items()
            }
        )

    def _opinion(self, name: str, judge: Judge, tune: Tune) -> Opinion:
        try:
            finding = judge(tune)
        except CannotBeJudged as error:
            return Opinion(None, None, str(error))
        scale = self._scales[name]
        return Opinion(scale.score(finding.measure), finding, "", scale.fails(finding.measure))


def ordered(names: Sequence[str]) -> list[str]:
    """Names of criteria in the order in which they are asked: by stage, then as listed here.

    Raises:
      UserError: for a name of no criterion.
    """
    known = criteria()
    return sorted({known[name].name for name in names}, key=_place)


def _place(name: str) -> tuple[int, int, str]:
    first = ("copied", "rhythm", "mode", "form", "melody")
    return criteria()[name].stage, first.index(name) if name in first else len(first), name


def open_judge(
    folder: str, names: Sequence[str] = (), replaced: Mapping[str, Judge] | None = None
) -> TuneJudge:
    """Opens the judge of a folder.

    Args:
      folder: from `learnt.write`; "" for the one that comes with the project.
      names: the criteria that are asked; by default all.
      replaced: as of `TuneJudge`.
    """
    asked = ordered(names or list(criteria()))
    return TuneJudge(learnt.read(folder or learnt.DEFAULT, asked), replaced)
