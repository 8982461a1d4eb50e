"""The files of a finished folder of records: their names, the manifest, and the shards it names.

A finished folder holds `{train,validation,test}.tfrecord-00000-of-00004`, `rejected.jsonl`,
`ignored.jsonl`, `warned.jsonl` and `tunes.jsonl` where there is something to list in them, and
`manifest.json`, which is written last. tfrecords/README.md documents them.
"""

import fnmatch
import glob
import hashlib
import json
import os
import pathlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pipelines.runtime import storage
from pipelines.runtime.app import UserError

SPLITS = ("train", "validation", "test")
KINDS = ("notesequence", "tensors")
MANIFEST = "manifest.json"
REJECTED = "rejected.jsonl"
IGNORED = "ignored.jsonl"
WARNED = "warned.jsonl"
TUNES = "tunes.jsonl"
# How the names of all files in the folder end that are no records.
_LISTS = (".json", ".jsonl")
# The hidden folder inside it where a job makes all of this; the job removes it when it ends.
UNFINISHED = ".unfinished"


def record_files(pattern: str) -> list[str]:
    """The record files that match a pattern, sorted; several patterns may be joined by commas.

    The lists that lie beside records, such as `rejected.jsonl`, are passed over.

    Raises:
      UserError: if a pattern matches no record file.
    """
    paths: set[str] = set()
    for one in pattern.split(","):
        if storage.is_address(one):
            raise UserError(
                f"{one}: this command reads records from a disk; copy their folder there, as by "
                f"{storage.COPY_COMMANDS.get(one[:2], 'a program for its kind of address')}"
            )
        found = [path for path in glob.glob(one) if os.path.isfile(path)]
        records = [path for path in found if not path.endswith(_LISTS)]
        if not records:
            fix = "give the records of one split, such as 'DIR/train.tfrecord*'"
            if found:
                lists = ", ".join(sorted(os.path.basename(path) for path in found))
                raise UserError(
                    f"{one!r} matches only {lists}, which list what became of a corpus; {fix}"
                )
            if os.path.isdir(one):
                raise UserError(f"{one} is a folder; {fix.replace('DIR', one.rstrip('/'))}")
            raise UserError(f"no file matches {one!r}; {fix}, which ./run.sh convert makes")
        paths.update(records)
    return sorted(paths)


def split_pattern(folder: str | os.PathLike, split: str) -> str:
    """A pattern, as `record_files` takes it, for all files of a split in a folder."""
    return os.path.join(glob.escape(os.fspath(folder)), f"{split}.tfrecord-*")


def held_out(pattern: str) -> str | None:
    """The pattern of the validation records, else the test records, beside training records.

    Args:
      pattern: names training records, such as 'DIR/train.tfrecord*'.

    Returns:
      The same pattern for the other split; None where no NoteSequence records match it.
    """
    folder, name = os.path.split(pattern)
    if "," in pattern or not name.startswith("train.tfrecord"):
        return None
    for split in SPLITS[1:]:
        other = os.path.join(folder, f"{split}{name.removeprefix('train')}")
        try:
            if open_records(other).kind == "notesequence":
                return other
        except UserError:
            continue
    return None


class RecordFiles(NamedTuple):
    """Record files that were looked up once.

    Attributes:
      source: the pattern that named them.
      paths: the files, sorted.
      kind: one of KINDS.
    """

    source: str
    paths: list[str]
    kind: str


def open_records(pattern: str) -> RecordFiles:
    """Looks up the record files that a pattern names.

    Args:
      pattern: as `record_files` takes it.

    Raises:
      UserError: as `record_files` and `kind_of` raise it.
    """
    paths = record_files(pattern)
    return RecordFiles(pattern, paths, kind_of(paths))


def read_manifest(folder: str | os.PathLike) -> dict[str, Any]:
    """The manifest of a finished folder of records.

    Raises:
      UserError: if there is none, which means that no job finished there.
    """
    path = pathlib.Path(folder, MANIFEST)
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{folder} has no {MANIFEST}: no job finished there; make the records first"
        ) from None
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}); make the records again") from error
    if not isinstance(manifest, dict) or manifest.get("kind") not in KINDS:
        raise UserError(
            f"{path} names none of the kinds of records, {', '.join(KINDS)}; make the records again"
        )
    return manifest


def open_folder(folder: str) -> dict[str, Any]:
    """The manifest of a finished folder of NoteSequence records.

    Raises:
      UserError: where there is no such folder, or it is not finished, or holds other records.
    """
    if not os.path.isdir(folder):
        raise UserError(f"{folder}: no such folder; --input names one that ./run.sh convert made")
    manifest = read_manifest(folder)
    if manifest["kind"] != "notesequence":
        raise UserError(
            f"{folder}: holds records of kind {manifest['kind']}, not notesequence; --input names "
            "the folder that they were made from"
        )
    return manifest


def kind_of(paths: Iterable[str]) -> str:
    """The kind of records in the files, "notesequence" or "tensors", by their manifests.

    A file without a manifest beside it counts as "notesequence", so that records which stock
    Magenta made can be used.

    Raises:
      UserError: if the files are of several kinds, or a job that makes them did not finish.
    """
    kinds: dict[str, str] = {}
    for folder in sorted({os.path.dirname(path) or "." for path in paths}):
        has_manifest = os.path.exists(os.path.join(folder, MANIFEST))
        if not has_manifest and os.path.exists(os.path.join(folder, UNFINISHED)):
            raise UserError(
                f"{folder}: the job that makes these records is at work or was killed; wait for "
                "it, or run it again"
            )
        kinds[read_manifest(folder)["kind"] if has_manifest else "notesequence"] = folder
    if len(kinds) > 1:
        mixture = " and ".join(f"{kind} in {folder}" for kind, folder in sorted(kinds.items()))
        raise UserError(f"records of several kinds cannot be mixed: {mixture}")
    return next(iter(kinds))


def count_in(path: str | os.PathLike, manifest: Mapping[str, Any]) -> int:
    """How many records a shard has, by its name and the manifest beside it.

    Raises:
      UserError: for a file that the manifest does not name.
    """
    name = re.fullmatch(r"(\w+)\.tfrecord-(\d{5})-of-(\d{5})", os.path.basename(path))
    split = manifest["splits"].get(name[1]) if name else None
    if name is None or split is None or not int(name[2]) < int(name[3]) == split["shards"]:
        raise UserError(
            f"{path} is not among the shards that {MANIFEST} beside it names; leave it out"
        )
    shard, shards, records = int(name[2]), split["shards"], split["records"]
    return shard_end(shard, shards, records) - shard_end(shard - 1, shards, records)


def number_in(paths: Sequence[str]) -> int | None:
    """How many records files have, by the manifests beside them; None where those do not tell."""
    manifests: dict[str, dict[str, Any]] = {}
    number = 0
    if not paths:
        return None
    for path in paths:
        folder = os.path.dirname(path) or "."
        try:
            if folder not in manifests:
                manifests[folder] = read_manifest(folder)
            number += count_in(path, manifests[folder])
        except (UserError, LookupError, TypeError, AttributeError):
            return None
    return number


def content_digest(paths: Iterable[str]) -> str:
    """A hash of the content of files, in the given order, whatever their names and folders."""
    found = hashlib.blake2b(digest_size=16)
    for path in paths:
        with open(path, "rb") as file:
            found.update(hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()


def require_whole(pattern: str) -> None:
    """Checks by the manifests that no shard is missing or cut short; reads none of the shards.

    A pattern stands for every shard in a manifest that it matches, whether the file is there or
    not: `DIR/train.tfrecord*` for all of a split, `DIR/train.tfrecord-00000*` for one.

    Args:
      pattern: as `record_files` takes it.

    Raises:
      UserError: for a shard that is missing or empty, or that has another size than its manifest
        names; manifests of NoteSequence records name no sizes (see `Folder.finish`).
    """
    for one in pattern.split(","):
        folders, name = os.path.split(one)
        for folder in sorted(glob.glob(folders or os.curdir)):
            if not os.path.exists(os.path.join(folder, MANIFEST)):
                continue
            for shard, size in _shards_in(read_manifest(folder)):
                if fnmatch.fnmatch(shard, name):
                    _require_size(os.path.join(folder, shard), size)


def _shards_in(manifest: Mapping[str, Any]) -> Iterator[tuple[str, int | None]]:
    """The name of each shard in a manifest, and its size in bytes where the manifest names it."""
    for split, made in manifest["splits"].items():
        sizes = made.get("bytes", [None] * made["shards"])
        for shard, size in enumerate(sizes):
            yield shard_name(split, shard, made["shards"]), size


def _require_size(path: str, size: int | None) -> None:
    fix = "copy its folder again, or make the records again"
    if not os.path.isfile(path):
        raise UserError(f"{path} is missing, but {MANIFEST} beside it names it; {fix}")
    found = os.path.getsize(path)
    # Every shard has a record, so an empty file is damaged too.
    if not found or size not in (None, found):
        expected = f" and not the {size} that {MANIFEST} beside it names" if size else ""
        raise UserError(f"{path} was cut short or changed: it has {found} bytes{expected}; {fix}")


def shard_name(split: str, shard: int, shards: int) -> str:
    """The file name of a shard, counted from 0."""
    return f"{split}.tfrecord-{shard:05d}-of-{shards:05d}"


def shard_end(shard: int, shards: int, records: int) -> int:
    """How many records of a split lie in its shards up to this one (from 0): equal shares."""
    return (shard + 1) * records // shards
