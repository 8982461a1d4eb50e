"""The same work on each sound of a user: what cannot be read is left out, and the rest is done."""

import os
import pathlib
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from pipelines.audio import files
from pipelines.runtime.app import UserError, say
from pipelines.runtime.progress import Progress


def by_name(folder: str | os.PathLike, sounds: Iterable[pathlib.Path]) -> dict[str, pathlib.Path]:
    """The sounds of a folder by their paths in it, without endings.

    Raises:
      UserError: where two have one name, as a.wav and a.flac have.
    """
    found: dict[str, pathlib.Path] = {}
    for path in sounds:
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            raise UserError(
                f"{folder}: {found[name].name} and {path.name} have one name, {name}; give them "
                "names that differ in more than the ending"
            )
        found[name] = path
    return found


def written(folder: str | os.PathLike, sounds: Iterable[pathlib.Path]) -> list[str]:
    """Where what becomes of each sound of a folder is written, relative to another one.

    Raises:
      UserError: as `by_name`.
    """
    return [f"{name}.wav" for name in by_name(folder, sounds)]


def write_clipped(path: pathlib.Path, sound: pathlib.Path, made: np.ndarray, rate: int) -> int:
    """Writes what becomes of a sound, and says how much of it is too loud for a file.

    Args:
      path: where; folders on the way are made.
      sound: what it was, for the message.
      made: its samples, float.
      rate: frames a second.

    Returns:
      How many samples are beyond 1, and so clipped.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    clipped = int(np.sum(np.abs(made) > 1))
    if clipped:
        say(f"{sound}: {clipped} samples of {len(made)} are beyond 1 and are clipped")
    files.write(path, np.clip(made, -1, 1), rate, channels=1)
    return clipped


def run(
    jobs: Iterable[tuple[pathlib.Path, str]],
    root: pathlib.Path,
    done: str,
    work: Callable[[pathlib.Path, str], dict[str, Any]],
) -> dict[str, Any]:
    """Does the work on each sound.

    Args:
      jobs: the sounds, and where what becomes of each is written.
      root: the folder that the sounds are in, for their names.
      done: what becomes of them, such as "converted".
      work: takes a sound and where to write; returns a row about it. It raises UserError for a
        sound that is to be left out, of which it leaves nothing behind.

    Returns:
      The counts, with sounds = done + rejected, under `files` the rows, and under `rejected_files`
      the file and the reason of each sound that was left out.

    Raises:
      UserError: where no sound is left.
    """
    jobs = list(jobs)
    rows: list[dict[str, Any]] = []
    rejected: list[dict[str, str]] = []
    with Progress(f"sounds {done}", len(jobs)) as progress:
        for number, (sound, where) in enumerate(jobs, start=1):
            try:
                rows.append(work(sound, where))
            except UserError as error:
                if number == len(jobs) and not rows:
                    raise
                say(f"left out: {error}")
                rejected.append({"file": sound.relative_to(root).as_posix(), "reason": str(error)})
            progress.update(number)
    return {
        "sounds": len(jobs),
        done: len(rows),
        "rejected": len(rejected),
        "files": rows,
        "rejected_files": rejected,
    }
