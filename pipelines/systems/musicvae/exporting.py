"""Makes a small folder of a run, to share: the work of the job `pretrained export`."""

import os
import pathlib
import shutil

import numpy as np
import tensorflow.compat.v1 as tf

from pipelines import checkpoints, runs
from pipelines.exported import cards, folders, weights
from pipelines.runtime import files
from pipelines.runtime.app import UserError
from pipelines.systems.musicvae import pretrained
from pipelines.systems.musicvae.model import weight_shapes
from pipelines.systems.musicvae.run import KIND, Run

# What the card says of commands, in which {name} is the model and {config} its config.
_COMMANDS = """\
    ./run.sh generate --pretrained={name} --num_outputs=8 --output_dir=music
    ./run.sh evaluate --pretrained={name} --examples_path='DIR/validation.tfrecord*'
    ./run.sh train --warm_start={name} --config={config} --examples_path='DIR/train.tfrecord*' \\
        --run_dir=runs/mine"""


def export(run: Run, folder: str | os.PathLike) -> pathlib.Path:
    """Makes a folder that `folders.find` takes.

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
        path = unfinished / folders.WEIGHTS
        weights.write(path, tensors, run.name, step)
        metadata = _metadata(run)
        runs.write(unfinished, KIND, metadata)
        for name in pretrained.COMPANIONS:
            found = run.companion(name)
            if found:
                shutil.copyfile(found, unfinished / name)
        name = pathlib.Path(folder).absolute().name
        cards.write(unfinished, name, metadata, _trained_on(metadata), _COMMANDS)
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
            start["examples_path"] = folders.short_path(start["examples_path"])
    return {**metadata, "starts": starts}


def _trained_on(metadata: dict) -> list[str]:
    """The records that a run was trained on."""
    starts = metadata["starts"]
    sources = (start.get("examples_path") or start.get("tfds_name") for start in starts)
    return [each for each in dict.fromkeys(sources) if each]
