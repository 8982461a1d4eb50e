"""The model that the flags of a command name, checked before TensorFlow is imported."""

import os
import re
from typing import Any

from pipelines import runs
from pipelines.exported import folders
from pipelines.runtime.app import UserError

KIND = "tune_lm"
# It becomes part of the names of files, so a run.json of strangers may not name a folder.
_CONFIG = re.compile(r"\w[\w.-]*", re.ASCII)


def require(
    run_dir: str | None, checkpoint_file: str | None, pretrained: str | None, config: str | None
) -> dict[str, Any]:
    """Reads the run.json of the model that flags name.

    Args:
      run_dir, checkpoint_file, pretrained: the flags, as `folders.require` takes them.
      config: the config that the model has to be of; None is any.

    Raises:
      UserError: where there is no such model, or one of another system or config.
    """
    if run_dir:
        runs.require(run_dir, KIND, "train --config=tune_lm-lstm")
    folders.require(run_dir, checkpoint_file, pretrained)
    if not run_dir and not pretrained:
        raise UserError(
            f"--checkpoint_file={checkpoint_file} needs --run_dir, the run's folder, whose "
            f"{runs.METADATA} says what network it is of"
        )
    folder = folders.find(pretrained) if pretrained else run_dir or ""
    metadata = runs.read(folder, KIND)
    path = os.path.join(folder, runs.METADATA)
    found = metadata.get("config")
    if not isinstance(found, str) or not _CONFIG.fullmatch(found):
        raise UserError(
            f"{path} is damaged: config is {found!r}; restore it, or train again in another folder"
        )
    if config and config != found:
        raise UserError(f"{path} is of {found}, not of --config={config}; leave out --config")
    return metadata
