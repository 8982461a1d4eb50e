"""Copies on this machine of what is at addresses: all else in the project works on local files.

A copy is made once, for all processes of the user on this machine. It is removed when the last of
those that use it ends; what a killed process has left, by the next one that makes a copy. So are
the folders of what is made here before it is sent to an address.
"""

import atexit
import contextlib
import fcntl
import functools
import hashlib
import os
import pathlib
import shutil
import stat
import tempfile
import uuid
from collections.abc import Iterator
from typing import BinaryIO

from pipelines.runtime import beam_files, storage
from pipelines.runtime.app import UserError


def local_copy(path: str) -> str:
    """A path of this machine with the content of an object; of a local path, the path itself.

    Raises:
      storage.NotFound: where there is none.
    """
    if not storage.is_address(path):
        return path
    return _copy(storage.absolute(path), os.getpid(), beam_files.job())


@contextlib.contextmanager
def passing_copy(path: str) -> Iterator[str]:
    """As `local_copy`, of a file among very many: the copy is there as long as the context.

    The path ends as that of the object does.

    Raises:
      storage.NotFound: where there is none.
    """
    if not storage.is_address(path):
        yield path
        return
    file = storage.require(path)
    with scratch_folder() as folder:
        copy = folder / f"copy{os.path.splitext(path)[1]}"
        with open(copy, "wb") as into:
            storage.fetch(file, into)
        yield os.fspath(copy)


@functools.cache
def _copy(address: str, _process: int, _job: object) -> str:
    file = storage.require(address)
    folder = _copies()
    _sweep(folder)
    version = hashlib.blake2b(repr(file).encode(), digest_size=12).hexdigest()
    # Programs know an archive by the end of its name.
    path = folder / f"{version}-{os.path.basename(address)[-100:]}"
    held = _locked(path, fcntl.LOCK_SH)
    while os.fstat(held.fileno()).st_size != file.size:
        # One process fetches it, the others wait here.
        held.close()
        held = _locked(path, fcntl.LOCK_EX)
        if os.fstat(held.fileno()).st_size != file.size:
            held.truncate(0)
            try:
                storage.fetch(file, held)
            except BaseException:
                path.unlink(missing_ok=True)
                held.close()
                raise
        held.close()
        held = _locked(path, fcntl.LOCK_SH)
    # As long as a process has this lock, nobody removes the copy.
    atexit.register(_let_go, held, path)
    return os.fspath(path)


def _locked(path: pathlib.Path, kind: int) -> BinaryIO:
    """Opens a file of this name, and takes a lock of it."""
    while True:
        held = open(path, "ab")  # noqa: SIM115  (whoever asked for it closes it)
        fcntl.flock(held, kind)
        # Between these two lines another process may have removed it.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(held.fileno()), path.stat()):
                return held
        held.close()


def _copies() -> pathlib.Path:
    """The folder of the user's copies, in which nobody else can write."""
    folder = pathlib.Path(tempfile.gettempdir(), f"reelgroove-copies-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise UserError(
            f"{folder}, for copies of objects, can be written by others; remove it, or let the "
            "variable TMPDIR name another folder"
        )
    return folder


def _sweep(folder: pathlib.Path) -> None:
    """Removes the copies that no process uses."""
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            held = os.open(path, os.O_RDONLY)
            try:
                _remove_unused(held, path)
            finally:
                os.close(held)


def _let_go(held: BinaryIO, path: pathlib.Path) -> None:
    with contextlib.suppress(OSError), held:
        _remove_unused(held.fileno(), path)


def _remove_unused(held: int, path: pathlib.Path) -> None:
    with contextlib.suppress(BlockingIOError, FileNotFoundError):
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(held), path.lstat()):
            return  # Another process has made this name again, and uses it.
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def local_folder(folder: str) -> str:
    """A folder of this machine with copies of the objects right in a folder, under their names.

    Of a local path, the path itself. The folder goes when the process ends.
    """
    if not storage.is_address(folder):
        return folder
    return _folder(storage.absolute(folder), beam_files.job())


@functools.cache
def _folder(folder: str, _job: object) -> str:
    prefix = f"{folder}/"
    names = [file.address.removeprefix(prefix) for file in storage.files_in(folder)]
    made = scratch_path()
    atexit.register(_remove_unused, _made(made), made)

    def link(name: str) -> None:
        (made / name).symlink_to(local_copy(prefix + name))

    storage.each(link, (name for name in names if "/" not in name))
    return os.fspath(made)


def scratch_path() -> pathlib.Path:
    """A path for `scratch_folder`; nothing is there yet."""
    return _copies() / f"folder-{uuid.uuid4().hex}"


@contextlib.contextmanager
def scratch_folder(path: pathlib.Path | None = None) -> Iterator[pathlib.Path]:
    """A new folder for what is to be sent; it goes at the end, or once the process was killed.

    Args:
      path: from `scratch_path`; by default another such path.
    """
    path = path or scratch_path()
    _sweep(path.parent)
    held = _made(path)
    try:
        yield path
    finally:
        os.close(held)
        shutil.rmtree(path, ignore_errors=True)


def _made(path: pathlib.Path) -> int:
    """Makes a folder; returns the open file that keeps others from removing it."""
    while True:
        path.mkdir(mode=0o700)
        # Between its beginning and its lock, another process may remove a folder.
        with contextlib.suppress(FileNotFoundError):
            held = os.open(path, os.O_RDONLY)
            fcntl.flock(held, fcntl.LOCK_SH)
            if path.exists():
                return held
            os.close(held)
