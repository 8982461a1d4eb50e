"""Logistic regression, by which criteria tell people's tunes from spoilt ones."""

import numpy as np

# More than it takes to converge.
_MOST_STEPS = 2000


def fit(
    rows: np.ndarray, wanted: np.ndarray, balanced: bool = True, penalty: float = 1.0
) -> tuple[np.ndarray, float]:
    """Learns the odds of rows.

    Args:
      rows: float array shaped [rows, features].
      wanted: bool or int array shaped [rows]: which rows are of the kind whose odds are wanted.
      balanced: whether both kinds count the same, however many rows they have.
      penalty: how strongly weights are held back: half of it times their squares is added to the
        loss.

    Returns:
      The weight of each feature, [features], and the bias; zeros where all rows are of one kind.
    """
    # It takes two seconds to import, and what judges does not need it.
    from sklearn.linear_model import LogisticRegression

    if len(set(wanted.tolist())) < 2:
        return np.zeros(rows.shape[1]), 0.0
    weight = "balanced" if balanced else None
    regression = LogisticRegression(C=1 / penalty, max_iter=_MOST_STEPS, class_weight=weight)
    regression.fit(rows, wanted)
    return regression.coef_[0], float(regression.intercept_[0])
