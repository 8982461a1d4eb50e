"""Records on disk: the only place that knows file names, shards, the manifest and the framing.

A finished folder holds `{train,validation,test}.tfrecord-00000-of-00004`, `rejected.jsonl`,
`ignored.jsonl` and `tunes.jsonl` where there is something to say in them and, written last,
`manifest.json`; tfrecords/README.md documents them. Everything is made in the hidden folder
`.unfinished` inside it and renamed into place at the end, so what a failed or killed job leaves
has no manifest, and the next job clears it away.

Workers write parts (`Part`): records sorted by a hash of their key. `Folder.finish` merges the
parts into shards, a record at a time, and decides the splits of those records whose corpus does
not. Which worker made which part does not show in the result.
"""

import array
import contextlib
import fcntl
import fnmatch
import glob as _glob
import hashlib
import heapq
import json
import os
import pathlib
import re
import shutil
import struct
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, NamedTuple

import google_crc32c
import numpy as np

from pipelines.runtime.app import Progress, UserError
from pipelines.runtime.files import json_line, write_json, writing
from pipelines.tunes import splits

SPLITS = ("train", "validation", "test")
KINDS = ("notesequence", "tensors")
MANIFEST = "manifest.json"
REJECTED = "rejected.jsonl"
IGNORED = "ignored.jsonl"
TUNES = "tunes.jsonl"

_UNFINISHED = ".unfinished"
_SHARD = "tfrecord-?????-of-?????"
# A worker holds at most this much of a part in memory, and a merge opens at most so many files.
_PART_BYTES = 64 << 20
_MERGE_FILES = 256
# What a part keeps beside the records of each split: records whose split is decided at the end,
# and what their tunes are recognised by.
_UNDECIDED, _TUNES = "undecided", "tunes"
_KEPT = (*SPLITS, _UNDECIDED, _TUNES)
# TFRecord framing: length, its checksum, data, its checksum.
_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
_CRC_MASK = 0xA282EAD8


class Rejected(Exception):
    """A piece that is left out of the records, and why.

    Args:
      reason: one of a small set of words, to count by: "malformed", "too_long" ...
      detail: what exactly is wrong with this piece.
    """

    def __init__(self, reason: str, detail: str):
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


# Reading


def glob(pattern: str) -> list[str]:
    """The files that match a pattern, sorted; several patterns may be joined by commas.

    Raises:
      UserError: if a pattern matches no file.
    """
    paths: set[str] = set()
    for one in pattern.split(","):
        found = [path for path in _glob.glob(one) if os.path.isfile(path)]
        if not found:
            raise UserError(
                f"no file matches {one!r}; give the records of one split, "
                "such as 'DIR/train.tfrecord*'"
            )
        paths.update(found)
    return sorted(paths)


def read(path: str | os.PathLike) -> Iterator[bytes]:
    """The serialized records of a TFRecord file, in order, without TensorFlow.

    Raises:
      UserError: if the file is cut short or damaged.
    """
    for _, record in read_at(path):
        yield record


def read_at(path: str | os.PathLike, offset: int = 0) -> Iterator[tuple[int, bytes]]:
    """As `read`, from a record's offset in the file on, with the offset of each record."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(offset)
        while header := file.read(_HEADER.size):
            record = None
            if len(header) == _HEADER.size:
                length, checksum = _HEADER.unpack(header)
                # The length is checked before anything of that length is allocated.
                if checksum == _masked_crc(header[:8]) and length <= size - offset:
                    record = file.read(length)
            footer = file.read(_FOOTER.size)
            if (
                record is None
                or len(footer) < _FOOTER.size
                or (_FOOTER.unpack(footer)[0] != _masked_crc(record))
            ):
                raise UserError(
                    f"{path} is damaged or cut short at byte {offset}; make the records again"
                )
            yield offset, record
            offset = file.tell()


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
        if not has_manifest and os.path.exists(os.path.join(folder, _UNFINISHED)):
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
    if split is None or not int(name[2]) < int(name[3]) == split["shards"]:
        raise UserError(f"{path} is no shard that {MANIFEST} beside it tells of; leave it out")
    shard = int(name[2])
    return _end(shard, split["shards"], split["records"]) - _end(
        shard - 1, split["shards"], split["records"]
    )


def digest(paths: Iterable[str]) -> str:
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
      pattern: as `glob` takes it.

    Raises:
      UserError: for a shard that is missing or empty, or of another size than its manifest says,
        where that names sizes (see `Folder.finish`).
    """
    for one in pattern.split(","):
        place, name = os.path.split(one)
        for folder in sorted(_glob.glob(place or os.curdir)):
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
            yield _shard_name(split, shard, made["shards"]), size


def _require_size(path: str, size: int | None) -> None:
    fix = "copy its folder again, or make the records again"
    if not os.path.isfile(path):
        raise UserError(f"{path} is missing, and {MANIFEST} beside it tells of it; {fix}")
    found = os.path.getsize(path)
    # No shard is made without a record.
    if not found or size not in (None, found):
        expected = f" and not the {size} that {MANIFEST} beside it names" if size else ""
        raise UserError(f"{path} was cut short or changed: it has {found} bytes{expected}; {fix}")


def _shard_name(split: str, shard: int, shards: int) -> str:
    return f"{split}.tfrecord-{shard:05d}-of-{shards:05d}"


def _end(shard: int, shards: int, records: int) -> int:
    """The number of the last record of a shard, from 1: shards are filled evenly."""
    return (shard + 1) * records // shards


class Tune(NamedTuple):
    """A record and what its tune is recognised by.

    Attributes:
      id: of the record.
      split: which it is in.
      keys: the hashes of `splits.hash_keys`.
      title: for people.
    """

    id: str
    split: str
    keys: tuple[int, ...]
    title: str


def read_tunes(folder: str | os.PathLike) -> Iterator[Tune]:
    """The tunes of a finished folder of records; none where its corpus decided on the splits.

    Raises:
      UserError: if the list is damaged.
    """
    path = pathlib.Path(folder, TUNES)
    try:
        with open(path, encoding="utf-8") as file:
            for line in file:
                tune = json.loads(line)
                keys = tuple(int(key, 16) for key in tune["keys"])
                yield Tune(tune["id"], tune["split"], keys, tune["title"])
    except FileNotFoundError:
        return
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged ({error!r}); make the records again") from error


# Writing


def write_batch(folder: str | os.PathLike, name: str, sources: Sequence[Any]) -> None:
    """Writes what the worker of a part is to deal with, as JSON, into `Folder.parts`."""
    write_json(pathlib.Path(folder, f"{name}.sources"), sources)


def read_batch(folder: str | os.PathLike, name: str) -> list[Any]:
    """What `write_batch` wrote."""
    return json.loads(pathlib.Path(folder, f"{name}.sources").read_text(encoding="utf-8"))


class Part:
    """What one worker makes of one batch of sources: sorted records and rejections.

    Use it as a context manager; only a part that was left without an exception counts, once,
    however often a runner repeats it.

    Args:
      folder: `Folder.parts`.
      name: names the batch.
    """

    def __init__(self, folder: str | os.PathLike, name: str):
        self._folder = pathlib.Path(folder)
        self._name = name
        self._attempt = uuid.uuid4().hex
        self._held: dict[str, list[tuple[bytes, bytes]]] = {kept: [] for kept in _KEPT}
        self._held_bytes = 0
        self._files: dict[str, list[str]] = {kept: [] for kept in _KEPT}
        self._records = dict.fromkeys(_KEPT, 0)
        self._rejected: list[tuple[str, str, str]] = []
        self._ignored: list[tuple[str, str]] = []
        self._counts: Counter[str] = Counter()
        self._sources = 0

    def __enter__(self) -> "Part":
        return self

    def __exit__(self, kind, error, traceback) -> None:
        if kind is not None:
            return
        self._spill()
        path = self._folder / f"{self._name}.json"
        write_json(
            path,
            {
                "sources": self._sources,
                "files": self._files,
                "records": self._records,
                "rejected": self._rejected,
                "ignored": self._ignored,
                "counts": self._counts,
            },
        )

    def add_source(self) -> None:
        """Counts a source as dealt with, whatever came of it."""
        self._sources += 1

    def add(
        self, split: str | None, key: str, record: bytes, keys: Iterable[str] = (), title: str = ""
    ) -> None:
        """Adds a serialized record.

        Args:
          split: which it belongs to; None leaves that to `Folder.finish`, which puts records with
            a key in common into the same one.
          key: names the record in its corpus and decides its place.
          record: its bytes.
          keys: what its tune is recognised by; counts where `split` is None.
          title: of the tune, for people.
        """
        place = _sort_key(key)
        self._keep(split or _UNDECIDED, place, record)
        if split is None:
            hashes = splits.hash_keys(keys).tobytes()
            tune = struct.pack("<H", len(hashes)) + hashes + title.encode("utf-8", "replace")
            self._keep(_TUNES, place, tune)
        if self._held_bytes > _PART_BYTES:
            self._spill()

    def _keep(self, where: str, place: bytes, record: bytes) -> None:
        self._held[where].append((place, record))
        self._records[where] += 1
        self._held_bytes += len(record)

    def count(self, what: str, number: int = 1) -> None:
        """Adds to a number of the manifest; one that nothing was added to is left out of it."""
        self._counts[what] += number

    def ignore(self, source: str, detail: str) -> None:
        """Adds a line to `ignored.jsonl`: of what is no part of the corpus."""
        self._ignored.append((source, detail))

    def reject(self, source: str, reason: str, detail: str) -> None:
        """Adds a line to `rejected.jsonl`."""
        self._rejected.append((source, reason, detail))

    def _spill(self) -> None:
        for split, held in self._held.items():
            if held:
                name = f"{self._name}-{self._attempt}-{split}-{len(self._files[split])}"
                _write_sorted(self._folder / name, sorted(held))
                self._files[split].append(name)
                held.clear()
        self._held_bytes = 0


class Folder:
    """A folder of records that a job is making; use it as a context manager.

    Args:
      path: the folder; made where it does not exist.
      overwrite: whether an older run in it may be replaced, once the new one is complete.

    Raises:
      UserError: on entering, if the folder holds something else, or another job is at work.
    """

    def __init__(self, path: str | os.PathLike, overwrite: bool = False):
        if "://" in os.fspath(path):
            raise UserError(
                f"{path}: records are written to local or mounted folders only; "
                "write them there and copy the folder"
            )
        self._path = pathlib.Path(path)
        self._overwrite = overwrite
        self._unfinished = self._path / _UNFINISHED
        self.parts = self._unfinished / "parts"
        self._stack = contextlib.ExitStack()
        self._made_path = False
        self._publishing = False

    def __enter__(self) -> "Folder":
        if (self._path / MANIFEST).exists() and not self._overwrite:
            raise UserError(
                f"{self._path} holds the records of an older run; "
                "name another --output, or add --overwrite to replace them"
            )
        others = self._leftovers() if self._path.is_dir() else []
        if others and not self._unfinished.exists() and not (self._path / MANIFEST).exists():
            raise UserError(
                f"{self._path} holds {others[0].name}, which no finished run left there; "
                "name another --output, or remove it"
            )
        self._made_path = not self._path.exists()
        self._path.mkdir(parents=True, exist_ok=True)
        self._unfinished.mkdir(exist_ok=True)
        with contextlib.ExitStack() as stack:
            # Held as long as this process lives: tells a job at work from a killed one.
            lock = stack.enter_context(open(self._unfinished / "lock", "w"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(
                    f"another job is writing to {self._path}; wait for it to end"
                ) from None
            shutil.rmtree(self.parts, ignore_errors=True)
            self.parts.mkdir()
            if not (self._path / MANIFEST).exists():
                for killed in self._leftovers():
                    killed.unlink()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind, error, traceback) -> None:
        if self._publishing:
            # Between the old run and the new one: without its manifest, no shard may stay.
            for moved in self._leftovers():
                moved.unlink()
        shutil.rmtree(self._unfinished, ignore_errors=True)
        self._stack.close()
        if error is not None and self._made_path and not any(self._path.iterdir()):
            self._path.rmdir()

    def _leftovers(self) -> list[pathlib.Path]:
        names = [REJECTED, IGNORED, TUNES, *(f"{split}.{_SHARD}" for split in SPLITS)]
        return sorted(path for name in names for path in self._path.glob(name))

    def sources_done(self) -> int:
        """How many sources the finished parts account for, while workers are at it."""
        return sum(tally["sources"] for tally in self._tallies())

    def _tallies(self) -> Iterator[dict[str, Any]]:
        for path in sorted(self.parts.glob("*.json")):
            yield json.loads(path.read_text(encoding="utf-8"))

    def finish(
        self,
        kind: str,
        corpus: str,
        num_shards: int,
        sources: int,
        about: Mapping[str, Any],
        percent: Sequence[int] = splits.DEFAULT_PERCENT,
        tunes: str | os.PathLike | None = None,
        sizes: bool = False,
    ) -> dict[str, Any]:
        """Merges the parts into shards, renames all into place, and writes the manifest.

        A record is a piece that was read. Where a source gives several records of one piece, or
        none, the parts count those that gave some as "used": read = used + rejected = sources.

        Args:
          kind: "notesequence" or "tensors".
          corpus: the corpus's name.
          num_shards: how many files for each split; fewer where it has fewer records.
          sources: how many sources there were; the parts must account for each.
          about: what else the manifest should say: JSON, and the same for the same input.
          percent: the shares of train, validation and test, of records without a split.
          tunes: the folder of records that these were made of, whose list of tunes stays good.
          sizes: whether the manifest names the bytes of each shard, for who does not read them all
            before relying on them (`require_whole`).

        Returns:
          The manifest.

        Raises:
          UserError: if no record was kept.
          RuntimeError: if the counts do not reconcile, which a faulty runner would cause.
        """
        tallies = list(self._tallies())
        rejected = sorted(tuple(line) for tally in tallies for line in tally["rejected"])
        ignored = sorted(tuple(line) for tally in tallies for line in tally["ignored"])
        counts = {kept: sum(t["records"][kept] for t in tallies) for kept in _KEPT}
        done = sum(tally["sources"] for tally in tallies)
        if done != sources:
            raise RuntimeError(f"the workers account for {done} of {sources} sources")
        total = sum(counts[split] for split in (*SPLITS, _UNDECIDED))
        if not total:
            first = "; ".join(": ".join(line) for line in rejected[:1]) or "there was none"
            raise UserError(f"no record was kept out of {len(rejected)} read ({first})")

        made = self._unfinished / "made"
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir()
        files = self._few_files(tallies)
        facts: dict[str, Any] = {}
        for tally in tallies:
            for what, number in tally["counts"].items():
                facts[what] = facts.get(what, 0) + number
        # In the order of their names, whichever part had one first.
        facts = dict(sorted(facts.items()))
        used = facts.get("used", total)
        if "used" in facts and used + len(rejected) != sources:
            raise RuntimeError(
                f"{used} used and {len(rejected)} rejected are not the {sources} sources"
            )
        assigned = np.zeros(0, np.uint8)
        if counts[_UNDECIDED]:
            assignment = splits.assign(*_tunes(files[_TUNES], counts[_TUNES]), percent)
            assigned = assignment.splits
            _write_tunes(made / TUNES, files[_TUNES], assignment)
            facts["tunes"] = {"groups": assignment.groups, "largest": assignment.largest}
        elif tunes is not None and os.path.exists(os.path.join(tunes, TUNES)):
            shutil.copyfile(os.path.join(tunes, TUNES), made / TUNES)
        shards = {
            split: _Shards(made, split, num_shards, counts[split] + np.count_nonzero(assigned == i))
            for i, split in enumerate(SPLITS)
        }
        _merge_into(shards, files, assigned, Progress("records written", total))
        if ignored:
            with writing(made / IGNORED) as file:
                for source, detail in ignored:
                    file.write(json_line({"source": source, "detail": detail}))
            facts["ignored"] = len(ignored)
        with writing(made / REJECTED) as file:
            for source, reason, detail in rejected:
                file.write(json_line({"source": source, "reason": reason, "detail": detail}))

        manifest = {
            "kind": kind,
            "corpus": corpus,
            "read": used + len(rejected),
            "rejected": len(rejected),
            **facts,
            "splits": {split: shards[split].describe(sizes) for split in SPLITS},
            "reasons": dict(sorted(Counter(reason for _, reason, _ in rejected).items())),
            **about,
        }
        ready = self._unfinished / MANIFEST
        write_json(ready, manifest)
        # From here on there are only removals and renames, which a full disk does not stop.
        self._publishing = True
        (self._path / MANIFEST).unlink(missing_ok=True)
        for old in self._leftovers():
            old.unlink()
        for path in sorted(made.iterdir()):
            path.rename(self._path / path.name)
        ready.rename(self._path / MANIFEST)
        self._publishing = False
        return manifest

    def _few_files(self, tallies: Sequence[Mapping[str, Any]]) -> dict[str, list[pathlib.Path]]:
        """The sorted files of all parts, by what is in them: few enough to be open together."""
        files = {
            kept: [self.parts / name for tally in tallies for name in tally["files"][kept]]
            for kept in _KEPT
        }
        most = max(2, _MERGE_FILES // sum(map(bool, files.values())))
        for kept, paths in files.items():
            while len(paths) > most:
                some, paths = paths[:most], paths[most:]
                path = self.parts / f"merged-{uuid.uuid4().hex}"
                _write_sorted(path, _merged(some))
                for old in some:
                    old.unlink()
                paths.append(path)
            files[kept] = paths
        return files


class _Shards:
    """The files of one split, filled one after another, evenly.

    Args:
      folder: where they are written.
      split: its name.
      most: how many files, at most.
      records: how many records will come.
    """

    def __init__(self, folder: pathlib.Path, split: str, most: int, records: int):
        self.records = int(records)
        self.shards = min(most, self.records)
        self.split = split
        self._folder = folder
        self._shard = -1
        self._written = self._full = 0
        self._last = b""
        self._stack = contextlib.ExitStack()
        self._file: BinaryIO

    def add(self, key: bytes, record: bytes) -> None:
        """Writes the next record; their keys come in order."""
        if key == self._last:
            raise RuntimeError(f"two records have the key {key[8:].decode()!r}")
        self._last = key
        if self._written == self.records:
            raise RuntimeError(f"more than {self.records} records of {self.split} are left")
        if self._written == self._full:
            self._stack.close()
            self._shard += 1
            self._full = _end(self._shard, self.shards, self.records)
            name = _shard_name(self.split, self._shard, self.shards)
            self._file = self._stack.enter_context(writing(self._folder / name))
        try:
            _write_record(self._file, record)
        except OSError as error:
            error.filename = error.filename or self._file.name
            raise
        self._written += 1

    def describe(self, sizes: bool) -> dict[str, Any]:
        """What the manifest says of the split, once all is written."""
        made: dict[str, Any] = {"records": self.records, "shards": self.shards}
        if sizes:
            names = (_shard_name(self.split, shard, self.shards) for shard in range(self.shards))
            made["bytes"] = [os.path.getsize(self._folder / name) for name in names]
        return made

    def __enter__(self) -> "_Shards":
        return self

    def __exit__(self, kind, error, traceback) -> None:
        self._stack.close()
        if kind is None and self._written != self.records:
            raise RuntimeError(
                f"{self._written} of {self.records} records of {self.split} are left"
            )


def _merge_into(
    shards: Mapping[str, _Shards],
    files: Mapping[str, Sequence[pathlib.Path]],
    assigned: np.ndarray,
    progress: Progress,
) -> None:
    """Writes all records, in the order of their keys, to the shards of their splits."""

    def of(split: str) -> Iterator[tuple[bytes, str, bytes]]:
        return ((key, split, record) for key, record in _merged(files[split]))

    undecided = (
        (key, SPLITS[split], record)
        for split, (key, record) in zip(assigned, _merged(files[_UNDECIDED]), strict=True)
    )
    with contextlib.ExitStack() as stack:
        for one in shards.values():
            stack.enter_context(one)
        everything = heapq.merge(*map(of, SPLITS), undecided)
        for written, (key, split, record) in enumerate(everything, start=1):
            shards[split].add(key, record)
            progress.update(written)
    progress.close()


def _tunes(files: Sequence[pathlib.Path], count: int) -> tuple[np.ndarray, ...]:
    """What `splits.assign` needs, in the order of the records.

    Returns:
      uint64 array shaped [records] of hashes of their names, uint64 array of all hashes of their
      keys, and int32 array shaped [records]: how many of these each record has.
    """
    own = np.zeros(count, np.uint64)
    counts = np.zeros(count, np.int32)
    hashes = array.array("Q")
    for i, (place, tune) in enumerate(_merged(files)):
        own[i] = int.from_bytes(place[:8], "big")
        keys, _ = _unpack(tune)
        counts[i] = len(keys)
        hashes.extend(keys.tolist())
    return own, np.array(hashes, np.uint64), counts


def _write_tunes(
    path: pathlib.Path, files: Sequence[pathlib.Path], assignment: splits.Assignment
) -> None:
    with writing(path) as file:
        for split, (place, tune) in zip(assignment.splits, _merged(files), strict=True):
            keys, title = _unpack(tune)
            keys = [f"{key:016x}" for key in keys.tolist() if key not in assignment.general]
            line = {"id": place[8:].decode(), "split": SPLITS[split], "keys": keys, "title": title}
            file.write(json_line(line))


def _unpack(tune: bytes) -> tuple[np.ndarray, str]:
    (length,) = struct.unpack_from("<H", tune)
    return np.frombuffer(tune[2 : 2 + length], ">u8"), tune[2 + length :].decode("utf-8")


def _merged(files: Sequence[pathlib.Path]) -> Iterator[tuple[bytes, bytes]]:
    """Keys and records of sorted files in the order of their keys, a record at a time."""
    return heapq.merge(*map(_read_sorted, files))


def _sort_key(key: str) -> bytes:
    """A hash first, so that shards are shuffled; the key after it, so that no two are equal."""
    name = key.encode("utf-8")
    return hashlib.blake2b(name, digest_size=8).digest() + name


def _write_sorted(path: pathlib.Path, keyed: Iterable[tuple[bytes, bytes]]) -> None:
    with writing(path) as file:
        for key, record in keyed:
            _write_record(file, key)
            _write_record(file, record)


def _read_sorted(path: pathlib.Path) -> Iterator[tuple[bytes, bytes]]:
    entries = read(path)
    return zip(entries, entries, strict=True)


def _write_record(file: BinaryIO, record: bytes) -> None:
    length = struct.pack("<Q", len(record))
    file.write(length + _FOOTER.pack(_masked_crc(length)))
    file.write(record)
    file.write(_FOOTER.pack(_masked_crc(record)))


def _masked_crc(data: bytes) -> int:
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + _CRC_MASK) & 0xFFFFFFFF
