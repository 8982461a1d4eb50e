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
_MAX_ABOUT_BYTES = 1 << 26
# What becomes of numbers of other shapes and types than were written.
DAMAGE = (
    ArithmeticError, AssertionError, IndexError, KeyError, MemoryError, RecursionError, TypeError,
    ValueError,
)  # fmt: skip
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
        return round(1 + 4 * self._no_better(measure) / len(self.measures), 2)

    def fails(self, measure: float) -> bool:
        """Whether the measure is so low that hardly any of people's tunes has it."""
        if not self.rejects:
            return False
        return self._no_better(measure) <= self.rejects * len(self.measures)

    def _no_better(self, measure: float) -> int:
        """How many of people's tunes are no better."""
        return int(np.searchsorted(self.measures, measure, "right"))


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
        content = json.loads(files.read_regular(path / _ABOUT, _MAX_ABOUT_BYTES))
        if content["version"] != _VERSION:
            raise UserError(f"{path}: another version of a judge; {_MAKE} anew")
        scales = {name: _scale(name, content["scales"][name]) for name in names}
        return Learnt({name: _arrays(path, name) for name in names}, scales, content["about"])
    except FileNotFoundError as error:
        raise UserError(f"{path}: no {os.path.basename(error.filename)} in it; {_MAKE}") from None
    except (*DAMAGE, zipfile.BadZipFile, EOFError) as error:
        raise damaged(path, error) from error


def damaged(folder: str | os.PathLike, error: Exception) -> UserError:
    """What to tell where a folder has something else in it than `write` writes."""
    return UserError(f"{folder}: damaged ({type(error).__name__}: {error}); {_MAKE} anew")


def _scale(name: str, content: Mapping[str, Any]) -> Scale:
    measures, rejects = np.array(content["measures"], float), float(content["rejects"])
    is_sorted = measures.ndim == 1 and bool(np.all(measures[:-1] <= measures[1:]))
    if not measures.size or not is_sorted or not np.isfinite(measures).all():
        raise ValueError(f"the measures of {name} are no sorted finite numbers")
    if not 0 <= rejects <= 1:
        raise ValueError(f"{name} rejects a share of {rejects}")
    return Scale(measures, rejects)


def _arrays(path: pathlib.Path, name: str) -> Arrays:
    packed = io.BytesIO(files.read_regular(path / f"{name}.npz", _MAX_BYTES))
    with zipfile.ZipFile(packed) as members:
        if sum(member.file_size for member in members.infolist()) > _MAX_BYTES:
            raise ValueError(f"{name}.npz has more than {_MAX_BYTES / 1e6:.0f} MB")
    with np.load(packed, allow_pickle=False) as archive:
        return {key: archive[key] for key in archive.files}
