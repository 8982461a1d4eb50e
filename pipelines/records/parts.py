"""Parts: what workers make of the batches of sources that a job writes for them.

A part is a few files of records, sorted by a hash of their keys, and a JSON file that names these
files and counts what was read. The job adds the parts up (`tally`) and merges their records
(`shards.merge`). Which worker made which part does not show in the result.
"""

import contextlib
import hashlib
import heapq
import json
import os
import pathlib
import struct
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from pipelines.records import tfrecord
from pipelines.records.manifest import SPLITS
from pipelines.runtime import storage, storage_copies
from pipelines.runtime.files import json_line, replacing, write_json, writing
from pipelines.tunes import splits

# Beside the records of each split, a part keeps the records whose split is decided at the end, and
# for each of these what its tune is recognised by.
UNDECIDED, TUNES = "undecided", "tunes"
KEPT = (*SPLITS, UNDECIDED, TUNES)
# A worker holds at most this much of a part in memory, so that large parts need hardly more of it.
_PART_BYTES = 8 << 20


def write_batch(folder: str | os.PathLike, name: str, sources: Sequence[Any]) -> None:
    """Writes the sources of a batch as JSON into `Folder.shared`, for the worker to read."""
    if storage.is_address(folder):
        storage.write(f"{folder}/{name}.sources", json_line(sources))
    else:
        write_json(pathlib.Path(folder, f"{name}.sources"), sources)


def read_batch(folder: str | os.PathLike, name: str) -> list[Any]:
    """The sources of a batch that `write_batch` wrote; tuples come back as lists."""
    if storage.is_address(folder):
        return json.loads(storage.read(f"{folder}/{name}.sources"))
    return json.loads(pathlib.Path(folder, f"{name}.sources").read_text(encoding="utf-8"))


class Part:
    """What one worker makes of one batch of sources: sorted records and rejections.

    Use it as a context manager. A part counts only if it was left without an exception, and it
    counts once, however often a runner repeats it.

    Args:
      folder: `Folder.shared`. At an address, all is written on this machine first.
      name: the name of the batch.
    """

    def __init__(self, folder: str | os.PathLike, name: str):
        self._address, self._stack = "", contextlib.ExitStack()
        if storage.is_address(folder):
            self._address = os.fspath(folder)
            folder = self._stack.enter_context(storage_copies.scratch_folder())
        self._folder = pathlib.Path(folder)
        self._name = name
        self._attempt = uuid.uuid4().hex
        self._held: dict[str, list[tuple[bytes, bytes]]] = {kept: [] for kept in KEPT}
        self._held_bytes = 0
        self._files: dict[str, list[str]] = {kept: [] for kept in KEPT}
        self._records: dict[str, int] = dict.fromkeys(KEPT, 0)
        self._rejected: list[tuple[str, str, str, str]] = []
        self._warned: list[tuple[str, int, str, str]] = []
        self._ignored: list[tuple[str, str]] = []
        self._counts: Counter[str] = Counter()
        self._sources = 0

    def __enter__(self) -> "Part":
        return self

    def __exit__(self, kind, error, traceback) -> None:
        with self._stack:
            if kind is None:
                self._finish()

    def _finish(self) -> None:
        """Writes all that is left, and the JSON file last."""
        self._spill()
        path = self._folder / f"{self._name}.json"
        write_json(
            path,
            {
                "sources": self._sources,
                "files": self._files,
                "records": self._records,
                "rejected": self._rejected,
                "warned": self._warned,
                "ignored": self._ignored,
                "counts": self._counts,
            },
        )
        self._send(path)

    @contextlib.contextmanager
    def writing(self, ending: str) -> Iterator[BinaryIO]:
        """Opens a file of its own for writing, `NAME.ending`, which is there once it is whole."""
        path = self._folder / f"{self._name}.{ending}"
        with replacing(path) as file:
            yield file
        self._send(path)

    def add_source(self) -> None:
        """Counts a source as dealt with, whatever came of it."""
        self._sources += 1

    def add(
        self, split: str | None, key: str, record: bytes, keys: Iterable[str] = (), title: str = ""
    ) -> None:
        """Adds a serialized record.

        Args:
          split: the split that it belongs to, or None: then the job decides at the end, and puts
            records with a key in common into the same split.
          key: names the record in its corpus; the order of the records follows from it.
          record: its bytes.
          keys: what its tune is recognised by; used only where `split` is None.
          title: of the tune, for people.
        """
        sort_key = _sort_key(key)
        self._keep(split or UNDECIDED, sort_key, record)
        if split is None:
            hashes = splits.hash_keys(keys).tobytes()
            tune = struct.pack("<I", len(hashes)) + hashes + title.encode("utf-8", "replace")
            self._keep(TUNES, sort_key, tune)
        if self._held_bytes > _PART_BYTES:
            self._spill()

    def _keep(self, where: str, sort_key: bytes, record: bytes) -> None:
        self._held[where].append((sort_key, record))
        self._records[where] += 1
        self._held_bytes += len(record)

    def count(self, what: str, number: int = 1) -> None:
        """Adds to a count that the manifest will have under this name.

        The manifest leaves out names that no part counted.
        """
        self._counts[what] += number

    def ignore(self, source: str, detail: str) -> None:
        """Adds a line to `ignored.jsonl`, for something that is no part of the corpus."""
        self._ignored.append((source, detail))

    def reject(self, source: str, reason: str, detail: str, title: str = "") -> None:
        """Adds a line to `rejected.jsonl`; with a title, where the piece has one."""
        self._rejected.append((source, reason, detail, title))

    def warn(self, key: str, title: str, line: int, warning: str) -> None:
        """Adds a line to `warned.jsonl`: what was wrong in a record that was kept, and where."""
        self._warned.append((key, line, warning, title))

    def _spill(self) -> None:
        """Writes what is held in memory to sorted files."""
        for split, held in self._held.items():
            if held:
                name = f"{self._name}-{self._attempt}-{split}-{len(self._files[split])}"
                write_sorted(self._folder / name, sorted(held))
                self._send(self._folder / name)
                self._files[split].append(name)
                held.clear()
        self._held_bytes = 0

    def _send(self, path: pathlib.Path) -> None:
        """Copies a file to the address, if there is one, and removes it here."""
        if self._address:
            storage.send(path, f"{self._address}/{path.name}")
            path.unlink()


class Tally(NamedTuple):
    """What all finished parts of a job account for.

    Attributes:
      sources: how many sources were dealt with.
      records: the number of entries under each of `KEPT`.
      files: the sorted files under each of `KEPT`.
      rejected: source, reason, detail and title of each rejection, sorted.
      warned: key, line, warning and title of each warning, sorted.
      ignored: source and detail of what is no part of the corpus, sorted.
      counts: what `Part.count` added up, in the order of the names.
    """

    sources: int
    records: dict[str, int]
    files: dict[str, list[pathlib.Path]]
    rejected: list[tuple[str, str, str, str]]
    warned: list[tuple[str, int, str, str]]
    ignored: list[tuple[str, str]]
    counts: dict[str, int]

    @property
    def kept(self) -> int:
        """The number of records, whether their split is decided or not."""
        return sum(self.records[kept] for kept in (*SPLITS, UNDECIDED))


def tally(folder: pathlib.Path) -> Tally:
    """Adds up the finished parts in `Folder.parts`."""
    parts = list(_finished(folder))
    counts: dict[str, int] = {}
    for part in parts:
        for what, number in part["counts"].items():
            counts[what] = counts.get(what, 0) + number
    return Tally(
        sources=sum(part["sources"] for part in parts),
        records={kept: sum(part["records"][kept] for part in parts) for kept in KEPT},
        files={
            kept: [folder / name for part in parts for name in part["files"][kept]] for kept in KEPT
        },
        rejected=sorted(tuple(line) for part in parts for line in part["rejected"]),
        warned=sorted(tuple(line) for part in parts for line in part["warned"]),
        ignored=sorted(tuple(line) for part in parts for line in part["ignored"]),
        # Sorted: which part had a name first depends on the runner.
        counts=dict(sorted(counts.items())),
    )


def sources_done(folder: pathlib.Path) -> int:
    """How many sources the finished parts in `Folder.parts` account for so far."""
    return sum(part["sources"] for part in _finished(folder))


def _finished(folder: pathlib.Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("*.json")):
        yield json.loads(path.read_text(encoding="utf-8"))


def unpack_tune(tune: bytes) -> tuple[np.ndarray, str]:
    """The hashes of the keys (uint64) and the title that `Part.add` stored of a tune."""
    (length,) = struct.unpack_from("<I", tune)
    return np.frombuffer(tune[4 : 4 + length], ">u8"), tune[4 + length :].decode("utf-8")


# Sorted files: TFRecord files in which keys and records alternate.


def merged(files: Sequence[pathlib.Path]) -> Iterator[tuple[bytes, bytes]]:
    """Keys and records of sorted files in the order of their keys, a record at a time.

    A key here is what records are sorted by: 8 bytes of a hash, then the record's own key.
    """
    return heapq.merge(*map(_read_sorted, files))


def write_sorted(path: pathlib.Path, keyed: Iterable[tuple[bytes, bytes]]) -> None:
    """Writes a sorted file; the keys have to come in order."""
    with writing(path) as file:
        for key, record in keyed:
            tfrecord.write_record(file, key)
            tfrecord.write_record(file, record)


def _read_sorted(path: pathlib.Path) -> Iterator[tuple[bytes, bytes]]:
    entries = tfrecord.read(path)
    return zip(entries, entries, strict=True)


def _sort_key(key: str) -> bytes:
    """The hash comes first, which shuffles the records; the key makes it unique."""
    name = key.encode("utf-8")
    return hashlib.blake2b(name, digest_size=8).digest() + name
