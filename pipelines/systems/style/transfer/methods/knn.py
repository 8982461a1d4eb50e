"""Nearest frames: each frame is the mean of the target's frames that are most like it.

Frames are compared after their bands were matched by quantiles, since the nearest to an untouched
frame are those that sound like the source. Source of the idea: M. Baas, B. van Niekerk and H.
Kamper, "Voice conversion with just nearest neighbors", 2023 (there on features of speech).
"""

from collections.abc import Sequence

import numpy as np

from pipelines.systems.style.transfer.methods import Method, quantile
from pipelines.systems.style.transfer.nearest import NearestFrames, spread
from pipelines.systems.style.transfer.transfers import FLOOR_DB, are_silent

_BLOCK = 4  # Bands that are compared as one.
# Frames that are compared: 25 ms to both sides. Of melodies 50 ms are better, of drums worse.
_OFFSETS = (-2, 0, 2)
# Ten times as many are no nearer to the truth.
_MOST_FRAMES = 10_000


class NearestByLoudness:
    """Replaces frames by frames of the target whose bands are as loud.

    Args:
      source, target: the quantiles of both sounds, as of `quantile.Quantiles`.
      frames: mels of the target, [frames, bands].
      features: what they are compared by, as of `_features`, [frames, features].
    """

    def __init__(
        self, source: np.ndarray, target: np.ndarray, frames: np.ndarray, features: np.ndarray
    ):
        self._matched = quantile.Quantiles(source, target)
        self._nearest = NearestFrames(frames, features)

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """As of `methods.Fitted`."""
        nearest = self._nearest
        return {**self._matched.arrays, "frames": nearest.frames, "features": nearest.features}

    def convert(self, mels: np.ndarray) -> np.ndarray:
        """As of `transfers.Transfer`; frames stay silent where those that are compared are."""
        found = self._nearest.mean(_features(self._matched.convert(mels)))
        found[are_silent(mels, max(_OFFSETS), max(_OFFSETS))] = FLOOR_DB
        return found


def _features(mels: np.ndarray) -> np.ndarray:
    """The loudness of blocks of bands in each frame and those near it: [frames, features]."""
    blocks = mels.reshape(len(mels), -1, _BLOCK).mean(axis=2)
    at = np.arange(len(blocks))
    near = [blocks[np.clip(at + offset, 0, len(blocks) - 1)] for offset in _OFFSETS]
    return np.concatenate(near, axis=1)


def fit(source: Sequence[np.ndarray], target: Sequence[np.ndarray]) -> NearestByLoudness:
    """Keeps frames of the target, and how bands are matched."""
    frames = np.concatenate(target)
    features = np.concatenate([_features(mels) for mels in target])
    kept = spread(len(frames), _MOST_FRAMES)
    matched = quantile.fit(source, target)
    return NearestByLoudness(**matched.arrays, frames=frames[kept], features=features[kept])


METHOD = Method(
    "knn", "the target's frames whose bands are as loud as each frame's", fit, NearestByLoudness
)
