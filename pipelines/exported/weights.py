"""The weights of a model as a small file: float16 in the format safetensors, data without code.

The file has the variables that encoding and decoding need, by their names in a checkpoint of
Magenta's, and none of the optimizer's. Its header says the config, the training step and the
sha256 of the numbers, so that a damaged file is known as such.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from pipelines.runtime import files
from pipelines.runtime.app import UserError

# The fact of a header that holds ours: safetensors writes several in an order that changes, so all
# of them are the JSON of one.
FACTS = "reelgroove"
_PRECISIONS = ("F16", "F32")
_MAX_BYTES = 1 << 32


@dataclasses.dataclass(frozen=True)
class Weights:
    """A model's variables, and what they are.

    Attributes:
      config: the name of the config.
      step: the training step.
      sha256: of the numbers, as the file has them after its header.
      tensors: the variables by name, as float16 or float32.
    """

    config: str
    step: int
    sha256: str
    tensors: dict[str, np.ndarray]


def write(
    path: str | os.PathLike, tensors: Mapping[str, np.ndarray], config: str, step: int
) -> None:
    """Writes variables as float16.

    Args:
      path: the file; what was there is replaced.
      tensors: the variables by name.
      config, step: as in `Weights`.

    Raises:
      UserError: for a variable with a number that float16 cannot hold.
    """
    halves = {name: _half(path, name, tensor) for name, tensor in tensors.items()}
    _, numbers = divide(safetensors.numpy.save(halves))
    facts = {"config": config, "step": step, "sha256": hashlib.sha256(numbers).hexdigest()}
    with files.replacing(path) as file:
        file.write(safetensors.numpy.save(halves, {FACTS: json.dumps(facts, sort_keys=True)}))


def _half(path: str | os.PathLike, name: str, tensor: np.ndarray) -> np.ndarray:
    """A variable as float16; raises UserError where one of its numbers becomes infinite or is."""
    with np.errstate(over="ignore"):
        half = np.asarray(tensor).astype(np.float16)
    if not np.isfinite(half).all():
        largest = np.abs(tensor).max()
        raise UserError(
            f"{path}: cannot hold {name}, whose largest number is {largest:g}: float16 ends at "
            "65504; train the run with a lower learning rate, and export it again"
        )
    return np.ascontiguousarray(half)


def read(path: str | os.PathLike) -> Weights:
    """Reads a file that `write` wrote.

    Raises:
      UserError: for a file that is truncated, damaged or not of this kind.
    """
    content = files.read_regular(path, _MAX_BYTES)
    try:
        tensors = safetensors.numpy.load(content)
    except safetensors.SafetensorError as error:
        raise UserError(
            f"{path}: truncated, damaged or no safetensors file ({error}); copy it again"
        ) from error
    except KeyError as error:  # A precision that NumPy does not have.
        raise UserError(_other(path, f"has numbers of the type {error.args[0]}")) from error
    header, numbers = divide(content)
    facts = _facts(path, header.pop("__metadata__", {}))
    sha256 = hashlib.sha256(numbers).hexdigest()
    if sha256 != facts["sha256"]:
        raise UserError(
            f"{path}: damaged: its numbers have the sha256 {sha256}, and should have "
            f"{facts['sha256']}; copy it again"
        )
    for name, tensor in sorted(tensors.items()):
        if header[name]["dtype"] not in _PRECISIONS:
            raise UserError(_other(path, f"{name} is of the type {header[name]['dtype']}"))
        if not np.isfinite(tensor).all():
            raise UserError(f"{path}: {name} has numbers that are not finite; export it again")
    return Weights(facts["config"], facts["step"], sha256, tensors)


def _facts(path: str | os.PathLike, metadata: Mapping[str, str]) -> dict:
    """What the header says of the weights."""
    try:
        facts = json.loads(metadata.get(FACTS, "null"))
    except (ValueError, RecursionError):
        facts = None
    kinds = {"config": str, "step": int, "sha256": str}
    if not isinstance(facts, dict) or not all(
        isinstance(facts.get(key), kind) for key, kind in kinds.items()
    ):
        raise UserError(_other(path, "does not say its config, step and sha256"))
    return facts


def _other(path: str | os.PathLike, why: str) -> str:
    return (
        f"{path}: {why}, so ./run.sh pretrained export has not written it; export the model's "
        "checkpoint by that command"
    )


def divide(content: bytes) -> tuple[dict, bytes]:
    """The header, as JSON values, and the numbers of a safetensors file that is whole."""
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def require_made_for(
    made_for: Mapping[str, Any], path: str, source: str, weights_sha256: str, fix: str
) -> None:
    """Raises UserError where a file that was computed of a checkpoint is for other weights.

    Args:
      made_for: what the file says of its checkpoint, as `model.made_for` gives it.
      path: the file's.
      source: what users know the checkpoint by.
      weights_sha256: of its weights, as `model.weights_sha256` gives it.
      fix: what to do about it.
    """
    if made_for.get("weights_sha256") != weights_sha256:
        of = f"{made_for.get('config')}, {made_for.get('checkpoint')}"
        raise UserError(f"{path}: made for another checkpoint ({of}) than {source}; {fix}")
