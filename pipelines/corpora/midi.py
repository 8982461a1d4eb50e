"""Any files of MIDI or MusicXML: a folder of them, an archive, single files.

Where the folders are named train, validation and test, or a table of labels has a column split,
that is where the pieces are. All others are divided so that the same piece, in other versions, is
in one split (`pipelines.tunes.pieces`). Labels are the names of the folders, and what a table says.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from pipelines.corpora import (
    Corpus,
    Counted,
    Ignored,
    Piece,
    Skipped,
    Source,
    _archives,
    _inputs,
    _labels,
)
from pipelines.music import formats
from pipelines.music.limits import Limits, Rejected
from pipelines.music.note_sequence import NoteSequence
from pipelines.records.manifest import SPLITS
from pipelines.runtime.app import UserError, say
from pipelines.tunes import pieces

_NAMED = (*formats.MIDI, *formats.MUSICXML, ".xml")
_NO_MUSIC = "neither MIDI nor MusicXML"
_TUNEBOOK = "a tunebook in ABC notation; --corpus=abc reads it"
_ARCHIVE = "an archive in the input; give it as an --input of its own, or unpack it"
_NO_SPLIT = "other files are in folders named by splits, such as train and test, and it is not"


def _sources(
    paths: Sequence[str], labels: str | None = None
) -> Iterator[Source | Skipped | Ignored | Counted]:
    files: list[_inputs.File] = []
    for given in _inputs.inputs(paths):
        found = len(files)
        for file in given.files():
            if isinstance(file, Skipped):
                yield file
            else:
                files.append(file)
        _require_music(given, files[found:])
    musical = [file.name for file in files if file.alone or _is_named(file.name)]
    table = None
    if labels is not None:
        # Tables name recordings as well.
        table = _labels.read(labels, musical or [file.name for file in files])
        yield Counted("labels", table.counts)
        yield from table.problems
    layout = _Layout(musical, table)
    for file in files:
        yield layout.source(file)


class _Layout:
    """What folders and a table say of all files.

    Args:
      names: of the files that are called MIDI or MusicXML.
      table: of labels, or None.
    """

    def __init__(self, names: Sequence[str], table: _labels.Labels | None):
        self._table = table
        self._versions = pieces.versions(names)
        self._common = _common_folders(names)
        self._by_table = table is not None and table.has_splits()
        self._by_folder = not self._by_table and _folders_are_splits(names)

    def source(self, file: _inputs.File) -> Source:
        """The source of a file: what a worker needs to read and label it."""
        name = file.name
        row = self._table.rows.get(name) if self._table else None
        folders = name.split("/")[self._common : -1]
        split, rejected = None, ("", "")
        if self._by_table and self._table:
            split = self._table.split(name)
            rejected = ("no_row", f"{self._table.path} has no row for it, and so no split")
        elif self._by_folder:
            split = _split(name)
            folders = [each for each in folders if each.casefold() not in _labels.SPLIT_NAMES]
            rejected = ("no_split", _NO_SPLIT)
        facts = {
            "archive": file.archive,
            "member": file.member,
            "place": file.place,
            "alone": file.alone,
            "folders": folders,
            "labels": row.cells if row else {},
            "version": self._versions.get(name, ""),
            # Why it is left out if it is music.
            "rejected": ("", "") if split else rejected,
        }
        return Source(name, facts, split=split)


def _is_named(name: str) -> bool:
    return name.lower().endswith(_NAMED)


def _require_music(given: _inputs.Input, files: Sequence[_inputs.File]) -> None:
    """Raises UserError for a folder or an archive without any MIDI or MusicXML."""
    if given.alone or any(_is_named(file.name) for file in files):
        return
    if not any(_has_score(file.archive, file.member) for file in files):
        tunebooks = sum(file.name.lower().endswith(".abc") for file in files)
        advice = f"; its {tunebooks} tunebooks go with --corpus=abc" if tunebooks else ""
        raise UserError(
            f"{given.path} has no file of MIDI or MusicXML among its {len(files)}{advice}; give a "
            "folder or an archive of such files"
        )


def _has_score(archive: str, member: str) -> bool:
    try:
        with _archives.open_archive(archive).open(member) as file:
            return formats.has_score(member, file.read(formats.LOOKED_AT))
    except Rejected:
        return False


# Folders


def _split(name: str) -> str | None:
    """The split that a folder on the way to a file is named by."""
    folders = map(str.casefold, name.split("/")[:-1])
    return next((_labels.SPLIT_NAMES[one] for one in folders if one in _labels.SPLIT_NAMES), None)


def _folders_are_splits(names: Sequence[str]) -> bool:
    """Whether folders say the splits: train and another one, for more than half of the files."""
    found = Counter(filter(None, map(_split, names)))
    if found["train"] and len(+found) > 1 and 2 * found.total() > len(names):
        counts = ", ".join(f"{split} {found[split]}" for split in SPLITS)
        say(f"the folders say which piece is in which split: {counts} files")
        return True
    return False


def _common_folders(names: Sequence[str]) -> int:
    """How many folders all files have in common, which say nothing about any of them."""
    common: list[str] | None = None
    for name in names:
        folders = name.split("/")[:-1]
        if common is None:
            common = folders
        shared = next((i for i, (a, b) in enumerate(zip(common, folders)) if a != b), len(folders))
        common = common[:shared]
    return len(common or ())


# Reading


def _sequences(source: Source, limits: Limits) -> Iterator[Piece | Ignored]:
    facts, name = source.facts, source.key
    archive = _archives.archive_of(facts)
    begin = b""
    if not formats.has_score(name, begin):
        with archive.open(facts["member"]) as file:
            begin = file.read(formats.LOOKED_AT)
    if not formats.has_score(name, begin):
        if facts["alone"]:
            raise Rejected("no_music", _kind(name, begin))
        yield Ignored(name, _kind(name, begin))
        return
    reason, detail = facts["rejected"]
    if reason:
        raise Rejected(reason, detail)
    data = archive.read(facts["member"], formats.max_bytes(limits))
    try:
        found = formats.scores(name, data, limits) or []
    except Rejected:
        raise
    except Exception as error:
        # One file that breaks the reader must not end the job.
        raise Rejected("unreadable", f"the reader failed: {error!r}") from error
    for sequence in found:
        sequence.id = f"{name}/{sequence.id}" if sequence.id else name
        _label(sequence, name, facts)
        keys = () if source.split else _keys(sequence, name, facts)
        yield Piece(source.split, sequence, keys)


def _kind(name: str, begin: bytes) -> str:
    """What a file is that is not read."""
    if name.lower().endswith(".abc"):
        return _TUNEBOOK
    return _ARCHIVE if begin.startswith((b"PK", b"\x1f\x8b")) else _NO_MUSIC


def _label(sequence: NoteSequence, name: str, facts: dict[str, Any]) -> None:
    sequence.filename = name
    sequence.collection_name = CORPUS.name
    _labels.label(sequence, facts["labels"])
    if not sequence.sequence_metadata.genre:
        sequence.sequence_metadata.genre.extend(facts["folders"])


def _keys(sequence: NoteSequence, name: str, facts: dict[str, Any]) -> list[str]:
    stem = name.rpartition("/")[2].rpartition(".")[0]
    keys = [*pieces.keys(sequence, stem)]
    if facts["version"]:
        keys.append(facts["version"])
    if group := facts["labels"].get(_labels.PIECE):
        keys.append(pieces.group_key(group))
    return keys


CORPUS = Corpus(
    name="midi",
    summary="any MIDI and MusicXML files; --input is a folder, a zip, a tar or a file, or several",
    sources=_sources,
    sequences=_sequences,
    has_splits=None,
    takes_labels=True,
)
