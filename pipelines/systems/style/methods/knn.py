"""Nearest frames: each frame is the mean of the target's frames that are most like it.

Frames are compared after their bands were matched by quantiles, since the nearest to an untouched
frame are those that sound like the source. Source of the idea: M. Baas, B. van Niekerk and H.
Kamper, "Voice conversion with just nearest neighbors", 2023 (there on features of speech).
"""

import numpy as np

from pipelines.systems.style.methods import Method, quantile
from pipelines.systems.style.transfers import FLOOR_DB, are_silent

# One is further from the truth; of 16, the mean is nearer still, and more of a blur.
_NEIGHBOURS = 8
_BLOCK = 4  # Bands that are compared as one.
# Frames that are compared: 25 ms to both sides. Of melodies 50 ms are better, of drums worse.
_OFFSETS = (-2, 0, 2)


class NearestFrames:
    """Replaces frames by frames of the target.

    Args:
      matched: maps the bands of the source to those of the target.
      target: mels of the target, [frames, bands].
    """

    def __init__(self, matched: quantile.Quantiles, target: np.ndarray):
        from sklearn.neighbors import NearestNeighbors

        self._matched, self._target = matched, target
        # In so many dimensions a tree is slower than to compare all.
        self._index = NearestNeighbors(n_neighbors=min(_NEIGHBOURS, len(target)), algorithm="brute")
        self._index.fit(_features(target))

    def convert(self, mels: np.ndarray) -> np.ndarray:
        """As of `transfers.Transfer`; frames stay silent where those that are compared are."""
        nearest = self._index.kneighbors(
            _features(self._matched.convert(mels)), return_distance=False
        )
        found = self._target[nearest].mean(axis=1).astype(np.float32)
        found[are_silent(mels, max(_OFFSETS))] = FLOOR_DB
        return found


def _features(mels: np.ndarray) -> np.ndarray:
    """The loudness of blocks of bands in each frame and those near it: [frames, features]."""
    blocks = mels.reshape(len(mels), -1, _BLOCK).mean(axis=2)
    at = np.arange(len(blocks))
    near = [blocks[np.clip(at + offset, 0, len(blocks) - 1)] for offset in _OFFSETS]
    return np.concatenate(near, axis=1)


def fit(source: np.ndarray, target: np.ndarray) -> NearestFrames:
    """Keeps the frames of the target, and how bands are matched."""
    return NearestFrames(quantile.fit(source, target), target)


METHOD = Method("knn", "the target's frames that are most like each frame", fit)
