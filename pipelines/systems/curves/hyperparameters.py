"""Merges `--hparams` into the hyperparameters of a model of curves."""

import configs.hparams
from configs.curves import HPARAMS, Hparams
from pipelines.runtime.app import UserError

# What a config is: another value makes another model than its name says.
_FIXED = ("ahead", "window", "music21_time", "context", "loss", "cosine", "residual")
_MAX_SIZE = 2**31 - 1


def merge(name: str, changes: str) -> Hparams:
    """The hyperparameters of a config with `changes`, "name=value,...".

    Raises:
      UserError: for a name or a value that there is not.
    """
    own = HPARAMS[name]
    for field in _FIXED:
        if any(pair.partition("=")[0].strip() == field for pair in changes.split(",")):
            raise UserError(f"--hparams={changes}: {field} is fixed in {name}; take another config")
    values: Hparams = configs.hparams.replaced(own, name, changes)
    for field in ("longest", "layers", "units", "batch_size", "num_epochs"):
        if not 1 <= getattr(values, field) <= _MAX_SIZE:
            raise UserError(f"--hparams={changes}: {field} must be from 1 to {_MAX_SIZE}")
    if not 0 <= values.dropout < 1:
        raise UserError(f"--hparams={changes}: dropout must be at least 0 and below 1")
    if values.learning_rate < 0 or values.clip < 0:
        raise UserError(f"--hparams={changes}: learning_rate and clip must not be negative")
    return values
