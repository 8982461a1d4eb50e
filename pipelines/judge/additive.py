"""An additive model: tells two kinds of tunes apart by numbers that each count by themselves.

Each feature is put into bins between its quantiles, and each bin has a weight, which logistic
regression finds (T. Hastie and R. Tibshirani, "Generalized additive models", 1986, with steps for
the functions). So a feature may be best in the middle of its range, and what is outside the range
that was learnt counts as its edge.
"""

import numpy as np

from pipelines.judge import logistic, shapes
from pipelines.judge.finding import Arrays

_BINS = 12
# The names of the arrays that a model is made of.
KEYS = ("bounds", "weights", "bias")


def fit(rows: np.ndarray, wanted: np.ndarray) -> Arrays:
    """Learns to tell rows apart.

    Args:
      rows: float array shaped [rows, features].
      wanted: bool array shaped [rows]: which kind each row is. Both kinds count the same.

    Returns:
      The arrays that an `Additive` is made of.
    """
    quantiles = np.linspace(0, 1, _BINS + 1)[1:-1]
    bounds = np.quantile(rows, quantiles, axis=0).T
    binned = _one_hot(_bins(rows, bounds))
    weights, bias = logistic.fit(binned, wanted)
    return {
        "bounds": bounds.astype(np.float32),
        "weights": weights.reshape(rows.shape[1], _BINS).astype(np.float32),
        "bias": np.array([bias], np.float32),
    }


class Additive:
    """A model that was learnt.

    Args:
      arrays: from `fit`.
      features: how many features there are.

    Raises:
      KeyError, ValueError: as of `shapes.require`.
    """

    def __init__(self, arrays: Arrays, features: int):
        wanted = {"bounds": (features, _BINS - 1), "weights": (features, _BINS), "bias": (1,)}
        shapes.require(arrays, wanted)
        self._bounds, self._weights = arrays["bounds"], arrays["weights"]
        self._bias = float(arrays["bias"][0])

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """How likely rows are of the wanted kind, as log odds: float [rows].

        Args:
          rows: float array shaped [rows, features].
        """
        return self.parts(rows).sum(axis=1) + self._bias

    def parts(self, rows: np.ndarray) -> np.ndarray:
        """What each feature adds to the log odds: float [rows, features]."""
        bins = _bins(rows, self._bounds)
        return self._weights[np.arange(bins.shape[1]), bins]


def _bins(rows: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """The bin of each feature: int [rows, features]."""
    return (np.asarray(rows, np.float32)[:, :, None] > bounds.astype(np.float32)).sum(axis=2)


def _one_hot(bins: np.ndarray) -> np.ndarray:
    made = np.zeros((*bins.shape, _BINS), np.float32)
    np.put_along_axis(made, bins[:, :, None], 1, axis=2)
    return made.reshape(len(bins), -1)
