"""What training tensors depend on: no config is to train on what another's converter made."""

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np
from magenta.contrib import training as contrib_training
from magenta.models.music_vae import lstm_models

from pipelines.representations.encodings import Codec

# Hparams of Magenta's that its models have and no converter reads.
_OF_MODELS = {*lstm_models.get_default_hparams().values(), "nade_num_hidden"} - {"max_seq_len"}
# What changes while a converter is used; hparams are told apart from the rest.
_STATE = ("_mode", "counts")


def describe(config) -> dict[str, Any]:
    """What the tensors of a config depend on, as JSON values.

    Args:
      config: a Magenta Config, with its hparams.

    Returns:
      "hparams" that a converter may read: `max_seq_len`, and all that Magenta's models do not
      have; "tensors", the encoding of each; and "converter", a hash of the converter's class and
      settings. Configs with the same description can train on the same tensors.
    """
    converter = config.data_converter
    settings = json.dumps(_settings(converter), sort_keys=True).encode()
    hparams = config.hparams.values()
    return {
        "hparams": {name: hparams[name] for name in sorted(set(hparams) - _OF_MODELS)},
        "tensors": Codec(converter).describe(),
        "converter": hashlib.blake2b(settings, digest_size=8).hexdigest(),
    }


def difference(made_for: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """How two descriptions differ, for people; "" where they do not."""
    before, now = made_for.get("hparams", {}), wanted["hparams"]
    changed = [
        f"{name}={before.get(name)!r} (now {now.get(name)!r})"
        for name in sorted(set(before) | set(now))
        if before.get(name) != now.get(name)
    ]
    if changed:
        return f"they were made with {', '.join(changed)}"
    if any(made_for.get(name) != wanted[name] for name in ("tensors", "converter")):
        return "it converts in another way"
    return ""


def left_out(config) -> list[str]:
    """What training from tensors goes without, a line for people each."""
    lines = []
    if config.note_sequence_augmenter is not None:
        lines.append(
            "its NoteSequences are not augmented (Magenta's note_sequence_augmenter); to augment "
            "them, train from the NoteSequence records"
        )
    converter = config.data_converter
    if getattr(converter, "_note_dropout", False) and not hasattr(converter, "draw_inputs"):
        lines.append(
            "its notes are dropped once, when the tensors are made; to drop others each epoch, "
            "train from the NoteSequence records"
        )
    return lines


def _settings(value) -> Any:
    """What an object is made of, as JSON values: the same in every process."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, contrib_training.HParams):
        return None
    if isinstance(value, Mapping):
        return sorted(
            ([_settings(key), _settings(item)] for key, item in value.items()), key=json.dumps
        )
    if isinstance(value, Set):
        return sorted(map(_settings, value), key=json.dumps)
    if isinstance(value, Sequence):
        return list(map(_settings, value))
    if isinstance(value, functools.partial):
        return [_settings(value.func), _settings(value.args), _settings(value.keywords)]
    if hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    kept = {name: one for name, one in getattr(value, "__dict__", {}).items() if name not in _STATE}
    return [_settings(type(value)), _settings(kept)]
