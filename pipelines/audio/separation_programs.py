"""Programs that separate songs, where a user has installed them: Demucs and Spleeter.

Neither is a part of this project or of its packages, nor are their models, which they download when
they first run. They run as programs, since their versions of PyTorch and TensorFlow are their own:
DEMUCS and SPLEETER in the environment name them, where they are in an environment of their own.
"""

import os
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from typing import NamedTuple

from pipelines.runtime.app import UserError

_LAST_CHARACTERS = 400


class Program(NamedTuple):
    """A program that separates a file.

    Attributes:
      name: of the command.
      arguments: the file and the folder to write into, to what follows the command.
      package: what pip installs.
    """

    name: str
    arguments: Callable[[str, str], list[str]]
    package: str


PROGRAMS = {
    # Samples as floats, so that what is loud is not scaled down.
    "demucs": Program(
        "demucs", lambda sound, folder: ["--float32", "--out", folder, sound], "demucs"
    ),
    # Without a duration, Spleeter takes ten minutes.
    "spleeter": Program(
        "spleeter",
        lambda sound, folder: [
            *("separate", "-p", "spleeter:4stems", "-d", str(24 * 3600), "-o", folder, sound)
        ],
        "spleeter",
    ),
}


def find(method: str) -> str:
    """The path of a program.

    Raises:
      UserError: where it is not installed.
    """
    program = PROGRAMS[method]
    variable = program.name.upper()
    named = os.environ.get(variable)
    found = shutil.which(named or program.name)
    if not found:
        where = f"{variable}={named} is no program" if named else "it is not installed"
        raise UserError(
            f"--method={method} needs the program {program.name}: {where}; install it by pip "
            f"install {program.package}, in an environment of its own, and name it by "
            f"{variable}=ENVIRONMENT/bin/{program.name}, or take --method=hpss"
        )
    return found


def separate(method: str, sound: str | os.PathLike, folder: pathlib.Path) -> list[str]:
    """Has a program separate a file.

    Args:
      method: one of `PROGRAMS`.
      sound: the file.
      folder: gets a WAV file for each sound that the program finds in it.

    Returns:
      The names of the sounds, sorted: "bass", "drums", "other" and "vocals".

    Raises:
      UserError: where the program is not installed, fails, or writes nothing.
    """
    program = find(method)
    with tempfile.TemporaryDirectory(dir=folder) as made:
        # A path that begins with "-" would be a flag.
        path = os.path.abspath(sound)
        done = subprocess.run(
            [program, *PROGRAMS[method].arguments(path, made)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        said = done.stdout.decode(errors="replace").strip()[-_LAST_CHARACTERS:].replace("\n", " | ")
        if done.returncode:
            raise UserError(f"{sound}: {method} ended with status {done.returncode}: {said}")
        written = sorted(pathlib.Path(made).rglob("*.wav"))
        if not written:
            raise UserError(f"{sound}: {method} wrote no WAV file: {said}")
        for each in written:
            os.replace(each, folder / each.name)
    return [each.stem for each in written]
