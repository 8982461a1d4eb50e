"""A WaveNet that turns mels into sound, instead of phases by Griffin-Lim: a trained run on disk."""

import os
from typing import Any

import numpy as np

from configs.vocoder import MODELS, Hparams
from pipelines import checkpoints, runs
from pipelines.systems.style.transfer import transfers
from pipelines.systems.style.transfer.transfers import HOP

KIND = "vocoder"
# Mels in dB become about -1 to 1.
_MIDDLE_DB, _HALF_DB = -30.0, 50.0
# A sound is drawn in parts side by side, since a row of NumPy's products costs as much as 32. What
# a part remembers comes from its lead-in, and parts fade into each other.
_PART_FRAMES, _FADE_FRAMES = 40, 1


def scaled(mels: np.ndarray) -> np.ndarray:
    """Mels in dB as the network takes them."""
    return ((mels - _MIDDLE_DB) / _HALF_DB).astype(np.float32)


def untrained(hparams: Hparams) -> Any:
    """The network, built."""
    from models.wavenet import WaveNet

    dilations = tuple(2**layer for layer in range(hparams.layers)) * hparams.stacks
    network = WaveNet(dilations, hparams.channels, hparams.skip_channels, HOP)
    network((np.zeros((1, HOP), np.float32), np.zeros((1, 1, transfers.BANDS), np.float32)))
    return network


class Vocoder:
    """A trained network.

    Args:
      network: with weights.
    """

    def __init__(self, network: Any):
        from models.wavenet import Sampler

        self._sampler = Sampler(network)
        self._lead = -(-network.receptive_field // HOP)

    def sound(
        self, mels: np.ndarray, length: int, seed: int = 0, temperature: float = 1.0
    ) -> np.ndarray:
        """Draws a sound.

        Args:
          mels: in dB, [frames, bands], as `transfers.mels` gives them.
          length: samples of the sound.
          seed: of what is drawn; the same gives the same samples.
          temperature: of the draw; under 1 there is less noise, and less brightness.

        Returns:
          Float32 from -1 to 1, [length].
        """
        fade, lead = _FADE_FRAMES * HOP, self._lead
        count = max(-(-len(mels) // _PART_FRAMES), 1)
        size = lead + _PART_FRAMES + _FADE_FRAMES
        # Before the first frame and after the last one is silence.
        padded = np.pad(
            mels,
            ((lead, count * _PART_FRAMES + _FADE_FRAMES - len(mels)), (0, 0)),
            constant_values=transfers.FLOOR_DB,
        )
        parts = [padded[at * _PART_FRAMES : at * _PART_FRAMES + size] for at in range(count)]
        drawn = self._sampler.draw(
            scaled(np.stack(parts)), size * HOP, np.random.default_rng(seed), temperature
        )[:, lead * HOP :]
        made = np.zeros(count * _PART_FRAMES * HOP + fade, np.float32)
        # Neighbours are drawn by themselves, so that their powers add up.
        rise = np.sqrt(np.linspace(0, 1, fade, dtype=np.float32))
        for at, part in enumerate(drawn):
            begin = at * _PART_FRAMES * HOP
            if at:
                part[:fade] *= rise
            if at < count - 1:
                part[-fade:] *= rise[::-1]
            made[begin : begin + len(part)] += part
        return np.pad(made, (0, max(length - len(made), 0)))[:length]


def _is_whole(found: dict[str, Any]) -> bool:
    """Whether run.json has what training wrote; may raise as `runs.read_checked` allows."""
    Hparams(**found["hparams"])
    return found["model"] in MODELS and {"finished", "target"} <= found.keys()


def read_metadata(run_dir: str | os.PathLike) -> dict[str, Any]:
    """What run.json says; {} where there is none.

    Raises:
      UserError: where it is damaged, or of another kind of run.
    """
    return runs.read_checked(run_dir, KIND, _is_whole)


def open_vocoder(run_dir: str) -> Vocoder:
    """Loads a trained network.

    Raises:
      UserError: where there is no such run, or its checkpoint is damaged.
    """
    import tensorflow as tf

    runs.require(run_dir, KIND, "style train --model=wavenet")
    network = untrained(Hparams(**read_metadata(run_dir)["hparams"]))
    saved = checkpoints.find(run_dir, None)
    contents = tf.train.Checkpoint(network=[weight.value for weight in network.weights])
    checkpoints.restore(contents, saved)
    return Vocoder(network)
