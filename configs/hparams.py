"""Merges `--hparams` into a config, and checks what no model works with."""

import dataclasses
import math
import re
from typing import Any

from pipelines.runtime.app import UserError
from pipelines.runtime.nearest import did_you_mean

# TensorFlow counts dimensions in 32 bits.
_MAX_SIZE = 2**31 - 1


def merge(config, name: str, hparams: str) -> None:
    """Merges `--hparams` ("name=value,...") into a config's hparams.

    Args:
      config: a Magenta Config, which is changed.
      name: the config's name, for messages.
      hparams: the pairs, separated by commas.

    Raises:
      UserError: for an unknown hparam, or a value that no model works with.
    """
    try:
        config.hparams.parse(hparams)
    except (KeyError, TypeError, ValueError) as error:
        known = sorted(config.hparams.values())
        given = re.findall(r"(?:^|,)\s*([a-zA-Z]\w*)\s*(?:\[\d*\])?\s*=", hparams)
        unknown = next((each for each in given if each not in known), "")
        hint = did_you_mean(unknown, known) or f"; the hparams of {name} are {', '.join(known)}"
        raise UserError(f"--hparams={hparams}: {error.args[0]}{hint}") from error
    source = f"--hparams={hparams}" if hparams else name
    if hparams:
        _check(config, source)
    _check_windows(config, source)
    check_levels(config, source)


def replaced(values: Any, name: str, hparams: str) -> Any:
    """The hyperparameters of a config that is a dataclass, with `--hparams` in place of its own.

    Args:
      values: an instance of a dataclass with fields that are str, int or float.
      name: the config's name, for messages.
      hparams: "name=value,...".

    Raises:
      UserError: for an unknown name, a value of another type, or one that no model works with.
    """
    own = {field.name: getattr(values, field.name) for field in dataclasses.fields(values)}
    changes = {}
    for pair in filter(None, (each.strip() for each in hparams.split(","))):
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or key not in own:
            hint = did_you_mean(key, own) or f"; the hparams of {name} are {', '.join(own)}"
            raise UserError(f"--hparams={hparams}: no hparam is named {key!r}{hint}")
        kind = type(own[key])
        try:
            changes[key] = kind(value)
        except ValueError as error:
            wanted = "whole number" if kind is int else "number"
            raise UserError(f"--hparams={hparams}: {key} must be a {wanted}") from error
        if kind is float and not math.isfinite(changes[key]):
            raise UserError(f"--hparams={hparams}: {key} must be finite")
    try:
        return dataclasses.replace(values, **changes)
    except UserError as error:
        raise UserError(f"--hparams={hparams}: {error}") from error


def require_usable(config, source: str) -> None:
    """Raises UserError where a config has hparams that no model works with.

    Args:
      config: a Magenta Config, with its hparams changed.
      source: where these come from, for the message.
    """
    _check(config, source)
    _check_windows(config, source)
    check_levels(config, source)


def _check(config, source: str) -> None:
    """Raises UserError for values that no model works with."""
    values = config.hparams.values()
    for key in ("batch_size", "z_size", "max_seq_len"):
        # Without z, TensorFlow's LSTM kernels crash on the empty matrix.
        _require_size(values.get(key, 1), f"{source}: {key} must be at least 1")
    for key in ("enc_rnn_size", "dec_rnn_size"):
        layers = values.get(key, [1])
        wanted = f"{source}: {key} must be a list of layers of 1 or more"
        for size in layers or [0]:
            _require_size(size, wanted)
    if not 0 < values.get("dropout_keep_prob", 1) <= 1:
        raise UserError(f"{source}: dropout_keep_prob must be over 0 and at most 1")
    for key, value in values.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"{source}: {key} must be a finite number")


def _require_size(size: int, wanted: str) -> None:
    if size < 1:
        raise UserError(wanted)
    if size > _MAX_SIZE:
        raise UserError(f"{wanted} and at most {_MAX_SIZE}")


def _check_windows(config, source: str) -> None:
    """Raises UserError where max_seq_len is not the length of the representation's windows."""
    from pipelines import representations  # Imports TensorFlow, as the one below does.

    window = representations.of(config.data_converter).window_steps
    if window and window != config.hparams.max_seq_len:
        raise UserError(
            f"{source}: max_seq_len must stay {window}, the steps of the config's windows; another "
            "length is another config"
        )


def check_levels(config, source: str) -> None:
    """Raises UserError where the levels of a hierarchical model do not make up max_seq_len.

    Magenta would raise it only while the graph is built, after the records have been counted.

    Args:
      config: a Magenta Config.
      source: where it comes from, for the message.
    """
    from models import accelerated

    steps = config.hparams.max_seq_len
    for name, part in (("decoder", config.model.decoder), ("encoder", config.model.encoder)):
        lengths = accelerated.level_lengths(part)
        if lengths is not None and math.prod(lengths) != steps:
            raise UserError(
                f"{source}: the {name}'s level_lengths={lengths} make {math.prod(lengths)} steps "
                f"({' x '.join(map(str, lengths))}), but max_seq_len is {steps}; make the two "
                "equal in the config"
            )
