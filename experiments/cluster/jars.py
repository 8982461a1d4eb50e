"""Fetches the jars of a Flink cluster that runs Beam pipelines, by Maven and its settings.

    ./.venv/bin/python -m experiments.cluster.jars

pom.xml says which: 162 files, 152 MB. Each must have the SHA-256 that jars.sha256 states. They go
into the cache of the user, or into the folder that the variable REELGROOVE_JARS names; what is
there already is only checked. The folder is printed.
"""

import hashlib
import os
import pathlib
import shutil
import subprocess

import platformdirs

from pipelines.runtime import app, files
from pipelines.runtime.app import UserError

_HERE = pathlib.Path(__file__).resolve().parent
_GOAL = "dependency:copy-dependencies"


def place() -> pathlib.Path:
    """The folder of the jars, whether it is there or not."""
    named = os.environ.get("REELGROOVE_JARS")
    return pathlib.Path(named) if named else platformdirs.user_cache_path("reelgroove") / "jars"


def wanted() -> dict[str, str]:
    """The names of the jars and their SHA-256."""
    lines = (_HERE / "jars.sha256").read_text(encoding="utf-8").splitlines()
    return {name: digest for digest, name in (line.split("  ") for line in lines)}


def wrong(folder: pathlib.Path) -> list[str]:
    """What is wrong with a folder of jars: a line for each that is missing, other or too many."""
    found = {path.name: path for path in folder.glob("*.jar")}
    problems = [f"{name} is not among the jars that are wanted" for name in found.keys() - wanted()]
    for name, digest in wanted().items():
        if name not in found:
            problems.append(f"{name} is missing")
        elif hashlib.sha256(found[name].read_bytes()).hexdigest() != digest:
            problems.append(f"{name} has another SHA-256")
    return sorted(problems)


def fetch(folder: pathlib.Path) -> None:
    """Puts the jars into a folder, unless they are there.

    Raises:
      UserError: without Maven, where a jar cannot be had, or is not the one that is wanted.
    """
    if not folder.is_dir():
        if shutil.which("mvn") is None:
            raise UserError(
                "there is no mvn: install Maven, or name a folder of the jars by REELGROOVE_JARS"
            )
        with files.new_folder(folder) as made:
            _copy(made)
            _require_right(made)
    _require_right(folder)


def _copy(folder: pathlib.Path) -> None:
    """Has Maven copy the jars into a folder. It checks downloads by the repository's own sums."""
    command = ["mvn", "--batch-mode", "--strict-checksums", "--file", str(_HERE / "pom.xml")]
    command += [_GOAL, "-DincludeScope=runtime", f"-DoutputDirectory={folder}"]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        errors = [line for line in done.stdout.splitlines() if line.startswith("[ERROR]")]
        raise UserError(f"Maven: {' '.join(errors[:1]).removeprefix('[ERROR] ') or done.stderr}")


def _require_right(folder: pathlib.Path) -> None:
    if problems := wrong(folder):
        raise UserError(
            f"{folder}: {problems[0]} ({len(problems)} in all); remove the folder, fetch it again"
        )


def main() -> None:
    """Fetches the jars and prints their folder."""
    folder = place()
    fetch(folder)
    print(folder)


if __name__ == "__main__":
    app.run(main)
