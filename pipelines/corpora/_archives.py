"""Archives: folders, zip and tar files, read in the same way, by name, and never unpacked.

They are on a disk or in a bucket.
"""

import contextlib
import functools
import io
import lzma
import os
import pathlib
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any, Protocol

from pipelines.corpora import _tar
from pipelines.music.limits import Rejected
from pipelines.runtime import beam_files, storage, storage_copies
from pipelines.runtime.app import UserError

OUTSIDE = "points outside the corpus"
# What zipfile and its decompressors raise on damaged bytes, and ValueError on damaged names.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    ValueError,
    struct.error,
)
# What stands before a file in a zip archive: its mark, flags, the lengths of name and extra field.
_ZIP_HEADER = struct.Struct("<4s2xH18xHH")
# Flags: the name is UTF-8; the file is encrypted (in two ways) or a patch.
_UTF8, _UNUSUAL = 0x800, 0x1 | 0x20 | 0x40
# Larger objects of a folder in a bucket are read from a copy on disk, others in memory.
_MAX_IN_MEMORY = 64 << 20


class Archive(Protocol):
    """Files by name; names are relative, with slashes, and must not lead out of the archive."""

    def names(self, root: str) -> Iterator[str]:
        """Names of the files whose names begin with `root`, and of all that lead outside.

        The name of a folder that cannot be listed ends in a slash.
        """

    def open(self, name: str) -> contextlib.AbstractContextManager[IO[bytes]]:
        """Opens a file to read it piece by piece, or from a position on.

        Raises:
          Rejected: "missing", "outside" or "unreadable", also while it is read.
        """

    def size(self, name: str) -> int:
        """About how many bytes a file has; 0 where that cannot be told."""

    def place(self, name: str) -> Sequence[int] | None:
        """Where a file lies, for `open_archive` in a worker, which needs no directory then.

        The directory of an archive of 100,000 files takes 75 MB of memory. None where a worker has
        to look into the directory, or where there is none.
        """
        return None

    def read(self, name: str, max_bytes: int, start: int = 0) -> bytes:
        """The content of a file, from the byte `start` on.

        Raises:
          Rejected: "missing", "outside" or "unreadable"; "too_large" if that is more than
            `max_bytes`.
        """
        with self.open(name) as file:
            file.seek(start)
            # Read no further than the limit, because the sizes that a zip states may be false.
            data = file.read(max_bytes + 1)
        if len(data) > max_bytes:
            raise Rejected("too_large", f"more than {max_bytes} bytes")
        return data


def open_archive(path: str, places: Mapping[str, Sequence[int] | None] | None = None) -> Archive:
    """The folder or archive at a path that is known to be one, in any process.

    Args:
      path: the folder or archive.
      places: what `Archive.place` said of files that are to be read.

    Raises:
      UserError: where it is not to be seen, as on a machine that lacks a mount. All that is in it
        would be rejected there.
    """
    if storage.is_address(path):
        found = _at_address(path, beam_files.job())
        if isinstance(found, _Bucket):
            return found
        path = found
    if os.path.isdir(path):
        return _Folder(path)
    if not os.access(path, os.R_OK):
        raise UserError(
            f"{path} is not there or may not be read; every worker has to see it at that path"
        )
    known = {name: place for name, place in (places or {}).items() if place}
    return _Tar(path, known) if _tar.is_tar(path) else _Zip(path, known)


def archive_of(facts: Mapping[str, Any]) -> Archive:
    """The archive of a source: where its "archive" is, with its "member" at its "place"."""
    return open_archive(facts["archive"], {facts["member"]: facts["place"]})


@functools.lru_cache(maxsize=16)
def _at_address(address: str, _job: object) -> "_Bucket | str":
    """The folder at an address, or the path of a copy of the archive there.

    It is cached, because to look costs a request. An archive is copied, because to read its members
    where it lies would take a request or more for each of them.
    """
    if storage.find(address) is None:
        return _Bucket(address)
    return storage_copies.local_copy(address)


def find_archive(
    path: str, marker: str, otherwise: str = "give its own folder or zip"
) -> tuple[Archive, str]:
    """Opens the folder or archive that a user names, and finds a corpus in it.

    Args:
      path: the folder or archive.
      marker: a file of the corpus, which has to lie at the top or one folder down.
      otherwise: what to do with an archive that has no marker, for the message.

    Returns:
      The archive, and the folder in it where the marker lies: "" or "name/".

    Raises:
      UserError: if it is neither, or has no marker.
    """
    address = storage.is_address(path)
    if os.path.isdir(path):
        inner = sorted(entry.name for entry in os.scandir(path) if entry.is_dir())
        found = [
            root
            for root in ["", *(f"{name}/" for name in inner)]
            if os.path.isfile(os.path.join(path, root, marker))
        ]
    elif os.path.isfile(path) or address and _is_there(path):
        found = [
            name.removesuffix(marker)
            for name in sorted(_require_archive(path).names(""), key=lambda n: n.count("/"))
            if name == marker or name.endswith(f"/{marker}") and name.count("/") == 1
        ]
    else:
        raise _absent(path, "a zip or tar archive or a folder")
    if not found:
        raise UserError(f"{path} has no {marker}, at its top or one folder down; {otherwise}")
    return open_archive(path), found[0]


def list_files(path: str) -> tuple[str, list[str], bool]:
    """Lists what is at a path: a folder, a zip or tar archive, or a file by itself.

    A compressed score (.mxl) is a file, although its form is that of a zip archive.

    Returns:
      The path of the archive, for `open_archive`; the names of the files that are meant, as
      `Archive.names` gives them, and of links to folders, which are not followed, with a slash at
      the end; and whether the path is a file by itself, whose folder is then the archive.

    Raises:
      UserError: if nothing is there, or a damaged archive.
    """
    if storage.is_address(path):
        return _list_address(storage.absolute(path))
    if os.path.isdir(path):
        found = _Folder(path)
        return path, [*found.names(""), *found.links()], False
    if not os.path.isfile(path):
        raise _absent(path, "a file, a folder, a zip or tar archive")
    if _is_archive(path):
        return path, list(_require_archive(path).names("")), False
    # A link to a file is meant, wherever it leads.
    folder, name = os.path.split(os.path.realpath(path))
    return folder, [name], True


def _list_address(address: str) -> tuple[str, list[str], bool]:
    """As `list_files`, of an address."""
    if storage.find(address) is None:
        if not _is_there(address):
            raise _absent(address, "")
        return address, list(open_archive(address).names("")), False
    # What an object is shows in its content.
    if _is_archive(storage_copies.local_copy(address)):
        return address, list(_require_archive(address).names("")), False
    folder, _, name = address.rpartition("/")
    return folder, [name], True


def _is_there(address: str) -> bool:
    """Whether there is an object or a folder in a bucket."""
    return storage.find(address) is not None or bool(storage.files_in(address, most=1))


def _is_archive(path: str) -> bool:
    lower = path.lower()
    is_zip = lower.endswith(".zip") or zipfile.is_zipfile(path) and not lower.endswith(".mxl")
    return is_zip or _tar.is_tar(path)


def _absent(path: str, fix: str) -> UserError:
    """What to tell of a path at which nothing is."""
    if storage.is_address(path):
        return storage.absent(path, "correct --input")
    return UserError(f"{path} does not exist; give {fix}")


def _require_archive(path: str) -> Archive:
    archive = open_archive(path)
    try:
        archive.names("")
    except (zipfile.BadZipFile, NotImplementedError, ValueError, _tar.Damaged) as error:
        kind = "tar" if isinstance(archive, _Tar) else "zip"
        raise UserError(
            f"{path} is not a {kind} archive ({error}); give the {kind} or its folder"
        ) from error
    return archive


def is_inside(name: str) -> bool:
    """Whether a name from an archive or a table stays inside its archive."""
    parts = name.replace("\\", "/").split("/")
    return bool(name) and not (name[0] in "/\\" or ".." in parts or parts[0].endswith(":"))


class _Folder(Archive):
    def __init__(self, path: str):
        self._path = pathlib.Path(path)

    def names(self, root: str) -> Iterator[str]:
        unlisted: list[str] = []
        walk = os.walk(self._path / root, onerror=lambda error: unlisted.append(error.filename))
        for folder, folders, files in walk:
            folders.sort()
            for file in sorted(files):
                yield pathlib.Path(folder, file).relative_to(self._path).as_posix()
        for folder in sorted(unlisted):
            yield f"{pathlib.Path(folder).relative_to(self._path).as_posix()}/"

    def links(self) -> Iterator[str]:
        """Names of the links to folders, each with a slash at its end."""
        for folder, folders, _ in os.walk(self._path):
            for link in sorted(filter(os.path.islink, (os.path.join(folder, f) for f in folders))):
                yield f"{pathlib.Path(link).relative_to(self._path).as_posix()}/"

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        path = self._path / name
        if not is_inside(name):
            raise Rejected("outside", OUTSIDE)
        try:
            # A link may lead anywhere, so its target counts, not only its name.
            if not path.resolve().is_relative_to(self._path.resolve()):
                raise Rejected("outside", OUTSIDE)
            if not stat.S_ISREG(path.stat().st_mode):
                raise Rejected("unreadable", "not a file")
            with open(path, "rb") as file:
                yield file
        except FileNotFoundError:
            raise Rejected("missing", "no such file") from None
        except OSError as error:
            raise Rejected("unreadable", error.strerror or str(error)) from error
        except RuntimeError:
            raise Rejected("unreadable", "links in a circle") from None
        except ValueError as error:  # A name with a NUL.
            raise Rejected("unreadable", str(error)) from error

    def size(self, name: str) -> int:
        try:
            return (self._path / name).stat().st_size if is_inside(name) else 0
        except (OSError, RuntimeError, ValueError):
            return 0


class _Bucket(Archive):
    """A folder in a bucket."""

    def __init__(self, address: str):
        self._prefix = f"{storage.absolute(address)}/"

    @functools.cached_property
    def _sizes(self) -> dict[str, int]:
        """The sizes of the files by name, in the order of `os.walk`."""
        found = storage.files_in(self._prefix)
        names = {file.address.removeprefix(self._prefix): file.size for file in found}
        return {name: names[name] for name in sorted(names, key=_as_walked)}

    def names(self, root: str) -> Iterator[str]:
        return (name for name in self._sizes if name.startswith(root) or not is_inside(name))

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        if not is_inside(name):
            raise Rejected("outside", OUTSIDE)
        if "\n" in name:
            raise Rejected("unreadable", "Beam opens no name with a line break in it")
        # An object that the server refuses to give ends the job: it may well be there.
        address = self._prefix + name
        try:
            begin = storage.read(address, _MAX_IN_MEMORY + 1)
            large = len(begin) > _MAX_IN_MEMORY
            here = storage_copies.local_copy(address) if large else ""
        except storage.NotFound:
            raise Rejected("missing", "no such file") from None
        with open(here, "rb") if large else io.BytesIO(begin) as file:
            yield file

    def size(self, name: str) -> int:
        return self._sizes.get(name, 0)


def _as_walked(name: str) -> list[tuple[bool, str]]:
    """What sorts names as `os.walk` gives them: the files of a folder, then its folders."""
    *folders, file = name.split("/")
    return [*((True, folder) for folder in folders), (False, file)]


class _Zip(Archive):
    def __init__(self, path: str, places: Mapping[str, Sequence[int]]):
        self._path = path
        self._places = places

    def _archive(self) -> zipfile.ZipFile:
        return _zip(self._path, os.stat(self._path).st_mtime_ns)

    def names(self, root: str) -> Iterator[str]:
        # A damaged directory may have a member whose name is empty.
        names = {name for name in self._archive().namelist() if name and name[-1] != "/"}
        return (name for name in sorted(names) if name.startswith(root) or not is_inside(name))

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        if not is_inside(name):
            raise Rejected("outside", OUTSIDE)
        try:
            with self._opened(name) as file:
                yield file
        except KeyError:
            raise Rejected("missing", "no such file") from None
        except _DAMAGE as error:
            raise Rejected("unreadable", f"damaged in the archive: {error}") from error
        except (RuntimeError, NotImplementedError) as error:
            raise Rejected("unreadable", f"cannot be read from the archive: {error}") from error

    def _opened(self, name: str) -> contextlib.AbstractContextManager[IO[bytes]]:
        if name in self._places:
            return _zip_member(self._path, name, self._places[name])
        return self._archive().open(name)

    def size(self, name: str) -> int:
        try:
            return self._archive().getinfo(name).file_size
        except KeyError:
            return 0

    def place(self, name: str) -> Sequence[int] | None:
        try:
            found = self._archive().getinfo(name)
        except KeyError:
            return None
        # What is encrypted or patched, or has a name that zipfile mends, is left to zipfile.
        if found.flag_bits & _UNUSUAL or found.filename != found.orig_filename:
            return None
        return (
            found.header_offset,
            found.compress_size,
            found.file_size,
            found.CRC,
            found.compress_type,
        )


class _Tar(Archive):
    """A tar archive, compressed or not; its links and devices are not followed."""

    def __init__(self, path: str, places: Mapping[str, Sequence[int]]):
        self._path = path
        self._places = places

    def _changed(self) -> int:
        return os.stat(self._path).st_mtime_ns

    def _index(self) -> _tar.Tar:
        return _tar.opened(self._path, self._changed())

    def names(self, root: str) -> Iterator[str]:
        # In the order of the archive, because a compressed one is read from its beginning on.
        names = self._index().members
        return (name for name in names if name.startswith(root) or not is_inside(name))

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        if not is_inside(name):
            raise Rejected("outside", OUTSIDE)
        try:
            place = self._places.get(name)
            # What lies at a place does not say what it is, as it does in a zip.
            known = place[:2] if place and place[2] == self._changed() else None
            with self._index().open(name, known) as file:
                yield file
        except KeyError:
            raise Rejected("missing", "no such file") from None
        except (_tar.Damaged, OSError) as error:
            raise Rejected("unreadable", f"in the archive: {error}") from error

    def size(self, name: str) -> int:
        member = self._index().members.get(name)
        return member.size if member else 0

    def place(self, name: str) -> Sequence[int] | None:
        member = self._index().members.get(name)
        return (*member, self._changed()) if member and member.position >= 0 else None


@functools.lru_cache(maxsize=2)
def _zip(path: str, _changed: int) -> zipfile.ZipFile:
    """An open zip archive; cached, because reading the directory of a large one takes a while."""
    return zipfile.ZipFile(path)


@contextlib.contextmanager
def _zip_member(path: str, name: str, place: Sequence[int]) -> Iterator[Any]:
    """Opens a file of a zip archive at its place, without the directory."""
    offset, packed, size, checksum, method = place
    with open(path, "rb") as raw:
        raw.seek(offset)
        begin, flags, length, more = _ZIP_HEADER.unpack(raw.read(_ZIP_HEADER.size))
        found = raw.read(length).decode("utf-8" if flags & _UTF8 else "cp437")
        if (begin, found) != (b"PK\3\4", name):
            raise zipfile.BadZipFile(f"{name!r} is not where the directory says")
        raw.seek(more, os.SEEK_CUR)
        info = zipfile.ZipInfo(name)
        info.compress_size, info.file_size = packed, size
        info.CRC, info.compress_type = checksum, method
        with zipfile.ZipExtFile(raw, "r", info) as file:
            yield file
