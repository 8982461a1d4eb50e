"""A run of MusicVAE: its config with the hparams that it was trained with, and its checkpoints."""

import dataclasses
import os
import pathlib
from typing import Any

import configs
from configs import ConfigRef
from configs import hparams as config_hparams
from pipelines import checkpoints, runs
from pipelines.exported import folders
from pipelines.runtime.app import UserError, say
from pipelines.runtime.flags import path_flag
from pipelines.systems.musicvae import pretrained

KIND = "musicvae"
# What the flags say of the config where none of them is given.
_AS_RUN_JSON_SAYS = ConfigRef("")
_PACKAGES = ("magenta", "tensorflow", "tf-keras", "tensorflow-probability", "note-seq", "numpy")
# What run.json has to hold, and of which types. Older versions wrote no starts.
_FIELDS: dict[str, Any] = {
    "config": str,
    "hparams": dict,
    "starts": list | None,
    "config_file": str | None,
    "config_file_sha256": str | None,
}
# Hparams that may change when a run goes on: no variable depends on them.
_CHANGEABLE = ("batch_size", "learning_rate", "decay_rate", "min_learning_rate")


@dataclasses.dataclass
class Run:
    """A config with the hparams of a run, and one of its checkpoints.

    Attributes:
      name: the config's name.
      config: a `magenta.models.music_vae.configs.Config`.
      checkpoint: the checkpoint's prefix, e.g. "run/train/model.ckpt-2000".
      step: the training step it was saved at, or None where its name does not say.
      metadata: what run.json says; empty for a checkpoint of stock Magenta.
      model_folder: for a model of `pretrained`, its folder; the checkpoint is then temporary.
    """

    name: str
    config: Any
    checkpoint: str
    step: int | None
    metadata: dict
    model_folder: pathlib.Path | None = None

    @property
    def source(self) -> str:
        """What users know the checkpoint by, for messages."""
        if self.model_folder is None:
            return self.checkpoint
        return os.fspath(self.model_folder / folders.WEIGHTS)

    def companion(self, name: str) -> str | None:
        """The path of a file beside the checkpoint or in its run folder; None where it is absent.

        Args:
          name: such as those of `pretrained.COMPANIONS`.
        """
        folder = os.path.dirname(self.checkpoint)
        places = [folder]
        if folder in runs.checkpoint_folders(os.path.dirname(folder)):
            places.append(os.path.dirname(folder))
        paths = (os.path.join(place, name) for place in places)
        return next(filter(os.path.isfile, paths), None)

    def trained_on(self) -> list[str]:
        """The patterns of the records that the run was trained on; empty where that is unknown."""
        return trained_on(self.metadata)


def trained_on(metadata: dict) -> list[str]:
    """The patterns of the records that a run was trained on, by what its run.json says.

    Those of the model that it was started from are among them.
    """
    paths = []
    for start in metadata.get("starts") or []:
        paths += (start.get("warm_start") or {}).get("trained_on", [])
        paths.append(start.get("examples_path"))
    return list(dict.fromkeys(path for path in paths if path))


def read_metadata(folder: str) -> dict:
    """What the run.json of a run folder, or of a folder of checkpoints, says; {} without one.

    Raises:
      UserError: where it is damaged, or describes a run of another system.
    """
    metadata = runs.read(folder, KIND)
    for key, kinds in _FIELDS.items():
        if metadata and not isinstance(metadata.get(key), kinds):
            raise UserError(_unusable(folder, key))
    for start in metadata.get("starts") or []:
        path = start.get("examples_path") if isinstance(start, dict) else 0
        if not isinstance(path, str | None):
            raise UserError(_unusable(folder, "starts"))
    return metadata


def _unusable(folder: str, key: str) -> str:
    return (
        f"{folder}: its {runs.METADATA} has no {key} that can be used; restore it, or move it away "
        "and name --config and --hparams"
    )


def describe(ref: ConfigRef, config, start: dict, before: dict) -> dict:
    """Returns what is needed to use the checkpoints of a run again, as JSON values.

    Args:
      ref: names the config.
      config: the config, with the run's hparams.
      start: facts about this start of the run to keep, e.g. its step and examples_path.
      before: what run.json said so far; its starts are kept.
    """
    own = ref.own_file
    return {
        "config": ref.name,
        "config_file": own and os.path.basename(own),
        "config_file_sha256": configs.file_sha256(own) if own else None,
        "hparams": config.hparams.values(),
        "starts": [*(before.get("starts") or []), {**start, **runs.provenance(_PACKAGES)}],
    }


def require_same(run_dir: str, metadata: dict, name: str, config) -> None:
    """Raises UserError where a run folder has checkpoints of another config or other hparams.

    The batch size and the learning rate may change; the user is told.

    Args:
      run_dir: the run folder.
      metadata: what its run.json says.
      name: the config's name.
      config: the config, with the hparams to go on with.
    """
    if not metadata or not checkpoints.latest(runs.train_dir(run_dir)):
        return
    if metadata["config"] != name:
        raise UserError(
            f"{run_dir} holds a run of {metadata['config']}, not of {name}; choose another "
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
            f"{run_dir} holds a run with {', '.join(fixed)}; give the same --hparams to go "
            "on with it, or choose another --run_dir"
        )
    if differing:
        say(f"going on with other hparams: {', '.join(differing.values())}")


def open_run(
    run_dir: str | None = None,
    checkpoint_file: str | None = None,
    given: ConfigRef = _AS_RUN_JSON_SAYS,
    new_run_dir: bool = False,
    name: str | None = None,
) -> Run:
    """Finds a checkpoint and the config that it belongs to.

    Args:
      run_dir, checkpoint_file: as `checkpoints.find` takes them. Either may be given, or both
        where the checkpoint is the run's.
      given: what the flags say of the config. Its name and hparams are needed only without a
        run.json; with one, the two must agree. Its file is needed for a user's own config.
      new_run_dir: as `checkpoints.find` takes it.
      name: instead of a run or a checkpoint, a model as `folders.find` takes it.

    Raises:
      UserError: where there is no checkpoint, or nothing says which config it is of, or the run
        and the arguments disagree.
    """
    if name:
        folders.require(run_dir, checkpoint_file, name)
        return _open_pretrained(folders.find(name), given)
    prefix = checkpoints.find(run_dir, checkpoint_file, new_run_dir)
    metadata = _metadata_of(prefix, run_dir)
    if not metadata and not given.name:
        raise UserError(
            f"{os.path.dirname(prefix)}: no {runs.METADATA} for this checkpoint; name its config "
            "with --config (and --hparams, where they were changed)"
        )
    ref, config = _config_of(prefix, given, metadata)
    return Run(ref.name, config, prefix, checkpoints.step_of(prefix), metadata)


def _open_pretrained(folder: pathlib.Path, given: ConfigRef) -> Run:
    """Opens a model in a folder of `pretrained`; its weights are checked first."""
    path = folder / folders.WEIGHTS
    metadata = read_metadata(os.fspath(folder))
    found = folders.read(folder)
    if found.config != metadata["config"]:
        raise UserError(
            f"{path}: these are weights of {found.config}, and {runs.METADATA} beside them is of "
            f"{metadata['config']}; export the model again"
        )
    ref, config = _config_of(os.fspath(path), given, metadata)
    prefix = pretrained.write_checkpoint(folder, found)
    return Run(ref.name, config, prefix, found.step, metadata, folder)


def _config_of(source: str, given: ConfigRef, metadata: dict) -> tuple[ConfigRef, Any]:
    """Builds the config of a checkpoint.

    Args:
      source: what users know the checkpoint by, for messages.
      given: what the flags say of the config.
      metadata: what run.json says of the checkpoint's run.

    Raises:
      UserError: where the two disagree, or the config's own file has to be named.
    """
    name = given.name or metadata["config"]
    if metadata and name != metadata["config"]:
        raise UserError(
            f"--config={name}, but {source} was trained with {metadata['config']}; leave out "
            "--config"
        )
    if metadata.get("config_file_sha256") and not given.file:
        raise UserError(
            f"{source}: its config {name} comes from {metadata.get('config_file')}; name that file "
            "with --config_file"
        )
    ref = given._replace(name=name)
    return ref, _as_trained(source, ref, metadata["hparams"]) if metadata else ref.build()


def _metadata_of(prefix: str, run_dir: str | None) -> dict:
    """Returns what the run.json of a checkpoint's run says; {} where there is none.

    Raises:
      UserError: where the checkpoint is of another run than `run_dir`.
    """
    folder = os.path.dirname(prefix)
    metadata = read_metadata(folder)
    if not run_dir:
        return metadata
    if not metadata:
        return read_metadata(run_dir)
    own = [os.path.realpath(place) for place in runs.checkpoint_folders(run_dir)]
    if os.path.realpath(folder) not in own:
        raise UserError(
            f"--checkpoint_file={prefix} is of another run than --run_dir={run_dir}; give one"
        )
    return metadata


def _as_trained(source: str, ref: ConfigRef, hparams: dict):
    """Builds a config with the hparams of a run; those of `ref` must agree with them."""
    config = ref._replace(hparams="").build()
    try:
        config.hparams.override_from_dict(hparams)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{source}: its hparams do not fit the config {ref.name} ({error}); it was changed "
            "since"
        ) from error
    config_hparams.require_usable(config, f"{source}: its {runs.METADATA}")
    if not ref.hparams:
        return config
    trained = dict(config.hparams.values())
    config_hparams.merge(config, ref.name, ref.hparams)
    differing = [key for key, value in config.hparams.values().items() if value != trained[key]]
    if differing:
        raise UserError(
            f"--hparams: {source} was trained with "
            + ", ".join(f"{key}={trained[key]}" for key in differing)
            + "; leave out --hparams"
        )
    return config


def open_from_flags(flags, new_run_dir: bool = False) -> Run:
    """`open_run` with the flags that commands share; warns of a changed file.

    These are run_dir, checkpoint_file, config, config_file and hparams and, where the command
    defines it, pretrained.
    """
    run_dir, checkpoint_file, config_file = map(
        path_flag, ("run_dir", "checkpoint_file", "config_file")
    )
    given = ConfigRef(flags.config or "", config_file, flags.hparams)
    name = path_flag("pretrained") if "pretrained" in flags else None
    run = open_run(run_dir, checkpoint_file, given, new_run_dir, name)
    warn_of_change(run.metadata, config_file)
    say(f"{run.name}, {run.source}")
    return run


def warn_of_change(metadata: dict, config_file: str | None) -> None:
    """Warns where a user's config file has changed since a run was trained with it."""
    sha256 = metadata.get("config_file_sha256")
    if sha256 and config_file and configs.file_sha256(config_file) != sha256:
        say(f"warning: {config_file} has changed since the run was trained")
