"""Magenta's own configs, by their own names (`magenta.models.music_vae.configs.CONFIG_MAP`)."""

import copy
import functools

from magenta.models.music_vae import configs


def _build(name):
    """Magenta's own config."""
    # CONFIG_MAP holds live models, which building and --hparams change.
    return copy.deepcopy(configs.CONFIG_MAP[name])


CONFIGS = {name: functools.partial(_build, name) for name in configs.CONFIG_MAP}
