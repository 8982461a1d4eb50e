"""Files that are there as a whole or not at all."""

import contextlib
import json
import os
import pathlib
import uuid
from collections.abc import Iterator
from typing import Any, BinaryIO


@contextlib.contextmanager
def writing(path: pathlib.Path) -> Iterator[BinaryIO]:
    """Opens a file for writing; what goes wrong names it, which a full disk does not by itself."""
    try:
        with open(path, "wb") as file:
            yield file
    except OSError as error:
        error.filename = error.filename or os.fspath(path)
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
