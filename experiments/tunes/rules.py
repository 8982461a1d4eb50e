"""Known differences between readers, as rewritings of a tune that remove them.

Where two readers differ on a tune, and agree on the tune rewritten by a rule, the rule is why.
Both are given the rewritten tune.
"""

import re
from collections.abc import Callable

from pipelines.music.abc.tunebook import TuneText

Rule = Callable[[TuneText], TuneText]

_FIELD = re.compile(r"\s*[A-Za-z+]:(?![|:])")
_KEPT = r"""(?P<kept>"[^"]*"|\[[A-Za-z]:[^\]]*\]|![^!]*!|%.*)"""
_TIE = re.compile(rf"{_KEPT}|-")
_THICK = re.compile(rf"{_KEPT}|\[\|\]?|\|+\]|\|\|+")
_END = re.compile(r":\|+(?![:|\]\d]|\s*\[\s*[\d|]|\\?\s*\[)")
_END_INSIDE = re.compile(rf"{_END.pattern}(?=.*[A-Ga-g].*:\|)")
_ENDING_FIRST = re.compile(r"\s*\[?\s*\d")
_BOTH_LAST = re.compile(r"::(?=\s*\\?\s*$)")
_FINAL = re.compile(r"\|:\|\s*$")
_FREE_TUPLET = re.compile(rf"{_KEPT}|\((?P<notes>[579])(?![:\d])")
_BROKEN = re.compile(rf"{_KEPT}|[<>]+")


def _without(pattern: re.Pattern[str], replacement: str, line: str) -> str:
    return pattern.sub(lambda found: found["kept"] or replacement, line)


def _in_music(tune: TuneText, pattern: re.Pattern[str], replacement: str) -> TuneText:
    lines = [
        line if _FIELD.match(line) else _without(pattern, replacement, line) for line in tune.lines
    ]
    return tune._replace(lines=tuple(lines))


def without_parts(tune: TuneText) -> TuneText:
    """No P: fields: abcjs plays parts in the order in which they are written."""
    lines = tuple("" if line.lstrip().startswith("P:") else line for line in tune.lines)
    return tune._replace(lines=lines)


def without_sections(tune: TuneText) -> TuneText:
    """Neither P: nor double bars: where a `:|` without `|:` goes back to.

    The standard (4.8) recommends "the beginning of the tune, or the latest double bar line or end
    of repeated section"; abc2midi and abcjs pass double bars.
    """
    return _in_music(without_parts(tune), _THICK, "|")


def with_starts(tune: TuneText) -> TuneText:
    """No P:, and each repeat begins with a sign of its own: every double bar and every `:|` is one.

    abcjs hangs the variant endings of a repeat without `|:` on the repeat before. A `:|` before
    another ending stays, and so does what no `:|` follows.
    """
    tune = without_parts(tune)
    last = max((i for i, line in enumerate(tune.lines) if ":|" in line), default=0)
    lines = []
    for number, line in enumerate(tune.lines):
        if not _FIELD.match(line):
            line = (_END if number < last else _END_INSIDE).sub("::", line)
            line = _without(_THICK, "|:" if number < last else "|", line)
        if lines and _ENDING_FIRST.match(line):
            lines[-1] = _BOTH_LAST.sub(":|", lines[-1])
        lines.append(line)
    return tune._replace(lines=tuple(lines))


def with_ends(tune: TuneText) -> TuneText:
    """`:|` in place of `|:|` at the end of a tune: here that is a repeat sign, elsewhere none."""
    lines = [*tune.lines]
    lines[-1] = _FINAL.sub(":|", lines[-1])
    return tune._replace(lines=tuple(lines))


def with_times_of_tuplets(tune: TuneText) -> TuneText:
    """`(5:2` for `(5`, and so for 7 and 9: here the length of the bar says how long they are."""
    lines = [
        line
        if _FIELD.match(line)
        else _FREE_TUPLET.sub(lambda found: found["kept"] or f"({found['notes']}:2", line)
        for line in tune.lines
    ]
    return tune._replace(lines=tuple(lines))


def with_accidentals_in_octave(tune: TuneText) -> TuneText:
    """Accidentals hold in their own octave, as in abcjs, not in all, as 11.3 has it."""
    lines = ("%%propagate-accidentals octave", *tune.lines)
    return tune._replace(line=tune.line - 1, lines=lines)


def without_ties(tune: TuneText) -> TuneText:
    """No ties: before a note of another pitch, where older books write them for slurs.

    abcjs lets such a tie wait for the next note of its pitch, music21 joins the two notes.
    """
    return _in_music(tune, _TIE, "")


def without_broken_rhythm(tune: TuneText) -> TuneText:
    """No `>` and `<`: between notes of unequal lengths they are undefined (4.4)."""
    return _in_music(tune, _BROKEN, " ")


RULES: dict[str, Rule] = {
    "parts": without_parts,
    "sections": without_sections,
    "starts": with_starts,
    "ends": with_ends,
    "times of tuplets": with_times_of_tuplets,
    "octaves": with_accidentals_in_octave,
    "ties": without_ties,
    "broken rhythm": without_broken_rhythm,
}
