"""The signs in a line of ABC music, each by itself: tokens, notes, lengths, bar lines.

The ABC standard 2.1, https://abcnotation.com/wiki/abc:standard:v2.1, chapter 4.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from pipelines.music.abc.fields import ACCIDENTALS, SEMITONES, STEPS

_LENGTH = r"\d{0,6}(?:/+\d{0,6})?"
_NOTE = r"(?:\^{1,2}|_{1,2}|=)?[A-Ga-g][,']*" + _LENGTH
# A pattern for each kind of token, the commonest first; the first that matches is taken.
_KINDS = {
    "note": _NOTE,
    "skip": r"[ \t`]+",
    # Any mixture of the signs of bar lines that begins like one: | || |] [| :| |: :: :|] [|]:|
    "bar": r"\.?:*(?:\[\||\|)[|\]:]*(?:\[\|\]*:*)?|::+",
    "text": r'"[^"]*"',
    "rest": r"[zx]" + _LENGTH,
    "broken": r">+|<+",
    "tie": r"\.?-",
    # Overlays of several bars, as abcm2ps and abc2midi have them: (& ... & ... &)
    "long_overlay": r"\(&|&\)",
    "tuplet": r"\(\d{1,3}(?::\d{0,3})?(?::\d{0,3})?",
    "slur": r"\.?[()]",
    "grace": r"\{[^{}]*\}",
    # Letters that stand for a decoration, including all that U: may define.
    "decoration": r"[~.HIJKLMNOPQRSTUVWhijklmnopqrstuvw]",
    "named": r"![^!\s|]{1,40}!",
    "plus": r"\+[^+\s|]{1,40}\+",
    "inline": r"\[[A-Za-z]:[^\]]{0,1000}\]",
    # Such as a meter inside a bar, 2/4; its numbers are no endings.
    "fraction": r"(?<![A-Za-z\d/])\d+/\d+",
    # Some write its number as a text, ["1"; but ["1"CE] is a chord with a fingering.
    "ending": r"(?:\[[ \t]*|(?<=[|:\]]))\d[\d,.\-]*+(?!/)"
    r'|\["[ \t]*\d[^"]{0,40}"(?![^\[\]|"]*(?:"[^"]*"[^\[\]|"]*)*\])',
    "chord": r'\[[^\[\]|"]*(?:"[^"]*"[^\[\]|"]*)*\]' + _LENGTH,
    "rests": r"[ZX]\d{0,9}",
    "overlay": r"&",
    "spacer": r"y" + _LENGTH,
    # A number that stands apart; after a letter, as in "V1", it is a part of a name.
    "number": r"(?<![A-Za-z\d/])\d[\d,.\-]*+(?!/)",
    # Line breaks of several standards, and reserved signs without a meaning.
    "layout": r"[\\$!*;?@\r]",
    "microtone": r"[\^_]\d{0,2}/\d{0,2}(?=[A-Ga-g])",
    "other": r".",
}
TOKEN = re.compile("|".join(f"(?P<{kind}>{sign})" for kind, sign in _KINDS.items()), re.DOTALL)
# Kinds of tokens that do not change what is heard.
SILENT = frozenset(("skip", "slur", "decoration", "layout", "spacer"))
# Decorations that ask to go on elsewhere, without their last dot.
JUMPS = frozenset(
    ("d.c", "d.s", "dc", "ds", "dacapo", "dacoda", "dalsegno", "fine", "coda", "segno")
)
OLD_CHORD = re.compile(rf"\+(?!f+\+)(?:{_NOTE}){{2,}}\+")

_QUALITY = "maj|min|mi|ma|m|M|dim|aug|sus|add|alt|no|omit|o|°|ø|\\+|-|\\^|#|b|♯|♭|[(),0-9]"
CHORD_SYMBOL = re.compile(
    rf"\(?[A-G][#b♯♭]?(?:{_QUALITY}){{0,12}}(?:/[A-Ga-g][#b♯♭]?)?\)?$|N\.?C\.?$"
)

_NOTE_PARTS = re.compile(r"(\^{1,2}|_{1,2}|=)?([A-Ga-g])([,']*)(.*)")
# In a chord, other signs may stand between a note and its tie. What stands between plus signs is a
# decoration of an old standard, but for notes of an old chord.
_NOTE_AND_TIE = re.compile(
    rf'"[^"]*"|![^!]*!|\{{[^{{}}]*\}}|\+(?!(?!f+\+)(?:{_NOTE})+\+)[^+\s|]{{1,40}}\+|({_NOTE})(-?)'
)
# A run of "|" is looked at from its first on, or time would be quadratic.
_BAR_PARTS = re.compile(
    r"\[\|\]|(?P<closing>:+(?=\[\|)|:+\|[|\]]*)|(?P<opening>(?<!\|)\|+:+)|(?P<both>::+)|(?P<late>:)|."
)
_MAX_PASS = 99
_ENDING_NUMBERS = re.compile(r"\d[\d,.\-\s]*")
_TUPLETS = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}


class Note(NamedTuple):
    """What the signs of a note say.

    Attributes:
      staff: its position on the staff, in steps.
      natural: its MIDI pitch without accidentals.
      step: its letter, from 0 for C.
      accidental: semitones; None where it has no accidental of its own.
      numerator, denominator: its length in unit note lengths.
      ties: whether it is tied to the next, inside a chord.
    """

    staff: int
    natural: int
    step: int
    accidental: int | None
    numerator: int
    denominator: int
    ties: bool = False


# What the signs say does not depend on the tune, and tunebooks have few different notes.
@lru_cache(maxsize=20_000)
def note(token: str) -> Note:
    """Reads a token of the kind "note" (4.1 to 4.3)."""
    match = _NOTE_PARTS.fullmatch(token)
    if not match:
        raise ValueError(f"{token} is not a note")
    accidental, letter, octaves, its_length = match.groups()
    step = STEPS.index(letter.upper())
    # C is the middle C, c the one above.
    octave = (5 if letter.isupper() else 6) + octaves.count("'") - octaves.count(",")
    return Note(
        step + 7 * octave,
        SEMITONES[step] + 12 * octave,
        step,
        ACCIDENTALS.get(accidental),
        *length(its_length),
    )


def length(text: str) -> tuple[int, int]:
    """Reads a length such as 3, /2, 3/2, // as numerator and denominator; 0 is 1 (4.3)."""
    if not text:
        return 1, 1
    before, _, after = text.partition("/")
    numerator = int(before) if before else 1
    if before == text:
        return numerator or 1, 1
    digits = after.lstrip("/")
    denominator = int(digits) if digits else 2 ** min(len(after) + 1, 10)
    return numerator or 1, denominator or 1


def notes_in(text: str) -> list[Note]:
    """Reads the notes of a chord or of a group of grace notes; other signs may be between them."""
    return [
        note(match[1])._replace(ties=bool(match[2])) if match[2] else note(match[1])
        for match in _NOTE_AND_TIE.finditer(text)
        if match[1]
    ]


def tuplet(token: str, compound: bool) -> tuple[int, int, int]:
    """Reads a tuplet `(p:q:r`: p notes in the time of q, for the next r notes (4.13).

    Args:
      token: of the kind "tuplet".
      compound: whether the meter is compound: 5, 7 and 9 notes then take the time of 3, otherwise
        that of 2.

    Returns:
      p, q and r.

    Raises:
      ValueError: if it says no tuplet.
    """
    numbers = [int(part or 0) for part in token[1:].split(":")] + [0, 0]
    notes, time, count = numbers[:3]
    if not time:
        time = _TUPLETS.get(notes, (3 if compound else 2) if notes in (5, 7, 9) else 0)
    if not notes or not time:
        raise ValueError(f"{token} is no tuplet")
    return notes, time, count or notes


class BarLine(NamedTuple):
    """What a bar line says.

    Attributes:
      closes: how often it sends back to the begin of a repeat.
      opens: whether a repeat begins after it.
      thick: whether a section ends there.
    """

    closes: int
    opens: bool
    thick: bool


def bar_line(token: str) -> BarLine:
    """Reads a token of the kind "bar" (4.8), from left to right: |:||| opens, [|]:| closes."""
    closes, opens = 0, False
    for part in _BAR_PARTS.finditer(token):
        if part.lastgroup == "closing":
            closes = max(closes, part.group().count(":"))
        elif part.lastgroup == "both":
            closes, opens = max(closes, len(part.group()) // 2), True
        elif part.lastgroup in ("opening", "late"):
            opens = True
    return BarLine(closes, opens, "||" in token or "[" in token or "]" in token)


def ending(token: str) -> frozenset[int]:
    """Reads the passes for which a variant ending is played: [1 or [1,3 or [1-3 (4.9, 4.10).

    People also write [1.3 and ["1". An ending that names no possible pass, such as [0, is played
    the first time.
    """
    passes: set[int] = set()
    for part in _passes(token):
        numbers = [min(int(number[:3]), _MAX_PASS) for number in part.split("-") if number]
        if numbers:
            passes.update(range(max(min(numbers), 1), max(numbers) + 1))
    return frozenset(passes or (1,))


def ending_by_digits(token: str) -> frozenset[int] | None:
    """Reads an ending such as [12 or |2345 as a list of passes without commas: 1 and 2, 2 to 5.

    None where no number has several digits, or none of these is a pass.
    """
    passes: set[int] = set()
    several = False
    for part in _passes(token):
        if any(len(number) > 1 for number in part.split("-")):
            several = True
            passes.update(int(digit) for digit in part if digit.isdecimal())
        else:
            passes.update(ending(part) if part.strip("-") else ())
    passes.discard(0)
    return frozenset(passes) if several and passes else None


def _passes(token: str) -> list[str]:
    """The parts of an ending between its commas and dots, without other signs."""
    numbers = _ENDING_NUMBERS.search(token)
    return re.split("[,.]", re.sub(r"\s", "", numbers[0])) if numbers else []
