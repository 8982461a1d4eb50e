"""Which text encoders may be loaded on this machine.

A SavedModel is a program: its graph can read and write files. A run of titles brings its encoder
along or names one, so a run folder from a stranger would run the stranger's program. An encoder is
therefore loaded only where it was trained with on this machine, or where the user has said once
that it is trusted (`--trust`). Both are kept here, in a file for each fingerprint:

    CONFIG/reelgroove/trusted_text_encoders/HASH.json       {"fingerprint": ...}

CONFIG is the user's folder of configuration, ~/.config or what XDG_CONFIG_HOME says.
"""

import hashlib
import pathlib

import platformdirs

from pipelines.runtime import files
from pipelines.runtime.app import UserError


def folder() -> pathlib.Path:
    """Where trusted fingerprints are kept."""
    return platformdirs.user_config_path("reelgroove") / "trusted_text_encoders"


def is_trusted(fingerprint: str) -> bool:
    """Whether the encoder of this fingerprint may be loaded."""
    return _path(fingerprint).is_file()


def trust(fingerprint: str) -> None:
    """Lets the encoder of this fingerprint be loaded from now on.

    Raises:
      UserError: where that cannot be kept.
    """
    path = _path(fingerprint)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_json(path, {"fingerprint": fingerprint})
    except OSError as error:
        raise UserError(
            f"{path.parent}: trusted text encoders cannot be kept there ({error.strerror}); name "
            "a folder that can be written by the variable XDG_CONFIG_HOME"
        ) from error


def require(run_dir: str, fingerprint: str) -> None:
    """Refuses the encoder of a run that is from elsewhere.

    Raises:
      UserError: where it is not trusted.
    """
    if not is_trusted(fingerprint):
        raise UserError(
            f"{run_dir} was not trained here, and its text encoder is a program that can read and "
            "write files: if you trust where the run comes from, give --trust, once"
        )


def _path(fingerprint: str) -> pathlib.Path:
    digest = hashlib.sha256(fingerprint.encode("utf-8", "surrogatepass")).hexdigest()
    return folder() / f"{digest}.json"
