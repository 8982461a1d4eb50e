"""Interpolation between latent vectors."""

import numpy as np
import pytest

from pipelines.systems.musicvae.latent import slerp


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
