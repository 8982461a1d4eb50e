"""Files that are there as a whole or not at all."""

import contextlib
import json
import os
import pathlib
import shutil
import uuid
from collections.abc import Iterator
from typing import Any, BinaryIO

from pipelines.runtime.app import UserError


@contextlib.contextmanager
def writing(path: pathlib.Path) -> Iterator[BinaryIO]:
    """Opens a file for writing; what goes wrong names it, which a full disk does not by itself."""
    try:
        with open(path, "wb") as file:
            yield file
    except OSError as error:
        error.filename = error.filename or os.fspath(path)
        raise


@contextlib.contextmanager
def new_folder(directory: str | os.PathLike) -> Iterator[pathlib.Path]:
    """A folder to fill, which appears at `directory` once all of it is written.

    Raises:
      UserError: if `directory` is there and has something in it, or is no folder.
    """
    directory = pathlib.Path(directory).absolute()
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise UserError(f"{directory} exists already; remove it or name another place")
    unfinished = directory.with_name(f".{directory.name}.unfinished-{os.getpid()}")
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        os.replace(unfinished, directory)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def write_json(path: str | os.PathLike, value: Any, sort_keys: bool = False) -> None:
    """Writes JSON to a temporary name and renames it."""
    path = pathlib.Path(path)
    scratch = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    with writing(scratch) as file:
        file.write(json_line(value, indent=2, sort_keys=sort_keys))
    scratch.rename(path)


def json_line(value: Any, indent: int | None = None, sort_keys: bool = False) -> bytes:
    """JSON in UTF-8; what is no UTF-8, such as the name of a file may be, is escaped."""
    text = json.dumps(value, indent=indent, sort_keys=sort_keys, ensure_ascii=False) + "\n"
    return text.encode("utf-8", errors="backslashreplace")
