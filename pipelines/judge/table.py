"""Shows verdicts as a table: a line a tune, and below it what they rest on."""

import os
import textwrap
from collections.abc import Iterator, Sequence

from pipelines.judge.reading import Read
from pipelines.judge.verdicts import Verdict

_NAME_WIDTH, _WIDTH = 34, 100
# What is kept at least of the name of a file: its end, since pieces of one job differ there.
_FILE_WIDTH = 16
# Of more marks of a criterion, the others are counted; --json has them all.
_MOST_MARKS = 6


def head(names: Sequence[str]) -> str:
    """The heading."""
    return f"{'tune':{_NAME_WIDTH}} {' '.join(f'{name:>7}' for name in names)}  verdict"


def line(read: Read, verdict: Verdict, with_file: bool = False) -> str:
    """The line of a tune: its scores from 1 to 5, "-" where it cannot be judged.

    Args:
      read: the tune.
      verdict: the verdict on it.
      with_file: whether its file is named, as where there are several.
    """
    scores = [
        f"{'-':>7}" if opinion.score is None else f"{opinion.score:7.1f}"
        for opinion in verdict.opinions.values()
    ]
    told = verdict.told
    if problem := read.problem or _why_unjudged(verdict):
        told += f": {problem}"
    return f"{_name(read, with_file):{_NAME_WIDTH}} {' '.join(scores)}  {told}"


def _name(read: Read, with_file: bool) -> str:
    """What a tune is called: by its number and title, and its file where that is wanted."""
    called = " ".join(filter(None, (read.name, read.title)))
    file = os.path.basename(read.file)
    if called and not with_file:
        return textwrap.shorten(called, _NAME_WIDTH, placeholder="…")
    room = max(_FILE_WIDTH, _NAME_WIDTH - len(called) - 1) if called else _NAME_WIDTH
    if len(file) > room:
        file = "…" + file[1 - room :]
    return textwrap.shorten(f"{file} {called}", _NAME_WIDTH, placeholder="…")


def _why_unjudged(verdict: Verdict) -> str:
    """Why a tune cannot be judged that was read: what the last criterion says, melody as a rule."""
    problems = [opinion.problem for opinion in verdict.opinions.values() if opinion.problem]
    return problems[-1] if verdict.stage == "unjudged" and problems else ""


def reasons(verdict: Verdict) -> Iterator[str]:
    """What a verdict rests on, line by line."""
    for name, opinion in verdict.opinions.items():
        yield from _wrapped(f"{name}: {opinion.says}", 2)
        marks = opinion.finding.marks if opinion.finding else ()
        for mark in marks[:_MOST_MARKS]:
            yield from _wrapped(f"bar {mark.bar + 1}: {mark.text}", 6)
        if (more := len(marks) - _MOST_MARKS) > 0:
            yield f"      and {more} more bar{'s' * (more > 1)}"


def _wrapped(text: str, indent: int) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent=" " * indent, subsequent_indent=" " * (indent + 4)
    )
