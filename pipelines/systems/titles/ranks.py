"""How well queries find what belongs to them: ranks, R@k, MRR and their bootstrap intervals."""

from collections.abc import Iterator

import numpy as np

CUTOFFS = (1, 5, 10, 100)
# The ends of a 95% interval.
_PERCENTILES = (2.5, 97.5)
# How many scores, or drawn weights, are looked at together.
_BLOCK = 1 << 22


def ranks(
    scores: np.ndarray,
    right: np.ndarray,
    left_out: np.ndarray | None,
    rng: np.random.Generator,
) -> np.ndarray:
    """The rank of the best right candidate of each query.

    Candidates with exactly the same score are put in a random order, so that a score that says
    nothing, such as a constant, does no better than chance.

    Args:
      scores: [queries, candidates], any numbers; the higher, the better.
      right: [queries, candidates], bool: which candidates belong to the query.
      left_out: [queries, candidates], bool: which candidates are not ranked, being neither right
        nor wrong, such as other versions of the query's tune; or None.
      rng: orders candidates with the same score. The order does not depend on how many scores are
        looked at together.

    Returns:
      [queries], int64, from 1: one more than the number of wrong candidates before the best right
      one.

    Raises:
      ValueError: for shapes that differ, scores that are not finite (left out or not), and a query
        without a right candidate.
    """
    scores, right = np.asarray(scores), np.asarray(right)
    if scores.dtype == bool:
        scores = scores.astype(np.int8)
    shapes = [scores.shape, right.shape]
    if left_out is not None:
        left_out = np.asarray(left_out)
        shapes.append(left_out.shape)
    if scores.ndim != 2 or len(set(shapes)) > 1:
        raise ValueError(f"scores, right and left_out of shapes {shapes}; [queries, candidates]")
    if right.dtype != bool or (left_out is not None and left_out.dtype != bool):
        raise ValueError("right and left_out must be bool")
    found = np.empty(len(scores), np.int64)
    for rows in _blocks(len(scores), scores.shape[1]):
        values, belongs = scores[rows], right[rows]
        if not np.isfinite(values).all():
            at = rows.start + int(np.argmin(np.isfinite(values).all(axis=1)))
            raise ValueError(f"query {at} has a score that is not finite")
        wrong = ~belongs
        if left_out is not None:
            belongs = belongs & ~left_out[rows]
            wrong &= ~left_out[rows]
        if not belongs.any(axis=1).all():
            at = rows.start + int(np.argmin(belongs.any(axis=1)))
            raise ValueError(f"query {at} has no right candidate")
        best = _highest(values, belongs)
        found[rows] = 1 + (wrong & (values > best)).sum(axis=1)
        right_ties, wrong_ties = belongs & (values == best), wrong & (values == best)
        # Numbers are drawn only for queries with a tie.
        for row in np.flatnonzero(wrong_ties.any(axis=1)):
            drawn = rng.random(int(values.shape[1]))
            first = drawn[right_ties[row]].max()
            found[rows.start + row] += (drawn[wrong_ties[row]] > first).sum()
    return found


def summary(
    ranks: np.ndarray,
    groups: np.ndarray,
    candidates: int,
    rng: np.random.Generator,
    resamples: int = 2000,
) -> dict[str, dict[str, float]]:
    """R@k, MRR and the median rank with 95% intervals.

    The intervals are percentiles of a bootstrap (Efron & Tibshirani, 1993, chapter 13) over groups,
    since queries of one group, such as versions of one tune, succeed and fail together. One group
    alone has intervals of width zero, which say nothing.

    Args:
      ranks: [queries], from 1, as `ranks` gives them.
      groups: [queries], int: the group of each query.
      candidates: how many candidates were ranked; no rank is above it.
      rng: draws the groups.
      resamples: how many times all groups are drawn, with replacement.

    Returns:
      "value", "low" and "high" of each of "R@1", "R@5", "R@10", "R@100" (parts of one), "MRR" and
      "median rank".

    Raises:
      ValueError: for no queries, shapes that differ, or ranks outside of 1 to `candidates`.
    """
    ranks, groups, count = _checked(ranks, groups)
    if ranks.max() > candidates:
        raise ValueError(f"a rank of {ranks.max()} among {candidates} candidates")
    names = [*(f"R@{cutoff}" for cutoff in CUTOFFS), "MRR"]
    each = np.stack([*(ranks <= cutoff for cutoff in CUTOFFS), 1.0 / ranks], axis=1)
    # For each group: the sums of what is averaged, and the number of queries.
    sums = np.zeros((count, len(names)))
    np.add.at(sums, groups, each)
    sizes = np.bincount(groups, minlength=count)
    order = np.argsort(ranks, kind="stable")
    means, medians = [], []
    for drawn in _draws(count, max(count, len(ranks)), resamples, rng):
        means.append(drawn @ sums / (drawn @ sizes)[:, None])
        medians.append(_medians(ranks[order], drawn[:, groups[order]]))
    values = [*each.mean(axis=0), np.median(ranks)]
    spread = np.column_stack([np.concatenate(means), np.concatenate(medians)])
    return {
        name: _interval(value, resampled)
        for name, value, resampled in zip([*names, "median rank"], values, spread.T, strict=True)
    }


def difference(
    ranks_a: np.ndarray,
    ranks_b: np.ndarray,
    groups: np.ndarray,
    rng: np.random.Generator,
    resamples: int = 2000,
) -> dict[str, float]:
    """The MRR of `ranks_a` less that of `ranks_b`, of the same queries, with its 95% interval.

    Both are drawn together (a paired bootstrap over groups), so that queries which are hard for
    both do not widen the interval.

    Args:
      ranks_a: [queries], from 1.
      ranks_b: [queries], from 1.
      groups: [queries], int: the group of each query.
      rng: draws the groups.
      resamples: how many times.

    Returns:
      "value", "low" and "high".

    Raises:
      ValueError: for no queries, shapes that differ, or ranks below 1.
    """
    first, numbered, count = _checked(ranks_a, groups)
    second, _, _ = _checked(ranks_b, groups)
    gains = 1.0 / first - 1.0 / second
    sums = np.bincount(numbered, weights=gains, minlength=count)
    sizes = np.bincount(numbered, minlength=count)
    resampled = [drawn @ sums / (drawn @ sizes) for drawn in _draws(count, count, resamples, rng)]
    return _interval(gains.mean(), np.concatenate(resampled))


def _blocks(count: int, width: int) -> Iterator[slice]:
    step = max(1, _BLOCK // max(width, 1))
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))


def _highest(values: np.ndarray, among: np.ndarray) -> np.ndarray:
    """The highest of the values among some, [rows, 1]; each row has one."""
    lowest = -np.inf if values.dtype.kind == "f" else np.iinfo(values.dtype).min
    return np.max(values, axis=1, keepdims=True, initial=lowest, where=among)


def _checked(ranks: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """The ranks, the groups numbered from 0, and how many groups there are."""
    ranks, groups = np.asarray(ranks), np.asarray(groups)
    if ranks.ndim != 1 or ranks.shape != groups.shape or not len(ranks):
        raise ValueError(f"ranks and groups of shapes {ranks.shape} and {groups.shape}; [queries]")
    if ranks.dtype.kind not in "iu" or ranks.min() < 1:
        raise ValueError("ranks must be whole numbers from 1")
    names, numbered = np.unique(groups, return_inverse=True)
    return ranks, numbered, len(names)


def _draws(
    count: int, width: int, resamples: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """How often each group is drawn, [a block of resamples, groups]; `width` bounds the block."""
    for rows in _blocks(resamples, width):
        size = rows.stop - rows.start
        drawn = rng.integers(count, size=(size, count))
        drawn += np.arange(size)[:, None] * count
        yield np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count)


def _medians(ranks: np.ndarray, times: np.ndarray) -> np.ndarray:
    """The medians of sorted ranks [queries], each taken `times` [resamples, queries]."""
    ends = np.cumsum(times, axis=1)
    totals = ends[:, -1:]
    lower, upper = ((ends <= middle).sum(axis=1) for middle in ((totals - 1) // 2, totals // 2))
    return (ranks[lower] + ranks[upper]) / 2


def _interval(value: float, resampled: np.ndarray) -> dict[str, float]:
    low, high = np.percentile(resampled, _PERCENTILES)
    return {"value": float(value), "low": float(low), "high": float(high)}
