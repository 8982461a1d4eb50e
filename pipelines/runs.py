"""Run folders: what `train` writes beside its checkpoints, and finding it again.

RUN_DIR/train holds Magenta's checkpoints and summaries, and run.json, which says what they are
checkpoints of. It is data only: nothing in a run folder is ever executed.
"""

import atexit
import dataclasses
import glob
import importlib.metadata
import json
import math
import os
import pathlib
import platform
import re
import shutil
import subprocess
import tarfile
import tempfile
from typing import Any

import tensorflow.compat.v1 as tf

import configs
from pipelines.runtime import app
from pipelines.runtime.app import UserError, say

METADATA = "run.json"
_MEND_METADATA = "restore it, or move it away and name --config and --hparams"
# What may change while a run goes on: no variable depends on it.
_CHANGEABLE = ("batch_size", "learning_rate", "decay_rate", "min_learning_rate")
_PACKAGES = ("magenta", "tensorflow", "tf-keras", "tensorflow-probability", "note-seq", "numpy")


@dataclasses.dataclass
class Run:
    """A config with the hparams of a run, and one of its checkpoints.

    Attributes:
      name: the config's name.
      config: a `magenta.models.music_vae.configs.Config`.
      checkpoint: the checkpoint's prefix, e.g. "run/train/model.ckpt-2000".
      step: the training step it was saved at, or None where its name does not say.
      metadata: what run.json says; empty for a checkpoint of stock Magenta.
    """

    name: str
    config: Any
    checkpoint: str
    step: int | None
    metadata: dict


def train_dir(run_dir: str) -> str:
    """The folder of the checkpoints, as in Magenta."""
    return os.path.join(run_dir, "train")


def configure(name: str, config_file: str | None = None, hparams: str = "") -> Any:
    """Builds a config and merges `--hparams` ("name=value,...") into it.

    Raises:
      UserError: for an unknown config, hparam or value.
    """
    config = configs.get(name, config_file)
    parse_hparams(config, name, hparams)
    return config


def parse_hparams(config, name: str, hparams: str) -> None:
    """Merges `--hparams` into a config's hparams; raises UserError where that cannot be done."""
    try:
        config.hparams.parse(hparams)
    except (KeyError, TypeError, ValueError) as error:
        known = ", ".join(sorted(config.hparams.values()))
        raise UserError(
            f"--hparams={hparams}: {error.args[0]}; the hparams of {name} are {known}"
        ) from error
    if hparams:
        _check_hparams(config, hparams)


def _check_hparams(config, hparams: str) -> None:
    """Raises UserError for values that no model can have."""
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
    window = getattr(config.data_converter, "window_steps", None)
    if window and window != config.hparams.max_seq_len:
        raise UserError(
            f"--hparams={hparams}: max_seq_len must stay {window}, the steps of the config's "
            "windows; another length is another config"
        )


def describe(name: str, config, config_file: str | None, start: dict, before: dict) -> dict:
    """What it takes to use the checkpoints of a run again, as JSON values.

    Args:
      name: the config's name.
      config: the config, with the run's hparams.
      config_file: the user's file of configs, if one was given.
      start: facts about this start of the run to keep, e.g. its step and examples_path.
      before: what run.json said so far; its starts are kept.
    """
    # A file may be given and the config not be one of its own.
    own = config_file if config_file and name not in configs.builders() else None
    start = {
        **start,
        "versions": {
            "python": platform.python_version(),
            **{package: importlib.metadata.version(package) for package in _PACKAGES},
        },
        "code": _code_version(),
    }
    return {
        "config": name,
        "config_file": own and os.path.basename(own),
        "config_file_sha256": configs.file_sha256(own) if own else None,
        "hparams": config.hparams.values(),
        "starts": [*before.get("starts", []), start],
    }


def read_metadata(directory: str) -> dict:
    """Returns what run.json in a folder of checkpoints says, {} where there is none."""
    path = os.path.join(directory, METADATA)
    try:
        metadata = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"{path}: not JSON ({error}); {_MEND_METADATA}") from error
    kinds = {"config": str, "hparams": dict}
    if not isinstance(metadata, dict) or not all(
        isinstance(metadata.get(key), kind) for key, kind in kinds.items()
    ):
        raise UserError(f"{path}: has no config or no hparams; {_MEND_METADATA}")
    return metadata


def require_same(directory: str, metadata: dict, name: str, config) -> None:
    """Raises UserError where a folder has checkpoints of another config or of other hparams.

    The batch size and the learning rate may change; that is said.

    Args:
      directory: the folder of the checkpoints.
      metadata: what its run.json says.
      name: the config's name.
      config: the config, with the hparams to go on with.
    """
    if not metadata or not latest_checkpoint(directory):
        return
    if metadata["config"] != name:
        raise UserError(
            f"{directory} holds a run of {metadata['config']}, not of {name}; choose another "
            "--run_dir"
        )
    now, then = config.hparams.values(), metadata["hparams"]
    differing = {
        key: f"{key}={then.get(key)} (now {now.get(key)})"
        for key in sorted(set(now) | set(then))
        if now.get(key) != then.get(key)
    }
    fixed = [text for key, text in differing.items() if key not in _CHANGEABLE]
    if fixed:
        raise UserError(
            f"{directory} holds a run with {', '.join(fixed)}; give the same --hparams to go "
            "on with it, or choose another --run_dir"
        )
    if differing:
        say(f"going on with other hparams: {', '.join(differing.values())}")


def latest_checkpoint(directory: str) -> str | None:
    """The prefix of the newest checkpoint in a folder, or None.

    TensorFlow's `latest_checkpoint` for folders that were moved or copied, or in which the newest
    is incomplete, too: stock Magenta's say where their checkpoints are by absolute paths.
    """
    checkpoint = tf.train.latest_checkpoint(directory)
    here = checkpoint and os.path.realpath(os.path.dirname(checkpoint))
    if here == os.path.realpath(directory) and _is_complete(checkpoint):
        return checkpoint
    found = {}
    for path in glob.glob(os.path.join(glob.escape(directory), "*.index")):
        step = re.search(r"-(\d+)\.index$", path)
        if step and _is_complete(path.removesuffix(".index")):
            found[int(step[1])] = path.removesuffix(".index")
    return found[max(found)] if found else None


def _is_complete(prefix: str) -> bool:
    """Whether all files of a checkpoint are there."""
    parts = glob.glob(f"{glob.escape(prefix)}.data-*-of-*")
    return os.path.isfile(f"{prefix}.index") and bool(parts) and len(parts) == int(parts[0][-5:])


def settle(directory: str) -> None:
    """Makes TensorFlow find the newest checkpoint of a folder that was moved or copied."""
    latest = latest_checkpoint(directory)
    if latest and latest != tf.train.latest_checkpoint(directory):
        tf.train.update_checkpoint_state(directory, os.path.basename(latest))


def last_step(directory: str) -> int:
    """The training step of the newest checkpoint in a folder; 0 where there is none.

    Raises:
      UserError: where that checkpoint is damaged.
    """
    checkpoint = latest_checkpoint(directory)
    if not checkpoint:
        return 0
    try:
        return int(tf.train.load_variable(checkpoint, "global_step"))
    except DAMAGE as error:
        raise damaged(checkpoint, error) from error


# What TensorFlow raises on a checkpoint whose bytes are not what was written.
DAMAGE = (tf.errors.OpError, IndexError, ValueError, RuntimeError)


def damaged(checkpoint: str, error: Exception) -> UserError:
    """The error for a checkpoint that cannot be read."""
    return UserError(
        f"{checkpoint}: damaged ({type(error).__name__}); remove {checkpoint}.* to go on "
        "from the one before"
    )


def open_run(
    run_dir: str | None = None,
    checkpoint_file: str | None = None,
    config_name: str | None = None,
    config_file: str | None = None,
    hparams: str = "",
) -> Run:
    """Finds a checkpoint and the config that it belongs to.

    Args:
      run_dir: a run folder, or the folder of its checkpoints; the newest is taken.
      checkpoint_file: a checkpoint's prefix, one of its files, or a .tar with one checkpoint, as
        Magenta distributes them. Either may be given, or both where the checkpoint is the run's.
      config_name: only where there is no run.json; elsewhere it is checked against it.
      config_file: the user's file that defines the config, where it is no built-in one.
      hparams: only where there is no run.json.

    Raises:
      UserError: where there is no checkpoint, or nothing says which config it is of, or what the
        run says differs from what the arguments say.
    """
    prefix = _checkpoint(run_dir, checkpoint_file)
    folder = os.path.dirname(prefix)
    metadata = read_metadata(folder)
    if run_dir and not metadata:
        metadata = read_metadata(train_dir(run_dir))
    elif run_dir and os.path.realpath(folder) not in (
        os.path.realpath(train_dir(run_dir)),
        os.path.realpath(run_dir),
    ):
        raise UserError(
            f"--checkpoint_file={prefix} is of another run than --run_dir={run_dir}; give one"
        )
    name = config_name or metadata.get("config")
    if not name:
        raise UserError(
            f"{os.path.dirname(prefix)}: no {METADATA} beside the checkpoint; name its config "
            "with --config (and --hparams, where they were changed)"
        )
    if metadata and name != metadata["config"]:
        raise UserError(
            f"--config={name}, but {prefix} was trained with {metadata['config']}; leave out "
            "--config"
        )
    if metadata.get("config_file_sha256") and not config_file:
        raise UserError(
            f"{prefix}: its config {name} comes from {metadata['config_file']}; name that file "
            "with --config_file"
        )
    if not metadata:
        config = configure(name, config_file, hparams)
    else:
        config = configure(name, config_file)
        try:
            config.hparams.override_from_dict(metadata["hparams"])
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{prefix}: its hparams do not fit the config {name} ({error}); it was changed "
                "since"
            ) from error
        trained = dict(config.hparams.values())
        parse_hparams(config, name, hparams)
        differing = [key for key, value in config.hparams.values().items() if value != trained[key]]
        if differing:
            raise UserError(
                f"--hparams: {prefix} was trained with "
                + ", ".join(f"{key}={trained[key]}" for key in differing)
                + "; leave out --hparams"
            )
    step = re.search(r"-(\d+)$", prefix)
    return Run(name, config, prefix, int(step[1]) if step else None, metadata)


def open_from_flags(flags) -> Run:
    """`open_run` with the flags that `evaluate` and `generate` share; warns of a changed file."""
    run_dir, checkpoint_file, config_file = map(
        app.path, ("run_dir", "checkpoint_file", "config_file")
    )
    run = open_run(run_dir, checkpoint_file, flags.config, config_file, flags.hparams)
    warn_of_change(run.metadata, config_file)
    say(f"{run.name}, {run.checkpoint}")
    return run


def warn_of_change(metadata: dict, config_file: str | None) -> None:
    """Says so where a user's config file is not the one that a run was trained with."""
    sha256 = metadata.get("config_file_sha256")
    if sha256 and config_file and configs.file_sha256(config_file) != sha256:
        say(f"warning: {config_file} has changed since the run was trained")


def shape_mismatch(checkpoint: str, variables: dict[str, list[int]]) -> str | None:
    """Names where a model and a checkpoint differ, or returns None.

    Args:
      checkpoint: the checkpoint's prefix.
      variables: the shapes of the model's variables by name.
    """
    try:
        saved = tf.train.load_checkpoint(checkpoint).get_variable_to_shape_map()
    except DAMAGE as error:
        raise damaged(checkpoint, error) from error
    wrong = [
        f"{name} is {shape} in the model and {saved.get(name, 'absent')} in the checkpoint"
        for name, shape in sorted(variables.items())
        if saved.get(name) != shape
    ]
    if not wrong:
        return None
    more = f" (and {len(wrong) - 2} more)" if len(wrong) > 2 else ""
    return f"{checkpoint}: does not fit the config and its hparams: {'; '.join(wrong[:2])}{more}"


def _checkpoint(run_dir: str | None, checkpoint_file: str | None) -> str:
    """The prefix of the checkpoint that the two flags name."""
    if run_dir and not os.path.isdir(run_dir):
        raise UserError(f"{run_dir}: no such run folder")
    if checkpoint_file:
        return _prefix(checkpoint_file)
    if not run_dir:
        raise UserError("one of --run_dir and --checkpoint_file is needed")
    for directory in (train_dir(run_dir), run_dir):
        prefix = latest_checkpoint(directory)
        if prefix:
            return prefix
    raise UserError(f"{run_dir}: no checkpoint in it; train first, or name --checkpoint_file")


def _prefix(path: str) -> str:
    if os.path.isdir(path):
        return _checkpoint(path, None)
    if os.path.isfile(path) and tarfile.is_tarfile(path):
        return _unpack(path)
    prefix = re.sub(r"\.(index|meta|data-\d{5}-of-\d{5})$", "", path)
    if not os.path.isfile(f"{prefix}.index"):
        raise UserError(f"{path}: no checkpoint; {prefix}.index does not exist")
    if not _is_complete(prefix):
        raise UserError(
            f"{path}: incomplete checkpoint; copy its .data files beside {prefix}.index"
        )
    return prefix


def _unpack(path: str) -> str:
    """Unpacks a .tar of one checkpoint and returns the checkpoint's prefix."""
    directory = tempfile.mkdtemp(prefix="reelgroove-checkpoint-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    try:
        with tarfile.open(path) as archive:
            archive.extractall(directory, filter="data")
    except tarfile.TarError as error:
        raise UserError(f"{path}: cannot be unpacked ({error}); fetch it again") from error
    found = sorted(pathlib.Path(directory).rglob("*.index"))
    if len(found) != 1:
        raise UserError(f"{path}: holds {len(found)} checkpoints; unpack it and name one")
    return str(found[0].with_suffix(""))


def _code_version() -> str | None:
    """The commit of this checkout, marked where files differ from it; None outside of git."""
    here = os.path.dirname(os.path.abspath(__file__))
    try:
        done = subprocess.run(
            ["git", "-C", here, "describe", "--always", "--dirty", "--abbrev=40"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
