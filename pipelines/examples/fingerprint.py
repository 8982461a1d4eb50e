"""What training tensors depend on, so that no config trains on those of another converter."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from magenta.models.music_vae import lstm_models

from pipelines import representations
from pipelines.representations.codec import Codec

# Hparams of models, Magenta's and ours, which no converter reads.
_OF_MODELS = {
    *lstm_models.get_default_hparams().values(),
    "nade_num_hidden",
    "dynamics",
    "dynamics_weight",
} - {"max_seq_len"}


def describe(config) -> dict[str, Any]:
    """What the tensors of a config depend on, as JSON values.

    Args:
      config: a Magenta Config, with its hparams.

    Returns:
      "hparams" that a converter may read: `max_seq_len`, and all that Magenta's models do not
      have; "tensors", the encoding of each; and "converter", a hash of the converter's class and
      settings. Configs with the same description can train on the same tensors.
    """
    representation = representations.of(config.data_converter)
    settings = json.dumps(representation.settings(), sort_keys=True).encode()
    hparams = config.hparams.values()
    return {
        "hparams": {name: hparams[name] for name in sorted(set(hparams) - _OF_MODELS)},
        "tensors": Codec(representation).describe(),
        "converter": hashlib.blake2b(settings, digest_size=8).hexdigest(),
    }


def difference(made_for: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Says how two descriptions differ, for the user; "" where they do not."""
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
    """Says what training from tensors lacks, one line for the user each."""
    lines = []
    if config.note_sequence_augmenter is not None:
        lines.append(
            "its NoteSequences are not augmented (Magenta's note_sequence_augmenter); to augment "
            "them, train from the NoteSequence records"
        )
    lines += representations.of(config.data_converter).lost_in_tensors()
    return lines
