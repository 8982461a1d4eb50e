"""Tar archives, compressed or not, with the files in them by name.

`tarfile` keeps an object for each member and reads extended headers of any size into memory, so
only an index of names and positions is made with it, once for each process, through a file that
refuses such headers. Files are then read at their positions.
"""

import bz2
import contextlib
import functools
import gzip
import io
import lzma
import os
import tarfile
import threading
import zlib
from collections.abc import Callable, Sequence
from typing import IO, Any, NamedTuple

_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
# What an uncompressed archive has at the end of its first bytes.
_BEGIN, _PLAIN = 262, b"ustar"
_OPENERS: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZ": bz2.open,
    b"\xfd7": lzma.open,
}
_DAMAGE = (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError)
# The names of a member and its attributes.
_MAX_HEADER_BYTES = 1 << 20
# What a compressed archive may unpack to, and how many times its own size: MIDI files shrink to a
# tenth, zeros to a thousandth.
_ALWAYS_BYTES, _MAX_RATIO = 1 << 30, 100


class Damaged(Exception):
    """A tar archive, or a file in it, that cannot be read; says why."""


class Member(NamedTuple):
    """Where a file lies in the unpacked archive; at -1, where it is a link or a device."""

    position: int
    size: int


class Tar:
    """An open tar archive.

    Args:
      path: the archive.
    """

    def __init__(self, path: str):
        # Closed with this object, which lives as long as `opened` keeps it.
        self._files = contextlib.ExitStack()
        raw = self._files.enter_context(open(path, "rb"))  # noqa: SIM115
        begin = raw.read(_BEGIN)
        raw.seek(0)
        # The name of the first file may begin as a compressed file does.
        opener = None if begin.endswith(_PLAIN) else _OPENERS.get(begin[:2])
        self._file: IO[bytes] = self._files.enter_context(opener(raw)) if opener else raw
        self._lock = threading.Lock()
        self._most = max(_ALWAYS_BYTES, _MAX_RATIO * os.path.getsize(path)) if opener else None

    @functools.cached_property
    def members(self) -> dict[str, Member]:
        """Its files by name, in their order; of several with one name the last, as where unpacked.

        Raises:
          Damaged: if it is no tar archive, is cut short, or unpacks to far too much.
        """
        try:
            with self._lock:
                self._file.seek(0)
                return _index(self._file, self._most)
        except _DAMAGE as error:
            raise Damaged(str(error)) from error

    def close(self) -> None:
        """Closes the archive."""
        self._files.close()

    def __del__(self) -> None:
        # As zipfile does: nobody else knows when a cache drops it.
        if hasattr(self, "_files"):
            self.close()

    def open(self, name: str, place: Sequence[int] | None = None) -> IO[bytes]:
        """Opens a file in the archive.

        Args:
          name: of the file.
          place: what `members` says of it, where that is known; then no index is made.

        Raises:
          KeyError: if there is none of this name.
          Damaged: if it is not a plain file; also while it is read, if the archive is damaged.
        """
        member = Member(*place) if place else self.members[name]
        if member.position < 0:
            raise Damaged("a link, a device or a sparse file")
        return io.BufferedReader(_MemberFile(self, member))

    def read_at(self, position: int, size: int) -> bytes:
        """Reads from a position of the unpacked archive on; one thread at a time.

        Raises:
          Damaged: if the archive ends there, or is damaged.
        """
        try:
            with self._lock:
                self._file.seek(position)
                data = self._file.read(size)
        except _DAMAGE as error:
            raise Damaged(str(error)) from error
        if not data:
            raise Damaged("the archive ends in it")
        return data


def _index(file: IO[bytes], most: int | None) -> dict[str, Member]:
    """The files of an archive by name.

    Args:
      file: the unpacked archive.
      most: how many bytes this may be, or None.
    """
    members: dict[str, Member] = {}
    before = -1
    with tarfile.open(fileobj=_SmallReads(file), mode="r:") as archive:
        while (info := archive.next()) is not None:
            # Otherwise it keeps them all.
            archive.members = []  # type: ignore[attr-defined]
            # A size may be negative, and tarfile would read the same headers over and over.
            if archive.offset <= before:
                raise Damaged(f"the size of {info.name!r} is {info.size}")
            before = archive.offset
            if most is not None and archive.offset > most:
                raise Damaged(f"it unpacks to more than {most} bytes")
            if info.isdir() or not info.name:
                continue
            members.pop(info.name, None)
            plain = info.isreg() and not info.issparse()
            members[info.name] = Member(info.offset_data if plain else -1, info.size)
    return members


class _SmallReads(io.RawIOBase):
    """A file for `tarfile`, which reads headers alone here; refuses those that are too large."""

    def __init__(self, file: IO[bytes]):
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MAX_HEADER_BYTES:
            raise Damaged(f"a header of {size} bytes")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


class _MemberFile(io.RawIOBase):
    """A file in an archive, which can be read from any position on."""

    def __init__(self, archive: Tar, member: Member):
        self._archive = archive
        self._member = member
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        begin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._member.size}
        self._position = max(0, begin[whence] + offset)
        return self._position

    def readinto(self, buffer) -> int:
        left = min(len(buffer), self._member.size - self._position)
        if left <= 0:
            return 0
        data = self._archive.read_at(self._member.position + self._position, left)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


def is_tar(path: str) -> bool:
    """Whether a file is a tar archive, by its name or by what an uncompressed one begins with."""
    if path.lower().endswith(_SUFFIXES):
        return True
    try:
        with open(path, "rb") as file:
            return file.read(_BEGIN).endswith(_PLAIN)
    except OSError:
        return False


@functools.lru_cache(maxsize=2)
def opened(path: str, _changed: int) -> Tar:
    """An open archive; cached, because making the index takes a while."""
    return Tar(path)
