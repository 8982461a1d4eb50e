"""CARD.md: what people are told of an exported model, and what they have to add."""

import hashlib
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.exported import weights
from pipelines.exported.folders import CARD, WEIGHTS

_CARD = """\
# {name}

| what | |
|---|---|
| config | `{config}` |
| training step | {step:,} |
| trained on | {trained_on} |
| trained with | {trained_with} |
| numbers | {numbers:,}, as float16 |
| `weights.safetensors` | {size:.2f} MB, sha256 `{sha256}` |

`run.json` has the hparams.

## How to use it

{commands}

Where the folder does not come with reelgroove, the name is its path.

## Data and licence

To be written: which music it was trained on, whose that is, under which licence, and under which
licence the weights are.

## Metrics

To be written: what `./run.sh evaluate` gives, and on which records.
"""

_PACKAGES = ("magenta", "keras", "tensorflow")


def write(
    folder: pathlib.Path,
    name: str,
    metadata: Mapping[str, Any],
    trained_on: Sequence[str],
    commands: str,
) -> None:
    """Writes the card of a model whose weights are in its folder.

    Args:
      folder: where the weights are.
      name: what people call the model by.
      metadata: its run.json, which has the versions that it was trained with.
      trained_on: the records that it was trained on.
      commands: some commands with it, in which "{name}" and "{config}" are put.
    """
    path = folder / WEIGHTS
    found, content = weights.read(path), path.read_bytes()
    versions = [metadata, *metadata.get("starts", [])][-1].get("versions", {})
    used = [f"{each} {versions[each]}" for each in _PACKAGES if each in versions]
    card = _CARD.format(
        name=name,
        config=found.config,
        step=found.step,
        trained_on=", ".join(f"`{each}`" for each in trained_on) or "unknown",
        trained_with=", ".join(used) or "unknown",
        numbers=sum(tensor.size for tensor in found.tensors.values()),
        size=len(content) / 1e6,
        sha256=hashlib.sha256(content).hexdigest(),
        commands=commands.format(name=name, config=found.config),
    )
    (folder / CARD).write_text(card, encoding="utf-8")
