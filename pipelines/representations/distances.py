"""How far distributions are from each other, and windows from those that a model has learnt."""

import numpy as np
import scipy.spatial.distance

# The most numbers in a block of windows that is compared at once: 32 MiB as float32.
_MAX_NUMBERS = 1 << 23


def overlap_area(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The area that two histograms share: 1 where they are equal, 0 where they have no common bin.

    After L.-C. Yang and A. Lerch, "On the evaluation of generative models in music", Neural
    Computing and Applications 32, 2020. Histograms with fixed bins take the place of their kernel
    density estimates, which blur values such as shares, that have bounds and heaps.

    Args:
      first, second: counts or weights shaped [..., bins], at least one of them over 0 in each
        histogram.
    """
    return np.minimum(_normalized(first), _normalized(second)).sum(axis=-1)


def js_divergence(first: np.ndarray, second: np.ndarray) -> float:
    """The Jensen-Shannon divergence of two histograms in bits: 0 where they are equal, 1 at most.

    Args:
      first, second: as in `overlap_area`, shaped [bins].
    """
    # SciPy gives its square root, which is a metric.
    return float(scipy.spatial.distance.jensenshannon(first, second, base=2) ** 2)


def _normalized(histogram: np.ndarray) -> np.ndarray:
    histogram = np.asarray(histogram, np.float64)
    return histogram / histogram.sum(axis=-1, keepdims=True)


def principal_axes(vectors: np.ndarray, number: int) -> np.ndarray:
    """The orthonormal directions in which vectors vary most, shaped [dimensions, number].

    Args:
      vectors: array shaped [n, dimensions].
      number: how many directions; there are fewer where `vectors` have fewer dimensions or rows.
    """
    _, _, axes = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
    return axes[:number].T


def frechet(first: np.ndarray, second: np.ndarray) -> float:
    """The Fréchet distance (squared 2-Wasserstein) of the normal distributions fitted to vectors.

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), as in the Fréchet inception distance: M. Heusel et
    al., "GANs trained by a two time-scale update rule converge to a local Nash equilibrium", 2017.

    Args:
      first, second: arrays shaped [n, dimensions], of at least two rows. A covariance needs many
        more rows than dimensions; see `principal_axes`.
    """
    means = [vectors.mean(axis=0) for vectors in (first, second)]
    one, other = (np.atleast_2d(np.cov(vectors, rowvar=False)) for vectors in (first, second))
    # The eigenvalues of C1 C2 are those of the symmetric C1^(1/2) C2 C1^(1/2), whose computation
    # keeps them real where a covariance is singular.
    root = _square_root(one)
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ other @ root), 0)).sum()
    difference = means[0] - means[1]
    return float(difference @ difference + np.trace(one) + np.trace(other) - 2 * cross)


def _square_root(covariance: np.ndarray) -> np.ndarray:
    """The symmetric square root of a covariance; `scipy.linalg.sqrtm` warns of singular ones."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def nearest_f1(windows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The F1 of each window's notes with those of the window that is nearest to it.

    Args:
      windows, others: packed bits (`np.packbits` along the last axis), shaped [n, bytes] and
        [m, bytes]; a bit is set where a note begins.

    Returns:
      A float64 array shaped [n]. Two windows without a note are equal: 1.
    """
    rows = max(1, _MAX_NUMBERS // (8 * windows.shape[1]))
    nearest = np.zeros(len(windows))
    for start in range(0, len(windows), rows):
        mine = _bits(windows[start : start + rows])
        counts = mine.sum(axis=1)
        best = np.zeros(len(mine))
        # The matrix of F1 is bounded too.
        step = max(1, min(rows, _MAX_NUMBERS // len(mine)))
        for begin in range(0, len(others), step):
            theirs = _bits(others[begin : begin + step])
            both = counts[:, None] + theirs.sum(axis=1)
            f1 = np.divide(2 * (mine @ theirs.T), both, out=np.ones_like(both), where=both > 0)
            np.maximum(best, f1.max(axis=1), out=best)
        nearest[start : start + rows] = best
    return nearest


def _bits(packed: np.ndarray) -> np.ndarray:
    # Products of 0 and 1 are counted exactly in float32, up to 2^24.
    return np.unpackbits(packed, axis=1).astype(np.float32)
