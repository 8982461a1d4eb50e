"""What all corpora of tunebooks in ABC notation share. One tune is one piece.

A source is a file. A large file is cut into several sources, so that workers share it and memory
stays small.
"""

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from pipelines.corpora import Corpus, Ignored, Piece, Skipped, Source, _archives, _inputs, one_path
from pipelines.music import formats
from pipelines.music.abc import headers, reader, tunebook
from pipelines.music.limits import Limits, Rejected
from pipelines.runtime import storage
from pipelines.runtime.app import UserError
from pipelines.tunes import identity

# A slice has some 1,000 tunes, a second's work. In a zip, a slice is reached by reading all that
# comes before it, so a file has not too many of them.
_SLICE_BYTES = 1 << 19
_MAX_SLICES = 64
_MAX_BYTES = 1 << 26
# Every slice is read with the fields before the file's first tune, which must end by this byte.
_MAX_HEADER_BYTES = 1 << 16
_MAX_LINE_BYTES = 1 << 20
# The usual length of a tune, to estimate how many a file has.
_TUNE_BYTES = 500
# Markup may span the beginning of a tune, so files with markup are not cut.
_MARKUP = re.compile(rb"<(?:!doctype|\?xml|html|mediawiki|abc|score|pre)\b", re.IGNORECASE)
# Line ends as `tunebook` counts them.
_LINE_END = re.compile(rb"\r{0,2}\n|\r")
_NOT_IN_IDS = re.compile(r"[^\w.-]+")


class Book(NamedTuple):
    """A file at --input that may have tunes in it.

    Attributes:
      archive: the path of the archive that it is in, for `_archives.open_archive`.
      member: its name there.
      file: its name for people and ids.
      required: whether it has to have tunes in it; otherwise it is ignored where it has none.
    """

    archive: str
    member: str
    file: str
    required: bool


def any_tunebooks(name: str, summary: str) -> Corpus:
    """Makes a corpus of whatever tunebooks are at the paths of --input."""
    return _corpus(name, summary, _any_books, None)


def collection(name: str, summary: str, files: Sequence[str], tunes: int) -> Corpus:
    """Makes a corpus of one known collection, in its zip or folder.

    Args:
      name: the corpus's name.
      summary: a line about it.
      files: the files that have to be there, by which the collection is recognised. All .abc files
        beside them are read too.
      tunes: how many tunes it has.
    """
    return _corpus(name, summary, functools.partial(_books_of, name, files), tunes)


def _corpus(
    name: str,
    summary: str,
    books: Callable[[Sequence[str]], Iterable[Book | Skipped]],
    tunes: int | None,
) -> Corpus:
    def sources(paths: Sequence[str]) -> Iterator[Source | Skipped]:
        for book in books(paths):
            if isinstance(book, Skipped):
                yield book
            else:
                yield from _slices(book)

    def sequences(source: Source, limits: Limits) -> Iterator[Piece | Skipped | Ignored]:
        return _sequences(name, source, limits)

    return Corpus(name, summary, sources, sequences, has_splits=False, pieces=tunes)


# Listing


def _books_of(name: str, files: Sequence[str], paths: Sequence[str]) -> Iterator[Book | Skipped]:
    path = one_path(name, paths)
    other = "read other tunebooks with --corpus=abc"
    archive, root = _archives.find_archive(path, files[0], other)
    members = [member for member in archive.names(root) if member.startswith(root)]
    missing = [file for file in files if root + file not in members]
    if missing:
        raise UserError(
            f"{path} is not {name}: it has no {missing[0]}; read it with --corpus=abc instead"
        )
    for member in members:
        file = member.removeprefix(root)
        if file.lower().endswith(".abc") and "/" not in file:
            yield Book(storage.absolute(path), member, _inputs.printable(file), True)


def _any_books(paths: Sequence[str]) -> Iterator[Book | Skipped]:
    for given in _inputs.inputs(paths):
        if not given.alone:
            _require_tunes(given)
        for file in given.files():
            if isinstance(file, Skipped):
                yield file
            else:
                required = file.alone or file.name.lower().endswith(".abc")
                yield Book(file.archive, file.member, file.name, required)


def _require_tunes(given: _inputs.Input) -> None:
    """Raises UserError for a folder of MIDI files without a tune in ABC notation."""
    midi = [member for member in given.members if member.lower().endswith(formats.MIDI)]
    others = [
        member for member in given.members if not member.lower().endswith((*formats.MIDI, "/"))
    ]
    archive = _archives.open_archive(given.archive)
    if midi and not any(_may_have_tunes(archive, member) for member in others):
        raise UserError(
            f"{given.path} has {len(midi)} MIDI files and no tune in ABC notation; the Groove MIDI "
            "Dataset goes with --corpus=groove, other MIDI files go with --corpus=midi"
        )


def _may_have_tunes(archive: _archives.Archive, member: str) -> bool:
    """Whether a file is a tunebook by its name or has a tune, or cannot be looked at here."""
    if member.lower().endswith(".abc"):
        return True
    try:
        text = tunebook.decode(archive.read(member, _MAX_BYTES))
    except Rejected as rejected:
        return rejected.reason != "not_text"
    return any(True for _ in tunebook.tunes(text))


def _slices(book: Book) -> Iterator[Source]:
    """The sources of a file: one, or several where the file is large."""
    archive = _archives.open_archive(book.archive)
    size = archive.size(book.member)
    facts = {**book._asdict(), "place": archive.place(book.member)}
    cuts: list[tuple[int, int]] = []
    # A file beyond so many slices, such as a sparse one of 10 GB, is not even looked through.
    if 2 * _SLICE_BYTES <= size <= _MAX_SLICES * _MAX_BYTES:
        try:
            header, cuts, size = _cuts(archive, book.member)
        except Rejected:
            pass  # The worker that reads the file will say what is wrong with it.
    if len(cuts) < 2:
        yield Source(book.file, facts, max(1, size // _TUNE_BYTES))
        return
    for (start, line), (end, _) in zip(cuts, [*cuts[1:], (size, 0)]):
        part = {"start": start, "end": end, "line": line, "header": header if start else 0}
        weight = max(1, (end - start) // _TUNE_BYTES)
        yield Source(f"{book.file}:{line}", {**facts, **part}, weight)


def _cuts(archive: _archives.Archive, member: str) -> tuple[int, list[tuple[int, int]], int]:
    """Finds where to cut a file: before an `X:` line that follows a blank one.

    Returns:
      The bytes at the beginning of the file, whole lines, in which fields for all tunes may be; the
      position of each slice and the number of its first line, or an empty list for a file that has
      to stay whole; and the file's size.
    """
    cuts = [(0, 1)]
    least = max(_SLICE_BYTES, archive.size(member) // _MAX_SLICES)
    header = position = 0
    number = 1
    begun = blank = False
    with archive.open(member) as file:
        for line in iter(functools.partial(file.readline, _MAX_LINE_BYTES), b""):
            if line.startswith(b"X:"):
                # Not before the first tune: a slice of prose alone would have no tune.
                if begun and blank and position - cuts[-1][0] >= least:
                    cuts.append((position, number))
                begun = True
            elif not begun and (position > _MAX_BYTES or _MARKUP.search(line)):
                return 0, [], archive.size(member)
            blank = not line.strip()
            position += len(line)
            if not begun and position <= _MAX_HEADER_BYTES:
                header = position
            number += len(_LINE_END.findall(line)) if b"\r" in line else line.endswith(b"\n")
    return header, cuts, position


def slices_in(folder: str, member: str) -> Iterator[Source]:
    """The sources of a tunebook in a folder, also in a bucket, that was listed already.

    Args:
      folder: for `_archives.open_archive`.
      member: the file's name there.
    """
    return _slices(Book(folder, member, member.rpartition("/")[2], True))


# Reading


def _sequences(corpus: str, source: Source, limits: Limits) -> Iterator[Piece | Skipped | Ignored]:
    facts = source.facts
    file, required = facts["file"], facts["required"]
    try:
        text, header = _text(facts)
    except Rejected as rejected:
        if required or rejected.reason != "not_text":
            raise
        yield Ignored(file, rejected.detail)
        return
    empty = True
    for name, tune in _named(facts, text, header):
        empty = False
        yield _piece(corpus, file, name, tune, limits)
    if empty:
        nothing = "there is no tune in it"
        yield Skipped(file, "no_tune", nothing) if required else Ignored(file, nothing)


def texts(paths: Sequence[str]) -> Iterator[tuple[str, tunebook.TuneText]]:
    """The tunes as they are written in whatever tunebooks are at some paths.

    Records have tunes as they are played; this finds what they were made of.

    Args:
      paths: those that `--input` of the records named.

    Yields:
      The id that the record of a tune has, and its text; none of a file that has no tunes.
    """
    for book in _any_books(paths):
        if isinstance(book, Skipped):
            continue
        for source in _slices(book):
            try:
                text, header = _text(source.facts)
            except Rejected:
                continue
            yield from _named(source.facts, text, header)


def texts_of(source: Source) -> Iterator[tunebook.TuneText]:
    """The tunes of a source as they are written.

    Raises:
      Rejected: where it cannot be read.
    """
    text, header = _text(source.facts)
    for _, tune in _named(source.facts, text, header):
        yield tune


def _named(
    facts: dict[str, Any], text: str, header: tuple[str, ...]
) -> Iterator[tuple[str, tunebook.TuneText]]:
    """The tunes of a source with the ids of their records."""
    names: set[str] = set()
    before = facts.get("line", 1) - 1
    for tune in tunebook.tunes(text):
        tune = tune._replace(
            line=tune.line + before,
            file_header=tune.file_header or header,
            left_over=tune.left_over and tune.left_over + before,
        )
        name = _NOT_IN_IDS.sub("-", tune.reference) or f"line{tune.line}"
        # A number may be there twice, in this slice or in another one.
        if name in names or "start" in facts:
            name = f"{name}:{tune.line}"
        names.add(name)
        yield f"{facts['file']}/{name}", tune


def _text(facts: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    """The text of a source, and the fields for all tunes from the beginning of its file.

    The fields are empty where the source begins with the file: then they are in its text.
    """
    archive, member = _archives.archive_of(facts), facts["member"]
    if "start" not in facts:
        data = archive.read(member, _MAX_BYTES)
        if data.startswith(b"MThd"):
            raise Rejected(
                "not_text", "a MIDI file, and no tunebook in ABC notation; --corpus=midi reads it"
            )
        return tunebook.decode(data), ()
    start, end = facts["start"], facts["end"]
    if end - start > _MAX_BYTES:
        raise Rejected("too_large", f"more than {_MAX_BYTES} bytes from line {facts['line']} on")
    with archive.open(member) as file:
        header = file.read(facts["header"])
        file.seek(start)
        data = file.read(end - start)
    # Both are decoded together, because the header may name the encoding. A tune may begin in the
    # header, so it is not put before the text: it is read by itself, up to the next `X:`.
    *begin, text = tunebook.decode(header + data).split("\n", header.count(b"\n"))
    first = next(tunebook.tunes("\n".join([*begin, "X:"])))
    return text, first.file_header


def _piece(
    corpus: str, file: str, name: str, tune: tunebook.TuneText, limits: Limits
) -> Piece | Skipped:
    key = f"{file}:{tune.line}"
    try:
        sequence = reader.read(tune, *limits)
    except Rejected as rejected:
        return Skipped(key, rejected.reason, rejected.detail, headers.title(tune))
    except Exception as error:
        # A tune that breaks the reader must not take the other tunes of its file along.
        detail = f"the reader failed: {error!r}"
        return Skipped(key, "unreadable", detail, headers.title(tune))
    sequence.id = name
    sequence.filename = file
    sequence.collection_name = corpus
    return Piece(None, sequence, identity.keys(sequence))
