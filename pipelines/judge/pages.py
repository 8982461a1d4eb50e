"""Shows verdicts on the listening page: bars are marked on the score and on the piano roll."""

from collections.abc import Iterable, Sequence

from pipelines.judge.reading import Read
from pipelines.judge.verdicts import Verdict
from pipelines.media import judgement
from pipelines.media.page import judged
from pipelines.music.abc.tunebook import TuneText


def require_room(directory: str, tunes: Sequence[Read]) -> None:
    """Finds before tunes are judged what is in the way of their page.

    Raises:
      UserError: as `write`.
    """
    judged.require_room(directory, _texts(tunes))


def _texts(tunes: Iterable[Read]) -> dict[str, list[TuneText]]:
    """The texts of tunes by file."""
    texts: dict[str, list[TuneText]] = {}
    for read in tunes:
        if read.text is not None:
            texts.setdefault(read.file, []).append(read.text)
    return texts


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
        judged.Judged(read.file, read.number, read.text, verdict.told, _opinions(verdict))
        for read, verdict in found
        if read.text is not None
    ]
    return judged.write(directory, tunes, audio=audio)


def _opinions(verdict: Verdict) -> tuple[judgement.Opinion, ...]:
    made = []
    for name, opinion in verdict.opinions.items():
        if opinion.finding is None:
            made.append(judgement.Opinion(name, None, opinion.says))
            continue
        marks = tuple(judgement.Mark(mark.bar, mark.text) for mark in opinion.finding.marks)
        made.append(judgement.Opinion(name, opinion.score, opinion.says, opinion.fails, marks))
    return tuple(made)
