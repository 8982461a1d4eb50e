"""Quantile matching: each band is as often as loud as it is in the target.

What is louder in a band than 70% of the source's frames becomes what is louder than 70% of the
target's: optimal transport in one dimension, band by band (histogram matching).
"""

from collections.abc import Sequence

import numpy as np

from pipelines.systems.style.transfer.methods import Method
from pipelines.systems.style.transfer.transfers import FLOOR_DB, are_silent

_QUANTILES = 256


class Quantiles:
    """Maps each band by its quantiles.

    Args:
      source, target: dB, shaped [quantiles, bands], each band sorted.
    """

    def __init__(self, source: np.ndarray, target: np.ndarray):
        self.source, self.target = source, target

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """As of `methods.Fitted`."""
        return {"source": self.source, "target": self.target}

    def convert(self, mels: np.ndarray) -> np.ndarray:
        """As of `transfers.Transfer`; silent frames stay silent.

        What is louder than the loudest of the source gains as much as that.
        """
        found = self.matched(mels)
        # A target that is never silent would hum where the source is.
        found[are_silent(mels)] = FLOOR_DB
        return found

    def matched(self, values: np.ndarray) -> np.ndarray:
        """Maps values, [frames, bands], silent or not."""
        found = np.empty_like(values)
        for band in range(values.shape[1]):
            source, target = self.source[:, band], self.target[:, band]
            found[:, band] = np.interp(values[:, band], source, target)
            found[:, band] += np.maximum(values[:, band] - source[-1], 0)
        return found


def fit(source: Sequence[np.ndarray], target: Sequence[np.ndarray]) -> Quantiles:
    """The quantiles of both, over all of their sounds."""
    shares = np.linspace(0, 1, _QUANTILES)
    found, wanted = (np.quantile(np.concatenate(each), shares, axis=0) for each in (source, target))
    return Quantiles(_increasing(found), wanted)


def _increasing(quantiles: np.ndarray) -> np.ndarray:
    """Equal quantiles, as of silence, made to differ by so little that nobody hears it."""
    return quantiles + np.linspace(0, 1e-4, len(quantiles))[:, None]


METHOD = Method("quantile", "each band as often as loud as in the target", fit, Quantiles)
