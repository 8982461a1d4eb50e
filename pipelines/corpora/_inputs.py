"""The files that a user names by --input: by themselves, in folders and in archives."""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pipelines.corpora import Skipped, _archives
from pipelines.runtime import storage
from pipelines.runtime.app import UserError

_UNLISTED = "the folder cannot be listed, or is a link; give it as an --input of its own"
_TWICE = "another file of this archive has the same name"


class File(NamedTuple):
    """A file at --input.

    Attributes:
      archive: the path of the archive that it is in, for `_archives.open_archive`.
      member: its name there.
      name: its name for people and ids; no two files have the same.
      alone: whether --input names the file itself, and no folder or archive with it.
      place: what `Archive.place` says of it.
    """

    archive: str
    member: str
    name: str
    alone: bool
    place: Sequence[int] | None = None


class Input(NamedTuple):
    """What is at one path of --input.

    Attributes:
      path: as it is given.
      archive: the path of the archive, for `_archives.open_archive`.
      members: the names of its files, as `_archives.list_files` gives them.
      alone: whether the path is a file by itself.
      begin: what the names of its files begin with; the whole name of a file by itself.
    """

    path: str
    archive: str
    members: Sequence[str]
    alone: bool
    begin: str

    def files(self) -> Iterator[File | Skipped]:
        """The files, without those that are hidden or that the file managers of Macs leave."""
        archive, where = _archives.open_archive(self.archive), storage.absolute(self.archive)
        names: set[str] = set()
        for member in self.members:
            # Some programs put "./" before every name in an archive.
            inner = member.removeprefix("./")
            name = printable(self.begin if self.alone else self.begin + inner)
            if any(part[:1] == "." or part == "__MACOSX" for part in inner.split("/")):
                # Version control and file managers keep such files; "../x" is an outside name.
                if _archives.is_inside(member):
                    continue
            if not _archives.is_inside(member):
                yield Skipped(name, "outside", _archives.OUTSIDE)
            elif member.endswith("/"):
                yield Skipped(name, "unreadable", _UNLISTED)
            elif name in names:
                yield Skipped(name, "duplicate", _TWICE)
            else:
                names.add(name)
                yield File(where, member, name, self.alone, archive.place(member))


def inputs(paths: Sequence[str]) -> Iterator[Input]:
    """What is at each path of --input.

    Raises:
      UserError: for a path where nothing is, that is given twice, or is inside another one.
    """
    for path, end in zip(paths, _ends(paths)):
        archive, members, alone = _archives.list_files(path)
        if not members:
            raise UserError(f"{path} has no file in it; give files, folders or archives of music")
        begin = end if alone else f"{end}/" if len(paths) > 1 else ""
        yield Input(path, archive, members, alone, begin)


def _ends(paths: Sequence[str]) -> list[str]:
    """The ends of paths, as long as it takes to tell them apart, in whatever order they are given.

    Raises:
      UserError: for a path that is given twice, or is inside another one.
    """
    real = [storage.real(path) for path in paths]
    for i, inner in enumerate(real):
        for j, outer in enumerate(real):
            if i != j and (inner == outer or inner.startswith(f"{outer.rstrip('/')}/")):
                raise UserError(f"--input={paths[i]} is part of --input={paths[j]}; leave it out")
    parts = [storage.absolute(path).strip("/").split("/") for path in paths]
    for length in range(1, max(map(len, parts)) + 1):
        ends = ["/".join(path[-length:]) for path in parts]
        # None may begin another one either: "x" may have a folder "y" where "x/y" is another path.
        if not any(f"{a}/".startswith(f"{b}/") for a, b in itertools.permutations(ends, 2)):
            break
    return ends


def printable(name: str) -> str:
    """The name of a file as valid text; on a disk it may be any bytes."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")
