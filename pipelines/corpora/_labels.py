"""Tables of labels: a CSV file with a row for each file of a corpus, whatever its columns are."""

import csv
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from pipelines.corpora import Ignored
from pipelines.music.note_sequence import NoteSequence, add_label
from pipelines.records.manifest import SPLITS
from pipelines.runtime import storage_copies
from pipelines.runtime.app import UserError, say

# Columns that say what a field of a NoteSequence, or this project, has a place for.
TITLE = ("title", "canonical_title")
COMPOSER = ("composer", "canonical_composer")
ARTIST = ("artist", "drummer", "performer")
STYLE = ("style", "genre")
SPLIT, PIECE = "split", "piece"
# What others call the splits.
SPLIT_NAMES = {
    **{name: "train" for name in ("train", "training")},
    **{name: "validation" for name in ("validation", "valid", "val", "dev")},
    **{name: "test" for name in ("test", "testing")},
}
_MAX_BYTES = 1 << 28
_DELIMITERS = ",;\t"
# Names of labels are read up to the first "=", and ":" is how fields of ABC notation begin.
_NOT_IN_NAMES = re.compile(r"[^\w.-]+")


class Row(NamedTuple):
    """A row of a table: its number in the file, the header being 1, and its cells by column."""

    number: int
    cells: dict[str, str]


class Labels(NamedTuple):
    """What a table says of the files of a corpus.

    Attributes:
      path: of the table.
      rows: the row of each file that has one.
      problems: the rows that label no file, and why.
      counts: how many rows there are, what became of them, and how many files have none.
    """

    path: str
    rows: Mapping[str, Row]
    problems: Sequence[Ignored]
    counts: dict[str, int]

    def has_splits(self) -> bool:
        """Whether a column says which file is in which split.

        Raises:
          UserError: for a value that is no split.
        """
        if not any(SPLIT in row.cells for row in self.rows.values()):
            return False
        for row in self.rows.values():
            if row.cells.get(SPLIT, "").casefold() not in SPLIT_NAMES:
                raise UserError(
                    f"{self.path}, row {row.number}: split {row.cells.get(SPLIT, '')!r} is none of "
                    f"{', '.join(SPLITS)}; correct it, or give the column another name"
                )
        return True

    def split(self, file: str) -> str | None:
        """The split of a file by its row; None where it has no row."""
        row = self.rows.get(file)
        return SPLIT_NAMES[row.cells[SPLIT].casefold()] if row else None


def read(path: str, files: Sequence[str]) -> Labels:
    """Reads a table, finds the column that names files, and says what it found on stderr.

    Args:
      path: of the table: UTF-8, cells between commas, semicolons or tabs.
      files: the files of the corpus, paths with slashes.

    Raises:
      UserError: if it cannot be read, two columns have one name, or no column names a file.
    """
    header, rows = _read(path)
    columns = _columns(path, header)
    finder = _Files(files)
    named = {column: _named(rows, i, finder) for i, column in enumerate(columns)}
    file_column = max(named, key=lambda column: named[column], default="")
    if not any(named.get(file_column, ())):
        raise UserError(
            f"{path} has no column that names a file of --input, such as {files[0]!r}; its columns "
            f"are {', '.join(filter(None, columns)) or 'none'}"
            if files
            else f"{path}: --input has no file to label"
        )
    labels = _assign(path, columns, file_column, rows, finder)
    _report(labels, file_column)
    return labels


def _named(rows: Sequence[tuple[int, list[str]]], column: int, finder: "_Files") -> tuple[int, int]:
    """How many cells of a column name one file, and how many name several."""
    found = [len(finder.find(cells[column])) for _, cells in rows if column < len(cells)]
    return found.count(1), sum(count > 1 for count in found)


def _report(labels: Labels, file_column: str) -> None:
    """Says on stderr how many rows label a file, and the first one that does not."""
    counts = labels.counts
    first = "".join(f" (the first: {where}: {why})" for where, why in labels.problems[:1])
    say(
        f"{labels.path}: {counts['labelled']} of {counts['rows']} rows label a file by "
        f"{file_column!r}, {len(labels.problems)} do not{first}; {counts['unlabelled']} files have "
        "no row"
    )


def label(sequence: NoteSequence, cells: Mapping[str, str]) -> None:
    """Writes the cells of a row into a piece: title, composers, artist, genre, and labels."""
    metadata = sequence.sequence_metadata
    for name, value in cells.items():
        column = name.casefold()
        if column in TITLE and not metadata.title:
            metadata.title = value
        elif column in COMPOSER:
            metadata.composers.append(value)
        elif column in ARTIST and not metadata.artist:
            metadata.artist = value
        elif column in STYLE:
            metadata.genre.extend(part for part in value.split("/") if part not in metadata.genre)
        elif column != SPLIT:
            add_label(sequence, name, value)


def _read(path: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header of a table, and its other rows with their numbers."""
    try:
        here = storage_copies.local_copy(path)
        if os.path.getsize(here) > _MAX_BYTES:
            raise UserError(f"{path} has more than {_MAX_BYTES} bytes; is it a table of labels?")
        with open(here, encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            delimiter = max(_DELIMITERS, key=first.count)
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            header = next(reader, [])
            rows = [(number, row) for number, row in enumerate(reader, start=2) if any(row)]
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not in UTF-8 (byte {error.start}: {error.reason}); save it as UTF-8 CSV"
        ) from error
    except OSError as error:
        raise UserError(
            f"--labels={path} cannot be read ({error.strerror or error}); give a CSV file"
        ) from error
    except csv.Error as error:
        raise UserError(f"{path} is no table that can be read ({error}); save it as CSV") from error
    if not rows:
        raise UserError(f"{path} has no rows; give a table with a header and a row for each file")
    return header, rows


def _columns(path: str, header: Sequence[str]) -> list[str]:
    """The names of the columns as labels; those that make a field are in lower case."""
    names = [_NOT_IN_NAMES.sub("_", name.strip()) for name in header]
    known = {*TITLE, *COMPOSER, *ARTIST, *STYLE, SPLIT, PIECE}
    names = [name.casefold() if name.casefold() in known else name for name in names]
    twice = [name for name, count in Counter(names).items() if name and count > 1]
    if twice:
        raise UserError(f"{path} has two columns {twice[0]!r}; give one of them another name")
    return names


class _Files:
    """Finds files by what a table calls them: a path, the end of one, or a name without ending."""

    def __init__(self, files: Sequence[str]):
        self.files = files
        # Each file under all ends of its path, with the ending of its name and without.
        self._whole: dict[str, list[str]] = {}
        self._ends: dict[str, list[str]] = {}
        for file in files:
            path = _normal(file)
            folder, slash, name = path.rpartition("/")
            paths = dict.fromkeys([path, f"{folder}{slash}{name.rpartition('.')[0] or name}"])
            for path in paths:
                self._whole.setdefault(path, []).append(file)
                for end in _path_ends(path):
                    self._ends.setdefault(end, []).append(file)

    def find(self, value: str) -> list[str]:
        """The files that a cell may mean: none, one, or several where it is ambiguous."""
        wanted = _normal(value)
        if found := self._whole.get(wanted) or self._ends.get(wanted):
            return found
        # A table may name the folders above --input, too.
        return next(filter(None, map(self._whole.get, _path_ends(wanted))), [])


def _path_ends(path: str) -> Iterator[str]:
    """All ends of a path, the longest first: "a/b/c", "b/c", "c"."""
    while path:
        yield path
        path = path.partition("/")[2]


def _normal(path: str) -> str:
    path = unicodedata.normalize("NFC", path.strip()).replace("\\", "/")
    return path.removeprefix("./").strip("/")


def _assign(
    path: str,
    columns: Sequence[str],
    file_column: str,
    rows: Sequence[tuple[int, list[str]]],
    finder: _Files,
) -> Labels:
    """Gives each file its row."""
    found: dict[str, Row] = {}
    problems: list[Ignored] = []
    kinds: Counter[str] = Counter(labelled=0, no_file=0, ambiguous=0, duplicate=0, bad_row=0)
    at = columns.index(file_column)
    table = os.path.basename(path)
    for number, cells in rows:
        value = cells[at].strip() if at < len(cells) else ""
        files = finder.find(value)
        kind, detail = "labelled", ""
        if len(cells) > len(columns):
            kind, detail = "bad_row", f"{len(cells)} cells, but there are {len(columns)} columns"
        elif not files:
            kind, detail = "no_file", f"names no file of --input: {value!r}"
        elif len(files) > 1:
            kind, detail = "ambiguous", f"may name {len(files)} files of --input: {value!r}"
        elif files[0] in found:
            kind = "duplicate"
            detail = f"names {files[0]!r} again, as row {found[files[0]].number} does"
        else:
            found[files[0]] = Row(number, dict(_cells(columns, cells, file_column)))
        kinds[kind] += 1
        if detail:
            problems.append(Ignored(f"{table}, row {number}", detail))
    counts = {"rows": len(rows), **kinds, "unlabelled": len(finder.files) - len(found)}
    return Labels(path, found, problems, counts)


def _cells(
    columns: Sequence[str], cells: Sequence[str], file_column: str
) -> Iterator[tuple[str, str]]:
    for column, cell in zip(columns, cells):
        value = " ".join(cell.split())
        if column and column != file_column and value:
            yield column, value
