"""Slips in repeat signs and variant endings, read as they are meant.

All that is here looks at the bars of a whole voice after they were read, since a sign alone does
not show that it is a slip: [12 is the twelfth ending of a long ballad, and the first and second of
a reel.
"""

from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise

from pipelines.music.abc.score import Bar

_UNCLOSED = "a repeat begins here with |: and has no :|; played once"


class Slips:
    """What is doubtful in the signs of a tune, while it is read.

    Attributes:
      by_digits: for bars with an ending such as [12, its sign and the passes that its digits name
        one by one.
      opening_or_closing: bars that begin after |:|, which ends a repeat where nothing follows.
      warnings: pairs (line of the file, what was wrong).
    """

    def __init__(self):
        self.by_digits: dict[Bar, tuple[str, frozenset[int]]] = {}
        self.opening_or_closing: set[Bar] = set()
        self.warnings: list[tuple[int, str]] = []

    def closes(self, bar: Bar) -> None:
        """Lets the repeat end after a bar where |: was written."""
        if not bar.closes_repeat:
            bar.closes_repeat = 1
            self.warnings.append((bar.line, "|: where a repeat ends is read as :|"))


def mend(bars: Sequence[Bar], last: Bar, slips: Slips) -> Iterator[tuple[int, str]]:
    """Mends what is doubtful in a voice.

    Args:
      bars: those of the voice.
      last: the bar that would follow; nothing is in it.
      slips: what is doubtful.

    Yields:
      Warnings: the line of the file and what was wrong.
    """
    if last in slips.opening_or_closing and bars:
        slips.closes(bars[-1])
    elif last.opens_repeat:
        yield last.line, _UNCLOSED
    yield from slips.warnings
    slips.warnings = []
    yield from _settle_endings(bars, slips)
    yield from _unclosed(bars)
    for place in _doubled_pickups(bars):
        yield bars[place].line, "a pickup stands before |: and again after it; played twice"


def _settle_endings(bars: Sequence[Bar], slips: Slips) -> Iterator[tuple[int, str]]:
    """Reads endings such as [12 digit by digit where no endings for the passes before are there."""
    for group in _endings(bars, slips):
        if _is_whole(_passes(group)):
            continue
        for bar in group:
            if bar in slips.by_digits:
                token, bar.ending = slips.by_digits[bar]
                sign = token[:20] if token.startswith("[") else f"|{token[:20]}"
                yield bar.line, f"{sign} is read as {_listed(bar.ending)}"
        passes = _passes(group)
        if not _is_whole(passes):
            missing = next(number for number in range(1, max(passes)) if number not in passes)
            told = f"there is an ending for pass {max(passes)}, none for {missing}"
            if len(group) == 1 and missing == 1 and max(passes) > 2:
                # A number that may be no pass at all must not repeat the music so many times.
                group[0].ending = frozenset((2,))
                told += "; played as the second"
            yield group[0].line, told


def _listed(passes: Collection[int]) -> str:
    """Such as "pass 2" or "passes 1, 2 and 3"."""
    *first, last = map(str, sorted(passes))
    return f"passes {', '.join(first)} and {last}" if first else f"pass {last}"


def _passes(group: Sequence[Bar]) -> frozenset[int]:
    """The passes that have an ending."""
    return frozenset().union(*(bar.ending or () for bar in group))


def _endings(bars: Sequence[Bar], slips: Slips) -> Iterator[list[Bar]]:
    """The bars with variant endings, those of one repeat together."""
    group: list[Bar] = []
    passes: frozenset[int] = frozenset()  # Those of the group.
    begins = False  # Whether a repeat or part has begun since the last ending.
    for bar in bars:
        begins = begins or bar.opens_repeat or bar.part is not None
        if not bar.ending:
            continue
        _, by_digits = slips.by_digits.get(bar, ("", ()))
        first = 1 in bar.ending or (1 in by_digits and not _is_whole(passes | bar.ending))
        if group and (begins or first):
            yield group
            group, passes = [], frozenset()
        group.append(bar)
        passes |= bar.ending
        begins = False
    yield group


def _is_whole(passes: frozenset[int]) -> bool:
    """Whether there are endings for all passes from the first one on."""
    return len(passes) == max(passes, default=0)


def _unclosed(bars: Sequence[Bar]) -> Iterator[tuple[int, str]]:
    """Repeats that begin and do not end."""
    opened: Bar | None = None
    for bar in bars:
        if bar.opens_repeat:
            if opened:
                yield opened.line, _UNCLOSED
            opened = bar
        if bar.closes_repeat or (bar.ending and max(bar.ending) > 1):
            opened = None
    if opened:
        yield opened.line, _UNCLOSED


def _doubled_pickups(bars: Sequence[Bar]) -> Iterator[int]:
    """Pickups that stand both before a |: and after it, as in "A|:A|B2 c2 :|"."""
    before: Bar | None = None
    for place, (bar, after) in enumerate(pairwise(bars)):
        apart = before is None or before.closes_repeat or before.ends_section
        if (
            apart
            and after.opens_repeat
            and bar.measure
            and 0 < bar.length < bar.measure
            and bar.length == after.length
            and [note[:3] for note in bar.notes] == [note[:3] for note in after.notes]
        ):
            yield place
        before = bar
