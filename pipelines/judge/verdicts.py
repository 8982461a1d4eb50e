"""A judge of tunes: verdicts by all criteria, in two stages.

As in the Ai Music Generation Challenge (B. L. T. Sturm, "The Ai Music Generation Challenge 2022:
Summary and Results", AIMC 2023), a tune is first rejected where it is
copied, not in rhythm or in no mode; those that pass are graded by form and melody.
"""

import contextlib
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pipelines.judge import learnt, reading
from pipelines.judge.criteria import criteria
from pipelines.judge.finding import CannotBeJudged, Finding, Known
from pipelines.judge.learnt import Learnt
from pipelines.judge.reading import Read
from pipelines.music.abc.grid import WHOLE
from pipelines.representations.abc_tokens.written import Bar, Key, Note, Tune
from pipelines.runtime import files
from pipelines.runtime.app import UserError, say

_SCALE = (62, 64, 66, 67, 69, 71, 73, 74, 71, 69, 67, 66, 64, 69, 66, 62)
_PROBE = Tune(
    tuple(
        Bar(
            tuple(Note(pitch, WHOLE // 8) for pitch in _SCALE[at : at + 8]), (4, 4), Key(2, "MAJOR")
        )
        for at in (0, 8) * 4
    )
)
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

    @property
    def says(self) -> str:
        """What it says in a few words."""
        return self.finding.says if self.finding else f"cannot be judged: {self.problem}"

    def as_json(self) -> dict[str, Any]:
        """The opinion as JSON values."""
        if self.finding is None:
            return {"score": None, "says": self.says}
        return {
            "score": self.score,
            "says": self.says,
            "fails": self.fails,
            "marks": [{"bar": mark.bar + 1, "text": mark.text} for mark in self.finding.marks],
            "evidence": self.finding.evidence,
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
        """How far it came: "rejected", "passed" or "unjudged".

        A tune is unjudged where nothing of its music can be judged, although its bars may be full
        and it is no copy: one note, for example.
        """
        if self.rejected_for:
            return "rejected"
        of_music = [name for name in self.opinions if name not in _TOLD_NAMES]
        asked = of_music or list(self.opinions)
        judged = any(self.opinions[name].finding for name in asked)
        return "passed" if judged else "unjudged"

    @property
    def told(self) -> str:
        """The verdict in a few words, such as "rejected: rhythm, mode"."""
        if self.stage == "unjudged":
            return "cannot be judged"
        return ": ".join(filter(None, (self.stage, ", ".join(self.rejected_for))))

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
    """

    def __init__(self, learnt: Learnt):
        self._scales = learnt.scales
        self._judges = {
            name: criteria()[name].open(arrays) for name, arrays in learnt.arrays.items()
        }
        self.names = tuple(self._judges)

    def __call__(self, tune: Tune, called: str = "") -> Verdict:
        """Judges a tune.

        Args:
          tune: the tune.
          called: what warnings call it; by default its title.
        """
        called = called or tune.title or "a tune"
        return Verdict({name: self._opinion(name, tune, called) for name in self.names})

    def require_sound(self) -> None:
        """Judges a tune, so that damaged arrays are found before the first tune of a user.

        Raises:
          Exception: whatever a criterion raises that knows other arrays than it has learnt.
        """
        for name in self.names:
            with contextlib.suppress(CannotBeJudged):  # Of copies, where there is no tune yet.
                self._found(name, _PROBE)

    def _found(self, name: str, tune: Tune) -> Finding:
        """What a criterion finds; raises CannotBeJudged, and whatever the criterion raises."""
        finding = self._judges[name](tune)
        if not math.isfinite(finding.measure):
            raise ArithmeticError(f"it measures {finding.measure}")
        return finding

    def _opinion(self, name: str, tune: Tune, called: str) -> Opinion:
        seen = tune if name in _TOLD_NAMES else tune._replace(title="", rhythm="")
        try:
            finding = self._found(name, seen)
        except CannotBeJudged as error:
            return Opinion(None, None, str(error))
        except Exception as error:
            # Whatever one tune does to a criterion, it is judged by others, and so are other tunes.
            say(f"warning: {called}: the criterion {name} failed: {error!r}")
            return Opinion(None, None, f"the judge failed: {error!r}")
        scale = self._scales[name]
        return Opinion(scale.score(finding.measure), finding, "", scale.fails(finding.measure))


def of(judge: TuneJudge, read: Read) -> Verdict:
    """The verdict on what was read."""
    if read.tune is None:
        return unjudged(judge.names, read.problem)
    return judge(read.tune, f"{read.file}, tune {read.name}")


def as_json(read: Read, verdict: Verdict) -> dict[str, Any]:
    """What is told of a tune by programs for programs: JSON values."""
    about = {
        "file": read.file, "line": read.text.line if read.text else 0, "name": read.name,
        "title": read.title,
    }  # fmt: skip
    return {**about, **verdict.as_json()}


def json_line(read: Read, verdict: Verdict) -> bytes:
    """A line of JSON with what `as_json` gives."""
    return files.json_line(as_json(read, verdict), allow_nan=False)


def ordered(names: Sequence[str]) -> list[str]:
    """Names of criteria in the order in which they are asked: by stage, then as listed here.

    Raises:
      UserError: for a name of no criterion.
    """
    known = criteria()
    return sorted({known[name].name for name in names}, key=_place)


def that_judge_the_music() -> list[str]:
    """The criteria that look at a tune alone, and not for others like it."""
    return ordered([name for name, criterion in criteria().items() if not criterion.keeps_tunes])


def _place(name: str) -> tuple[int, int, str]:
    first = ("copied", "rhythm", "mode", "form", "melody")
    return criteria()[name].stage, first.index(name) if name in first else len(first), name


def open_judge(folder: str, names: Sequence[str] = (), against: Sequence[str] = ()) -> TuneJudge:
    """Opens the judge of a folder.

    Args:
      folder: from `learnt.write`; "" for the one that comes with the project.
      names: the criteria that are asked; by default all.
      against: files and folders in whose tunes copies are looked for, rather than in those that
        the judge was made from.

    Raises:
      UserError: for a name of no criterion, a folder that is not that of a judge, and for `against`
        where no criterion looks for copies.
    """
    asked = ordered(names or list(criteria()))
    known = learnt.read(folder or learnt.DEFAULT, asked)
    try:
        judge = TuneJudge(known)
        judge.require_sound()
    except learnt.DAMAGE as error:
        raise learnt.damaged(folder or learnt.DEFAULT, error) from error
    if not against:
        return judge
    keepers = [name for name in asked if criteria()[name].keeps_tunes]
    if not keepers:
        raise UserError("--against goes with the criterion copied, which --criteria leaves out")
    tunes = [
        Known(f"{read.file}:{read.name}", read.file, number, read.tune)
        for number, read in enumerate(reading.read_all(against))
        if read.tune
    ]
    if not tunes:
        raise UserError(f"{', '.join(against)}: no tune there to compare with; name other files")
    arrays = {name: criteria()[name].learn(tunes, []) for name in keepers}
    return TuneJudge(known._replace(arrays={**known.arrays, **arrays}))
