"""Shows verdicts as a table: a line a tune, and below it what they rest on."""

import textwrap
from collections.abc import Iterator, Sequence

from pipelines.judge.reading import Read
from pipelines.judge.verdicts import Verdict

_NAME_WIDTH, _WIDTH = 34, 100
# Of more marks of a criterion, the others are counted; --json has them all.
_MOST_MARKS = 6


def head(names: Sequence[str]) -> str:
    """The heading."""
    return f"{'tune':{_NAME_WIDTH}} {' '.join(f'{name:>7}' for name in names)}  verdict"


def line(read: Read, verdict: Verdict) -> str:
    """The line of a tune: its scores from 1 to 5, "-" where it cannot be judged."""
    name = " ".join(filter(None, (read.name, read.title))) or read.file
    scores = [
        f"{'-':>7}" if opinion.score is None else f"{opinion.score:7.1f}"
        for opinion in verdict.opinions.values()
    ]
    told = verdict.stage
    if verdict.rejected_for:
        told += f": {', '.join(verdict.rejected_for)}"
    if read.tune is None:
        told = f"cannot be judged: {read.problem}"
    name = textwrap.shorten(name, _NAME_WIDTH, placeholder="…")
    return f"{name:{_NAME_WIDTH}} {' '.join(scores)}  {told}"


def reasons(verdict: Verdict) -> Iterator[str]:
    """What a verdict rests on, line by line."""
    for name, opinion in verdict.opinions.items():
        if opinion.finding is None:
            yield from _wrapped(f"{name}: cannot be judged: {opinion.problem}", 2)
            continue
        yield from _wrapped(f"{name}: {opinion.finding.says}", 2)
        marks = opinion.finding.marks
        for mark in marks[:_MOST_MARKS]:
            yield from _wrapped(f"bar {mark.bar + 1}: {mark.text}", 6)
        if len(marks) > _MOST_MARKS:
            yield f"      and {len(marks) - _MOST_MARKS} more bars"


def _wrapped(text: str, indent: int) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent=" " * indent, subsequent_indent=" " * (indent + 4)
    )
