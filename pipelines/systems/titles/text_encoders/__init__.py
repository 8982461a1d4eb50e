"""Text encoders: a TF-Hub handle or a SavedModel folder that maps strings to vectors.

`loading` loads all of them. Two need no network: `builtin` and `minilm` are names of SavedModels
that `prepare` exports first.
"""

import os
import pathlib
from collections.abc import Callable, Sequence

from pipelines.runtime.app import UserError
from pipelines.runtime.nearest import did_you_mean

# The Universal Sentence Encoder (arXiv:1803.11175): 512 numbers.
DEFAULT = "https://tfhub.dev/google/universal-sentence-encoder/4"
EXPORTED = BUILTIN, MINILM = "builtin", "minilm"
OFFLINE = f"offline there are --text_encoder={BUILTIN} and --text_encoder={MINILM}"


def prepare(
    name: str, folder: str | os.PathLike, titles: Callable[[], Sequence[str]] | None = None
) -> str:
    """The handle by which `load` loads an encoder: exports `builtin` and `minilm`.

    Args:
      name: `builtin`, `minilm` or a handle, which is returned as it is.
      folder: where an exported encoder is kept. One that is there is taken as it is.
      titles: gives the training titles, from which `builtin` is made.

    Raises:
      UserError: if it cannot be exported.
    """
    if name not in EXPORTED:
        return os.path.expanduser(name)
    if not (pathlib.Path(folder) / "saved_model.pb").exists():
        if name == MINILM:
            from pipelines.systems.titles.text_encoders import minilm

            minilm.export(folder)
        elif titles is None:
            raise UserError(f"{folder}: there is no builtin encoder; `titles train` makes it")
        else:
            from pipelines.systems.titles.text_encoders import builtin

            builtin.export(titles(), folder)
    return os.fspath(folder)


def require_named(name: str) -> None:
    """Raises UserError for a plain word that is neither an encoder's name nor a folder.

    It needs no TensorFlow, which would take such a word for a folder and look for it in vain.
    """
    if name not in EXPORTED and "/" not in name and not os.path.isdir(os.path.expanduser(name)):
        raise UserError(
            f"--text_encoder={name}: is no folder; there are {' and '.join(EXPORTED)}, and handles "
            f"of TF-Hub{did_you_mean(name, EXPORTED)}"
        )


def absolute(name: str) -> str:
    """The name by which an encoder is found from any working directory: of a folder, its path."""
    local = os.path.expanduser(name)
    return os.path.abspath(local) if os.path.isdir(local) else name
