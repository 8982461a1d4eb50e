"""Trained models in small folders, by name or by path.

    FOLDER/weights.safetensors   the variables: `weights`
    FOLDER/run.json              the config and its hparams, as in a run folder
    FOLDER/CARD.md               for people: data, licence, metrics, commands

Those in models/pretrained come with the project, and have the names of their folders. `exporting`
makes such a folder of a run. Until a checkpoint is asked for, nothing here imports TensorFlow.
"""

import os
import pathlib
import shutil
import tempfile
from multiprocessing import util

import numpy as np

import models
from pipelines import runs
from pipelines.runtime.app import UserError
from pipelines.runtime.flags import path_flag
from pipelines.runtime.nearest import PART, did_you_mean
from pipelines.systems.musicvae import directions, prior, weights
from pipelines.systems.musicvae.weights import Weights

WEIGHTS, CARD = "weights.safetensors", "CARD.md"
# What may lie beside a checkpoint and goes with it: the aggregated posterior, and the directions of
# attributes in latent space.
COMPANIONS = (prior.FILE, directions.FILE)

BOX = pathlib.Path(models.__file__).resolve().parent / "pretrained"
_EXPORT = "./run.sh pretrained export"


def names() -> list[str]:
    """The names of the models that come with the project."""
    return sorted(path.parent.name for path in BOX.glob(f"*/{WEIGHTS}"))


def find(name: str) -> pathlib.Path:
    """The folder of a model.

    Args:
      name: one of `names`, or a path. A folder in the current one that is named as a model of
        `names` is "./NAME".

    Raises:
      UserError: where there is no such model; the message names the nearest.
    """
    if name in names():
        return BOX / name
    folder = pathlib.Path(name).expanduser()
    if folder.is_dir():
        _require_whole(folder)
        return folder
    if folder.exists():
        raise UserError(f"{name}: no folder; name the folder that has {WEIGHTS} in it")
    if os.sep in name:
        raise UserError(f"{name}: no such folder; {_EXPORT} makes one of a run")
    raise UserError(f"no pretrained model or folder is named {name!r}{_nearest(name)}")


def short_path(patterns: str) -> str:
    """Patterns of records, joined by commas, without the folders that say whose they are."""
    return ",".join("/".join(pattern.split(os.sep)[-2:]) for pattern in patterns.split(","))


def _nearest(name: str) -> str:
    """The end of a message about a name that no model has."""
    there = f"; there is {' and '.join(names())}" if names() else ""
    return did_you_mean(name, names(), least=PART) or there


def _require_whole(folder: pathlib.Path) -> None:
    """Raises UserError where a folder is not one of a model."""
    for file in (WEIGHTS, runs.METADATA):
        if not (folder / file).is_file():
            fix = f"{_EXPORT} makes a folder with it of a run"
            if any(folder.glob("*.index")) or any(folder.glob("train/*.index")):
                fix = f"this is the folder of a run: name it with --run_dir, or {fix}"
            raise UserError(f"{folder}: no {file} in it; {fix}")


def require(
    run_dir: str | None, checkpoint_file: str | None, name: str | None, new_run_dir: bool = False
) -> None:
    """Raises UserError unless the flags name a model that may be there, by the names of files.

    Args:
      run_dir, checkpoint_file, new_run_dir: as `runs.require_checkpoint` takes them.
      name: as `find` takes it; neither of the others goes with it.
    """
    if name:
        for flag, value in (("run_dir", run_dir), ("checkpoint_file", checkpoint_file)):
            if value:
                raise UserError(f"--pretrained and --{flag} name a model each; give one of them")
        find(name)
    elif run_dir or checkpoint_file:
        runs.require_checkpoint(run_dir, checkpoint_file, new_run_dir)
    else:
        raise UserError("give --run_dir, --checkpoint_file or --pretrained")


def require_from_flags(new_run_dir: bool = False) -> None:
    """`require` with the flags --run_dir, --checkpoint_file and --pretrained."""
    run_dir, checkpoint_file, name = map(path_flag, ("run_dir", "checkpoint_file", "pretrained"))
    require(run_dir, checkpoint_file, name, new_run_dir)


def is_model(source: str) -> bool:
    """Whether this names a model of `find`, rather than a run or a checkpoint."""
    return source in names() or (pathlib.Path(source).expanduser() / WEIGHTS).is_file()


def require_source(source: str) -> None:
    """Raises UserError where no model, run or checkpoint of this name or path can be there."""
    if is_model(source):
        find(source)
    elif os.sep in source or os.path.exists(source) or os.path.exists(f"{source}.index"):
        runs.require_checkpoint(None, source)
    else:
        raise UserError(
            f"no pretrained model, run folder or checkpoint is named {source!r}{_nearest(source)}"
        )


def read(folder: pathlib.Path) -> Weights:
    """Reads the weights of a model; raises UserError where they cannot be used."""
    return weights.read(folder / WEIGHTS)


def write_checkpoint(folder: pathlib.Path, found: Weights) -> str:
    """Writes a checkpoint as Magenta's programs take it, in a folder that lasts as this process.

    It takes a tenth of a second, so nothing is kept that could be damaged or out of date, or that
    two jobs would write at once.

    Args:
      folder: the model's folder, whose companions are copied beside the checkpoint.
      found: its weights.

    Returns:
      The checkpoint's prefix.
    """
    import tensorflow.compat.v1 as tf

    place = pathlib.Path(tempfile.mkdtemp(prefix="reelgroove-pretrained-"))
    # Unlike `atexit`, this also ends with a process that multiprocessing has forked.
    util.Finalize(None, shutil.rmtree, (place,), {"ignore_errors": True}, exitpriority=0)
    prefix = str(place / f"model.ckpt-{found.step}")
    variables = {name: tensor.astype(np.float32) for name, tensor in found.tensors.items()}
    variables["global_step"] = np.array(found.step, np.int64)
    # No GPU is opened here, since `devices.use` may still choose one, and the threads are those
    # that were set: the first session of a process makes them.
    threads = tf.config.threading
    config = tf.ConfigProto(
        device_count={"GPU": 0},
        intra_op_parallelism_threads=threads.get_intra_op_parallelism_threads(),
        inter_op_parallelism_threads=threads.get_inter_op_parallelism_threads(),
    )
    try:
        with tf.Graph().as_default(), tf.Session(config=config) as session:
            save = tf.raw_ops.SaveV2(
                prefix=prefix,
                tensor_names=list(variables),
                shape_and_slices=[""] * len(variables),
                tensors=[tf.placeholder(value.dtype, value.shape) for value in variables.values()],
            )
            session.run(save, dict(zip(save.inputs[3:], variables.values())))
        for companion in COMPANIONS:
            if (folder / companion).is_file():
                shutil.copyfile(folder / companion, place / companion)
    except (OSError, tf.errors.OpError) as error:
        raise UserError(
            f"{place}: a temporary checkpoint of {folder} cannot be written "
            f"({type(error).__name__}); free some of that disk, or name a folder on another one by "
            "the variable TMPDIR"
        ) from error
    return prefix
