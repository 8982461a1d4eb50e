"""Nearest frames: each frame is the mean of the target's frames that are most like it.

Frames are compared after their bands were matched by quantiles, since the nearest to an untouched
frame are those that sound like the source. Source of the idea: M. Baas, B. van Niekerk and H.
Kamper, "Voice conversion with just nearest neighbors", 2023 (there on features of speech).
"""

import numpy as np

from pipelines.systems.style.methods import Method, quantile

_NEIGHBOURS = 4
_BLOCK = 8  # Bands that are compared as one.


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
        """As of `transfers.Transfer`."""
        nearest = self._index.kneighbors(
            _features(self._matched.convert(mels)), return_distance=False
        )
        return self._target[nearest].mean(axis=1).astype(np.float32)


def _features(mels: np.ndarray) -> np.ndarray:
    """The loudness of blocks of bands in each frame, and how it changes: [frames, features]."""
    blocks = mels.reshape(len(mels), -1, _BLOCK).mean(axis=2)
    change = np.diff(blocks, axis=0, prepend=blocks[:1])
    return np.concatenate([blocks, change], axis=1)


def fit(source: np.ndarray, target: np.ndarray) -> NearestFrames:
    """Keeps the frames of the target, and how bands are matched."""
    return NearestFrames(quantile.fit(source, target), target)


METHOD = Method("knn", "the target's frames that are most like each frame", fit)
