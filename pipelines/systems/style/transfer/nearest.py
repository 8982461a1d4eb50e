"""Frames of the target that are nearest to frames of the source, by whatever describes them."""

import numpy as np

# One is further from the truth; of 16, the mean is nearer still, and more of a blur.
_NEIGHBOURS = 8


class NearestFrames:
    """Finds the frames that are most like others.

    Args:
      frames: mels of the target, [frames, bands].
      features: what they are compared by, [frames, features].
    """

    def __init__(self, frames: np.ndarray, features: np.ndarray):
        from sklearn.neighbors import NearestNeighbors

        self.frames, self.features = frames, features
        # In so many dimensions a tree is slower than to compare all.
        self._index = NearestNeighbors(n_neighbors=min(_NEIGHBOURS, len(frames)), algorithm="brute")
        self._index.fit(features)

    def mean(self, features: np.ndarray) -> np.ndarray:
        """The means of the frames that are nearest to each: float32, [features, bands]."""
        nearest = self._index.kneighbors(features, return_distance=False)
        # One neighbour of all after the other: all of all would need eight times the memory.
        found = np.zeros((len(nearest), self.frames.shape[1]), np.float64)
        for each in nearest.T:
            found += self.frames[each]
        return (found / nearest.shape[1]).astype(np.float32)


def spread(number: int, most: int) -> np.ndarray:
    """The places of at most so many of a number of frames, evenly spread."""
    return np.linspace(0, number - 1, min(number, most)).round().astype(int)
