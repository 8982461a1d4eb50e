"""Merges `--hparams` into the hyperparameters of a model of curves."""

import dataclasses
import math
from typing import Any

from configs.curves import Hparams
from pipelines.runtime.app import UserError
from pipelines.runtime.nearest import did_you_mean

# What no config can change, since it is what the two differ in.
_FIXED = ("summary", "ahead", "window", "music21_time", "context", "loss", "residual")
_MAX_SIZE = 2**31 - 1


def merge(hparams: Hparams, changes: str) -> Hparams:
    """Returns hyperparameters with `changes`, "name=value,...".

    Raises:
      UserError: for a name or a value that there is not.
    """
    types = {
        field.name: type(getattr(hparams, field.name))
        for field in dataclasses.fields(hparams)
        if field.name not in _FIXED
    }
    values: dict[str, Any] = {}
    for pair in filter(None, (part.strip() for part in changes.split(","))):
        name, _, value = (part.strip() for part in pair.partition("="))
        if name not in types:
            hint = did_you_mean(name, types) or f"; there are {', '.join(types)}"
            raise UserError(f"--hparams={changes}: no hparam is named {name!r}{hint}")
        values[name] = _read(types[name], name, value, changes)
    return dataclasses.replace(hparams, **values)


def _read(kind: type, name: str, value: str, changes: str) -> int | float | bool:
    try:
        if kind is bool:
            return {"true": True, "false": False}[value.lower()]
        number = kind(value)
    except (KeyError, ValueError):
        wanted = {bool: "true or false", int: "a whole number", float: "a number"}[kind]
        raise UserError(f"--hparams={changes}: {name} must be {wanted}, not {value!r}") from None
    if kind is int and not 1 <= number <= _MAX_SIZE:
        raise UserError(f"--hparams={changes}: {name} must be from 1 to {_MAX_SIZE}")
    if kind is float and not (math.isfinite(number) and number >= 0):
        raise UserError(f"--hparams={changes}: {name} must be a finite number, 0 or more")
    if name == "dropout" and number >= 1:
        raise UserError(f"--hparams={changes}: dropout must be below 1")
    return number
