"""Folders of sounds: those that `style render` writes, and any others.

A folder has the sounds of a split in a folder of its name, FOLDER/train/NAME.flac; in a folder
without such folders all sounds are there to learn from. Pairs lie in FOLDER/source/SPLIT and
FOLDER/target/SPLIT, where files of the same name are the same performance. Files are found by
looking, not by the manifest, so no path that a file names is ever followed.
"""

import filecmp
import hashlib
import os
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

from pipelines.audio import reading
from pipelines.records.manifest import SPLITS
from pipelines.runtime.app import UserError
from pipelines.systems.style.sounds import each_sound
from pipelines.systems.style.sounds.performances import SOURCE, TARGET
from pipelines.systems.style.sounds.rendering import MANIFEST


class Pair(NamedTuple):
    """A performance with two sounds.

    Attributes:
      name: that of its files, without an ending.
      source, target: the files.
    """

    name: str
    source: pathlib.Path
    target: pathlib.Path


class Training(NamedTuple):
    """The files to learn from: of the sound that is there, and of the sound that is wanted."""

    source: list[pathlib.Path]
    target: list[pathlib.Path]


def place(folder: str | os.PathLike, split: str = "train") -> pathlib.Path:
    """Where the sounds of a split lie: in a folder of its name, or in the folder itself."""
    within = pathlib.Path(folder) / split
    return within if within.is_dir() else pathlib.Path(folder)


def sounds(folder: str | os.PathLike, split: str = "train") -> list[pathlib.Path]:
    """The sound files of a split, sorted; of a folder without splits all are of training.

    Raises:
      UserError: where there is none.
    """
    root = pathlib.Path(folder)
    if (root / split).is_dir():
        return reading.sound_files(root / split)
    if (root / SOURCE).is_dir() and (root / TARGET).is_dir():
        raise UserError(f"{root} has pairs; name {root / SOURCE} or {root / TARGET}")
    if split != "train" or any((root / name).is_dir() for name in SPLITS):
        raise UserError(f"{root}: no folder {split} in it; give one that style render has made")
    return reading.sound_files(root)


def unpaired(source: str | os.PathLike, target: str | os.PathLike) -> Training:
    """The sounds of two folders to learn from without pairs.

    Raises:
      UserError: where a folder has no sound; where a file is in both, byte by byte; and where a
        performance was rendered with both sounds, since what learns without pairs would meet the
        truth of what it has to guess.
    """
    found = Training(sounds(source), sounds(target))
    require_others(found.source, found.target)
    if both := rendered_twice(source, target):
        raise UserError(
            f"{source} and {target}: {len(both)} performances to learn from are in both, as "
            f"{both[0]} is; make the folders with one ./run.sh style render of two sounds, "
            "without --paired_training"
        )
    return found


def rendered_twice(source: str | os.PathLike, target: str | os.PathLike) -> list[str]:
    """The names of performances to learn from that `style render` made with both sounds."""
    if not (_is_rendered(source) and _is_rendered(target)):
        return []
    names = [each_sound.by_name(each, sounds(each)).keys() for each in (source, target)]
    return sorted(names[0] & names[1])


def pairs(folder: str | os.PathLike, split: str) -> list[Pair]:
    """The pairs of a split, in the order of their names.

    Raises:
      UserError: where there is none, one lacks its partner, or all are the same recordings twice.
    """
    root = pathlib.Path(folder)
    if not has_pairs(root, split):
        raise UserError(
            f"{root}: no folders {SOURCE}/{split} and {TARGET}/{split} in it; ./run.sh style "
            "render with two sounds makes such a folder"
        )
    folders = [root / role / split for role in (SOURCE, TARGET)]
    sources, targets = (each_sound.by_name(each, reading.sound_files(each)) for each in folders)
    if alone := sorted(sources.keys() ^ targets.keys()):
        raise UserError(
            f"{root}: {len(alone)} sounds of {split} are in one of {SOURCE} and {TARGET} alone, as "
            f"{alone[0]} is; render the pairs anew"
        )
    found = [Pair(name, sources[name], targets[name]) for name in sorted(sources)]
    # One performance may sound alike with both, as where two drum kits share the drum it uses.
    if all(filecmp.cmp(pair.source, pair.target, shallow=False) for pair in found):
        raise UserError(
            f"{root}: the sounds of {split} are the same recordings in {SOURCE} and {TARGET}; "
            "source and target have to differ"
        )
    return found


def has_pairs(folder: str | os.PathLike, split: str) -> bool:
    """Whether a folder has pairs of a split."""
    return all((pathlib.Path(folder) / role / split).is_dir() for role in (SOURCE, TARGET))


def require_others(source: Sequence[pathlib.Path], target: Sequence[pathlib.Path]) -> None:
    """Checks that two sets of files are not the same recordings.

    Raises:
      UserError: where a file of the one is, byte by byte, one of the other.
    """
    if same := same_recordings(source, target):
        path, other = next(iter(same.items()))
        raise UserError(
            f"{path} is the same recording as {other}; source and target have to differ"
        )


def same_recordings(
    some: Sequence[pathlib.Path], others: Sequence[pathlib.Path]
) -> dict[pathlib.Path, pathlib.Path]:
    """Those of the others that are, byte by byte, one of some, which each is given with."""
    sizes = {path.stat().st_size for path in some}
    alike = [path for path in others if path.stat().st_size in sizes]
    sizes = {path.stat().st_size for path in alike}
    hashes = {_hash(path): path for path in some if path.stat().st_size in sizes}
    found = {path: hashes.get(_hash(path)) for path in alike}
    return {path: same for path, same in found.items() if same}


def _is_rendered(folder: str | os.PathLike) -> bool:
    """Whether `style render` has made a folder, alone or as one of a pair."""
    root = pathlib.Path(folder).absolute()
    return (root / MANIFEST).is_file() or (
        root.name in (SOURCE, TARGET) and (root.parent / MANIFEST).is_file()
    )


def _hash(path: pathlib.Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
