"""The Groove MIDI Dataset: 1,150 human drum performances with tempo, style and drummer.

https://magenta.tensorflow.org/datasets/groove. The release has a table, info.csv, with a row for
each MIDI file; splits and labels come from the table. TFDS prepares the same release as
`groove/full-midionly`, without the names of the files; these follow from the labels.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

from pipelines.corpora import Corpus, Piece, Skipped, Source, _archives, _tfds, one_path
from pipelines.music import midi_reader
from pipelines.music.limits import Limits, Rejected
from pipelines.music.note_sequence import NoteSequence, add_label
from pipelines.records.manifest import SPLITS
from pipelines.runtime import storage
from pipelines.runtime.app import UserError

_TABLE = "info.csv"
_MAX_TABLE_BYTES = 1 << 28
_COLUMNS = (
    "drummer",
    "id",
    "style",
    "bpm",
    "beat_type",
    "time_signature",
    "midi_filename",
    "split",
)
_OTHER_MIDI = (
    "--corpus=groove reads the Groove MIDI Dataset with its table; other MIDI files go with "
    "--corpus=midi"
)
# NoteSequence has no field for these labels; `note_sequence` says how they are annotated.
_ANNOTATED = ("bpm", "beat_type", "time_signature")


def _sources(paths: Sequence[str]) -> Iterator[Source | Skipped]:
    where = one_path(CORPUS.name, paths)
    if where.startswith("tfds:"):
        yield from _from_tfds(where.removeprefix("tfds:"))
    else:
        yield from _from_release(where)


def _from_release(path: str) -> Iterator[Source | Skipped]:
    archive, root = _archives.find_archive(path, _TABLE, _OTHER_MIDI)
    where, seen, ids = storage.absolute(path), set(), set()
    for number, row in enumerate(_rows(archive, root, path), start=2):
        name = row["midi_filename"] or f"{_TABLE}, row {number}"
        if name in seen:
            yield Skipped(name, "duplicate", f"row {number} of {_TABLE} names it again")
            continue
        seen.add(name)
        empty = [column for column in _COLUMNS if not row[column]]
        if empty:
            yield Skipped(name, "bad_row", f"row {number} of {_TABLE} has no {', '.join(empty)}")
        elif row["split"] not in SPLITS:
            yield Skipped(name, "bad_row", f"row {number} of {_TABLE}: split {row['split']!r}")
        elif row["id"] in ids:
            yield Skipped(name, "duplicate", f"row {number} of {_TABLE} has the id of another")
        else:
            ids.add(row["id"])
            member = root + name
            file = {"archive": where, "member": member, "place": archive.place(member)}
            yield Source(name, {**row, **file})
    for member in archive.names(root):
        name = member.removeprefix(root)
        if name.endswith("/"):
            yield Skipped(name, "unreadable", "the folder cannot be listed")
        elif name.lower().endswith((".mid", ".midi")) and name not in seen:
            if _archives.is_inside(member):
                yield Skipped(name, "no_row", f"{_TABLE} has no row for it")
            else:
                yield Skipped(name, "outside", _archives.OUTSIDE)


def _rows(archive: _archives.Archive, root: str, path: str) -> list[dict[str, str]]:
    try:
        text = archive.read(root + _TABLE, _MAX_TABLE_BYTES).decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True, restval="")
        missing = [column for column in _COLUMNS if column not in (reader.fieldnames or ())]
        if missing:
            raise UserError(f"{path}: {_TABLE} has no column {', '.join(missing)}")
        return [{column: row[column] for column in _COLUMNS} for row in reader]
    except (Rejected, ValueError, csv.Error) as error:
        raise UserError(f"{path}: {_TABLE} cannot be read: {error}") from error


def _from_tfds(name: str) -> Iterator[Source]:
    for split, features, location in _tfds.examples(name, "groove/full-midionly", without="midi"):
        style = "/".join(filter(None, (features["style/primary"], features["style/secondary"])))
        row = {
            "id": features["id"],
            "drummer": features["drummer"],
            "style": style,
            "bpm": str(features["bpm"]),
            "beat_type": features["type"],
            "time_signature": features["time_signature"],
            "split": split,
        }
        folder, number = row["id"].rsplit("/", 1)
        labels = "_".join(
            (style.replace("/", "-"), row["bpm"], row["beat_type"], row["time_signature"])
        )
        file = f"{folder}/{number}_{labels}.mid"
        yield Source(file, {**row, "midi_filename": file, "tfds": location})


def _sequences(source: Source, limits: Limits) -> Iterator[Piece]:
    facts = source.facts
    if "tfds" in facts:
        data = _tfds.feature(facts["tfds"], "midi")
    else:
        archive = _archives.archive_of(facts)
        data = archive.read(facts["member"], midi_reader.byte_limit(limits.max_notes))
    sequence = midi_reader.midi_to_note_sequence(data, *limits)
    _label(sequence, facts)
    yield Piece(facts["split"], sequence)


def _label(sequence: NoteSequence, facts: dict[str, Any]) -> None:
    sequence.id = facts["id"]
    sequence.filename = facts["midi_filename"]
    sequence.collection_name = CORPUS.name
    sequence.sequence_metadata.artist = facts["drummer"]
    sequence.sequence_metadata.genre.extend(facts["style"].split("/"))
    for label in _ANNOTATED:
        add_label(sequence, label, facts[label])


CORPUS = Corpus(
    name="groove",
    summary="Groove MIDI Dataset; --input is its zip, its folder or tfds:groove/full-midionly",
    sources=_sources,
    sequences=_sequences,
)
