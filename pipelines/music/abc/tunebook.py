"""The bytes of a file to the texts of its tunes: encodings, line ends, prose and markup around.

A tune begins at its `X:` line and ends at an empty line, at the next `X:`, at closing markup or
with the file. Where people's files do not follow the standard, they are read as they are meant:

- Blank lines before the first line of music do not end a tune, where fields or music follow.
- Fields without `X:` begin a tune if they have a title and a key or a meter, and music follows.
- A tune may be indented, quoted as in e-mail ("> "), and stand in HTML, in a wiki page or in an
  XML dump of one; HTML's entities are resolved, which ABC's own text strings know too.
- Lines between `%%begintext` and `%%endtext` are not music.

Prose right under a tune stays in its lines; `lines.is_music` tells which of them are music.
All functions take time linear in the file's size.
"""

import codecs
import html
import operator
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pipelines.music.abc.lines import FIELD, FIELD_OR_COMMENT, is_music
from pipelines.music.limits import Rejected


class TuneText(NamedTuple):
    """The text of one tune.

    Attributes:
      line: where it begins in the file, counted from 1.
      lines: its lines without line ends; `lines[i]` is the file's line `line + i`. Comments are
        kept, markup is removed, and lines of markup alone are "". The first line need not be the
        `X:` line: a tune may have none, and titles may stand before it.
      reference: the value of `X:`, "" where there is no `X:`.
      file_header: the fields and directives for all tunes, from the file's first lines.
      left_over: the line of the file where music begins that follows this tune and belongs to no
        tune, such as the rest of a tune with a blank line inside; 0 if there is none.
    """

    line: int
    lines: tuple[str, ...]
    reference: str
    file_header: tuple[str, ...] = ()
    left_over: int = 0


# Decoding

_BOMS = (
    # UTF-32's mark first: it begins with UTF-16's.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Bytes that do not occur in text: all control characters but tab, line ends, form feed, DOS's end
# of file and escape.
_BINARY = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1a\x1b"))
# In compressed data a tenth of all bytes are such, in MIDI more. A tunebook with a damaged spot
# should stay readable.
_BINARY_SHARE = 0.02
_CHARSET = re.compile(rb"(?:%%|I:)[ \t]*abc-charset[ \t]+([\w-]{1,40})")
# A line with bytes beyond ASCII. It must start where a line starts, or time would be quadratic.
_NOT_ASCII = re.compile(rb"(?<![^\r\n])[^\r\n\x80-\xff]*+[\x80-\xff][^\r\n]*")
_NOISE = re.compile("[\0\x1a\ufeff]+")


def decode(data: bytes) -> str:
    """The text of a tunebook.

    A byte order mark decides. Without one, each line is read as UTF-8 if it is valid UTF-8, and
    otherwise in the charset that the file declares (`I:abc-charset`), or else in Windows-1252,
    which includes Latin-1. So one line in another encoding does no harm to the others.

    Raises:
      Rejected: "not_text" for a binary file.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return _NOISE.sub("", data.decode(encoding, "replace"))
    # Disks and DOS may pad the end of a file.
    data = data.rstrip(b"\0\x1a")
    binary = len(data) - len(data.translate(None, _BINARY))
    if binary > _BINARY_SHARE * len(data):
        raise Rejected("not_text", f"{binary} of its {len(data)} bytes are control characters")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        charset = _charset(data)
        text = _NOT_ASCII.sub(lambda line: _as_utf8(line[0], charset), data).decode("utf-8")
    return _NOISE.sub("", text)


def _charset(data: bytes) -> str:
    """The encoding of lines that are not UTF-8."""
    declared = _CHARSET.search(data)
    if declared:
        try:
            codec = codecs.lookup(declared[1].decode("ascii"))
        except LookupError:
            pass
        else:
            if (
                codec.name.startswith(("iso8859", "cp", "koi8", "mac"))
                and codec.name != "iso8859-1"
            ):
                return codec.name
    return "cp1252"


def _as_utf8(line: bytes, charset: str) -> bytes:
    for encoding in ("utf-8", charset):
        try:
            return line.decode(encoding).encode("utf-8")
        except UnicodeDecodeError:
            continue
    # Latin-1 has a character for every byte.
    return line.decode("latin-1").encode("utf-8")


# Markup

_INLINE_TAGS = "br|hr|p|li|td|th|tr|span|font|nowiki|strong|big|small|wbr|img|input|form"
_BLOCK_TAGS = (
    "abc|score|music|tune|notation|pre|code|textarea|text|poem|source|syntaxhighlight|html|head|"
    "title|body|div|table|ul|ol|center|blockquote|section|article|script|style|"
    "h[1-6]|page|revision|mediawiki|comment|file|midi"
)
# What could be music is not a tag: "A<b>c", "A<dd>c", "G<A | {F}G>A".
_MARKUP = re.compile(
    r"(?P<entity>&\#?\w{1,31};)"
    rf"|(?P<inline></?(?:{_INLINE_TAGS})(?:[\s/][^<>]{{0,500}})?>"
    r"|</[biau]>|<[iu]>|<a\s+\w+\s*=[^<>]{0,500}>)"
    rf"|</?(?:{_BLOCK_TAGS})(?:[\s/][^<>]{{0,500}})?>"
    r"|\(:[a-z]\w*[^:\r\n]{0,80}:\)"  # PmWiki
    r"|\[/?abc(?:=[^\]\r\n]{0,80})?\](?=[ \t]*(?:X:|$))|\[/abc\]"  # forums
    r"|\[/?(?:code|pre|quote|spoiler|abcjs|tune|music)(?:[ =][^\]\r\n]{0,80})?\]"
    r"|\{%[^{}\r\n]{0,200}%\}|\{\{[<%][^{}\r\n]{0,200}[>%]\}\}"  # Liquid, Hugo
    r"|\{\{\{?|\}\}\}?|<!\[CDATA\[|\]\]>|<!--|-->"
    r"|(?<![^\r\n])(?:`{3,}+|~{3,}+|:{3,}+)[ \t]*+(?:[\w{][\w{}. \t]{0,40}+)?"
    r"(?=[\r\n]|$)"  # Markdown
    r"|\\(?:begin|end)\{\w+\}[^\r\n]*|\#\+(?:begin|end)_[^\r\n]*",  # TeX, Org
    re.IGNORECASE | re.MULTILINE,
)
_ENTITY = re.compile(r"&#?\w{1,31};")
_NOT_IN_A_LINE = re.compile("[\r\n\0]")
# A careless conversion turns "\r\n" into "\r\r\n".
_LINES = re.compile(r"([^\r\n]*+)(?:\r{0,2}\n|\r|\Z)")


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines with their numbers, without markup."""
    lines = enumerate(map(operator.itemgetter(1), _LINES.finditer(text)), 1)
    return _without_markup(lines) if _MARKUP.search(text) else lines


def _without_markup(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """The lines without markup; that of a block splits its line into parts, with "" between."""
    for number, line in lines:
        if not _MARKUP.search(line):
            yield number, line
            continue
        # Entities first: a dump of a wiki writes the tags themselves with them.
        line = _ENTITY.sub(lambda entity: html.unescape(entity[0]), line)
        parts = _MARKUP.sub(_taken_away, _NOT_IN_A_LINE.sub(" ", line)).split("\0")
        for i, part in enumerate(parts):
            if i:
                yield number, ""
            if part.strip() or len(parts) == 1:
                yield number, part


def _taken_away(found: re.Match) -> str:
    if found["entity"]:
        # An entity may be inside another: "&amp;eacute;".
        return _NOT_IN_A_LINE.sub(" ", html.unescape(found[0]))
    return "" if found["inline"] else "\0"


# Cutting

_START = re.compile(r"([\s>]*)X:(.*)")
_BLANK = " \t\xa0\f\v>"
_BEGIN_BLOCK = re.compile(r"\s*%%[ \t]*begin\w")
_END_BLOCK = re.compile(r"\s*%%[ \t]*end\w")
# Lines that may stand before the first tune and hold for all tunes.
_FOR_ALL = re.compile(r"[ABCDFGHILMmNOQRrSUZ]:|%%")


class _Open:
    """A tune, or fields that may become one, while its lines come in.

    Attributes:
      line, reference, left_over: as in TuneText; reference is None without an `X:`.
      lines: the lines so far.
      strip: the characters to strip from the begin of each line.
      fields: the letters of the fields before the first music.
      music: the file's line of the first music, or 0.
      gap: whether the last line was blank.
      block: the index in `lines` of a `%%begin...` that has not ended, or None.
    """

    def __init__(self, line: int, reference: str | None, strip: str):
        self.line = line
        self.reference = reference
        self.strip = strip
        self.left_over = 0
        self.lines: list[str] = []
        self.fields: set[str] = set()
        self.music = 0
        self.gap = False
        self.block: int | None = None

    def is_tune(self) -> bool:
        """Whether it is a tune: it has an `X:`, or music and a sufficient header."""
        return self.reference is not None or bool(self.music and self.has_header())

    def has_header(self) -> bool:
        """Whether its fields are enough for a tune without `X:`."""
        return len(self.fields & {"T", "M", "K"}) > 1

    def add(self, number: int, line: str) -> None:
        """Adds a line that belongs to the tune."""
        if self.strip:
            line = line.lstrip(self.strip)
        missing = number - self.line - len(self.lines)
        if missing < 0:
            # A later part of a line that markup has split.
            self.lines[-1] = f"{self.lines[-1]} {line}"
        else:
            self.lines.extend([""] * missing)
            self.lines.append(line)
        self.gap = False
        if self.block is not None:
            if _END_BLOCK.match(line):
                text = slice(self.block + 1, len(self.lines) - 1)
                self.lines[text] = [""] * (text.stop - text.start)
                self.block = None
        elif _BEGIN_BLOCK.match(line):
            self.block = len(self.lines) - 1
        elif not self.music:
            found = FIELD.match(line)
            if found:
                self.fields.add(found[1])
            elif is_music(line):
                self.music = number

    def belongs(self, line: str) -> bool:
        """Whether a line that is not blank continues the tune."""
        if self.block is not None or not (self.gap or self.reference is None):
            return True
        found = FIELD_OR_COMMENT.match(line)
        if self.gap and found and found[1] == "T":
            return self.reference is not None and "K" not in self.fields
        if self.reference is None and not self.music:
            return bool(found) or (self.has_header() and is_music(line))
        return not self.gap or bool(found) or is_music(line)

    def close(self) -> None:
        """Ends the tune."""
        if self.block is not None:
            self._end_without(self.block)
        while self.lines and not self.lines[-1].strip():
            self.lines.pop()

    def _end_without(self, block: int) -> None:
        """Ends the tune where it would have ended without its block, which has no end."""
        for i in range(block + 1, len(self.lines)):
            line = self.lines[i]
            if not self.music and is_music(line):
                self.music = self.line + i
            elif self.music and not line.strip():
                rest = range(i, len(self.lines))
                music = (self.line + j for j in rest if is_music(self.lines[j]))
                self.left_over = next(music, 0)
                del self.lines[i:]
                break


class _Cutter:
    """Cuts lines into tunes.

    Attributes:
      done: complete tunes; their reader empties the list.
    """

    def __init__(self):
        self.done: list[TuneText] = []
        self._header: tuple[str, ...] = ()
        # Whether nothing but fields and comments has come so far.
        self._first = True
        self._open: _Open | None = None
        # The last tune that ended: the lines after it decide its left_over.
        self._ended: _Open | None = None

    def add(self, number: int, line: str) -> None:
        """Takes the next line, or the next part of the same line."""
        tune = self._open
        if (
            tune is not None
            and tune.music
            and not tune.strip
            and "%" not in line
            and "X" not in line
            and line.strip(_BLANK)
            and number == tune.line + len(tune.lines)
            and tune.block is None
        ):
            # This is for nearly every line; the other branches take four times as long.
            tune.lines.append(line)
        elif "X:" in line and (start := _START.match(line)):
            self._start(number, start[1], start[2].split("%", 1)[0].strip(), line)
        elif not line.strip(_BLANK):
            if tune is not None:
                tune.gap = True
                if tune.music and tune.block is None:
                    self._end()
        elif tune is not None and tune.belongs(line):
            tune.add(number, line)
            if tune.reference is None and tune.music == number:
                self._first = False
                self._pass_on()
        else:
            self._end()
            self._outside(number, line)

    def end(self) -> None:
        """Takes the end of the file."""
        if self._open is not None and self._open.is_tune():
            self._pass_on()
        self._end()
        self._pass_on()

    def _start(self, number: int, prefix: str, reference: str, line: str) -> None:
        titles = self._titles_above()
        self.end()
        self._first = False
        strip = _BLANK if ">" in prefix else _BLANK[:-1] if prefix else ""
        self._open = _Open(number - len(titles), reference, strip)
        for i, text in enumerate((*titles, line)):
            self._open.add(number - len(titles) + i, text)

    def _titles_above(self) -> list[str]:
        """Removes the fields right above an `X:` line and gives them, if one is a title."""
        fields = self._open
        if fields is None or fields.is_tune() or fields.gap or "T" not in fields.fields:
            return []
        begin = max((i for i, line in enumerate(fields.lines) if not line), default=-1) + 1
        titles = fields.lines[begin:]
        del fields.lines[begin:]
        return titles

    def _outside(self, number: int, line: str) -> None:
        if FIELD_OR_COMMENT.match(line):
            self._open = _Open(number, None, _BLANK[:-1])
            self._open.add(number, line)
            return
        self._first = False
        ended = self._ended
        if ended is not None and not ended.left_over and is_music(line):
            ended.left_over = number

    def _end(self) -> None:
        """Ends what is open: a tune, or fields that did not become one."""
        ended, self._open = self._open, None
        if ended is None:
            return
        ended.close()
        if ended.is_tune():
            self._ended = ended
        elif self._first:
            self._header += tuple(line for line in ended.lines if _FOR_ALL.match(line))

    def _pass_on(self) -> None:
        tune, self._ended = self._ended, None
        if tune is not None:
            self.done.append(
                TuneText(
                    tune.line, tuple(tune.lines), tune.reference or "", self._header, tune.left_over
                )
            )


def tunes(text: str) -> Iterator[TuneText]:
    """The tunes of a tunebook, in order.

    An empty tune, an `X:` and nothing to play, is given too; the reader of tunes rejects it.

    Args:
      text: from `decode`.
    """
    cutter = _Cutter()
    for number, line in _lines(text):
        cutter.add(number, line)
        if cutter.done:
            yield from cutter.done
            cutter.done.clear()
    cutter.end()
    yield from cutter.done
