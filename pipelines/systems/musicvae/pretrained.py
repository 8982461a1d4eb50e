"""The trained models of `exported.folders` as MusicVAE takes them: which flags, which checkpoint.

Until a checkpoint is asked for, nothing here imports TensorFlow.
"""

import os
import pathlib
import shutil
import tempfile
from multiprocessing import util

import numpy as np

from pipelines import runs
from pipelines.exported import folders
from pipelines.exported.weights import Weights
from pipelines.runtime.app import UserError
from pipelines.runtime.flags import path_flag
from pipelines.systems.musicvae import directions, prior

# What may lie beside a checkpoint and goes with it: the aggregated posterior, and the directions of
# attributes in latent space.
COMPANIONS = (prior.FILE, directions.FILE)


def require_from_flags(new_run_dir: bool = False) -> None:
    """`folders.require` with the flags --run_dir, --checkpoint_file and --pretrained."""
    run_dir, checkpoint_file, name = map(path_flag, ("run_dir", "checkpoint_file", "pretrained"))
    folders.require(run_dir, checkpoint_file, name, new_run_dir)


def require_source(source: str) -> None:
    """Raises UserError where no model, run or checkpoint of this name or path can be there."""
    if folders.is_model(source):
        folders.find(source)
    elif os.sep in source or os.path.exists(source) or os.path.exists(f"{source}.index"):
        runs.require_checkpoint(None, source)
    else:
        raise UserError(
            f"no pretrained model, run folder or checkpoint is named {source!r}"
            f"{folders.nearest(source)}"
        )


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
