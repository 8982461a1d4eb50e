"""Ranks against hand-worked ones, and intervals against scipy's and against known truths."""

import numpy as np
import pytest
import scipy.stats
from sklearn import metrics

from pipelines.systems.titles import ranks

pytestmark = pytest.mark.keras3


def rng(seed=0):
    return np.random.default_rng(seed)


def test_ranks_worked_out_by_hand():
    scores = np.array(
        [
            [0.9, 0.1, 0.5, 0.3],  # in order: 0, 2, 3, 1
            [0.9, 0.1, 0.5, 0.3],
            [-1.0, -2.0, -3.0, -4.0],  # in order: 0, 1, 2, 3
            [0.0, 7.0, 5.0, 6.0],  # in order: 1, 3, 2, 0
        ]
    )
    right = np.array(
        [
            [1, 0, 0, 0],  # the first
            [0, 1, 0, 1],  # 3, the better one, is the third
            [0, 0, 0, 1],  # the last
            [0, 0, 1, 0],  # the third
        ],
        bool,
    )
    assert list(ranks.ranks(scores, right, None, rng())) == [1, 3, 4, 3]
    left_out = np.array(
        [
            [0, 1, 1, 1],  # alone: the first
            [0, 0, 0, 1],  # the better one is out: 1 is the last of 0, 2, 1
            [1, 0, 1, 0],  # of 1, 3: the second
            [0, 1, 0, 1],  # of 2, 0: the first
        ],
        bool,
    )
    found = ranks.ranks(scores, right, left_out, rng())
    assert list(found) == [1, 3, 2, 1] and found.dtype == np.int64
    # One wrong candidate above, however many right ones are below it.
    assert list(ranks.ranks([[3, 1, 2]], np.array([[False, True, True]]), None, rng())) == [2]


def test_ties_are_broken_at_random():
    # Two candidates above, four of the same score of which one is right, one below: ranks 3 to 6.
    scores = np.tile([9.0, 8.0, 5.0, 5.0, 5.0, 5.0, 1.0], (4000, 1))
    right = np.zeros(scores.shape, bool)
    right[:, 2] = True
    found = ranks.ranks(scores, right, None, rng())
    counts = np.bincount(found, minlength=8)
    assert counts[:3].sum() == counts[7] == 0
    # A thousand each; the standard deviation is 27.
    assert np.all(np.abs(counts[3:7] - 1000) < 110)
    # Two of the four are right: the best is the first with 1/2, the second with 1/3 (2/4 * 2/3),
    # the third with 1/6.
    right[:, 4] = True
    counts = np.bincount(ranks.ranks(scores, right, None, rng()), minlength=8)
    np.testing.assert_allclose(counts[3:6] / 4000, [1 / 2, 1 / 3, 1 / 6], atol=0.035)
    assert counts[3:6].sum() == 4000
    # What is left out takes no part in a tie.
    left_out = np.zeros(scores.shape, bool)
    left_out[:, [3, 5]] = True
    assert set(ranks.ranks(scores, right, left_out, rng())) == {3}


def test_a_constant_score_is_the_random_baseline():
    size = 200
    right = np.eye(size, dtype=bool)
    # The mean of 1/rank over ranks 1 to n, all alike, is H_n / n.
    expected = sum(1 / rank for rank in range(1, size + 1)) / size
    means = [
        (1 / ranks.ranks(scores, right, None, rng(seed))).mean()
        for seed in range(60)
        for scores in (np.zeros((size, size)), rng(seed + 999).random((size, size)))
    ]
    # One query's deviation is 0.088, that of the mean of 60 * 200 is 0.0008.
    assert np.mean(means[::2]) == pytest.approx(expected, abs=0.003)
    assert np.mean(means[1::2]) == pytest.approx(expected, abs=0.003)


def test_ranks_are_as_other_programs_have_them(monkeypatch):
    scores = rng(1).normal(size=(40, 30)).round(3)
    # No two of a row are the same.
    scores += np.arange(30) * 1e-6
    right = rng(2).random((40, 30)) < 0.1
    right[np.arange(40), rng(3).integers(30, size=40)] = True
    found = ranks.ranks(scores, right, None, rng())
    ordered = np.argsort(-scores, axis=1)
    firsts = 1 + np.argmax(np.take_along_axis(right, ordered, axis=1), axis=1)
    np.testing.assert_array_equal(found, firsts)
    only = np.zeros_like(right)
    only[np.arange(40), np.argmax(np.where(right, scores, -np.inf), axis=1)] = True
    # With one right candidate, the precision at its rank is 1 / rank.
    one = ranks.ranks(scores, only, right & ~only, rng())
    np.testing.assert_array_equal(one, found)
    alone = ranks.ranks(scores, only, None, rng())
    precision = metrics.label_ranking_average_precision_score(only, scores)
    assert (1 / alone).mean() == pytest.approx(precision, abs=1e-12)
    # Blocks make no difference, not even for ties.
    tied = scores.round(0)
    whole = ranks.ranks(tied, right, None, rng(5))
    monkeypatch.setattr(ranks, "_BLOCK", 70)
    np.testing.assert_array_equal(ranks.ranks(tied, right, None, rng(5)), whole)
    assert np.any(whole != found)


@pytest.mark.parametrize(
    "scores, right, left_out, message",
    [
        ([[0.0, np.nan]], [[True, False]], None, "query 0 has a score that is not finite"),
        ([[0.0], [np.inf]], [[True], [True]], None, "query 1 has a score"),
        ([[0.0], [1.0]], [[True], [False]], None, "query 1 has no right"),
        ([[0.0], [1.0]], [[True], [True]], [[True], [False]], "query 0 has no right"),
        ([[0.0, 1.0]], [[True]], None, "shapes"),
        ([0.0, 1.0], [True, True], None, "shapes"),
        ([[0.0, 1.0]], [[1, 0]], None, "bool"),
        (np.zeros((2, 0)), np.zeros((2, 0), bool), None, "query 0 has no right"),
    ],
)
def test_what_cannot_be_ranked(scores, right, left_out, message):
    left_out = None if left_out is None else np.array(left_out)
    with pytest.raises(ValueError, match=message):
        ranks.ranks(np.array(scores), np.array(right), left_out, rng())


def test_measures_worked_out_by_hand():
    # 1/1, 1/2, 1/4, 1/10, 1/20, 1/200 make 1.905.
    found = ranks.summary(np.array([1, 2, 4, 10, 20, 200]), np.arange(6), 300, rng())
    values = {name: measured["value"] for name, measured in found.items()}
    assert values == pytest.approx(
        {
            "R@1": 1 / 6,
            "R@5": 3 / 6,
            "R@10": 4 / 6,
            "R@100": 5 / 6,
            "MRR": 1.905 / 6,
            "median rank": 7,  # between 4 and 10
        }
    )
    for measured in found.values():
        assert measured["low"] <= measured["value"] <= measured["high"]
    assert found["R@1"]["low"] == 0


def test_intervals_of_groups_worked_out_by_hand():
    # Two groups: ranks 1, 1 and rank 4. Drawn twice the first (1 in 4): MRR 1, median 1, R@1 1;
    # twice the second (1 in 4): 1/4, 4, 0; one of each (2 in 4): 3/4, 1, 2/3.
    found = ranks.summary(np.array([1, 1, 4]), np.array([7, 7, 3]), 9, rng(), resamples=4000)
    assert found["MRR"] == {"value": 0.75, "low": 0.25, "high": 1.0}
    assert found["median rank"] == {"value": 1.0, "low": 1.0, "high": 4.0}
    assert found["R@1"] == {"value": pytest.approx(2 / 3), "low": 0.0, "high": 1.0}
    # All queries in one group: nothing varies.
    same = ranks.summary(np.array([1, 1, 4]), np.zeros(3, int), 9, rng())["MRR"]
    assert same == {"value": 0.75, "low": 0.75, "high": 0.75}


def test_intervals_are_as_scipys(monkeypatch):
    found = rng(3).geometric(0.05, size=80)
    made = ranks.summary(found, rng(4).permutation(80), 10_000, rng(5), resamples=8000)
    for name, statistic in [
        ("MRR", lambda x, axis: np.mean(1 / x, axis=axis)),
        ("R@10", lambda x, axis: np.mean(x <= 10, axis=axis)),
        ("median rank", lambda x, axis: np.median(x, axis=axis)),
    ]:
        theirs = scipy.stats.bootstrap(
            (found,),
            statistic,
            n_resamples=8000,
            method="percentile",
            vectorized=True,
            rng=rng(6),
        ).confidence_interval
        width = theirs.high - theirs.low
        assert made[name]["low"] == pytest.approx(theirs.low, abs=0.06 * width)
        assert made[name]["high"] == pytest.approx(theirs.high, abs=0.06 * width)
    monkeypatch.setattr(ranks, "_BLOCK", 333)
    again = ranks.summary(found, rng(4).permutation(80), 10_000, rng(5), resamples=8000)
    assert again == made


def test_intervals_hold_the_truth_where_queries_of_a_group_are_alike():
    # 60 groups of 4 queries of the same rank: 1 or 2, one as often as the other; MRR is 0.75.
    groups = np.repeat(np.arange(60), 4)
    held = narrow = 0
    for seed in range(300):
        found = np.repeat(rng(seed).integers(1, 3, size=60), 4)
        mrr = ranks.summary(found, groups, 2, rng(seed + 999), resamples=300)["MRR"]
        held += mrr["low"] <= 0.75 <= mrr["high"]
        # As if all queries were on their own.
        mrr = ranks.summary(found, np.arange(240), 2, rng(seed), resamples=300)["MRR"]
        narrow += mrr["low"] <= 0.75 <= mrr["high"]
    # 95% of 300 are 285, with a standard deviation of 4. Half the width holds it in 67%.
    assert 268 <= held <= 298
    assert narrow < 235


def test_differences_are_paired():
    # The second is one place behind where the first is third: 1/3 - 1/4 in half of the queries.
    first = np.tile([1, 3], 50)
    second = np.tile([1, 4], 50)
    found = ranks.difference(first, second, np.arange(100), rng())
    assert found["value"] == pytest.approx((1 / 3 - 1 / 4) / 2)
    # The deviation of the mean of 100 is 1/12 * 0.5 / 10.
    assert found["low"] == pytest.approx(1 / 24 - 1.96 / 240, abs=0.001)
    assert found["high"] == pytest.approx(1 / 24 + 1.96 / 240, abs=0.001)
    other = ranks.difference(second, first, np.arange(100), rng())
    assert [other["low"], other["high"]] == pytest.approx([-found["high"], -found["low"]])
    none = ranks.difference(first, first, np.arange(100), rng())
    assert none == {"value": 0.0, "low": 0.0, "high": 0.0}


@pytest.mark.parametrize(
    "found, groups, message",
    [
        ([], [], "shapes"),
        ([1, 2], [1], "shapes"),
        ([0, 1], [1, 2], "from 1"),
        ([1.5], [1], "whole"),
        ([4], [1], "rank of 4 among 3"),
    ],
)
def test_ranks_that_cannot_be(found, groups, message):
    with pytest.raises(ValueError, match=message):
        ranks.summary(np.array(found), np.array(groups), 3, rng())


def test_all_queries_by_all_candidates_of_a_large_test_set():
    scores = rng(1).random((5000, 5000), dtype=np.float32)
    found = ranks.ranks(scores, np.eye(5000, dtype=bool), None, rng())
    made = ranks.summary(found, np.arange(5000) // 2, 5000, rng())
    # The median of 5,000 ranks of 1 to 5,000 has a standard deviation of 35.
    median = made["median rank"]
    assert 2340 < median["low"] < median["value"] < median["high"] < 2660
    assert median["high"] - median["low"] == pytest.approx(2 * 1.96 * 35, rel=0.3)


def test_yes_and_no_are_scores_too():
    scores = np.array([[True, False, False]])
    assert list(ranks.ranks(scores, scores, None, rng())) == [1]
