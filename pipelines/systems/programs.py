"""Which system's program does the work of a command.

`train`, `evaluate` and `generate` are commands of several systems: `systems/SYSTEM/commands` has a
program for each, with flags of its own. A system is known by its configs, whose file in `configs/`
has the system's name and defines HPARAMS, or by the run.json of a run, whose "kind" is that name.
What is of no such system is MusicVAE's.
"""

import contextlib
import functools
import importlib.util
import os
import pathlib
import re
import runpy
import sys
from collections.abc import Sequence

import configs
from pipelines import runs
from pipelines.exported import folders
from pipelines.runtime import app
from pipelines.runtime.app import UserError

DEFAULT = "musicvae"
# The flags that say which system is meant.
_NAMING = ("config", "pretrained", "run_dir", "checkpoint_file")


def run(command: str) -> None:
    """Runs the program of a command, of the system that the command line names.

    Args:
      command: the name of a file in the folders `commands` of systems.
    """
    arguments = sys.argv[1:]
    app.explain_unknown_flag = functools.partial(explain, command, arguments)
    # A program has no flags but its own.
    runpy.run_module(_module(system(arguments), command), run_name="__main__", alter_sys=True)


def system(arguments: Sequence[str]) -> str:
    """The system of a command line: by its config, else by its model or run.

    Whatever is wrong with the command line, or with the run, is left to the program to say.
    """
    if name := _value(arguments, "config"):
        return configs.system_of(name) or DEFAULT
    systems = configs.systems()
    for flag in _NAMING[1:]:
        folder = os.path.expanduser(_value(arguments, flag) or "")
        if flag == "pretrained" and folder in folders.names():
            folder = os.fspath(folders.find(folder))
        if os.path.isdir(folder):
            with contextlib.suppress(UserError, OSError):
                kind = runs.read_any(folder).get("kind")
                if kind in systems:
                    return kind
    return DEFAULT


def explain(command: str, arguments: Sequence[str], flag: str) -> str:
    """Why the program of a command line does not know a flag; "" where nothing is to be said.

    Where a command line names a run or a config that is not there, flags are those of MusicVAE, and
    one of another system is unknown. What is wrong then is the name.

    Args:
      command, arguments: the command line.
      flag: the name of the flag.
    """
    of = system(arguments)
    names = {flag, flag.removeprefix("no")}
    having = [
        name
        for name in (DEFAULT, *configs.systems())
        if any(_defines(name, command, each) for each in names)
    ]
    if not having or of in having:
        return ""
    wrong = f"--{flag} is a flag of {' and '.join(having)}, not of {of}"
    try:
        if of == DEFAULT:
            _require_named(command, arguments)
    except UserError as error:
        return f"{wrong}: {error}"
    return f"{wrong}, which this command line names"


def _require_named(command: str, arguments: Sequence[str]) -> None:
    """Raises UserError unless a command line names a config, run or model that is there."""
    named = {flag: value for flag in _NAMING if (value := _value(arguments, flag))}
    if "config" in named:
        configs.require_known(named["config"], _value(arguments, "config_file"))
    elif "pretrained" in named:
        folders.find(named["pretrained"])
    elif command != "train" and "run_dir" in named:
        runs.require_folder(os.path.expanduser(named["run_dir"]))
    elif not os.path.exists(
        os.path.join(os.path.expanduser(named.get("run_dir", "")), runs.METADATA)
    ):
        if command == "train":
            raise UserError("name a config by --config; ./run.sh configs lists them")
        raise UserError("name a model by --run_dir or --pretrained, or its config by --config")


def _defines(of: str, command: str, flag: str) -> bool:
    """Whether the program of a system defines a flag, by its text: a program runs but alone."""
    found = importlib.util.find_spec(_module(of, command))
    text = pathlib.Path(found.origin).read_text("utf-8") if found and found.origin else ""
    return bool(re.search(rf'\bDEFINE_\w+\(\s*"{re.escape(flag)}"', text))


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
