"""Tells which of two sounds a clip has: one witness among others, never the only one.

A network that learns to please such a classifier can be further from the truth than the input: a
small MelGAN-VC once had a probability of 100% so. The features are of our own, and so is the
Frechet distance on them; neither can be compared with figures of others.
"""

from collections.abc import Sequence

import numpy as np

# Of more features, few clips have no covariance.
_COMPONENTS = 12


class SoundClassifier:
    """Logistic regression on what the bands of a clip are like, by scikit-learn.

    Args:
      source, target: the mels of clips in dB, each [frames, bands], of performances that are not
        measured.
    """

    def __init__(self, source: Sequence[np.ndarray], target: Sequence[np.ndarray]):
        from sklearn.decomposition import PCA
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        rows = np.array([_features(each) for each in [*source, *target]])
        components = min(_COMPONENTS, *rows.shape, len(rows) - 1)
        self._reduced = make_pipeline(StandardScaler(), PCA(components, random_state=0))
        self._regression = LogisticRegression(max_iter=1000)
        self._regression.fit(
            self._reduced.fit_transform(rows), [0] * len(source) + [1] * len(target)
        )

    def features(self, clips: Sequence[np.ndarray]) -> np.ndarray:
        """What the classifier sees of clips, [clips, features]."""
        return self._reduced.transform(np.array([_features(each) for each in clips]))

    def probabilities(self, clips: Sequence[np.ndarray]) -> np.ndarray:
        """The probability of the target's sound for each clip."""
        return self._regression.predict_proba(self.features(clips))[:, 1]


def frechet_distance(some: np.ndarray, others: np.ndarray) -> float:
    """The Frechet distance of Gaussians that were fitted to two sets of features.

    Source: D. Dowson and B. Landau, "The Fréchet distance between multivariate normal
    distributions", 1982; the formula of FID.

    Args:
      some, others: [clips, features], of at least two clips each.
    """
    spreads = [np.atleast_2d(np.cov(each.T)) for each in (some, others)]
    # The trace of the root of a product that, of two covariances, has no negative eigenvalues.
    roots = np.sqrt(np.maximum(np.real(np.linalg.eigvals(spreads[0] @ spreads[1])), 0))
    apart = some.mean(axis=0) - others.mean(axis=0)
    found = apart @ apart + np.trace(spreads[0] + spreads[1]) - 2 * roots.sum()
    return max(float(found), 0.0)  # Of equal sets, rounding may leave a little less.


def _features(mels: np.ndarray) -> np.ndarray:
    return np.concatenate([mels.mean(axis=0), mels.std(axis=0)])
