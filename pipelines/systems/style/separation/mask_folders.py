"""Where models that separate lie, and what their run.json says; read without TensorFlow."""

import os
import pathlib
from typing import Any

from pipelines import runs
from pipelines.exported import folders
from pipelines.runtime.app import UserError

KIND = "separator"
WEIGHTS = "mask.safetensors"
# The one that comes with the project.
OURS = folders.BOX / "separator"


def require(folder: str | os.PathLike) -> None:
    """Raises UserError where a folder is none of a model, by the names of its files."""
    runs.require(folder, KIND, "style train_separator")
    if not pathlib.Path(folder, WEIGHTS).is_file():
        raise UserError(
            f"{folder}: no {WEIGHTS} in it yet; train for longer by ./run.sh style train_separator"
        )


def read_metadata(folder: str | os.PathLike) -> dict[str, Any]:
    """What run.json says; {} where there is none.

    Raises:
      UserError: where it is damaged or of another kind of run.
    """
    return runs.read(folder, KIND)
