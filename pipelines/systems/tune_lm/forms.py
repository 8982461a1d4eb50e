"""The form of a tune: its bars, with the signs between them, before any note is there.

A form is written as musicians write it, a letter for each time that a strain is played: AABB is
two strains, each repeated. A prime (AA'BB') gives the repeat an ending of its own: the strain is
written once, with a first and a second ending. Where a strain comes back later (AABA, ABAB) each
strain is written once under a label, and the header tells in which order they are played.
"""

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from pipelines.music.abc import fields
from pipelines.music.abc.fields import Meter
from pipelines.music.abc.grid import WHOLE
from pipelines.representations.abc_tokens import vocabulary
from pipelines.representations.abc_tokens.steps import measure

# What a model is told of its place goes so far (`abc_tokens.context`).
MAX_STRAINS, MAX_BARS = 8, 32
_TIME = re.compile(r"([A-Z])('?)")
LINE = vocabulary.LINES[False, False, False]
_CLOSE = vocabulary.LINES[True, False, False]
_DOUBLE = vocabulary.LINES[False, False, True]


def _ending(number: int) -> int:
    return vocabulary.FIRST_ENDING + vocabulary.ENDINGS.index(frozenset((number,)))


FIRST_ENDING, SECOND_ENDING = _ending(1), _ending(2)


class FormError(ValueError):
    """A form that cannot be counted, and why."""


class Bar(NamedTuple):
    """A bar to be written.

    Attributes:
      length: in parts of a whole note.
      before: the signs that stand before it, in their order.
      cadence: whether its last note has to be one of those that end a tune.
    """

    length: int
    before: tuple[int, ...] = ()
    cadence: bool = False


class Form(NamedTuple):
    """The bars of a tune.

    Attributes:
      bars: in the order in which they are written.
      after: the signs after the last one: a repeat may close, then the tune ends.
      parts: in which order its parts are played, as of `written.Tune`.
    """

    bars: list[Bar]
    after: tuple[int, ...] = (vocabulary.END,)
    parts: str = ""


class _Strain(NamedTuple):
    """A strain, how often it is played in a row, and whether the repeat has its own ending."""

    letter: str
    times: int
    endings: bool


def form(
    letters: str, bars: int | Sequence[int], meter: Meter, pickup: int = 0, ending_bars: int = 1
) -> Form:
    """The bars of a form such as AABB, AA'B or ABAB.

    Args:
      letters: see the module.
      bars: of each strain, or of each different one, as many as are played each time.
      meter: of all bars.
      pickup: the length of the pickup to each strain, in parts of a whole note; the last bar of
        each strain, and of each ending, is shorter by it.
      ending_bars: how many bars an ending has.

    Raises:
      FormError: where the form cannot be counted.
    """
    strains = _strains(letters)
    written = list(dict.fromkeys(strain.letter for strain in strains))
    counts = _counts(letters, bars, len(written))
    full = measure(meter)
    if not 0 <= pickup < full or (pickup and min(counts) < 2):
        raise FormError(
            f"a pickup of {Fraction(pickup, WHOLE)} does not fit strains of {min(counts)} bars of "
            f"{fields.write_meter(meter)}"
        )
    of_letter = dict(zip(written, counts, strict=True))
    for strain in strains:
        if strain.endings and not 0 < ending_bars < of_letter[strain.letter]:
            raise FormError(
                f"endings of {ending_bars} bars do not fit a strain of {of_letter[strain.letter]}"
            )
    sizes = [[*[pickup] * bool(pickup), *[full] * (count - 1), full - pickup] for count in counts]
    if len(written) < len(strains) or any(strain.times > 2 for strain in strains):
        return _in_parts(letters, strains, dict(zip(written, sizes, strict=True)))
    return _repeated(strains, sizes, full, ending_bars)


def _strains(letters: str) -> list[_Strain]:
    """The strains in the order in which they are played."""
    found: list[_Strain] = []
    at = 0
    text = letters.replace("’", "'")
    while at < len(text):
        match = _TIME.match(text, at)
        if match is None:
            raise FormError(f"{letters!r} is no form; write it as AABB, AA'BB' or ABAB")
        letter, prime = match[1], bool(match[2])
        at = match.end()
        if found and found[-1].letter == letter and not found[-1].endings:
            found[-1] = _Strain(letter, found[-1].times + 1, prime)
            if prime and found[-1].times != 2:
                raise FormError(f"{letters!r}: endings go with strains that are played twice")
        elif prime:
            raise FormError(
                f"{letters!r}: {letter}' follows no {letter}; {letter}{letter}' is a strain with a "
                "first and a second ending"
            )
        else:
            found.append(_Strain(letter, 1, False))
    names = list(dict.fromkeys(strain.letter for strain in found))
    if not names:
        raise FormError("a form without a strain is no tune")
    expected = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(names)]
    if "".join(names) != expected:
        raise FormError(f"{letters!r} does not name its strains {', '.join(expected)}, in order")
    if len(names) > MAX_STRAINS:
        raise FormError(f"{letters!r} has {len(names)} strains; a tune has at most {MAX_STRAINS}")
    return found


def _counts(letters: str, bars: int | Sequence[int], strains: int) -> list[int]:
    """How many bars each different strain has."""
    counts = [bars] * strains if isinstance(bars, int) else list(bars)
    if len(counts) == 1:
        counts *= strains
    if len(counts) != strains:
        raise FormError(f"{letters} has {strains} strains, and bars are given for {len(counts)}")
    for count in counts:
        if not 1 <= count <= MAX_BARS:
            raise FormError(f"a strain has 1 to {MAX_BARS} bars, not {count}")
    return counts


def _in_parts(letters: str, strains: Sequence[_Strain], sizes: dict[str, list[int]]) -> Form:
    """Each strain once, under a label."""
    if any(strain.endings for strain in strains):
        raise FormError(
            f"{letters!r}: a strain with endings does not go with one that comes back later, or is "
            "played three times"
        )
    made: list[Bar] = []
    for letter, lengths in sizes.items():
        before = (*[_DOUBLE] * bool(made), vocabulary.PART)
        of_strain = [Bar(lengths[0], before), *(Bar(length, (LINE,)) for length in lengths[1:])]
        if letter == strains[-1].letter:
            of_strain[-1] = of_strain[-1]._replace(cadence=True)
        made += of_strain
    order = "".join(strain.letter * strain.times for strain in strains)
    return Form(made, parts=order)


def _repeated(
    strains: Sequence[_Strain], sizes: Sequence[Sequence[int]], full: int, ending_bars: int
) -> Form:
    """Each strain between signs of a repeat, or by itself."""
    made: list[Bar] = []
    closes = False
    for strain, lengths in zip(strains, sizes, strict=True):
        opens = strain.times == 2
        line = vocabulary.LINES[closes, opens, not (closes or opens)]
        # A tune that does not begin with a repeat begins with its first note.
        before = (line,) if made or opens else ()
        of_strain = [Bar(lengths[0], before), *(Bar(length, (LINE,)) for length in lengths[1:])]
        if strain.endings:
            first = of_strain[-ending_bars:]
            second = list(first)
            first[0] = first[0]._replace(before=(LINE, FIRST_ENDING))
            second[0] = second[0]._replace(before=(_CLOSE, SECOND_ENDING))
            of_strain[-ending_bars:] = [*first, *second]
        made += of_strain
        closes = opens and not strain.endings
    made[-1] = made[-1]._replace(cadence=True)
    return Form(made, (*[_CLOSE] * closes, vocabulary.END))
