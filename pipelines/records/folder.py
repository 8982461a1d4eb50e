"""A folder of records in the making, from the parts of all workers to the manifest.

Everything is made in the hidden folder `.unfinished` inside it and renamed into place at the end,
the manifest last. So what a failed or killed job leaves has no manifest, and the next job removes
it.
"""

import contextlib
import fcntl
import fnmatch
import os
import pathlib
import shutil
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipelines.records import parts, shards, tune_list
from pipelines.records.manifest import (
    IGNORED,
    MANIFEST,
    REJECTED,
    SPLITS,
    TUNES,
    UNFINISHED,
    WARNED,
)
from pipelines.runtime import storage
from pipelines.runtime.app import UserError
from pipelines.runtime.files import json_line, write_json, writing
from pipelines.tunes import splits

# The names of what a job leaves beside the manifest.
_NAMES = (
    *(REJECTED, IGNORED, WARNED, TUNES),
    *(f"{split}.tfrecord-?????-of-?????" for split in SPLITS),
)


def is_of_records(name: str) -> bool:
    """Whether a job that makes records names a file so, but for the manifest."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in _NAMES)


class Folder:
    """A folder of records that a job is making; use it as a context manager.

    Args:
      path: the folder; made where it does not exist.
      overwrite: whether an older run in it may be replaced, once the new one is complete.

    Attributes:
      parts: the folder of batches and parts, where this process finds them.
      look_seconds: how often `sources_done` may be asked.

    Raises:
      UserError: on entering, if the folder holds something else, or another job is at work.
    """

    look_seconds = 0.5

    def __init__(self, path: str | os.PathLike, overwrite: bool = False):
        if storage.is_address(path):
            raise UserError(
                f"{path}: this job writes to local or mounted folders only; "
                "write there and copy the folder"
            )
        self._path = pathlib.Path(path)
        self._overwrite = overwrite
        self._unfinished = self._path / UNFINISHED
        # Of this run alone: where a job was killed, a cluster may still be at work for it. With its
        # folder gone, what it makes goes nowhere.
        self.parts = self._unfinished / f"parts-{uuid.uuid4().hex}"
        self._stack = contextlib.ExitStack()
        self._made_path = False

    @property
    def shared(self) -> str:
        """Where all workers find the batches and put the parts."""
        return os.fspath(self.parts.absolute())

    def sources_done(self, sources: int, batches: int) -> int:
        """How many of these sources, in so many batches, the finished parts account for so far."""
        return parts.sources_done(self.parts)

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
            # This process holds the lock as long as it lives, which tells it from a killed job.
            lock = stack.enter_context(open(self._unfinished / "lock", "w"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(
                    f"another job is writing to {self._path}; wait for it to end"
                ) from None
            for killed in self._unfinished.glob("parts-*"):
                shutil.rmtree(killed, ignore_errors=True)
            self.parts.mkdir()
            if not (self._path / MANIFEST).exists():
                for killed in self._leftovers():
                    killed.unlink()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind, error, traceback) -> None:
        if (self._unfinished / MANIFEST).exists() and not (self._path / MANIFEST).exists():
            # The old run's manifest is gone and the new one is not there: no shard may stay.
            for moved in self._leftovers():
                moved.unlink()
        shutil.rmtree(self._unfinished, ignore_errors=True)
        self._stack.close()
        if error is not None and self._made_path and not any(self._path.iterdir()):
            self._path.rmdir()

    def fetch_parts(self) -> None:
        """Has all that workers made be in `parts`; it is, on a disk that they share."""

    def _leftovers(self) -> list[pathlib.Path]:
        """All files of this room's names in the folder, but for the manifest."""
        return sorted(path for name in _NAMES for path in self._path.glob(name))

    def finish(
        self,
        kind: str,
        corpus: str,
        num_shards: int,
        sources: int,
        about: Mapping[str, Any],
        percent: Sequence[int] = splits.DEFAULT_PERCENT,
        tunes: str | os.PathLike | None = None,
    ) -> dict[str, Any]:
        """Merges the parts into shards, renames all into place, and writes the manifest.

        A record is a piece that was read. Where a piece gives several records or none, the parts
        have to count the pieces that gave some as "used"; then read = used + rejected = sources.

        Args:
          kind: one of `manifest.KINDS`. The manifest of tensors names the bytes of each shard,
            because training relies on these records before it has read them (`require_whole`).
          corpus: the corpus's name.
          num_shards: how many files for each split; fewer where it has fewer records.
          sources: how many sources there were; the parts must account for each.
          about: what else the manifest should say: JSON, and the same for the same input.
          percent: the shares of train, validation and test, for records without a split.
          tunes: the folder of the records that these were made of; its list of tunes, if it has
            one, holds for these too.

        Returns:
          The manifest.

        Raises:
          UserError: if no record was kept.
          RuntimeError: if the counts do not reconcile, which a faulty runner would cause.
        """
        self.fetch_parts()
        tally = parts.tally(self.parts)
        _require_reconciled(tally, sources)
        made = self._unfinished / "made"
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir()
        files = shards.few_files(self.parts, tally.files)
        assigned, tunes_found = np.zeros(0, np.uint8), None
        if undecided := tally.records[parts.UNDECIDED]:
            assigned, tunes_found = _decide_splits(made, files[parts.TUNES], undecided, percent)
        elif tunes is not None:
            _copy_tunes(tunes, made)
        merged = shards.merge(made, files, tally.records, assigned, num_shards)
        _write_lists(made, tally)
        manifest = {
            "kind": kind,
            "corpus": corpus,
            **_counts(tally, tunes_found),
            "splits": {split: merged[split].describe(sizes=kind == "tensors") for split in SPLITS},
            "reasons": dict(sorted(Counter(reason for _, reason, *_ in tally.rejected).items())),
            **about,
        }
        self._publish(made, manifest)
        return manifest

    def _publish(self, made: pathlib.Path, manifest: Mapping[str, Any]) -> None:
        """Replaces an older run by the files in `made` and the manifest."""
        ready = self._unfinished / MANIFEST
        write_json(ready, manifest)
        # From here on there are only removals and renames, which a full disk does not stop.
        (self._path / MANIFEST).unlink(missing_ok=True)
        for old in self._leftovers():
            old.unlink()
        for path in sorted(made.iterdir()):
            path.rename(self._path / path.name)
        ready.rename(self._path / MANIFEST)


def _require_reconciled(tally: parts.Tally, sources: int) -> None:
    """Raises RuntimeError if sources were lost, UserError if no record was kept."""
    if tally.sources != sources:
        raise RuntimeError(f"the workers account for {tally.sources} of {sources} sources")
    rejected = len(tally.rejected)
    if not tally.kept:
        if not rejected:
            raise UserError("no record was kept, since there was no music to read in the input")
        first = ": ".join(tally.rejected[0][:3])
        raise UserError(f"no record was kept out of {rejected} read ({first})")
    used = tally.counts.get("used")
    if used is not None and used + rejected != sources:
        raise RuntimeError(f"{used} used and {rejected} rejected are not the {sources} sources")


def _decide_splits(
    made: pathlib.Path, files: Sequence[pathlib.Path], count: int, percent: Sequence[int]
) -> tuple[np.ndarray, dict[str, int]]:
    """Decides the splits of undecided records by their tunes, and writes the list of these.

    Returns:
      The assigned splits, as `shards.merge` takes them, and what the manifest says of the tunes.
    """
    assignment = tune_list.assign_splits(made / TUNES, files, count, percent)
    return assignment.splits, {"groups": assignment.groups, "largest": assignment.largest}


def _counts(tally: parts.Tally, tunes: Mapping[str, int] | None) -> dict[str, Any]:
    """The manifest's counts: read and rejected, what the parts counted, tunes, and ignored."""
    rejected = len(tally.rejected)
    read = tally.counts.get("used", tally.kept) + rejected
    counts: dict[str, Any] = {"read": read, "rejected": rejected, **tally.counts}
    if tunes is not None:
        counts["tunes"] = tunes
    if tally.ignored:
        counts["ignored"] = len(tally.ignored)
    return counts


def _copy_tunes(origin: str | os.PathLike, folder: pathlib.Path) -> None:
    """Copies the list of tunes of other records, where they have one."""
    path = pathlib.Path(origin, TUNES)
    if path.exists():
        shutil.copyfile(path, folder / TUNES)


def _write_lists(folder: pathlib.Path, tally: parts.Tally) -> None:
    """Writes `rejected.jsonl`, and the other lists where there is something to list."""
    if tally.ignored:
        with writing(folder / IGNORED) as file:
            for source, detail in tally.ignored:
                file.write(json_line({"source": source, "detail": detail}))
    with writing(folder / REJECTED) as file:
        for source, reason, detail, title in tally.rejected:
            named = {"title": title} if title else {}
            file.write(json_line({"source": source, "reason": reason, "detail": detail, **named}))
    if tally.warned:
        with writing(folder / WARNED) as file:
            for key, number, warning, title in tally.warned:
                about = {"id": key, "title": title, "line": number, "warning": warning}
                file.write(json_line(about))
