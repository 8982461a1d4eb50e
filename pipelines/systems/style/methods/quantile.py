"""Quantile matching: each band is as often as loud as it is in the target.

What is louder in a band than 70% of the source's frames becomes what is louder than 70% of the
target's: optimal transport in one dimension, band by band (histogram matching).
"""

import numpy as np

from pipelines.systems.style.methods import Method
from pipelines.systems.style.transfers import FLOOR_DB, are_silent

QUANTILES = 256


class Quantiles:
    """Maps each band by its quantiles.

    Args:
      source, target: dB, shaped [quantiles, bands], each band sorted.
    """

    def __init__(self, source: np.ndarray, target: np.ndarray):
        self.source, self.target = source, target

    def convert(self, mels: np.ndarray) -> np.ndarray:
        """As of `transfers.Transfer`; silent frames stay silent.

        What is louder than the loudest of the source gains as much as that.
        """
        found = np.empty_like(mels)
        for band in range(mels.shape[1]):
            source, target = self.source[:, band], self.target[:, band]
            found[:, band] = np.interp(mels[:, band], source, target)
            found[:, band] += np.maximum(mels[:, band] - source[-1], 0)
        # A target that is never silent would hum where the source is.
        found[are_silent(mels)] = FLOOR_DB
        return found


def fit(source: np.ndarray, target: np.ndarray) -> Quantiles:
    """The quantiles of both."""
    shares = np.linspace(0, 1, QUANTILES)
    return Quantiles(_increasing(np.quantile(source, shares, axis=0)),
                     np.quantile(target, shares, axis=0))  # fmt: skip


def _increasing(quantiles: np.ndarray) -> np.ndarray:
    """Equal quantiles, as of silence, made to differ by so little that nobody hears it."""
    return quantiles + np.linspace(0, 1e-4, len(quantiles))[:, None]


METHOD = Method("quantile", "each band as often as loud as in the target", fit)
