"""Lines of a tune's text: what each one is, and what is in it besides music.

Tunebooks come from e-mails, word processors and web pages: prose stands between and behind the
notes, and some signs are not those that were typed. Both `tunebook`, which cuts files into tunes,
and `notation`, which reads them, have to tell music from the rest, so this is a module of its own.
Functions that may leave something out return the text and warnings that say what.

The ABC standard 2.1, https://abcnotation.com/wiki/abc:standard:v2.1
"""

import re
from collections.abc import Sequence

# Fields and comments

# The letter of a field; but "G:|", "c:|" and "Z:|" are a note or a rest before a repeat.
FIELD = re.compile(r"[ \t]*([H-Ymrsw+]|[A-G](?!:[|:\]])|Z(?!:[|:\]]+\s*$)):")
FIELD_OR_COMMENT = re.compile(rf"{FIELD.pattern}|[ \t]*%")
# Fields of words: "=20" at their ends is left by e-mail and is not a number.
_TEXTS = frozenset("ABCDFGHNORSTZ")
_COMMENT = re.compile(r"(?<!\\)%.*", re.DOTALL)
# A rule that someone drew between two tunes, such as "=====" or "---8<---".
_RULE = re.compile(r"\s*(?:-{3}|={3}|_{3}|\*{3}|\#{3})[-=_*#<>8\s]*$")


def without_comment(text: str) -> str:
    """The line up to its comment."""
    return _COMMENT.sub("", text)


def is_blank(text: str) -> bool:
    """Whether a line holds nothing: it is empty, or a rule between two tunes."""
    return not text or text.isspace() or _RULE.match(text) is not None


def field(text: str) -> tuple[str, str] | None:
    """The letter and the value of a line that is an information field, else None."""
    match = FIELD.match(text)
    if not match:
        return None
    letter, value = match[1], text[match.end() :]
    return letter, value.removesuffix("=20") if letter in _TEXTS else value


# Music or prose

# What a line of music holds besides notes: chord symbols, decorations, fields, grace notes.
_ASIDE = re.compile(
    r"""
      "[^"]*"
    | ![^!\s][^!]{0,30}! | \+[A-Za-z.<>()0-9]{1,15}\+
    | \[[A-Zmrsw]:[^\]]{0,200}\]
    | \{[A-Ga-gzkuvTM~.^_=,'/\d<>()\[\]\- ]{1,100}\}
    """,
    re.VERBOSE,
)
_LENGTH = r"\d{0,4}(?:/+\d{0,4})?"
_NOTES = re.compile(
    rf"""
      (?:[\^_=]{{0,2}}/?[A-Ga-g][,']*|[zxZXy]){_LENGTH}
    # Decorations; U: may define any letter as one.
    | [~.H-Wh-w]{{1,3}}[ ]*(?=[\^_=A-Ga-gzxZ(\[{{|:\-])
    | \][,']*{_LENGTH} | \(\d(?::\d?){{0,2}}
    | \[?[|:]+\]?[ ]?(?:\d[\d,.\-]*)? | \[[ ]?\d[\d,.\-]* | [\[\]()\-<>&*`\\$]
    """,
    re.VERBOSE,
)
_LETTERS = re.compile(r"[^\W\d_]")
_NO_NOTE_NAMES = re.compile(r"[^\W\d_A-Ga-gxyzXZ]")
# Letters that are three of five in prose and rare in music, though U: may make them decorations.
_OF_WORDS = re.compile(r"[h-jl-tw]")
# Commas and the like are music only right before or right after a note.
_FOREIGN = re.compile(r"[^\W\d_]|[.,;?](?=\s|$)")
_BARS = re.compile(r"[\s|:\[\]()\d.,\\&*=]*")
_BAR_LINES = re.compile(r"[|:\]]*\|[|:\]]*|::")
# Signs that only music has; letters alone may be words.
_EVIDENCE = re.compile(
    r"\||::|[A-Ga-gz][,']*[\d/]|[\^_=][A-Ga-g]|[A-Ga-g]\s*[<>]\s*[.(]*[A-Ga-gz]|\\$"
)
_LETTERS_TOGETHER = re.compile(r"[^\W\d_]+")
_WORDS = frozenset(
    "a ab abb ace ad add age baa bad badge bag bc bd be bead bed bee beef beg ca cab cabbage cafe "
    "cage cd cede da dab dad dc dead deaf deed ebb ed edge eg egg face fad fade faded fed fee "
    "feed gab gag gage gee".split()
)
_LONGEST_LOOKED_AT = 2000


def is_music(line: str) -> bool:
    """Whether a line is ABC music, and not prose, a field or a comment.

    Nearly all of its letters have to read as music, and not more of them as decorations than music
    has. If a line has nothing but letters, they must all be notes, and not a few words that the
    notes' names happen to spell ("A bad egg").
    """
    line = line[:_LONGEST_LOOKED_AT].split("%", 1)[0].strip()
    if not line or FIELD.match(line):
        return False
    bare, asides = _ASIDE.subn("", line)
    bars = len(_BAR_LINES.findall(bare))
    letters = len(_LETTERS.findall(bare))
    if not letters:
        return bool(bars or (asides and bare.endswith("\\"))) and bool(_BARS.fullmatch(bare))
    foreign = len(_FOREIGN.findall(_NOTES.sub("", bare)))
    no_names = len(_NO_NOTE_NAMES.findall(bare))
    if _EVIDENCE.search(bare):
        return (
            foreign <= letters * (0.25 if bars > 2 else 0.1)
            and len(_OF_WORDS.findall(bare)) <= max(1, letters * 0.3)
            and (no_names <= letters * 0.6 or letters < 5)
        )
    words = _LETTERS_TOGETHER.findall(bare)
    return (
        not foreign
        and not no_names
        and (len(words) > 3 or not _WORDS.issuperset(word.lower() for word in words))
    )


def first_music(lines: Sequence[str]) -> int | None:
    """Finds the first music of a tune that has no key, or that has music before its key.

    Args:
      lines: all lines of the tune.

    Returns:
      The index of a line; None where the key comes first, as it should.
    """
    found = None
    for number, line in enumerate(lines):
        if line.lstrip().startswith("K:"):
            # A single line among the fields may only look like music.
            return (
                found
                if found is not None and any(map(is_music, lines[found + 1 : number]))
                else None
            )
        if found is None and is_music(line):
            found = number
    return found


# Sites that collect tunes want some music where a member has none to give.
_PLACEHOLDER = re.compile(r"(?:abc(?:d(?:e(?:fg?)?)?)?)+|(?:ABC(?:D(?:E(?:FG?)?)?)?)+")
_BAR_SIGNS = re.compile(r"[\s|:\[\]]+")


def is_placeholder(lines: Sequence[str]) -> bool:
    """Whether the music of a tune is nothing but the begin of the alphabet, as in "|: abcd :|"."""
    music = (without_comment(line) for line in lines if not FIELD.match(line))
    return _PLACEHOLDER.fullmatch(_BAR_SIGNS.sub("", "".join(music))) is not None


# Removing what is not music

_DOUBTFUL = re.compile(
    r"[^\W\d_a-gA-Gx-z]{2}"
    # Words alone, such as "Regards," or "Bob", in which every second letter is a note.
    r"|^(?=[a-gA-G,.!?'\s-]*+[^\W\d_])\s*(?:[A-Za-z][a-z]++[,.!?'\s-]*+)++$"
)
# A word among the notes, recognised by letters that hardly any tune uses as decorations. Signs that
# may contain words are skipped.
_WORD_AMONG_NOTES = re.compile(
    r'"[^"]*"|![^!\s]*!|\+[^+\s]*\+|\[[A-Za-z]:[^\]]{0,500}\]|\{[^{}]*\}'
    r"|(?<![A-Za-z])(?P<word>(?=[A-Za-z][a-hj-np-z]*+[io])[A-Za-z][a-z]*+(?![A-Za-z])[.,:;?]?"
    r"|FINE|CODA|D\. ?[CS]\.(?=[\s|\]]|$))"
)
# What word processors turn the signs of music into.
_TYPOGRAPHIC = str.maketrans("\u2018\u2019\xb4\u2013\u2212\xa0\u2009\u202f\u2028", "'''--    ")
# A field that lost its line end, as in "g2|] B:Litten".
_FIELD_BEHIND = re.compile(r"[ \t][A-Z]:[ \t]*[A-Z][a-z]+[. ].*")
_QUOTED_PRINTABLE = re.compile(r"=(?:20)?[ \t]*$")


def music_in(text: str) -> tuple[str, list[str]]:
    """The part of a line that is music, and warnings that say what was left out.

    The text is "" where the whole line is prose.
    """
    warnings = []
    if match := _FIELD_BEHIND.search(text):
        warnings.append("the words at the end of this line are left out")
        text = text[: match.start()]
    if "=" in text:
        # E-mail leaves "=20" at the ends of lines, and "=3D" for a natural.
        text = _QUOTED_PRINTABLE.sub("", text).replace("=3D", "=")
    if _DOUBTFUL.search(text) and not is_music(text):
        # Music may end in words: up to its last bar line the line may still be music.
        text = text[: text.rfind("|") + 1]
        if not is_music(text):
            return "", [*warnings, "this line is not music; left out"]
        warnings.append("the words at the end of this line are left out")
    return text, warnings


def without_words(text: str) -> tuple[str, list[str]]:
    """Music with the signs that were meant, without words among the notes; and warnings."""
    if not text.isascii():
        text = text.translate(_TYPOGRAPHIC)
    warnings: list[str] = []
    # Looking for words takes long, and most lines have none of these.
    if "i" in text or "o" in text or "D." in text or "FI" in text or "CO" in text:

        def replacement(match: re.Match) -> str:
            word = match["word"]
            if word is None:
                return match[0]
            warnings.append(f"the word {word[:20]!r} is left out")
            return " "

        text = _WORD_AMONG_NOTES.sub(replacement, text)
    return text, warnings


# Macros (chapter 9)

_MAX_MACROS = 20
_MAX_REPLACEMENT = 200
# How many characters macros may add to a tune; each may contain another many times.
_ROOM = 100_000


class Macros:
    """The macros of a tune: signs that it makes up for longer ones."""

    def __init__(self):
        self._macros: list[tuple[str, str]] = []
        self._room = _ROOM

    def define(self, value: str) -> None:
        """Defines a static macro (9.1). Transposing ones would need the note that they belong to.

        Args:
          value: of an `m:` field.

        Raises:
          ValueError: with the reason why it is not defined.
        """
        name, equals, replacement = value.partition("=")
        name, replacement = name.strip(), replacement.strip()
        if (
            not equals
            or not name
            or len(replacement) > _MAX_REPLACEMENT
            or len(self._macros) >= _MAX_MACROS
        ):
            raise ValueError("a macro cannot be read")
        if "n" in name:
            raise ValueError("transposing macros are not played")
        self._macros.append((name, replacement))

    def expand(self, text: str) -> tuple[str, list[str]]:
        """A line with its macros written out, and warnings: macros that add too much go."""
        for name, replacement in self._macros:
            longer = text.replace(name, replacement)
            self._room -= max(len(longer) - len(text), 0)
            if self._room < 0:
                self._macros = []
                return text, ["the macros make the tune too long; from here on they are left out"]
            text = longer
        return text, []
