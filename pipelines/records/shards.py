"""The shards of a folder of records, merged from the sorted files of all parts.

Memory stays small: a merge holds one record of each file that it reads.
"""

import contextlib
import heapq
import os
import pathlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np

from pipelines.records import parts, tfrecord
from pipelines.records.manifest import SPLITS, shard_end, shard_name
from pipelines.runtime.app import UserError
from pipelines.runtime.files import writing
from pipelines.runtime.progress import Progress

# A merge opens at most so many files.
_MERGE_FILES = 256


class DuplicateKey(UserError):
    """Two records have the same key.

    Args:
      key: the key.
      records: the two.
    """

    def __init__(self, key: str, records: tuple[bytes, bytes]):
        super().__init__(f"two records have the key {key!r}; every piece needs an id of its own")
        self.key = key
        self.records = records


class Shards:
    """The files of one split; they are filled one after another and have equal shares.

    Use it as a context manager while records are added.

    Args:
      folder: where they are written.
      split: the name of the split.
      most: how many files there may be.
      records: how many records will come.

    Raises:
      RuntimeError: if more or fewer records come.
    """

    def __init__(self, folder: pathlib.Path, split: str, most: int, records: int):
        self.records = records
        self.shards = min(most, self.records)
        self.split = split
        self._folder = folder
        self._shard = -1
        self._written = self._full = 0
        self._stack = contextlib.ExitStack()
        self._file: BinaryIO

    def add(self, record: bytes) -> None:
        """Writes the next record, in the order of their keys."""
        if self._written == self.records:
            raise RuntimeError(f"there are more than {self.records} records of {self.split}")
        if self._written == self._full:
            self._stack.close()
            self._shard += 1
            self._full = shard_end(self._shard, self.shards, self.records)
            name = shard_name(self.split, self._shard, self.shards)
            self._file = self._stack.enter_context(writing(self._folder / name))
        try:
            tfrecord.write_record(self._file, record)
        except OSError as error:
            error.filename = error.filename or self._file.name
            raise
        self._written += 1

    def describe(self, sizes: bool) -> dict[str, Any]:
        """What the manifest says of the split, once all is written.

        Args:
          sizes: whether to name the bytes of each shard.
        """
        made: dict[str, Any] = {"records": self.records, "shards": self.shards}
        if sizes:
            names = (shard_name(self.split, shard, self.shards) for shard in range(self.shards))
            made["bytes"] = [os.path.getsize(self._folder / name) for name in names]
        return made

    def __enter__(self) -> "Shards":
        return self

    def __exit__(self, kind, error, traceback) -> None:
        self._stack.close()
        if kind is None and self._written != self.records:
            raise RuntimeError(
                f"there are {self._written} records of {self.split}, not {self.records}"
            )


def merge(
    folder: pathlib.Path,
    files: Mapping[str, Sequence[pathlib.Path]],
    counts: Mapping[str, int],
    assigned: np.ndarray,
    num_shards: int,
) -> dict[str, Shards]:
    """Writes all records, in the order of their keys, to the shards of their splits.

    Args:
      folder: where the shards are written.
      files: the sorted files under each of `parts.KEPT`, few enough to be open together.
      counts: how many records these have.
      assigned: uint8 array shaped [undecided records], in the order of their keys: the index in
        `SPLITS` of the split that each was assigned to.
      num_shards: how many files for each split; fewer where it has fewer records.

    Returns:
      The shards of each split.

    Raises:
      DuplicateKey: if two records of a split have the same key.
    """
    records = {
        split: counts[split] + int(np.count_nonzero(assigned == i))
        for i, split in enumerate(SPLITS)
    }
    shards = {split: Shards(folder, split, num_shards, records[split]) for split in SPLITS}

    def with_split(split: str) -> Iterator[tuple[bytes, str, bytes]]:
        return ((key, split, record) for key, record in parts.merged(files[split]))

    undecided = (
        (key, SPLITS[split], record)
        for split, (key, record) in zip(assigned, parts.merged(files[parts.UNDECIDED]), strict=True)
    )
    with Progress("records written", sum(records.values())) as progress:
        with contextlib.ExitStack() as stack:
            for one in shards.values():
                stack.enter_context(one)
            everything = heapq.merge(*map(with_split, SPLITS), undecided)
            last, before = (b"", ""), b""
            for written, (key, split, record) in enumerate(everything, start=1):
                if (key, split) == last:
                    raise DuplicateKey(key[8:].decode(), (before, record))
                last, before = (key, split), record
                shards[split].add(record)
                progress.update(written)
    return shards


def few_files(
    folder: pathlib.Path, files: Mapping[str, Sequence[pathlib.Path]]
) -> dict[str, list[pathlib.Path]]:
    """Merges sorted files until there are few enough of them to be open together.

    Args:
      folder: where the merged files are written; those that went into them are removed.
      files: the sorted files under each of `parts.KEPT`.

    Returns:
      The files that there are now, under the same names.
    """
    few = {kept: list(paths) for kept, paths in files.items()}
    most = max(2, _MERGE_FILES // sum(map(bool, few.values())))
    for kept, paths in few.items():
        while len(paths) > most:
            some, paths = paths[:most], paths[most:]
            path = folder / f"merged-{uuid.uuid4().hex}"
            parts.write_sorted(path, parts.merged(some))
            for old in some:
                old.unlink()
            paths.append(path)
        few[kept] = paths
    return few
