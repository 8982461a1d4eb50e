"""The performances of records that a sound can play, each with its split and its name."""

import hashlib
import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from pipelines.audio import events
from pipelines.audio.presets import Preset
from pipelines.music.note_sequence import NoteSequence, parse
from pipelines.records import manifest, tfrecord
from pipelines.runtime.app import UserError

SOURCE, TARGET = "source", "target"
_LONGEST_NAME = 120


class Performance(NamedTuple):
    """A record.

    Attributes:
      split: the record's own: train, validation or test.
      id: of the performance.
      name: of its files, without an ending; no two of a split are the same.
      half: "source" or "target": which half of its split it is in where source and target must not
        be the same performance. It depends on the id alone.
      path, offset: where the record lies.
    """

    split: str
    id: str
    name: str
    half: str
    path: str
    offset: int

    def read(self) -> NoteSequence:
        """The performance itself."""
        return parse(next(tfrecord.read_at(self.path, self.offset))[1])


class Rejected(NamedTuple):
    """A record that is not rendered, and why."""

    split: str
    id: str
    reason: str
    detail: str


class Listing(NamedTuple):
    """What records hold."""

    kept: list[Performance]
    rejected: list[Rejected]


def listed(pattern: str, preset: Preset, most: int | None = None) -> Listing:
    """Looks through records.

    Args:
      pattern: a folder of records, or a pattern of their files.
      preset: what is to play them; performances without a note for it are rejected.
      most: keep no more performances of each split than these; the others are not looked at.

    Raises:
      UserError: where there are no NoteSequence records, a file is damaged or says no split by its
        name, or nothing is left to play.
    """
    if os.path.isdir(pattern):
        pattern = os.path.join(pattern, "*.tfrecord*")
    records = manifest.open_records(pattern)
    if records.kind != "notesequence":
        raise UserError(f"{pattern}: these are {records.kind}; give NoteSequence records")
    listing = Listing([], [])
    names: set[tuple[str, str]] = set()
    ids: set[tuple[str, str]] = set()
    kept: dict[str, int] = {}
    for path in records.paths:
        split = _split_of(path)
        for offset, sequence in _sequences(path):
            if most is not None and kept.get(split, 0) >= most:
                break
            found = sequence.id or sequence.filename or f"{os.path.basename(path)}-{offset}"
            why = "repeated id" if (split, found) in ids else _unplayable(sequence, preset)
            ids.add((split, found))
            if why:
                reason, _, detail = why.partition(": ")
                listing.rejected.append(Rejected(split, found, reason, detail))
                continue
            name = _name(found)
            if (split, name.lower()) in names:
                name += f"-{_digest(found)[:8]}"
            names.add((split, name.lower()))
            half = SOURCE if int(_digest(found), 16) % 2 == 0 else TARGET
            listing.kept.append(Performance(split, found, name, half, path, offset))
            kept[split] = kept.get(split, 0) + 1
    if not listing.kept:
        first = next(iter(listing.rejected), None)
        why = f" ({first.id}: {first.reason})" if first else ""
        raise UserError(
            f"{pattern}: no record, of {len(listing.rejected)}, has a note that "
            f"{preset.name!r} plays{why}; drum kits play drums, other presets all other notes"
        )
    return listing


def sample(performances: list[Performance], number: int) -> list[Performance]:
    """A sample that depends on the ids alone."""
    return sorted(performances, key=lambda each: _digest(each.id))[:number]


def _sequences(path: str) -> Iterator[tuple[int, NoteSequence]]:
    for offset, record in tfrecord.read_at(path):
        try:
            yield offset, parse(record)
        except ValueError as error:
            raise UserError(
                f"{path}: its records are not NoteSequences; make them with ./run.sh convert"
            ) from error


def _split_of(path: str) -> str:
    split = os.path.basename(path).partition(".")[0]
    if split not in manifest.SPLITS:
        raise UserError(
            f"{path}: its name says no split ({', '.join(manifest.SPLITS)}); make the records "
            "with ./run.sh convert, which names the files SPLIT.tfrecord-..."
        )
    return split


def _unplayable(sequence: NoteSequence, preset: Preset) -> str | None:
    """The reason and, behind a colon, what is known of it; None where it can be played."""
    try:
        part = events.of(sequence, preset=preset)
    except ValueError as error:
        return f"not playable: {error}"
    if not part.events:
        kind = "drums" if preset.is_drums else "notes that are not drums"
        return f"nothing to play: it has no {kind}"
    return None


def _name(identity: str) -> str:
    name = re.sub(r"[^\w.-]+", "_", identity).strip("._") or "performance"
    if len(name.encode()) > _LONGEST_NAME:
        name = f"{name[: _LONGEST_NAME // 4]}-{_digest(identity)[:16]}"
    return name


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
