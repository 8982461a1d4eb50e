"""Writes files and folders so that they appear as a whole or not at all."""

import contextlib
import errno
import json
import os
import pathlib
import shutil
import stat
import uuid
from collections.abc import Iterator
from typing import Any, BinaryIO

from pipelines.runtime.app import UserError
from pipelines.runtime.terminal import json_escaped


def read_regular(path: str | os.PathLike, most: int) -> bytes:
    """Reads a file from a folder that may come from strangers.

    A pipe there might never give a byte, and a device never end: only regular files are read, or
    links to them.

    Args:
      path: the file.
      most: the bytes that it may have.

    Raises:
      OSError: where it cannot be read, is not a regular file, or is larger.
    """
    with open(path, "rb", opener=_open_at_once) as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", os.fspath(path))
        content = file.read(most) if found.st_size <= most else b""
        if file.read(1):
            raise OSError(errno.EFBIG, f"larger than {most / 1e6:.0f} MB", os.fspath(path))
    return content


def _open_at_once(path: str, flags: int) -> int:
    """Opens a file; one that is a pipe without waiting until somebody writes into it."""
    return os.open(path, flags | os.O_NONBLOCK)


@contextlib.contextmanager
def writing(path: pathlib.Path) -> Iterator[BinaryIO]:
    """Opens a file for writing; any error names the file, which that of a full disk lacks."""
    try:
        with open(path, "wb") as file:
            yield file
    except OSError as error:
        error.filename = error.filename or os.fspath(path)
        raise


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Opens a file for writing; it takes its name, from what is there, once all of it is written.

    What was there stays where writing fails. A killed process leaves a hidden `.tmp` file.
    """
    path = pathlib.Path(path)
    unfinished = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        with open(unfinished, "wb") as file:
            yield file
        os.replace(unfinished, path)
    except BaseException as error:
        with contextlib.suppress(OSError):  # On a disk that may only be read it fails as well.
            unfinished.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in (None, os.fspath(unfinished)):
            error.filename = os.fspath(path)
        raise


@contextlib.contextmanager
def new_folder(directory: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Yields a folder to fill; it is renamed to `directory` once all of it is written.

    Raises:
      UserError: if something is at `directory` other than an empty folder.
    """
    directory = pathlib.Path(directory).absolute()
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise UserError(f"{directory} exists already; remove it or name another folder")
    unfinished = directory.with_name(f".{directory.name}.unfinished-{os.getpid()}")
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        os.replace(unfinished, directory)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def write_json(path: str | os.PathLike, value: Any, sort_keys: bool = False) -> None:
    """Writes JSON, in place of what was there."""
    with replacing(path) as file:
        file.write(json_line(value, indent=2, sort_keys=sort_keys))


def json_line(
    value: Any, indent: int | None = None, sort_keys: bool = False, allow_nan: bool = True
) -> bytes:
    """JSON in UTF-8; what UTF-8 cannot encode, and what a terminal would obey, is escaped.

    Raises:
      ValueError: unless `allow_nan`, for what is not a finite number, for which JSON has no words.
    """
    text = json.dumps(
        value, indent=indent, sort_keys=sort_keys, ensure_ascii=False, allow_nan=allow_nan
    )
    return json_escaped(f"{text}\n").encode()
