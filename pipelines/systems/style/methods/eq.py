"""An equaliser: each band gets as loud, on the mean, as it is in the target."""

import numpy as np

from pipelines.systems.style.methods import Method


class Equaliser:
    """Adds a gain to each band.

    Args:
      gains: dB, shaped [bands].
    """

    def __init__(self, gains: np.ndarray):
        self.gains = gains

    def convert(self, mels: np.ndarray) -> np.ndarray:
        """As of `transfers.Transfer`."""
        return mels + self.gains


def fit(source: np.ndarray, target: np.ndarray) -> Equaliser:
    """The gains that make the mean powers of the bands equal."""
    return Equaliser((_mean_db(target) - _mean_db(source)).astype(np.float32))


def _mean_db(mels: np.ndarray) -> np.ndarray:
    return 10 * np.log10(np.mean(10 ** (mels.astype(np.float64) / 10), axis=0))


METHOD = Method("eq", "an equaliser, from the mean spectra of the two sounds", fit)
