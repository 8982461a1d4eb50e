"""Makes a small folder of a run, to share: the work of the job `pretrained export`."""

import dataclasses
import hashlib
import os
import pathlib
import shutil

import numpy as np
import tensorflow.compat.v1 as tf

from pipelines import checkpoints, runs
from pipelines.runtime import files
from pipelines.runtime.app import UserError
from pipelines.systems.musicvae import pretrained, weights
from pipelines.systems.musicvae.model import weight_shapes
from pipelines.systems.musicvae.run import KIND, Run

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

    ./run.sh generate --pretrained={name} --num_outputs=8 --output_dir=music
    ./run.sh evaluate --pretrained={name} --examples_path='DIR/validation.tfrecord*'
    ./run.sh train --warm_start={name} --config={config} --examples_path='DIR/train.tfrecord*' \\
        --run_dir=runs/mine

Where the folder does not come with reelgroove, the name is its path.

## Data and licence

To be written: which music it was trained on, whose that is, under which licence, and under which
licence the weights are.

## Metrics

To be written: what `./run.sh evaluate` gives, and on which records.
"""


def export(run: Run, folder: str | os.PathLike) -> pathlib.Path:
    """Makes a folder that `pretrained.find` takes.

    It gets the variables that encoding and decoding need, as float16; run.json, in which the paths
    of the training records are shortened to their last two parts; a CARD.md to complete; and what
    lies beside the checkpoint of `pretrained.COMPANIONS`.

    Args:
      run: from `run.open_run`.
      folder: where; it must not be there yet, or be empty.

    Returns:
      The folder.

    Raises:
      UserError: if `folder` has something in it, the checkpoint does not fit the config, or float16
        cannot hold its numbers.
    """
    tensors = _variables(run)
    step = run.step if run.step is not None else checkpoints.saved_step(run.checkpoint)
    with files.new_folder(folder) as unfinished:
        path = unfinished / pretrained.WEIGHTS
        weights.write(path, tensors, run.name, step)
        metadata = _metadata(run)
        runs.write(unfinished, KIND, metadata)
        for name in pretrained.COMPANIONS:
            found = run.companion(name)
            if found:
                shutil.copyfile(found, unfinished / name)
        numbers = sum(tensor.size for tensor in tensors.values())
        name = pathlib.Path(folder).absolute().name
        card = _card(name, dataclasses.replace(run, step=step), metadata, numbers, path)
        (unfinished / pretrained.CARD).write_text(card, encoding="utf-8")
    return pathlib.Path(folder)


def _variables(run: Run) -> dict[str, np.ndarray]:
    """The variables of a checkpoint that encoding and decoding need, by name."""
    shapes = weight_shapes(run.config)
    mismatch = checkpoints.shape_mismatch(run.checkpoint, shapes)
    if mismatch:
        raise UserError(mismatch)
    try:
        reader = tf.train.load_checkpoint(run.checkpoint)
        return {name: reader.get_tensor(name) for name in shapes}
    except checkpoints.DAMAGE as error:
        raise checkpoints.damaged(run.checkpoint, error) from error


def _metadata(run: Run) -> dict:
    """What run.json says of the run, without the names of folders that say where it was trained."""
    metadata = run.metadata or {
        "config": run.name,
        "config_file": None,
        "config_file_sha256": None,
        "hparams": run.config.hparams.values(),
        "starts": [],
    }
    starts = [dict(start) for start in metadata.get("starts", [])]
    for start in starts:
        if start.get("examples_path"):
            start["examples_path"] = pretrained.short_path(start["examples_path"])
    return {**metadata, "starts": starts}


def _card(name: str, run: Run, metadata: dict, numbers: int, path: pathlib.Path) -> str:
    """What CARD.md says before people complete it."""
    content = path.read_bytes()
    starts = metadata["starts"]
    sources = [start.get("examples_path") or start.get("tfds_name") for start in starts]
    versions = starts[-1].get("versions", {}) if starts else {}
    packages = ("magenta", "tensorflow")
    return _CARD.format(
        name=name,
        config=run.name,
        step=run.step,
        trained_on=", ".join(f"`{each}`" for each in dict.fromkeys(sources) if each) or "unknown",
        trained_with=", ".join(f"{each} {versions[each]}" for each in packages if each in versions)
        or "unknown",
        numbers=numbers,
        size=len(content) / 1e6,
        sha256=hashlib.sha256(content).hexdigest(),
    )
