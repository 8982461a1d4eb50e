"""Titles for tunes, from a run of `titles`."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence

import pipelines
from pipelines import runs
from pipelines.representations.abc_tokens import vocabulary
from pipelines.runtime.app import UserError

# Of how many titles each tune gets one that no tune before it has.
_CHOICES = 50


def require(run_dir: str, titles_file: str | None) -> None:
    """Raises UserError where a folder has no run of `titles`, or there is no file of titles."""
    runs.require(run_dir, "titles", "titles train")
    if titles_file and not os.path.isfile(titles_file):
        raise UserError(f"{titles_file}: no such file; --titles names a text file of titles")


def titles(tunes: Sequence[str], run_dir: str, titles_file: str | None = None) -> list[str | None]:
    """Finds titles for tunes, all different.

    `titles match` does the work, in a process of its own: systems do not know each other.

    Args:
      tunes: in ABC notation.
      run_dir: a run of `titles`.
      titles_file: a file of titles to choose from, one a line, of which those of the run's tunes
        are left out; by default the titles of these tunes are chosen from.

    Returns:
      For each tune a title, or None where it has no melody, or none is left that fits: the title of
      a jig does not say reel.

    Raises:
      UserError: where `titles match` fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for number, text in enumerate(tunes):
            paths.append(os.path.join(folder, f"{number}.abc"))
            with open(paths[-1], "w", encoding="utf-8") as file:
                file.write(text)
        found = _match(paths, run_dir, titles_file)
    taken: set[str] = set()
    chosen: list[str | None] = []
    for path, text in zip(paths, tunes, strict=True):
        free = (title for title in found.get(path, ()) if title not in taken)
        chosen.append(next((title for title in free if _fits(title, text)), None))
        taken.update(filter(None, chosen[-1:]))
    return chosen


def _fits(title: str, text: str) -> bool:
    """Whether a title names no other dance than the `R:` field of a tune does."""
    rhythm = text.partition("\nR:")[2].partition("\n")[0]
    named, own = vocabulary.rhythm(title), vocabulary.rhythm(rhythm)
    return not named or not own or named == own


def _match(paths: Sequence[str], run_dir: str, titles_file: str | None) -> dict[str, list[str]]:
    """The titles for the tune of each file, the best first."""
    flags = [f"--run_dir={run_dir}", "--json", f"--top_k={_CHOICES}"]
    if titles_file:
        flags += [f"--titles={titles_file}", "--exclude_existing"]
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.titles", "match", *flags, "--", *paths],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.path.dirname(next(iter(pipelines.__path__)))},
    )
    if not done.stdout:
        lines = done.stderr.strip().splitlines() or ["it printed nothing"]
        raise UserError(f"titles match failed: {lines[-1].removeprefix('error: ')}")
    matched = {}
    for tune in json.loads(done.stdout)["tunes"]:
        (path,) = (path for path in paths if tune["id"].startswith(f"{path}/"))
        matched[path] = [each["title"] for each in tune["titles"]]
    return matched
