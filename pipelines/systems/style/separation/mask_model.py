"""The mask network as a separator, and on disk.

A model is a folder: that of a run, or one with the same two files, such as the one that comes with
the project.

    run.json           the hyperparameters, and what it was trained on; data only
    mask.safetensors   the variables, as float16: in a run those that were best on held-out mixtures
"""

import dataclasses
import os
import pathlib
from typing import Any, NamedTuple

import keras
import numpy as np

from configs.separation import Hparams
from models.mask_network import MaskNetwork
from pipelines import runs
from pipelines.audio import separation
from pipelines.audio.separation import Separator
from pipelines.exported import weights
from pipelines.runtime.app import UserError
from pipelines.systems.style.separation import mixtures
from pipelines.systems.style.separation.mask_folders import KIND, WEIGHTS, read_metadata

NAMES = ("drums", "rest")


class Model(NamedTuple):
    """A mask network with its hyperparameters."""

    hparams: Hparams
    network: MaskNetwork

    def tensors(self) -> dict[str, np.ndarray]:
        """The variables by their names."""
        return {each.path: each.numpy() for each in self.network.weights}


def untrained(hparams: Hparams) -> Model:
    """A model that is not trained, with its variables."""
    bins = mixtures.bins(hparams)
    network = MaskNetwork(bins, hparams.channels, hparams.units, hparams.dilations)
    network(np.zeros((1, 1, bins), np.float32))
    return Model(hparams, network)


def write(folder: str | os.PathLike, model: Model, step: int) -> None:
    """Writes the variables into the folder of a run, in place of those that were there."""
    weights.write(pathlib.Path(folder, WEIGHTS), model.tensors(), KIND, step)


def open_model(folder: str | os.PathLike) -> Model:
    """Reads a model.

    Raises:
      UserError: where the folder is none of a model, or is damaged.
    """
    model = untrained(hparams_of(folder, read_metadata(folder)))
    path = pathlib.Path(folder, WEIGHTS)
    found = weights.read(path).tensors
    wanted = {each.path: tuple(each.shape) for each in model.network.weights}
    if {name: tensor.shape for name, tensor in found.items()} != wanted:
        raise UserError(
            f"{path}: its variables are not those of the network that {runs.METADATA} beside it "
            "describes; train it again"
        )
    for each in model.network.weights:
        each.assign(found[each.path].astype(np.float32))
    return model


def hparams_of(folder: str | os.PathLike, metadata: dict[str, Any]) -> Hparams:
    """The hyperparameters of a run.

    Raises:
      UserError: where they are not all there, or make no network.
    """
    try:
        found = dict(metadata["hparams"])
        for name in ("channels", "dilations"):
            found[name] = tuple(map(int, found[name]))
        hparams = Hparams(**found)
        sound = {each.name for each in dataclasses.fields(Hparams)} == found.keys()
        sound = sound and mixtures.bins(hparams) % 2 ** len(hparams.channels) == 0
    except (KeyError, TypeError, ValueError):
        sound = False
    if not sound:
        raise runs.damaged(folder)
    return hparams


def separator(model: Model) -> Separator:
    """A model as what separates: the drums of a sound, and the rest of it.

    Above half the rate that it was trained on, the shares are those of HPSS: the network heard
    nothing of what is there.
    """
    network = model.network
    compiled = keras.Model(
        inputs := keras.Input((None, network.bins)), keras.ops.sigmoid(network(inputs))
    )

    def window(rate: int) -> int:
        return separation.window(rate, model.hparams.window_seconds)

    def mask(magnitudes: np.ndarray, rate: int) -> np.ndarray:
        # A bin has the same frequency at every rate, and windows are longer at higher ones: so are
        # the magnitudes.
        scale = window(model.hparams.rate) / window(rate)
        heard = magnitudes[: network.bins].T * np.float32(scale)
        padded = np.pad(heard, ((0, 0), (0, network.bins - heard.shape[1])))
        shares = np.asarray(compiled.predict_on_batch(padded[np.newaxis]))[0].T
        found = np.empty_like(magnitudes)
        found[: network.bins] = shares[: len(magnitudes)]
        if len(magnitudes) == network.bins + 1:
            found[network.bins] = shares[-1]
        elif len(magnitudes) > network.bins:
            found[network.bins :] = separation.hpss_mask(magnitudes, rate)[network.bins :]
        return found

    context = max(network.context, separation.HPSS.context)
    return Separator(NAMES, mask, context, model.hparams.window_seconds)
