"""Shows verdicts on the listening page: bars are marked on the score and on the piano roll."""

from collections.abc import Iterable

from pipelines.judge.reading import Read
from pipelines.judge.verdicts import Verdict
from pipelines.media import judgement
from pipelines.media.page import judged


def write(directory: str, found: Iterable[tuple[Read, Verdict]], audio: str = "auto") -> str:
    """Puts tunes, verdicts and the page into a folder; what is no tune is left out.

    Args:
      directory: the folder.
      found: what was read, with the verdict on it.
      audio: which sound is made: one of `sound.CHOICES`.

    Returns:
      The path of the page.

    Raises:
      UserError: where there is no tune, or other music or another page is in the way.
    """
    tunes = [
        judged.Judged(read.file, read.number, read.text, _told(verdict), _opinions(verdict))
        for read, verdict in found
        if read.text is not None
    ]
    return judged.write(directory, tunes, audio=audio)


def _told(verdict: Verdict) -> str:
    if verdict.stage == "unjudged":
        return "cannot be judged"
    return ": ".join(filter(None, (verdict.stage, ", ".join(verdict.rejected_for))))


def _opinions(verdict: Verdict) -> tuple[judgement.Opinion, ...]:
    made = []
    for name, opinion in verdict.opinions.items():
        if opinion.finding is None:
            told = f"cannot be judged: {opinion.problem}"
            made.append(judgement.Opinion(name, None, told))
            continue
        marks = tuple(judgement.Mark(mark.bar, mark.text) for mark in opinion.finding.marks)
        says = opinion.finding.says
        made.append(judgement.Opinion(name, opinion.score, says, opinion.fails, marks))
    return tuple(made)
