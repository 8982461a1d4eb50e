"""Makes a small folder of a run, to share: the work of the job `pretrained export`."""

import os
import pathlib

from pipelines import runs
from pipelines.exported import cards, folders, weights
from pipelines.runtime import files
from pipelines.systems.tune_lm import model

# What the card says of commands, in which {name} is the model and {config} its config.
_COMMANDS = """\
    ./run.sh generate --pretrained={name} --num_outputs=8 --output_dir=music
    ./run.sh evaluate --pretrained={name} --examples_path='DIR/test.tfrecord*' --tunebooks=BOOKS"""


def export_run(
    run_dir: str, checkpoint_file: str | None, folder: str | os.PathLike
) -> pathlib.Path:
    """Makes a folder that `folders.find` takes, with the weights as float16.

    Args:
      run_dir, checkpoint_file: the run, as `model.open_run` takes them.
      folder: where; it must not be there yet, or be empty.

    Returns:
      The folder.

    Raises:
      UserError: if `folder` has something in it, the run cannot be opened, or float16 cannot hold
        its numbers.
    """
    opened = model.open_run(run_dir, checkpoint_file)
    model.require_data(opened.metadata, run_dir)
    tensors = {weight.path: weight.numpy() for weight in opened.network.weights}
    metadata = {**opened.metadata, "hparams": model.as_json(opened.hparams)}
    for name in ("examples_path", "validation_path"):
        metadata[name] = folders.short_path(metadata[name])
    with files.new_folder(folder) as unfinished:
        path = unfinished / folders.WEIGHTS
        weights.write(path, tensors, metadata["config"], opened.step)
        runs.write(unfinished, model.KIND, metadata)
        name = pathlib.Path(folder).absolute().name
        cards.write(unfinished, name, metadata, [metadata["examples_path"]], _COMMANDS)
    return pathlib.Path(folder)
