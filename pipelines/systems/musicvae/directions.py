"""Directions in latent space along which an attribute of the music changes, and their file.

An attribute is measured, such as density, or a label, such as a style. Three directions are known
for each:

  means      from the mean of the windows with the least of it (the lowest quarter, or those without
             the label) to the mean of those with the most: the attribute vectors of MusicVAE
             (arXiv:1803.05428, section 5.4);
  probe      the covariance of z with a linear probe's prediction, S w, where w are the
             coefficients and S is the covariance of z over training. The coefficients alone say
             how to read the attribute, not how z changes with it: they are largest where z hardly
             varies, and there the decoder does not listen (S. Haufe et al., "On the interpretation
             of weight vectors of linear models in multivariate neuroimaging", NeuroImage 87, 2014);
  projected  the least change of z, measured by the Mahalanobis distance of S, after which the
             probes of all other attributes of the file predict what they predicted before.

All are scaled by the probe: along each, the prediction of the attribute changes by one standard
deviation of the attribute over training. So amounts are in standard deviations, and 0 changes
nothing. A label has no standard deviation that is of use; its unit is that of the log odds that its
probe gives to the training windows. `probes` fits the directions.
"""

import dataclasses
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from pipelines.exported.weights import require_made_for
from pipelines.runtime import files
from pipelines.runtime.app import UserError
from pipelines.runtime.nearest import PART, did_you_mean

FILE = "attributes.json"
KINDS = ("means", "probe", "projected")
_FORMAT = 1
_MAX_BYTES = 1 << 28


@dataclasses.dataclass(frozen=True)
class Attribute:
    """An attribute and the directions in which it changes.

    Attributes:
      mean, sd: over the training windows that have a value; of a label, those of its log odds.
      windows: how many training windows have a value or, of a label, have the label.
      held_out: how well the probe predicts pieces that it was not fitted to: R^2 of a measured
        attribute, the area under the ROC curve of a label.
      directions: by the names in `KINDS`, each shaped [z_size], for an amount of one.
    """

    mean: float
    sd: float
    windows: int
    held_out: float
    directions: Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Directions:
    """What the file holds.

    Attributes:
      made_for: which checkpoint, in which config: "config", "checkpoint" (its name), "step",
        "weights_sha256" and "z_size".
      made_of: which music: "examples_path", "records", "windows".
      attributes: the attributes by name.
    """

    made_for: dict[str, Any]
    made_of: dict[str, Any]
    attributes: Mapping[str, Attribute]

    def require(self, names: Iterable[str], path: str) -> None:
        """Raises UserError for a name that is not in the file at `path`."""
        for name in names:
            if name not in self.attributes:
                raise UserError(
                    f"{path}: no attribute {name!r} in it; it has {', '.join(self.attributes)}"
                    + did_you_mean(name, self.attributes, least=PART)
                )

    def require_checkpoint(self, path: str, checkpoint: str, weights_sha256: str) -> None:
        """Raises UserError where the file at `path` is for another checkpoint than this one.

        Args:
          path: the file's.
          checkpoint: the checkpoint's prefix.
          weights_sha256: of its weights, as `model.weights_sha256` gives it.
        """
        require_made_for(
            self.made_for,
            path,
            checkpoint,
            weights_sha256,
            "make it again with ./run.sh attributes, or name another file with --attributes_file",
        )

    def shift(self, amounts: Mapping[str, float], kind: str) -> np.ndarray:
        """The change of z, shaped [z_size], that moves each attribute by its amount.

        Args:
          amounts: in standard deviations, by attribute; all are in the file.
          kind: one of `KINDS`.
        """
        shift = np.zeros(self.made_for["z_size"])
        for name, amount in amounts.items():
            shift += amount * self.attributes[name].directions[kind]
        return shift


def series(attributes: Sequence[str], amounts: Sequence[str], steps: int) -> list[dict[str, float]]:
    """Reads how much of which attributes each piece of a series gets.

    Args:
      attributes: their names.
      amounts: for each a number, or a range such as "-2..2", from the first piece to the last.
      steps: how many pieces a range gives; without a range there is one.

    Returns:
      The amounts by attribute, for each piece.

    Raises:
      UserError: where there is not one amount for each attribute, or it is no number.
    """
    if not attributes:
        raise UserError("--mode=edit needs --attribute, such as --attribute=density --amount=1")
    twice = [name for i, name in enumerate(attributes) if name in attributes[:i]]
    if twice:
        raise UserError(f"--attribute names {twice[0]} twice; name each once")
    if len(amounts) != len(attributes):
        raise UserError(
            f"--attribute names {len(attributes)} ({', '.join(attributes)}), and --amount gives "
            f"{len(amounts)}; give one for each, as in --attribute=swing,density --amount=1,-0.5"
        )
    ranges = [_amounts(text) for text in amounts]
    number = steps if any(first != last for first, last in ranges) else 1
    columns = [np.linspace(first, last, number).tolist() for first, last in ranges]
    return [dict(zip(attributes, row, strict=True)) for row in zip(*columns, strict=True)]


def _amounts(text: str) -> tuple[float, float]:
    """The first and the last amount of a range, or a number twice."""
    first, dots, last = text.partition("..")
    try:
        both = float(first), float(last if dots else first)
    except ValueError:
        both = (math.nan, math.nan)
    if not all(map(math.isfinite, both)):
        raise UserError(
            f"--amount={text}: must be a number or a range, in standard deviations, as 1.5 or -2..2"
        )
    return both


def find(folders: Iterable[str]) -> str:
    """The path of the file in the first of some folders that has it.

    Raises:
      UserError: where none has it.
    """
    places = [os.path.join(folder, FILE) for folder in folders]
    for place in places:
        if os.path.isfile(place):
            return place
    raise UserError(
        f"{places[0]} does not exist; ./run.sh attributes makes it, or name another file with "
        "--attributes_file"
    )


def summary(directions: Directions) -> dict[str, Any]:
    """What a file says of its checkpoint, music and attributes, without the directions."""
    attributes = dataclasses.asdict(directions)["attributes"]
    for attribute in attributes.values():
        del attribute["directions"]
    return {**dataclasses.asdict(directions), "attributes": attributes}


def table(directions: Directions) -> list[str]:
    """Lines for people: the attributes with their means, deviations and how well they are known."""
    width = max(map(len, directions.attributes))
    return [
        f"{name:<{width}}  mean {one.mean:8.3f}  sd {one.sd:7.3f}  {one.windows:7} windows  "
        f"{'AUC' if is_label(name) else 'R2 '} {one.held_out:5.2f}"
        for name, one in directions.attributes.items()
    ]


def is_label(name: str) -> bool:
    """Whether an attribute is a label, such as style:jazz, rather than measured."""
    return ":" in name


def write(path: str | os.PathLike, directions: Directions) -> None:
    """Writes the file: JSON, as docs/commands.md describes it."""
    attributes = {
        name: {
            **dataclasses.asdict(attribute),
            # Six digits: the last of them is a hundred times finer than float16.
            "directions": {
                kind: [float(f"{x:.6g}") for x in direction]
                for kind, direction in attribute.directions.items()
            },
        }
        for name, attribute in directions.attributes.items()
    }
    content = {
        "format": _FORMAT,
        "made_for": directions.made_for,
        "made_of": directions.made_of,
        "attributes": attributes,
    }
    with files.replacing(path) as file:
        file.write(files.json_line(content))


def read(path: str | os.PathLike) -> Directions:
    """Reads the file.

    Raises:
      UserError: where it is none, or damaged.
    """
    try:
        content = json.loads(files.read_regular(path, _MAX_BYTES))
        if content["format"] != _FORMAT:
            raise UserError(
                f"{path}: written by another version (format {content['format']}, not {_FORMAT}); "
                "make it again with ./run.sh attributes"
            )
        made_for = dict(content["made_for"])
        made_for["z_size"] = size = int(made_for["z_size"])
        attributes = {
            str(name): _attribute(one, size) for name, one in content["attributes"].items()
        }
        return Directions(made_for, dict(content["made_of"]), attributes)
    except (
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        ArithmeticError,
        RecursionError,
    ) as error:
        raise UserError(
            f"{path}: no file of attributes, or a damaged one ({type(error).__name__}: {error}); "
            "make it again with ./run.sh attributes"
        ) from error


def _attribute(one: dict, size: int) -> Attribute:
    directions = {kind: np.array(one["directions"][kind], np.float64) for kind in KINDS}
    for kind, direction in directions.items():
        if direction.shape != (size,) or not np.isfinite(direction).all():
            raise ValueError(f"its direction {kind!r} is not {size} finite numbers")
    return Attribute(
        float(one["mean"]),
        float(one["sd"]),
        int(one["windows"]),
        float(one["held_out"]),
        directions,
    )
