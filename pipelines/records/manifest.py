"""What a finished folder of records is: its files' names, its manifest and its shards.

It holds `{train,validation,test}.tfrecord-00000-of-00004`, `rejected.jsonl`, `ignored.jsonl` and
`tunes.jsonl` where there is something to say in them and, written last, `manifest.json`;
tfrecords/README.md documents them.
"""

import fnmatch
import glob
import hashlib
import json
import os
import pathlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pipelines.runtime.app import UserError

SPLITS = ("train", "validation", "test")
KINDS = ("notesequence", "tensors")
MANIFEST = "manifest.json"
REJECTED = "rejected.jsonl"
IGNORED = "ignored.jsonl"
TUNES = "tunes.jsonl"
# Where a job makes all of this, in the folder itself; gone once it has ended.
UNFINISHED = ".unfinished"


def record_files(pattern: str) -> list[str]:
    """The files that match a pattern, sorted; several patterns may be joined by commas.

    Raises:
      UserError: if a pattern matches no file.
    """
    paths: set[str] = set()
    for one in pattern.split(","):
        found = [path for path in glob.glob(one) if os.path.isfile(path)]
        if not found:
            raise UserError(
                f"no file matches {one!r}; give the records of one split, "
                "such as 'DIR/train.tfrecord*'"
            )
        paths.update(found)
    return sorted(paths)


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
        raise UserError(f"{path} names no kind of records out of {', '.join(KINDS)}")
    return manifest


def kind_of(paths: Iterable[str]) -> str:
    """The kind of records in the files, "notesequence" or "tensors", by their manifests.

    A file beside which there is no manifest counts as "notesequence": stock Magenta's records.

    Raises:
      UserError: if the files are of several kinds, or of a job that did not finish.
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
      UserError: for a file that the manifest does not tell of.
    """
    name = re.fullmatch(r"(\w+)\.tfrecord-(\d{5})-of-(\d{5})", os.path.basename(path))
    split = manifest["splits"].get(name[1]) if name else None
    if name is None or split is None or not int(name[2]) < int(name[3]) == split["shards"]:
        raise UserError(f"{path} is no shard that {MANIFEST} beside it names; leave it out")
    shard, shards, records = int(name[2]), split["shards"], split["records"]
    return shard_end(shard, shards, records) - shard_end(shard - 1, shards, records)


def content_digest(paths: Iterable[str]) -> str:
    """A hash of the content of files, in their order, wherever they lie."""
    found = hashlib.blake2b(digest_size=16)
    for path in paths:
        with open(path, "rb") as file:
            found.update(hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()


def require_whole(pattern: str) -> None:
    """Compares the shards that a pattern names with the manifests beside them; reads none of them.

    A pattern names every shard of a manifest that it matches, whether the file is there or not:
    `DIR/train.tfrecord*` all of a split, `DIR/train.tfrecord-00000*` one.

    Args:
      pattern: as `record_files` takes it.

    Raises:
      UserError: for a shard that is missing or empty, or of another size than its manifest says,
        where that names sizes (see `Folder.finish`).
    """
    for one in pattern.split(","):
        place, name = os.path.split(one)
        for folder in sorted(glob.glob(place or os.curdir)):
            if not os.path.exists(os.path.join(folder, MANIFEST)):
                continue
            for shard, size in _shards_in(read_manifest(folder)):
                if fnmatch.fnmatch(shard, name):
                    _require_size(os.path.join(folder, shard), size)


def _shards_in(manifest: Mapping[str, Any]) -> Iterator[tuple[str, int | None]]:
    """The name of each shard that a manifest tells of, and its bytes, where it names them."""
    for split, made in manifest["splits"].items():
        sizes = made.get("bytes", [None] * made["shards"])
        for shard, size in enumerate(sizes):
            yield shard_name(split, shard, made["shards"]), size


def _require_size(path: str, size: int | None) -> None:
    fix = "copy its folder again, or make the records again"
    if not os.path.isfile(path):
        raise UserError(f"{path} is missing, and {MANIFEST} beside it tells of it; {fix}")
    found = os.path.getsize(path)
    # No shard is made without a record.
    if not found or size not in (None, found):
        expected = f" and not the {size} that {MANIFEST} beside it names" if size else ""
        raise UserError(f"{path} was cut short or changed: it has {found} bytes{expected}; {fix}")


def shard_name(split: str, shard: int, shards: int) -> str:
    """The file name of a shard, counted from 0."""
    return f"{split}.tfrecord-{shard:05d}-of-{shards:05d}"


def shard_end(shard: int, shards: int, records: int) -> int:
    """The number of the last record of a shard, from 1: shards are filled evenly."""
    return (shard + 1) * records // shards
