"""Trained models in small folders, by name or by path.

    FOLDER/weights.safetensors   the variables: `weights`
    FOLDER/run.json              the config and its hparams, as in a run folder
    FOLDER/CARD.md               for people: data, licence, metrics, commands

Those in models/pretrained come with the project, and have the names of their folders. A system
makes such folders of its runs, in its module `exporting`.
"""

import os
import pathlib

import models
from pipelines import runs
from pipelines.exported import weights
from pipelines.exported.weights import Weights
from pipelines.runtime.app import UserError
from pipelines.runtime.nearest import PART, did_you_mean

WEIGHTS, CARD = "weights.safetensors", "CARD.md"

BOX = pathlib.Path(models.__file__).resolve().parent / "pretrained"
_EXPORT = "./run.sh pretrained export"


def names() -> list[str]:
    """The names of the models that come with the project."""
    return sorted(path.parent.name for path in BOX.glob(f"*/{WEIGHTS}"))


def find(name: str) -> pathlib.Path:
    """The folder of a model.

    Args:
      name: one of `names`, or a path. A folder in the current one that is named as a model of
        `names` is "./NAME".

    Raises:
      UserError: where there is no such model; the message names the nearest.
    """
    if name in names():
        return BOX / name
    folder = pathlib.Path(name).expanduser()
    if folder.is_dir():
        _require_whole(folder)
        return folder
    if folder.exists():
        raise UserError(f"{name}: no folder; name the folder that has {WEIGHTS} in it")
    if os.sep in name:
        raise UserError(f"{name}: no such folder; {_EXPORT} makes one of a run")
    raise UserError(f"no pretrained model or folder is named {name!r}{nearest(name)}")


def short_path(patterns: str) -> str:
    """Patterns of records, joined by commas, without the folders that say whose they are."""
    return ",".join("/".join(pattern.split(os.sep)[-2:]) for pattern in patterns.split(","))


def nearest(name: str) -> str:
    """The end of a message about a name that no model has."""
    there = f"; there is {' and '.join(names())}" if names() else ""
    return did_you_mean(name, names(), least=PART) or there


def _require_whole(folder: pathlib.Path) -> None:
    """Raises UserError where a folder is not one of a model."""
    for file in (WEIGHTS, runs.METADATA):
        if not (folder / file).is_file():
            fix = f"{_EXPORT} makes a folder with it of a run"
            if any(folder.glob("*.index")) or any(folder.glob("train/*.index")):
                fix = f"this is the folder of a run: name it with --run_dir, or {fix}"
            raise UserError(f"{folder}: no {file} in it; {fix}")


def require(
    run_dir: str | None, checkpoint_file: str | None, name: str | None, new_run_dir: bool = False
) -> None:
    """Raises UserError unless the flags name a model that may be there, by the names of files.

    Args:
      run_dir, checkpoint_file, new_run_dir: as `runs.require_checkpoint` takes them.
      name: as `find` takes it; neither of the others goes with it.
    """
    if name:
        for flag, value in (("run_dir", run_dir), ("checkpoint_file", checkpoint_file)):
            if value:
                raise UserError(f"--pretrained and --{flag} name a model each; give one of them")
        find(name)
    elif run_dir or checkpoint_file:
        runs.require_checkpoint(run_dir, checkpoint_file, new_run_dir)
    else:
        raise UserError("give --run_dir, --checkpoint_file or --pretrained")


def is_model(source: str) -> bool:
    """Whether this names a model of `find`, rather than a run or a checkpoint."""
    return source in names() or (pathlib.Path(source).expanduser() / WEIGHTS).is_file()


def read(folder: pathlib.Path) -> Weights:
    """Reads the weights of a model; raises UserError where they cannot be used."""
    return weights.read(folder / WEIGHTS)
