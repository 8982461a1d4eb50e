"""Folders of sounds: those that `style render` writes, and any others.

A folder has sounds of the splits in folders of their names, FOLDER/train/NAME.flac. A folder
without such folders is one of sounds to learn from. Pairs lie in FOLDER/source/SPLIT and
FOLDER/target/SPLIT, where files of the same name are the same performance.
"""

import hashlib
import os
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

from pipelines.audio import reading
from pipelines.records.manifest import SPLITS
from pipelines.runtime.app import UserError
from pipelines.systems.style.performances import SOURCE, TARGET


class Pair(NamedTuple):
    """A performance with two sounds.

    Attributes:
      name: that of its files, without an ending.
      source, target: the files.
    """

    name: str
    source: pathlib.Path
    target: pathlib.Path


def sounds(folder: str | os.PathLike, split: str) -> list[pathlib.Path]:
    """The sound files of a split, sorted; of a folder without splits all are of training.

    Raises:
      UserError: where there is none.
    """
    root = pathlib.Path(folder)
    if (root / split).is_dir():
        return reading.sound_files(root / split)
    if root.is_dir() and any((root / name).is_dir() for name in SPLITS):
        raise UserError(f"{root}: no folder {split} in it; give one that style render has made")
    if root.is_dir() and (root / SOURCE).is_dir() and (root / TARGET).is_dir():
        raise UserError(f"{root} has pairs; name {root / SOURCE} or {root / TARGET}")
    if split != "train":
        raise UserError(f"{root}: no folder {split} in it; give one that style render has made")
    return reading.sound_files(root)


def has_pairs(folder: str | os.PathLike, split: str) -> bool:
    """Whether a folder has pairs of a split."""
    root = pathlib.Path(folder)
    return all((root / role / split).is_dir() for role in (SOURCE, TARGET))


def pairs(folder: str | os.PathLike, split: str) -> list[Pair]:
    """The pairs of a split, by name.

    Raises:
      UserError: where there is none, or one lacks its partner.
    """
    root = pathlib.Path(folder)
    if not has_pairs(root, split):
        raise UserError(
            f"{root}: no folders {SOURCE}/{split} and {TARGET}/{split} in it; ./run.sh style "
            "render with two sounds makes such a folder"
        )
    found = {role: _by_name(root / role / split) for role in (SOURCE, TARGET)}
    alone = sorted(found[SOURCE].keys() ^ found[TARGET].keys())
    if alone:
        raise UserError(
            f"{root}: {len(alone)} sounds of {split} are in one of {SOURCE} and {TARGET} alone, as "
            f"{alone[0]} is; render the pairs anew"
        )
    return [Pair(name, path, found[TARGET][name]) for name, path in found[SOURCE].items()]


def require_others(source: Sequence[pathlib.Path], target: Sequence[pathlib.Path]) -> None:
    """Checks that two sets of sounds are not the same recordings.

    Raises:
      UserError: where a file of the one is, byte by byte, one of the other.
    """
    sizes = {path.stat().st_size for path in source} & {path.stat().st_size for path in target}
    hashes = {_hash(path): path for path in source if path.stat().st_size in sizes}
    for path in target:
        if path.stat().st_size in sizes and (same := hashes.get(_hash(path))):
            raise UserError(
                f"{path} is the same recording as {same}; source and target are two sounds"
            )


def _by_name(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    return {
        path.relative_to(folder).with_suffix("").as_posix(): path
        for path in reading.sound_files(folder)
    }


def _hash(path: pathlib.Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
