"""What a judge has learnt, as a folder: an archive of arrays a criterion, and `judge.json`.

FOLDER/judge.json   for each criterion how people's tunes measure; what it was learnt from
FOLDER/NAME.npz     the arrays of a criterion
"""

import io
import json
import os
import pathlib
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

import models
from pipelines.judge.finding import Arrays
from pipelines.runtime import files
from pipelines.runtime.app import UserError

DEFAULT = pathlib.Path(models.__file__).resolve().parent / "pretrained" / "judge"
_ABOUT = "judge.json"
_VERSION = 1
_MAX_BYTES = 1 << 30
_MAKE = "./run.sh judge learn makes such a folder"


class Scale(NamedTuple):
    """How people's tunes measure by a criterion, which the learning did not see.

    Attributes:
      measures: float array, sorted: the measures of these tunes.
      rejects: of a criterion that rejects: the share of people's tunes that it may reject; else 0.
    """

    measures: np.ndarray
    rejects: float

    def score(self, measure: float) -> float:
        """From 1 to 5: four times the share of people's tunes that are no better, and one."""
        no_better = np.searchsorted(self.measures, measure, "right") / len(self.measures)
        return round(1 + 4 * float(no_better), 2)

    def fails(self, measure: float) -> bool:
        """Whether the measure is so low that hardly any of people's tunes has it."""
        if not self.rejects:
            return False
        no_better = np.searchsorted(self.measures, measure, "right")
        return bool(no_better <= self.rejects * len(self.measures))


class Learnt(NamedTuple):
    """What a judge has learnt, by criterion; and of what.

    Attributes:
      arrays: the arrays of each criterion.
      scales: how people's tunes measure.
      about: JSON values: corpora, numbers of tunes.
    """

    arrays: Mapping[str, Arrays]
    scales: Mapping[str, Scale]
    about: Mapping[str, Any]


def write(folder: str | os.PathLike, learnt: Learnt) -> None:
    """Writes a folder; what is there of a judge is replaced."""
    path = pathlib.Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    for name, arrays in learnt.arrays.items():
        packed = io.BytesIO()
        np.savez_compressed(packed, allow_pickle=False, **arrays)
        with files.replacing(path / f"{name}.npz") as file:
            file.write(packed.getvalue())
    scales = {
        name: {"rejects": scale.rejects, "measures": [float(f"{x:.6g}") for x in scale.measures]}
        for name, scale in learnt.scales.items()
    }
    content = {"version": _VERSION, "about": dict(learnt.about), "scales": scales}
    files.write_json(path / _ABOUT, content)


def read(folder: str | os.PathLike, names: Sequence[str]) -> Learnt:
    """Reads what a judge has learnt of some criteria.

    Raises:
      UserError: where the folder is not that of a judge, or is damaged.
    """
    path = pathlib.Path(folder).expanduser()
    try:
        content = json.loads(files.read_regular(path / _ABOUT, _MAX_BYTES))
        if content["version"] != _VERSION:
            raise UserError(f"{path}: another version of a judge; {_MAKE} anew")
        scales = {
            name: Scale(np.array(content["scales"][name]["measures"], float),
                        float(content["scales"][name]["rejects"]))
            for name in names
        }  # fmt: skip
        return Learnt({name: _arrays(path, name) for name in names}, scales, content["about"])
    except FileNotFoundError as error:
        raise UserError(f"{path}: no {os.path.basename(error.filename)} in it; {_MAKE}") from None
    except (ValueError, KeyError, TypeError, zipfile.BadZipFile, EOFError) as error:
        raise UserError(f"{path}: damaged ({error}); {_MAKE} anew") from error


def _arrays(path: pathlib.Path, name: str) -> Arrays:
    with np.load(path / f"{name}.npz", allow_pickle=False) as archive:
        return {key: archive[key] for key in archive.files}
