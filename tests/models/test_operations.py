"""models.accelerated.operations: the values that they give."""

import numpy as np
import pytest

from pipelines.runtime import magenta_compat

magenta_compat.apply()

import tensorflow.compat.v1 as tf  # noqa: E402

from models.accelerated import operations  # noqa: E402


def run(make, *given):
    with tf.Graph().as_default():
        tf.set_random_seed(4)
        with tf.Session() as session:
            return session.run(make(*map(tf.constant, given)))


@pytest.mark.parametrize("keep", [0.3, 0.5, 1e-9, 1 - 1e-9])
def test_dropout_keeps_the_expectation(keep):
    """p is `keep` in 65,536ths, at least 1 and at most 65,535; what is kept is scaled by 1 / p."""
    p = min(max(round(keep * 65536), 1), 65535) / 65536
    found = run(lambda x: operations.dropout(x, keep), np.full([7, 1001, 9], 2, np.float32))
    assert found.shape == (7, 1001, 9)
    kept = found != 0
    assert np.unique(found[kept]) == pytest.approx(2 / p)
    # Within 5 standard errors, and 1 more for 1e-9, with which few of 63,063 are kept.
    assert abs(kept.mean() - p) < 5 * np.sqrt(p * (1 - p) / kept.size)


def test_dropped_numbers_have_no_pattern():
    """Neighbours in each direction are kept together as often as by chance: 0.3 ** 2."""
    kept = run(lambda x: operations.dropout(x, 0.3), np.ones([64, 64, 64], np.float32)) != 0
    for axis in range(3):
        for apart in (1, 2, 4):
            both = kept & np.roll(kept, apart, axis)
            assert abs(both.mean() - 0.09) < 5 * np.sqrt(0.09 * 0.91 / kept.size)


def test_nothing_is_dropped_by_a_keep_prob_of_1():
    x = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    assert (run(lambda x: operations.dropout(x, 1.0), x) == x).all()


def test_z_repeated_has_the_sum_of_the_steps_as_gradient():
    """z = [[1, 2]], 3 steps; of step t the gradients are [t, 10 t]: the sums are 0 + 1 + 2."""
    steps = np.zeros([3, 1, 4], np.float32)
    weights = np.array([[[0, 0]], [[1, 10]], [[2, 20]]], np.float32)

    def make(z, steps, weights):
        repeated = operations.repeated(z, steps)
        return repeated, tf.gradients(tf.reduce_sum(repeated * weights), z)[0]

    repeated, gradient = run(make, np.array([[1, 2]], np.float32), steps, weights)
    assert repeated.tolist() == [[[1, 2]]] * 3
    assert gradient.tolist() == [[3, 30]]
