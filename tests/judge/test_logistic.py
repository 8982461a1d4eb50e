import numpy as np
import pytest

from pipelines.judge import logistic


def counted(wanted_at_one, others_at_one, each=100):
    """Rows of a feature that is 0 or 1, `each` of both kinds."""
    rows = [
        np.repeat([1.0, 0.0], [count, each - count]) for count in (others_at_one, wanted_at_one)
    ]
    return np.concatenate(rows)[:, None], np.repeat([0, 1], each)


def test_odds_are_those_of_the_counts():
    weights, bias = logistic.fit(*counted(80, 20), penalty=1e-6)
    # Odds of 80 to 20 where the feature is 1, and of 20 to 80 where it is 0.
    assert bias == pytest.approx(-np.log(4), abs=1e-3)
    assert weights == pytest.approx([2 * np.log(4)], abs=1e-3)
    held, _ = logistic.fit(*counted(80, 20), penalty=100)
    assert 0 < held[0] < weights[0] / 2


def test_kinds_count_the_same_where_they_are_balanced():
    rows, wanted = np.zeros((100, 1)), np.arange(100) < 20
    assert logistic.fit(rows, wanted)[1] == pytest.approx(0, abs=1e-6)
    assert logistic.fit(rows, wanted, balanced=False)[1] == pytest.approx(-np.log(4), abs=1e-3)


def test_one_kind_alone_has_no_weights():
    weights, bias = logistic.fit(np.ones((5, 2)), np.ones(5))
    assert weights.tolist() == [0, 0] and bias == 0
