"""Merges `--hparams` into a config and checks them."""

import math
import re

from pipelines.runtime.app import UserError, did_you_mean


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
    if hparams:
        _check(config, hparams)
    _check_windows(config, f"--hparams={hparams}" if hparams else name)


def _check(config, hparams: str) -> None:
    """Raises UserError for values that no model works with."""
    values = config.hparams.values()
    for key in ("batch_size", "z_size", "max_seq_len"):
        # Without z, TensorFlow's LSTM kernels crash on the empty matrix.
        if values.get(key, 1) < 1:
            raise UserError(f"--hparams={hparams}: {key} must be at least 1")
    for key in ("enc_rnn_size", "dec_rnn_size"):
        if not values.get(key, [1]) or min(values.get(key, [1])) < 1:
            raise UserError(f"--hparams={hparams}: {key} must be a list of layers of 1 or more")
    if not 0 < values.get("dropout_keep_prob", 1) <= 1:
        raise UserError(f"--hparams={hparams}: dropout_keep_prob must be over 0 and at most 1")
    for key, value in values.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"--hparams={hparams}: {key} must be a finite number")


def _check_windows(config, source: str) -> None:
    """Raises UserError where max_seq_len is not the length of the representation's windows."""
    from pipelines import representations  # Imports TensorFlow, which a look-up of names need not.

    window = representations.of(config.data_converter).window_steps
    if window and window != config.hparams.max_seq_len:
        raise UserError(
            f"{source}: max_seq_len must stay {window}, the steps of the config's windows; another "
            "length is another config"
        )
