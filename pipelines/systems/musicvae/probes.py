"""Fits the directions of attributes in latent space; `directions` says what they are."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import GroupKFold

from pipelines.runtime.app import UserError
from pipelines.systems.musicvae.directions import KINDS, Attribute

# The share of the windows in each of the two groups of a measured attribute.
_GROUP = 0.25
# Strengths of the regularization of probes; the one that predicts other pieces best is taken.
_ALPHAS = (1.0, 10.0, 100.0, 1000.0)
_FOLDS = 5


@dataclasses.dataclass(frozen=True)
class _Probe:
    """A linear function of z that predicts an attribute.

    Attributes:
      coefficients: shaped [z_size], for the attribute in its standard deviations `sd`.
      mean, sd: of the values that the probe was fitted to.
      held_out: as `Attribute` has it.
    """

    coefficients: np.ndarray
    mean: float
    sd: float
    held_out: float


def fit(
    z: np.ndarray,
    values: Mapping[str, np.ndarray],
    pieces: np.ndarray,
    units: Mapping[str, np.ndarray] | None = None,
) -> dict[str, Attribute]:
    """Fits the directions of some attributes.

    Args:
      z: float array shaped [n, z_size]: the posterior means of windows.
      values: for each attribute an array shaped [n]: bool for a label, else float, NaN where a
        window has nothing to measure.
      pieces: array shaped [n], the piece that each window is from: probes are judged on other
        pieces than they were fitted to.

    Raises:
      UserError: where all windows have the same value, or too few have one.
    """
    covariance = np.cov(z.T, bias=True)
    groups = np.unique(pieces, return_inverse=True)[1]
    probes, differences = {}, {}
    for name, value in values.items():
        unit = (units or {}).get(name, value)
        if lacking := lack(unit, groups):
            raise UserError(f"{name}: {lacking}; give other music, or leave it out of --attributes")
        if lacking := lack(value, groups):
            raise UserError(
                f"{name}: in what the model makes of the windows, {lacking}; train it for more "
                "steps, or leave it out of --attributes"
            )
        probes[name] = (_label_probe if value.dtype == bool else _measured_probe)(z, value, groups)
        differences[name] = _difference_of_means(z, value)
    projected = _projections(covariance, [probe.coefficients for probe in probes.values()])
    found = {}
    for (name, probe), projection in zip(probes.items(), projected, strict=True):
        mean, sd = probe.mean, probe.sd
        if units and name in units:
            mean, sd = float(np.nanmean(units[name])), float(np.nanstd(units[name]))
        w = probe.coefficients * (probe.sd / sd)
        kinds = (differences[name], covariance @ w, projection)
        found[name] = Attribute(
            mean,
            sd,
            int(_has_value(values[name]).sum()),
            probe.held_out,
            {kind: direction / (w @ direction) for kind, direction in zip(KINDS, kinds)},
        )
    return found


def _has_value(value: np.ndarray) -> np.ndarray:
    """Which windows have a value or, of a label, have the label."""
    return value if value.dtype == bool else np.isfinite(value)


def lack(value: np.ndarray, pieces: np.ndarray) -> str:
    """Says why no probe can be fitted to values and judged on other pieces; "" where one can.

    Arguments are as in `fit`.
    """
    sides = [value, ~value] if value.dtype == bool else [np.isfinite(value)]
    least = 2 if value.dtype == bool else _FOLDS
    number = min(len(np.unique(pieces[side])) for side in sides)
    if number < least:
        what = "are on one side of it" if value.dtype == bool else "have something to measure"
        return f"{number} pieces {what}, and {least} are needed"
    known = value[np.isfinite(value)]
    if known.min() == known.max():
        return f"all windows have the same value, {known[0]:g}"
    return ""


def _measured_probe(z: np.ndarray, value: np.ndarray, groups: np.ndarray) -> _Probe:
    """Ridge regression of the values, in standard deviations."""
    known = np.isfinite(value)
    mean, sd = float(value[known].mean()), float(value[known].std())
    scaled = (value[known] - mean) / sd
    z, groups = z[known], groups[known]

    def predicted(alpha):
        found = np.empty(len(z))
        for fitted, held_out in GroupKFold(_FOLDS).split(z, groups=groups):
            model = Ridge(alpha=alpha).fit(z[fitted], scaled[fitted])
            found[held_out] = model.predict(z[held_out])
        return r2_score(scaled, found)

    held_out, alpha = max((predicted(alpha), alpha) for alpha in _ALPHAS)
    coefficients = Ridge(alpha=alpha).fit(z, scaled).coef_
    return _Probe(coefficients, mean, sd, float(held_out))


def _label_probe(z: np.ndarray, value: np.ndarray, groups: np.ndarray) -> _Probe:
    """Logistic regression; the attribute is the log odds."""
    # Both sides weigh the same, since few windows have a rare style.
    model = LogisticRegression(C=0.1, class_weight="balanced", max_iter=1000)
    odds = np.full(len(z), np.nan)
    for fitted, held_out in _label_folds(value, groups):
        model.fit(z[fitted], value[fitted])
        # The folds' odds differ in their offset, which says nothing about order within a fold.
        odds[held_out] = model.decision_function(z[held_out])
    model.fit(z, value)
    scores = model.decision_function(z)
    mean, sd = float(scores.mean()), float(scores.std())
    return _Probe(model.coef_[0] / sd, mean, sd, float(roc_auc_score(value, odds)))


def _label_folds(value: np.ndarray, groups: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Splits by piece such that each side of each split has windows with the label and without."""
    # Pieces with the label and without it are dealt out in turn.
    labelled, index = np.unique(groups, return_index=True)
    with_label = value[index]
    folds = min(_FOLDS, int(with_label.sum()), int((~with_label).sum()))
    fold_of = np.empty(len(labelled), np.int64)
    for side in (with_label, ~with_label):
        fold_of[side] = np.arange(side.sum()) % folds
    fold = fold_of[np.searchsorted(labelled, groups)]
    for i in range(folds):
        yield np.flatnonzero(fold != i), np.flatnonzero(fold == i)


def _difference_of_means(z: np.ndarray, value: np.ndarray) -> np.ndarray:
    """The mean of the windows with the most of an attribute, less that of those with the least."""
    if value.dtype == bool:
        return z[value].mean(axis=0) - z[~value].mean(axis=0)
    low, high = np.nanquantile(value, [_GROUP, 1 - _GROUP])
    if low == high:
        # Most windows have one value, as of an open hi-hat that few play.
        return z[value > low].mean(axis=0) - z[value <= low].mean(axis=0)
    return z[value >= high].mean(axis=0) - z[value <= low].mean(axis=0)


def _projections(covariance: np.ndarray, probes: Sequence[np.ndarray]) -> np.ndarray:
    """For each probe the least change of z that moves it by one and the other probes by nothing.

    It minimizes d' S^-1 d subject to W d = e, so that d = S W' (W S W')^-1 e. Probes that depend on
    each other, as the labels of two styles that all pieces share, are told apart as far as they
    can be (by the pseudoinverse).

    Returns:
      An array shaped [probes, z_size].
    """
    w = np.array(probes)
    return (covariance @ w.T @ np.linalg.pinv(w @ covariance @ w.T, hermitian=True)).T
