"""A folder of records in the making, and how the parts of all workers become its shards.

Everything is made in the hidden folder `.unfinished` inside it and renamed into place at the end,
the manifest last, so what a failed or killed job leaves has no manifest, and the next job clears it
away. `Folder.finish` merges the parts into shards, a record at a time, and decides the splits of
those records whose corpus does not.
"""

import contextlib
import fcntl
import heapq
import json
import os
import pathlib
import shutil
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np

from pipelines.records import parts, tfrecord, tune_list
from pipelines.records.manifest import (
    IGNORED,
    MANIFEST,
    REJECTED,
    SPLITS,
    TUNES,
    UNFINISHED,
    shard_end,
    shard_name,
)
from pipelines.runtime.app import UserError
from pipelines.runtime.files import json_line, write_json, writing
from pipelines.runtime.progress import Progress
from pipelines.tunes import splits

_SHARD = "tfrecord-?????-of-?????"
# A merge opens at most so many files.
_MERGE_FILES = 256


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
        self._unfinished = self._path / UNFINISHED
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
        counts = {kept: sum(t["records"][kept] for t in tallies) for kept in parts.KEPT}
        done = sum(tally["sources"] for tally in tallies)
        if done != sources:
            raise RuntimeError(f"the workers account for {done} of {sources} sources")
        total = sum(counts[split] for split in (*SPLITS, parts.UNDECIDED))
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
        if counts[parts.UNDECIDED]:
            assignment = splits.assign(
                *tune_list.hashes(files[parts.TUNES], counts[parts.TUNES]), percent
            )
            assigned = assignment.splits
            tune_list.write_tunes(made / TUNES, files[parts.TUNES], assignment)
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
            for kept in parts.KEPT
        }
        most = max(2, _MERGE_FILES // sum(map(bool, files.values())))
        for kept, paths in files.items():
            while len(paths) > most:
                some, paths = paths[:most], paths[most:]
                path = self.parts / f"merged-{uuid.uuid4().hex}"
                parts.write_sorted(path, parts.merged(some))
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
        """What the manifest says of the split, once all is written."""
        made: dict[str, Any] = {"records": self.records, "shards": self.shards}
        if sizes:
            names = (shard_name(self.split, shard, self.shards) for shard in range(self.shards))
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
        return ((key, split, record) for key, record in parts.merged(files[split]))

    undecided = (
        (key, SPLITS[split], record)
        for split, (key, record) in zip(assigned, parts.merged(files[parts.UNDECIDED]), strict=True)
    )
    with contextlib.ExitStack() as stack:
        for one in shards.values():
            stack.enter_context(one)
        everything = heapq.merge(*map(of, SPLITS), undecided)
        for written, (key, split, record) in enumerate(everything, start=1):
            shards[split].add(key, record)
            progress.update(written)
    progress.close()
