"""An equaliser: each band gets as loud, on the mean, as it is in the target."""

from collections.abc import Sequence

import numpy as np

from pipelines.systems.style.transfer.methods import Method
from pipelines.systems.style.transfer.transfers import FLOOR_DB


class Equaliser:
    """Adds a gain to each band; silence stays silent.

    Args:
      gains: dB, shaped [bands].
    """

    def __init__(self, gains: np.ndarray):
        self._gains = gains

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """As of `methods.Fitted`."""
        return {"gains": self._gains}

    def convert(self, mels: np.ndarray) -> np.ndarray:
        """As of `transfers.Transfer`."""
        return np.where(mels > FLOOR_DB, mels + self._gains, np.float32(FLOOR_DB))


def fit(source: Sequence[np.ndarray], target: Sequence[np.ndarray]) -> Equaliser:
    """The gains that make the mean powers of the bands equal."""
    return Equaliser((_mean_db(target) - _mean_db(source)).astype(np.float32))


def _mean_db(sounds: Sequence[np.ndarray]) -> np.ndarray:
    mels = np.concatenate(sounds).astype(np.float64)
    return 10 * np.log10(np.mean(10 ** (mels / 10), axis=0))


METHOD = Method("eq", "an equaliser, from the mean spectra of the two sounds", fit, Equaliser)
