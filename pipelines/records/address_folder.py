"""A folder of records in the making whose place is in a bucket.

The job's process merges the parts of all workers on its own machine, as for a local folder. In the
bucket is what several machines share, the batches and the parts, under `.unfinished`; there the
finished files are written, too, before they take the places of an older run. The manifest is the
last. So what a failed or killed job leaves has no manifest, and the next job removes it.

A bucket has no locks: of two jobs that make the same folder at once, the second takes away the
parts of the first, which fails.
"""

import contextlib
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.records.folder import Folder, is_of_records
from pipelines.records.manifest import MANIFEST, UNFINISHED
from pipelines.runtime import storage, storage_copies
from pipelines.runtime.app import UserError
from pipelines.runtime.files import json_line


def making(path: str | os.PathLike, overwrite: bool = False) -> Folder:
    """A folder of records in the making, on a disk or in a bucket; arguments as of `Folder`."""
    if storage.is_address(path):
        return AddressFolder(os.fspath(path), overwrite)
    return Folder(path, overwrite)


class AddressFolder(Folder):
    """As `Folder`, at an address; use it as a context manager."""

    # A look takes a request for a thousand objects.
    look_seconds = 5.0

    def __init__(self, address: str, overwrite: bool = False):
        self._address = storage.absolute(address)
        self._replaces = overwrite
        name = uuid.uuid4().hex
        self._job = f"{self._address}/{UNFINISHED}/{name}"
        self._scratch = storage_copies.scratch_path()
        self._held = contextlib.ExitStack()
        self._replacing = False
        super().__init__(self._scratch / "records")

    @property
    def shared(self) -> str:
        """Where all workers find the batches and put the parts."""
        return f"{self._job}/parts"

    def sources_done(self, sources: int, batches: int) -> int:
        """About how many of these sources the finished parts account for so far."""
        found = storage.files_in(self.shared)
        finished = sum(file.address.endswith(".json") for file in found)
        return sources * finished // max(1, batches)

    def __enter__(self) -> "AddressFolder":
        found = self._found()
        if MANIFEST in found and not self._replaces:
            raise UserError(
                f"{self._address} holds the records of an older run; "
                "name another --output, or add --overwrite to replace them"
            )
        others = sorted(filter(is_of_records, found))
        killed = [name for name in found if name.startswith(f"{UNFINISHED}/")]
        if others and not killed and MANIFEST not in found:
            raise UserError(
                f"{self._address} holds {others[0]}, which no finished run left there; "
                "name another --output, or remove it"
            )
        # Fails here where this job may not write, and not after hours of work. While it is there,
        # what the job leaves in the folder is known to be its own.
        storage.write(f"{self._job}/begun", json_line({"process": os.getpid()}))
        self._remove(killed if MANIFEST in found else [*others, *killed])
        self._held.enter_context(storage_copies.scratch_folder(self._scratch))
        super().__enter__()
        return self

    def __exit__(self, kind, error, traceback) -> None:
        try:
            found = self._found()
            if self._replacing and MANIFEST not in found:
                # The old run's manifest is gone and the new one is not there: no shard may stay.
                self._remove(filter(is_of_records, found))
            own = f"{self._job.removeprefix(self._address)[1:]}/"
            self._remove(name for name in found if name.startswith(own))
        except UserError:
            # A bucket that cannot be reached is told of once, by the exception on its way.
            if error is None:
                raise
        finally:
            super().__exit__(kind, error, traceback)
            self._held.close()

    def fetch_parts(self) -> None:
        """Copies what workers made to this machine."""
        prefix = f"{self.shared}/"

        def fetch(file: storage.File) -> None:
            with open(self.parts / file.address.removeprefix(prefix), "wb") as into:
                storage.fetch(file, into)

        made = storage.files_in(self.shared)
        storage.each(fetch, (file for file in made if not file.address.endswith(".sources")))

    def _publish(self, made: Path, manifest: Mapping[str, Any]) -> None:
        """Replaces an older run by the files in `made` and the manifest."""
        ready = f"{self._job}/made"
        storage.each(lambda path: storage.send(path, f"{ready}/{path.name}"), made.iterdir())
        storage.write(f"{ready}/{MANIFEST}", json_line(manifest, indent=2))
        moves = [
            (file, f"{self._address}/{os.path.basename(file.address)}")
            for file in storage.files_in(ready)
        ]
        last = f"{self._address}/{MANIFEST}"
        # From here on the server does the work: nothing is sent.
        self._replacing = True
        old = self._found()
        self._remove([MANIFEST] if MANIFEST in old else [])
        self._remove(filter(is_of_records, old))
        storage.rename(move for move in moves if move[1] != last)
        storage.rename(move for move in moves if move[1] == last)

    def _found(self) -> list[str]:
        """The names of all objects in the folder, `.unfinished` too."""
        prefix = f"{self._address}/"
        return [file.address.removeprefix(prefix) for file in storage.files_in(self._address)]

    def _remove(self, names) -> None:
        storage.remove([f"{self._address}/{name}" for name in names])
