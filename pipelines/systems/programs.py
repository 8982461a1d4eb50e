"""Which system's program does the work of a command.

`train`, `evaluate` and `generate` are commands of several systems: `systems/SYSTEM/commands` has a
program for each, with flags of its own. A system is known by its configs, whose file in `configs/`
has the system's name and defines HPARAMS, or by the run.json of a run, whose "kind" is that name.
What is of no such system is MusicVAE's.
"""

import contextlib
import os
import runpy
import sys
from collections.abc import Sequence

import configs
from pipelines import runs
from pipelines.exported import folders
from pipelines.runtime.app import UserError

DEFAULT = "musicvae"


def run(command: str) -> None:
    """Runs the program of a command, of the system that the command line names.

    Args:
      command: the name of a file in the folders `commands` of systems.
    """
    # A program has no flags but its own.
    runpy.run_module(_module(system(sys.argv[1:]), command), run_name="__main__", alter_sys=True)


def system(arguments: Sequence[str]) -> str:
    """The system of a command line: by its config, else by its model or run.

    Whatever is wrong with the command line, or with the run, is left to the program to say.
    """
    if name := _value(arguments, "config"):
        return configs.system_of(name) or DEFAULT
    systems = configs.systems()
    for flag in ("pretrained", "run_dir", "checkpoint_file"):
        folder = os.path.expanduser(_value(arguments, flag) or "")
        if flag == "pretrained" and folder in folders.names():
            folder = os.fspath(folders.find(folder))
        if os.path.isdir(folder):
            with contextlib.suppress(UserError, OSError):
                kind = runs.read_any(folder).get("kind")
                if kind in systems:
                    return kind
    return DEFAULT


def _module(of: str, command: str) -> str:
    return f"pipelines.systems.{of}.commands.{command}"


def _value(arguments: Sequence[str], flag: str) -> str | None:
    """The last value of a flag, as absl reads it."""
    found = None
    for argument, following in zip(arguments, [*arguments[1:], None]):
        name, equals, value = argument.partition("=")
        if name in (f"--{flag}", f"-{flag}"):
            found = value if equals else following
    return found
