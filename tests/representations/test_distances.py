"""Distances of distributions and windows, by hand and against brute force."""

import numpy as np
import pytest

from pipelines.representations.distances import (
    frechet,
    js_divergence,
    nearest_f1,
    overlap_area,
    principal_axes,
)


def test_overlap_area():
    # Shares 1/4 1/2 1/4 and 1/2 1/2 0: 1/4 + 1/2.
    assert overlap_area([1, 2, 1], [5, 5, 0]) == pytest.approx(3 / 4)
    assert overlap_area([1, 2, 1], [10, 20, 10]) == pytest.approx(1)
    assert overlap_area([1, 0], [0, 3]) == 0
    np.testing.assert_allclose(overlap_area([[1, 2, 1], [1, 0, 0]], [5, 5, 0]), [3 / 4, 1 / 2])


def test_js_divergence():
    # Of (1, 0) and (1/2, 1/2), with the mean (3/4, 1/4): half of log2(4/3), and half of
    # 1/2 log2(2/3) + 1/2 log2(2).
    expected = (np.log2(4 / 3) + (np.log2(2 / 3) + 1) / 2) / 2
    assert js_divergence([3, 0], [2, 2]) == pytest.approx(expected)
    assert js_divergence([1, 0], [0, 1]) == pytest.approx(1)
    assert js_divergence([1, 3], [2, 6]) == pytest.approx(0, abs=1e-12)


def test_frechet_by_hand():
    # Variances (n - 1 in the denominator) 2 and 8, means 0 and 3: 3^2 + (sqrt 8 - sqrt 2)^2 = 11.
    assert frechet(np.array([[-1.0], [1]]), np.array([[1.0], [5]])) == pytest.approx(11)
    # Independent dimensions add up; the second is the same in both.
    square = np.array([[-1.0, -1], [1, -1], [-1, 1], [1, 1]])
    assert frechet(square, square * [2, 1] + [3, 0]) == pytest.approx(9 + 4 / 3)


def test_frechet_is_a_distance():
    rng = np.random.default_rng(0)
    one = rng.standard_normal((200, 5)) @ rng.standard_normal((5, 5))
    other = rng.standard_normal((100, 5)) + 1
    assert frechet(one, one) == pytest.approx(0, abs=1e-9)
    assert frechet(one, other) == pytest.approx(frechet(other, one)) and frechet(one, other) > 0
    # It does not change with the axes, nor where a dimension is constant.
    axes, _ = np.linalg.qr(rng.standard_normal((5, 5)))
    assert frechet(one @ axes, other @ axes) == pytest.approx(frechet(one, other))
    wider = [np.pad(each, [(0, 0), (0, 1)]) for each in (one, other)]
    assert frechet(*wider) == pytest.approx(frechet(one, other))


def test_principal_axes():
    rng = np.random.default_rng(0)
    # Much variance along (3, 4) / 5, a little across it, and a mean that does not matter.
    vectors = rng.standard_normal((500, 2)) * [10, 0.1] @ np.array([[0.6, 0.8], [-0.8, 0.6]]) + 7
    (axis,) = principal_axes(vectors, 1).T
    np.testing.assert_allclose(np.abs(axis), [0.6, 0.8], atol=0.01)
    axes = principal_axes(vectors, 9)
    np.testing.assert_allclose(axes.T @ axes, np.eye(2), atol=1e-12)


def pack(rows):
    return np.packbits(np.array(rows, bool), axis=1)


def test_nearest_f1_by_hand():
    learnt = pack([[1, 1, 0, 0], [0, 0, 1, 1]])
    # Two of two and three notes in common with the first: 4 / 5. None with either. One of one.
    found = nearest_f1(pack([[1, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 1]]), learnt)
    np.testing.assert_allclose(found, [4 / 5, 0, 2 / 3, 1])
    # Silence is a copy of silence.
    assert nearest_f1(pack([[0, 0]]), pack([[0, 0]])) == [1]


def test_nearest_f1_in_blocks(monkeypatch):
    rng = np.random.default_rng(0)
    ours, others = (rng.random((n, 37)) < 0.3 for n in (23, 51))
    expected = [
        max(2 * (one & other).sum() / (one.sum() + other.sum()) for other in others) for one in ours
    ]
    for numbers in (1, 200, 1 << 20):
        monkeypatch.setattr("pipelines.representations.distances._MAX_NUMBERS", numbers)
        np.testing.assert_allclose(nearest_f1(pack(ours), pack(others)), expected, rtol=1e-6)
