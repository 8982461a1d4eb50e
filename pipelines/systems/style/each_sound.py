"""The same work on each sound of a user: what cannot be read is left out, and the rest is done."""

import pathlib
from collections.abc import Callable, Iterable
from typing import Any

from pipelines.runtime.app import UserError, say
from pipelines.runtime.progress import Progress


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
