"""Files at addresses, `s3://BUCKET/NAME` and `gs://BUCKET/NAME`, by the file systems of Beam.

A bucket has objects with names, and no folders: what is called a folder here is what the names of
some objects begin with. Nothing in a bucket is renamed or locked as on a disk: an object appears
once all of it is written, and a rename is a copy.
"""

import concurrent.futures
import functools
import glob
import io
import os
import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from typing import Any, BinaryIO, NamedTuple, TypeVar

from pipelines.runtime.app import UserError
from pipelines.runtime.beam_files import SECONDS, NotFound, asked, file_systems, status

T = TypeVar("T")

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
# The programs that copy a folder to a disk.
COPY_COMMANDS = {"s3": "aws s3 cp --recursive", "gs": "gcloud storage cp --recursive"}
# How long to list a folder may take: a million names take a thousand answers.
_LISTING_SECONDS = 1000
# How slow a server may copy within a bucket, in bytes a second.
_SLOWEST_COPY = 5e6
# What is read or written by one request; S3 takes parts from 5 MiB on, and at most 10,000 of them.
_CHUNK = 8 << 20
# So many requests at once: each waits for the network most of the time.
_AT_ONCE = 8


class File(NamedTuple):
    """An object.

    Attributes:
      address: its address.
      size: in bytes.
      updated: when it was written, in seconds since 1970.
    """

    address: str
    size: int
    updated: float


def is_address(path: str | os.PathLike) -> bool:
    """Whether a path is an address, of whatever kind."""
    return _ADDRESS.match(os.fspath(path)) is not None


def absolute(path: str | os.PathLike) -> str:
    """The path for any process, whatever its working directory; an address without a last slash."""
    path = os.fspath(path)
    return path.rstrip("/") if is_address(path) else os.path.abspath(path)


def real(path: str) -> str:
    """The path by which a file or folder is the same as another: where links lead."""
    return absolute(path) if is_address(path) else os.path.realpath(path)


# Looking


def find(address: str) -> File | None:
    """The object of this very address; None where there is none, or no such bucket."""

    def look() -> File:
        found = file_systems().get_filesystem(address).metadata(address)
        return File(address, found.size_in_bytes, found.last_updated_in_seconds)

    if "/" not in _ADDRESS.sub("", address, count=1).rstrip("/"):
        return None  # A bucket.
    try:
        return asked(address, look)
    except NotFound:
        return None


def require(address: str) -> File:
    """The object of this very address.

    Raises:
      NotFound: where there is none.
    """
    file = find(address)
    if file is None:
        raise NotFound(f"{address}: no such object")
    return file


def absent(address: str, fix: str) -> UserError:
    """What to tell of an address at which neither an object nor a folder is."""
    return UserError(f"{address}: there is no such bucket, or no such file or folder in it; {fix}")


def files_in(folder: str, most: int | None = None) -> list[File]:
    """The objects in a folder and in all folders in it, by their addresses.

    Names that end in a slash are left out: programs with folders make such objects.

    Args:
      folder: its address.
      most: how many are enough.
    """
    folder = absolute(folder)
    pattern = f"{glob.escape(folder)}/**"

    def look(most: int | None) -> list[File]:
        (found,) = file_systems().match([pattern], limits=[most])
        return [
            File(each.path, each.size_in_bytes, each.last_updated_in_seconds)
            for each in found.metadata_list
        ]

    # An answer has a thousand names, so that all of them may take long. The first one tells whether
    # the server answers at all.
    found = asked(folder, functools.partial(look, most or 1))
    # What came may be the object of a folder.
    if found and (most is None or len(_without_folders(found)) < most):
        found = asked(folder, functools.partial(look, None), seconds=_LISTING_SECONDS)
    return _without_folders(found)[:most]


def _without_folders(found: Iterable[File]) -> list[File]:
    return sorted(file for file in found if not file.address.endswith("/"))


# Reading


def read(address: str, most: int | None = None) -> bytes:
    """The content of an object.

    Args:
      address: the object.
      most: how many bytes of it, from its beginning on, are enough.

    Raises:
      NotFound: where there is none.
    """
    return _read(address, asked(address, functools.partial(_stream, address)), most)


def fetch(file: File, into: BinaryIO) -> None:
    """Copies an object to a local file that is open.

    Raises:
      UserError: where it has changed meanwhile, or there is not enough space on the disk.
    """
    folder = os.path.dirname(os.path.abspath(into.name))
    if file.size > shutil.disk_usage(folder).free:
        raise UserError(
            f"{file.address} has {file.size / 1e9:.1f} GB, and {folder} has not enough space for a "
            "copy of it; let the variable TMPDIR name a folder on a larger disk"
        )
    stream = asked(file.address, functools.partial(_stream, file.address))
    written = 0
    while data := _read(file.address, stream, _CHUNK):
        into.write(data)
        written += len(data)
    into.flush()
    if written != file.size:
        raise UserError(
            f"{file.address} had {file.size} bytes, and {written} came: it has changed meanwhile; "
            "give the same command again"
        )


def _stream(address: str) -> BinaryIO:
    # Beam would unpack what is called .gz.
    from apache_beam.io.filesystem import CompressionTypes

    return file_systems().open(address, compression_type=CompressionTypes.UNCOMPRESSED)


def _read(address: str, stream: BinaryIO, most: int | None) -> bytes:
    """Up to so many bytes, and fewer only at the end."""
    data = bytearray()
    while most is None or len(data) < most:
        size = _CHUNK if most is None else min(_CHUNK, most - len(data))
        some = asked(address, functools.partial(stream.read, size))
        if not some:
            break
        data += some
    return bytes(data)


# Writing


def write(address: str, data: bytes) -> None:
    """Writes a small object; it appears with all of its content."""
    _send(address, io.BytesIO(data))


def send(path: str | os.PathLike, address: str) -> None:
    """Writes the content of a local file to an object, which appears once all is written."""
    with open(path, "rb") as file:
        _send(address, file)


def _send(address: str, content: BinaryIO) -> None:
    data = content.read(_CHUNK)
    if not data and address.startswith("s3://"):
        # Beam writes parts, and S3 refuses an object without a part.
        asked(address, functools.partial(_send_empty, address))
        return
    # A signal never ends a write half-way (`_asked`): Beam would complete what is there so far.
    sink = asked(address, functools.partial(_sink, address))
    while data:
        asked(address, functools.partial(sink.write, data))
        data = content.read(_CHUNK)
    asked(address, sink.close)


def _sink(address: str) -> BinaryIO:
    from apache_beam.io.filesystem import CompressionTypes

    return file_systems().create(address, compression_type=CompressionTypes.UNCOMPRESSED)


def _send_empty(address: str) -> None:
    from apache_beam.io.aws.clients.s3.boto3_client import Client
    from apache_beam.options.pipeline_options import PipelineOptions

    bucket, _, key = address.removeprefix("s3://").partition("/")
    given = file_systems()._pipeline_options or PipelineOptions([])
    Client(given).client.put_object(Bucket=bucket, Key=key, Body=b"")


def rename(moves: Iterable[tuple[File, str]]) -> None:
    """Gives objects other addresses in their bucket, one after another; the server copies them."""
    for file, target in moves:
        asked(
            target,
            functools.partial(_renamed, file.address, target),
            seconds=SECONDS + file.size / _SLOWEST_COPY,
        )


def _renamed(source: str, target: str) -> None:
    file_systems().rename([source], [target])


def remove(addresses: Sequence[str]) -> None:
    """Removes objects; those that are not there are passed over."""
    for start in range(0, len(addresses), 1000):
        some = list(addresses[start : start + 1000])
        asked(some[0], functools.partial(_remove, some), seconds=2 * SECONDS)


def _remove(addresses: list[str]) -> None:
    from apache_beam.io.filesystem import BeamIOError

    try:
        file_systems().delete(addresses)
    except BeamIOError as error:
        if any(status(each) != 404 for each in (error.exception_details or {"": error}).values()):
            raise


def each(function: Callable[[T], Any], items: Iterable[T]) -> None:
    """Calls a function with each item, several at once; raises what the first of them raises."""
    pool = concurrent.futures.ThreadPoolExecutor(_AT_ONCE)
    try:
        for done in [pool.submit(function, item) for item in items]:
            done.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
