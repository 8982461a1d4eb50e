"""The config map: every config by its name, built afresh at each look-up.

A file in this folder is a family. It defines CONFIGS, a dict from names to functions that take no
arguments and return a `magenta.models.music_vae.configs.Config`; the first line of a function's
docstring is what `./run.sh configs` shows. A new file is found without being named anywhere.

What travels between jobs and workers is a `ConfigRef`, not a built config: it can be written to
JSON and pickled, and whoever builds it gets a model of their own.
"""

import contextlib
import copy
import hashlib
import importlib.util
import os
import pathlib
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from configs import hparams as config_hparams
from configs._names import require_file, require_known, system_of, systems
from pipelines.runtime import magenta_compat
from pipelines.runtime.app import UserError
from pipelines.runtime.registry import Registry, modules_of

__all__ = [
    "ConfigRef",
    "builders",
    "file_sha256",
    "get",
    "hyperparameters",
    "require_file",
    "require_known",
    "system_of",
    "systems",
]


class ConfigRef(NamedTuple):
    """Which config is meant: what the flags --config, --config_file and --hparams say.

    Attributes:
      name: the config's name.
      file: the user's Python file that may define it, or None.
      hparams: changes to its hparams, "name=value,...".
    """

    name: str
    file: str | None = None
    hparams: str = ""

    def build(self):
        """Builds the config with its hparams changed.

        Returns:
          A `magenta.models.music_vae.configs.Config` that nothing else holds.

        Raises:
          UserError: for an unknown config, hparam or value.
        """
        config = get(self.name, self.file)
        config_hparams.merge(config, self.name, self.hparams)
        return config

    def absolute(self) -> "ConfigRef":
        """The same config for a process in another working directory."""
        return self._replace(file=self.file and os.path.abspath(self.file))

    @property
    def own_file(self) -> str | None:
        """The user's file if it defines this config; None for a built-in config."""
        return self.file if self.file and self.name not in builders() else None


def builders(config_file: str | None = None) -> Mapping[str, Callable]:
    """Returns a function for each config, which builds it.

    Args:
      config_file: a user's Python file that defines CONFIG_MAP, a dict from names to Configs or to
        functions that build one. It is executed, so it must be trusted.

    Raises:
      UserError: where the file cannot be used, or defines a config whose name is taken.
    """
    magenta_compat.apply()
    registry: Registry[Callable] = Registry("config")
    for module in modules_of(importlib.import_module(__name__)):
        if hasattr(module, "CONFIGS"):
            registry.update(module.CONFIGS)
    for name, config in _user_map(config_file).items():
        if name in registry:
            raise UserError(f"{config_file}: a config named {name!r} exists already; rename it")
        registry.add(name, config if callable(config) else _copier(config))
    return registry


def get(name: str, config_file: str | None = None):
    """Builds a config that nothing else holds, without a cap on the examples of a piece.

    Its model is the accelerated counterpart of the builder's model, with the same variables
    (`models.accelerated`).

    Args:
      name: the config's name.
      config_file: see `builders`.

    Returns:
      A `magenta.models.music_vae.configs.Config`.

    Raises:
      UserError: for an unknown name, with the nearest ones.
    """
    build = builders(config_file)[name]
    from magenta.models.music_vae import configs as magenta_configs

    from models import accelerated
    from pipelines import representations

    with _naming(config_file):
        config = build()
    if not isinstance(config, magenta_configs.Config):
        raise UserError(f"{config_file}: {name} is not a magenta.models.music_vae.configs.Config")
    # Magenta's converters silently keep at most 5 (GrooVAE: 20) examples of a piece; those of
    # melodies also drop duplicates, and their order changes from run to run.
    with _naming(config_file):
        representations.of(config.data_converter).keep_every_example()
        config_hparams.check_levels(config, f"{config_file}: {name}" if config_file else name)
    return config._replace(model=accelerated.accelerated(config.model))


def hyperparameters() -> Mapping[str, Any]:
    """The hyperparameters of the systems beside MusicVAE, by the names of their configs."""
    registry: Registry[Any] = Registry("config")
    # Other files here import Magenta, which these systems do without.
    for system in systems():
        registry.update(importlib.import_module(f"{__name__}.{system}").HPARAMS)
    return registry


def file_sha256(config_file: str) -> str:
    """Returns the SHA-256 of a user's config file, in hexadecimal."""
    return hashlib.sha256(pathlib.Path(config_file).read_bytes()).hexdigest()


def _user_map(config_file: str | None) -> Mapping:
    if not config_file:
        return {}
    require_file(config_file)
    spec = importlib.util.spec_from_file_location("reelgroove_user_configs", config_file)
    if spec is None or spec.loader is None:
        raise UserError(f"{config_file}: not a Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    with _naming(config_file):
        spec.loader.exec_module(module)
    if not isinstance(getattr(module, "CONFIG_MAP", None), Mapping):
        raise UserError(f"{config_file}: defines no CONFIG_MAP, a dict from names to configs")
    # The file may define a representation as a file of the project does.
    for converter, representation in getattr(module, "REPRESENTATIONS", {}).items():
        converter.representation = representation
    return module.CONFIG_MAP


@contextlib.contextmanager
def _naming(config_file: str | None) -> Iterator[None]:
    """Turns whatever a user's file raises into one line that names it."""
    try:
        yield
    except (Exception, SystemExit) as error:
        if not config_file or isinstance(error, UserError):
            raise
        lines = [
            frame.lineno
            for frame in traceback.extract_tb(error.__traceback__)
            if frame.filename == config_file
        ]
        line = getattr(error, "lineno", None) or (lines[-1] if lines else None)
        where = f"{config_file}, line {line}" if line else config_file
        raise UserError(f"{where}: {type(error).__name__}: {error}") from error


def _copier(config) -> Callable:
    """A function that copies a config: one in a map is shared, and --hparams mutates it."""
    return lambda: copy.deepcopy(config)
