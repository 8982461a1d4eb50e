"""Lines of a tune's text: what each is, and what is in it besides music.

Tunebooks come from e-mails, word processors and web pages: prose stands between and behind the
notes, and some signs are not those that were typed. No function here keeps anything; those that may
leave something out return the text and warnings that say what.
"""

import re
from collections.abc import Sequence

from pipelines.music.abc.tunebook import is_music

# A line that begins with a note or a rest and a repeat sign, "G:|" or "Z:|", is music.
_FIELD_LINE = re.compile(r"[ \t]*([H-Ymrsw+]|[A-G](?!:[|:\]])|Z(?!:[|:\]]+\s*$)):(.*)", re.DOTALL)
_COMMENT = re.compile(r"(?<!\\)%.*", re.DOTALL)
_DOUBTFUL = re.compile(
    r"[^\W\d_a-gA-Gx-z]{2}"
    # Nothing but words, such as "Regards," or "Bob", in which each other letter is a note.
    r"|^(?=[a-gA-G,.!?'\s-]*+[^\W\d_])\s*(?:[A-Za-z][a-z]++[,.!?'\s-]*+)++$"
)
# A word among the notes, told by letters that hardly any tune has as decorations; it does not
# count inside the signs that may have words.
_WORD = re.compile(
    r'"[^"]*"|![^!\s]*!|\+[^+\s]*\+|\[[A-Za-z]:[^\]]{0,500}\]|\{[^{}]*\}'
    r"|(?<![A-Za-z])(?P<word>(?=[A-Za-z][a-hj-np-z]*+[io])[A-Za-z][a-z]*+(?![A-Za-z])[.,:;?]?"
    r"|FINE|CODA|D\. ?[CS]\.(?=[\s|\]]|$))"
)
# What word processors make of the signs of music.
_TYPOGRAPHIC = str.maketrans("\u2018\u2019\xb4\u2013\u2212\xa0\u2009\u202f\u2028", "'''--    ")
# A line that someone drew between two tunes, such as "=====" or "---8<---".
_RULE = re.compile(r"\s*(?:-{3}|={3}|_{3}|\*{3}|\#{3})[-=_*#<>8\s]*$")
# A field that lost its line, as in "g2|] B:Litten".
_FIELD_BEHIND = re.compile(r"[ \t][A-Z]:[ \t]*[A-Z][a-z]+[. ].*")
_QUOTED_PRINTABLE = re.compile(r"=(?:20)?[ \t]*$")
# Fields of words, in which "=20" is what e-mail leaves and no number.
_TEXTS = frozenset("ABCDFGHNORSTZ")


def without_comment(text: str) -> str:
    """The line up to its comment."""
    return _COMMENT.sub("", text)


def is_blank(text: str) -> bool:
    """Whether a line has nothing to read: it is empty, or a rule between two tunes."""
    return not text or text.isspace() or _RULE.match(text) is not None


def field(text: str) -> tuple[str, str] | None:
    """The letter and the value of a line that is an information field, else None."""
    match = _FIELD_LINE.match(text)
    if not match:
        return None
    letter, value = match.groups()
    return letter, value.removesuffix("=20") if letter in _TEXTS else value


def first_music(lines: Sequence[str]) -> int | None:
    """Where the music of a tune begins that has no key, or has music before it; else None.

    Args:
      lines: of the whole tune; the result is an index of them.
    """
    found = None
    for number, line in enumerate(lines):
        if line.lstrip().startswith("K:"):
            # A single line that looks like music may stand among the fields.
            return (
                found
                if found is not None and any(map(is_music, lines[found + 1 : number]))
                else None
            )
        if found is None and is_music(line):
            found = number
    return found


def music_in(text: str) -> tuple[str, list[str]]:
    """The part of a line that is music, with warnings of what is not.

    The text is "" where the line is prose.
    """
    warnings = []
    if match := _FIELD_BEHIND.search(text):
        warnings.append("the words at the end of this line are left out")
        text = text[: match.start()]
    if "=" in text:
        # What e-mail leaves in tunes: "=20" at a line's end, "=3D" for a natural.
        text = _QUOTED_PRINTABLE.sub("", text).replace("=3D", "=")
    if _DOUBTFUL.search(text) and not is_music(text):
        # Music may end in words; up to its last bar line it is still music.
        text = text[: text.rfind("|") + 1]
        if not is_music(text):
            return "", [*warnings, "this line is not music; left out"]
        warnings.append("the words at the end of this line are left out")
    return text, warnings


def without_words(text: str) -> tuple[str, list[str]]:
    """Music with its signs as they were meant, and with no words among the notes."""
    if not text.isascii():
        text = text.translate(_TYPOGRAPHIC)
    warnings: list[str] = []
    # Most lines have none of these, and looking for words takes long.
    if "i" in text or "o" in text or "D." in text or "FI" in text or "CO" in text:

        def replacement(match: re.Match) -> str:
            word = match["word"]
            if word is None:
                return match[0]
            warnings.append(f"the word {word[:20]!r} is left out")
            return " "

        text = _WORD.sub(replacement, text)
    return text, warnings
