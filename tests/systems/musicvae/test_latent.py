"""Interpolation between latent vectors, their average, and the grid between four."""

import numpy as np
import pytest

from pipelines.systems.musicvae.latent import average, grid, slerp


def test_quarter_turn_by_hand():
    half = slerp(np.array([1.0, 0.0]), np.array([0.0, 1.0]), 0.5)
    np.testing.assert_allclose(half, [np.sqrt(0.5), np.sqrt(0.5)])


def test_ends_are_the_ends():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 16))
    np.testing.assert_allclose(slerp(a, b, 0.0), a)
    np.testing.assert_allclose(slerp(a, b, 1.0), b)


@pytest.mark.parametrize(
    "a, b",
    [
        ([1.0, 2.0], [1.0, 2.0]),
        ([1.0, 2.0], [2.0, 4.0]),
        ([1.0, 2.0], [-1.0, -2.0]),
        ([0.0, 0.0], [1.0, 1.0]),
        ([0.0, 0.0], [0.0, 0.0]),
    ],
)
def test_parallel_vectors_take_the_straight_line(a, b):
    a, b = np.array(a), np.array(b)
    np.testing.assert_allclose(slerp(a, b, 0.25), 0.75 * a + 0.25 * b)


def test_the_average_of_two_is_halfway_between_them():
    a, b = np.array([3.0, 0.0]), np.array([0.0, 3.0])
    np.testing.assert_allclose(average([a, b]), slerp(a, b, 0.5))
    np.testing.assert_allclose(average([a, a, a]), a)


def test_the_average_of_three_by_hand():
    """The mean (2, 1) has length sqrt 5, and the lengths are 3, 3 and 3."""
    vectors = np.array([[3.0, 0.0], [3.0, 0.0], [0.0, 3.0]])
    np.testing.assert_allclose(average(vectors), np.array([2, 1]) * 3 / np.sqrt(5))


def test_opposite_vectors_average_to_nothing():
    np.testing.assert_array_equal(average(np.array([[1.0, 2.0], [-1.0, -2.0]])), [0, 0])


def test_a_grid_has_its_corners_and_their_halves():
    corners = np.eye(4)
    points = grid(corners, 3).reshape(3, 3, 4)
    for (row, column), corner in zip(((0, 0), (0, 2), (2, 0), (2, 2)), corners):
        np.testing.assert_allclose(points[row, column], corner, atol=1e-12)
    half = np.sqrt(0.5)
    np.testing.assert_allclose(points[0, 1], [half, half, 0, 0], atol=1e-12)
    np.testing.assert_allclose(points[1, 2], [0, half, 0, half], atol=1e-12)
    # The middle is as far from all corners, and as long as they are.
    np.testing.assert_allclose(points[1, 1], [0.5] * 4)
    np.testing.assert_allclose(grid(corners, 1), corners[:1])
