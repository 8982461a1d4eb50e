"""Parts: what workers make of the batches of sources that a job writes for them.

A part is a few files of records, sorted by a hash of their key, and a tally: JSON that says which
files these are and counts what was read. The job merges the parts (`folder.Folder.finish`); which
worker made which part does not show in the result.
"""

import hashlib
import heapq
import json
import os
import pathlib
import struct
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from pipelines.records import tfrecord
from pipelines.records.manifest import SPLITS
from pipelines.runtime.files import write_json, writing
from pipelines.tunes import splits

# What a part keeps beside the records of each split: records whose split is decided at the end,
# and what their tunes are recognised by.
UNDECIDED, TUNES = "undecided", "tunes"
KEPT = (*SPLITS, UNDECIDED, TUNES)
# A worker holds at most this much of a part in memory.
_PART_BYTES = 64 << 20


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
        self._held: dict[str, list[tuple[bytes, bytes]]] = {kept: [] for kept in KEPT}
        self._held_bytes = 0
        self._files: dict[str, list[str]] = {kept: [] for kept in KEPT}
        self._records = dict.fromkeys(KEPT, 0)
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
        self._keep(split or UNDECIDED, place, record)
        if split is None:
            hashes = splits.hash_keys(keys).tobytes()
            tune = struct.pack("<H", len(hashes)) + hashes + title.encode("utf-8", "replace")
            self._keep(TUNES, place, tune)
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
                write_sorted(self._folder / name, sorted(held))
                self._files[split].append(name)
                held.clear()
        self._held_bytes = 0


def unpack_tune(tune: bytes) -> tuple[np.ndarray, str]:
    """The hashes of the keys and the title of a tune, as `Part.add` keeps them."""
    (length,) = struct.unpack_from("<H", tune)
    return np.frombuffer(tune[2 : 2 + length], ">u8"), tune[2 + length :].decode("utf-8")


def merged(files: Sequence[pathlib.Path]) -> Iterator[tuple[bytes, bytes]]:
    """Keys and records of sorted files in the order of their keys, a record at a time."""
    return heapq.merge(*map(_read_sorted, files))


def _sort_key(key: str) -> bytes:
    """A hash first, so that shards are shuffled; the key after it, so that no two are equal."""
    name = key.encode("utf-8")
    return hashlib.blake2b(name, digest_size=8).digest() + name


def write_sorted(path: pathlib.Path, keyed: Iterable[tuple[bytes, bytes]]) -> None:
    """Writes keys and records, which come in the order of their keys, for `merged` to read."""
    with writing(path) as file:
        for key, record in keyed:
            tfrecord.write_record(file, key)
            tfrecord.write_record(file, record)


def _read_sorted(path: pathlib.Path) -> Iterator[tuple[bytes, bytes]]:
    entries = tfrecord.read(path)
    return zip(entries, entries, strict=True)
