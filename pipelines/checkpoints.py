"""Finds TensorFlow's checkpoints: the newest complete one, or the one that the user names."""

import atexit
import glob
import gzip
import lzma
import os
import pathlib
import re
import shutil
import tarfile
import tempfile
import zlib

import tensorflow.compat.v1 as tf

from pipelines import runs
from pipelines.runtime.app import UserError

# What TensorFlow raises on a checkpoint that is damaged.
DAMAGE = (tf.errors.OpError, IndexError, ValueError, RuntimeError)

# What `tarfile` and its decompressors raise on an archive that is damaged.
_ARCHIVE_DAMAGE = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)


def latest(directory: str) -> str | None:
    """The prefix of the newest checkpoint in a folder, or None.

    Unlike TensorFlow's `latest_checkpoint`, it also works in a folder that was moved or copied
    (stock Magenta names checkpoints by absolute paths), and it passes over incomplete ones.
    """
    checkpoint = _stated(directory)
    if checkpoint and _is_complete(checkpoint):
        if os.path.realpath(os.path.dirname(checkpoint)) == os.path.realpath(directory):
            return checkpoint
    found = _complete(directory)
    return found[-1] if found else None


def _stated(directory: str) -> str | None:
    """The newest checkpoint by TensorFlow's file `checkpoint`; None where that is no use."""
    if not os.path.isfile(os.path.join(directory, "checkpoint")):
        return None  # TensorFlow would wait for ever at a pipe.
    try:
        return tf.train.latest_checkpoint(directory)
    except DAMAGE:
        return None


def _complete(directory: str) -> list[str]:
    """The prefixes of the complete checkpoints in a folder, by their steps."""
    found = {}
    for path in glob.glob(os.path.join(glob.escape(directory), "*.index")):
        step = re.search(r"-(\d+)\.index$", path)
        if step and _is_complete(path.removesuffix(".index")):
            found[int(step[1])] = path.removesuffix(".index")
    return [found[step] for step in sorted(found)]


def _is_complete(prefix: str) -> bool:
    """Whether all files of a checkpoint are there."""
    parts = glob.glob(f"{glob.escape(prefix)}.data-*-of-*")
    if not parts or len(parts) != int(parts[0][-5:]):
        return False
    return all(map(os.path.isfile, [f"{prefix}.index", *parts]))


def settle(directory: str) -> None:
    """Makes TensorFlow find the newest checkpoint of a folder that was moved, copied or damaged."""
    newest = latest(directory)
    if not newest:
        # If TensorFlow cannot read it, it fails on it; and it names no checkpoint that is there.
        pathlib.Path(directory, "checkpoint").unlink(missing_ok=True)
    elif newest != _stated(directory):
        # The older ones are named too, so that they count when checkpoints are removed.
        names = [os.path.basename(prefix) for prefix in _complete(directory)]
        tf.train.update_checkpoint_state(directory, os.path.basename(newest), names)


def go_on(manager) -> bool:
    """Restores the last checkpoint of a training that goes on.

    Args:
      manager: a `tf.train.CheckpointManager`.

    Returns:
      Whether there was one.

    Raises:
      UserError: where it is damaged.
    """
    try:
        return bool(manager.restore_or_initialize())
    except DAMAGE as error:
        raise UserError(
            f"{manager.latest_checkpoint} is damaged; train again in another folder"
        ) from error


def restore(contents, checkpoint: str) -> None:
    """Restores a model from a checkpoint, which may hold more, as of its training.

    Args:
      contents: a `tf.train.Checkpoint` of all that the model needs.
      checkpoint: the prefix.

    Raises:
      UserError: where it is damaged, or of another model.
    """
    try:
        contents.restore(checkpoint).expect_partial().assert_existing_objects_matched()
    except (*DAMAGE, AssertionError) as error:
        raise damaged(checkpoint, error) from error


def last_step(directory: str) -> int:
    """The training step of the newest checkpoint in a folder; 0 where there is none.

    Raises:
      UserError: where that checkpoint is damaged.
    """
    checkpoint = latest(directory)
    return saved_step(checkpoint) if checkpoint else 0


def saved_step(prefix: str) -> int:
    """The training step that a checkpoint holds.

    Raises:
      UserError: where the checkpoint is damaged.
    """
    try:
        return int(tf.train.load_variable(prefix, "global_step"))
    except DAMAGE as error:
        raise damaged(prefix, error) from error


def step_of(prefix: str) -> int | None:
    """The training step in a checkpoint's name, or None where the name does not say."""
    step = re.search(r"-(\d+)$", prefix)
    return int(step[1]) if step else None


def damaged(checkpoint: str, error: Exception) -> UserError:
    """The error for a checkpoint that cannot be read."""
    return UserError(
        f"{checkpoint}: damaged ({type(error).__name__}); remove {checkpoint}.* to go on "
        "from the one before"
    )


def shapes(checkpoint: str) -> dict[str, list[int]]:
    """The shapes of the variables in a checkpoint, by name.

    Raises:
      UserError: where the checkpoint is damaged.
    """
    try:
        return tf.train.load_checkpoint(checkpoint).get_variable_to_shape_map()
    except DAMAGE as error:
        raise damaged(checkpoint, error) from error


def shape_mismatch(checkpoint: str, variables: dict[str, list[int]]) -> str | None:
    """Names where a model and a checkpoint differ, or returns None.

    Args:
      checkpoint: the checkpoint's prefix.
      variables: the shapes of the model's variables by name.
    """
    saved = shapes(checkpoint)
    wrong = [
        f"{name} is {shape} in the model and {saved.get(name, 'absent')} in the checkpoint"
        for name, shape in sorted(variables.items())
        if saved.get(name) != shape
    ]
    if not wrong:
        return None
    more = f" (and {len(wrong) - 2} more)" if len(wrong) > 2 else ""
    return f"{checkpoint}: does not fit the config and its hparams: {'; '.join(wrong[:2])}{more}"


def find(run_dir: str | None, checkpoint_file: str | None, new_run_dir: bool = False) -> str:
    """Finds the checkpoint that the flags --run_dir and --checkpoint_file name.

    Args:
      run_dir: a run folder, or its folder of checkpoints; the newest checkpoint is taken.
      checkpoint_file: a checkpoint's prefix, one of its files, a folder of checkpoints, or a .tar
        with one checkpoint, as Magenta distributes them. It is taken where both are given.
        "best" is the best checkpoint of `run_dir`.
      new_run_dir: whether `run_dir` may be absent where `checkpoint_file` is given, because the job
        will make it for its results.

    Returns:
      The checkpoint's prefix, e.g. "run/train/model.ckpt-2000".

    Raises:
      UserError: where there is no such checkpoint.
    """
    runs.require_checkpoint(run_dir, checkpoint_file, new_run_dir)
    path = runs.named_checkpoint(run_dir, checkpoint_file) or run_dir or ""
    if not os.path.isdir(path):
        return _prefix(path)
    for directory in (runs.train_dir(path), path):
        prefix = latest(directory)
        if prefix:
            return prefix
    raise runs.no_checkpoint(path)


def _prefix(path: str) -> str:
    # Whatever its name is; a file of a checkpoint is no archive.
    if os.path.isfile(path) and (runs.is_archive_name(path) or _is_archive(path)):
        return _unpack(path)
    prefix = runs.checkpoint_prefix(path)
    if not _is_complete(prefix):
        raise UserError(
            f"{path}: incomplete checkpoint; copy its .data files beside {prefix}.index"
        )
    return prefix


def _is_archive(path: str) -> bool:
    try:
        return tarfile.is_tarfile(path)
    except _ARCHIVE_DAMAGE:  # Those of the decompressors: its beginning is that of an archive.
        return True


def _without_time(member: tarfile.TarInfo, path: str) -> tarfile.TarInfo | None:
    """tarfile's filter for data, which also forgets when a file was changed.

    The time that an archive gives may be one that the system cannot set.
    """
    sound = tarfile.data_filter(member, path)
    return sound and sound.replace(mtime=0, deep=False)


def _unpack(path: str) -> str:
    """Unpacks a .tar of one checkpoint and returns the checkpoint's prefix."""
    directory = tempfile.mkdtemp(prefix="reelgroove-checkpoint-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    try:
        with tarfile.open(path) as archive:
            archive.extractall(directory, filter=_without_time)
    except tarfile.FilterError as error:
        raise UserError(f"{path}: cannot be unpacked safely ({error}); use another one") from error
    except _ARCHIVE_DAMAGE as error:
        raise UserError(
            f"{path}: not a .tar archive, or a damaged one ({os.path.getsize(path)} bytes); "
            "download it again"
        ) from error
    found = sorted(pathlib.Path(directory).rglob("*.index"))
    if len(found) != 1:
        raise UserError(f"{path}: holds {len(found)} checkpoints; unpack it and name one")
    return str(found[0].with_suffix(""))
