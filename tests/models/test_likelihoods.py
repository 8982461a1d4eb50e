"""Likelihoods of bounded numbers, beside scipy's distributions and arithmetic by hand."""

import numpy as np
import pytest
import scipy.stats
import tensorflow.compat.v1 as tf

from models import likelihoods

VELOCITY = (1 / 127, 1.0, 127)
OFFSET = (-1.0, 1.0, 121)
DISTRIBUTIONS = ["bins", "mixture"]


def run(make, *arrays, seed=0):
    """What `make` gives for float32 placeholders of the arrays, in a graph of its own."""
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(seed)
        placeholders = [tf.placeholder(tf.float32, np.shape(array)) for array in arrays]
        return session.run(make(*placeholders), dict(zip(placeholders, arrays, strict=True)))


def raws(likelihood, n=6, spread=1.0):
    return np.random.default_rng(3).normal(scale=spread, size=(n, likelihood.parameters))


def grid_of(low, high, levels):
    return np.linspace(low, high, levels)


def masses(likelihood, raw, grid):
    """The likelihood of each value of the grid, [n, levels]."""
    repeated = np.repeat(raw[:, None], len(grid), axis=1)
    return np.exp(-run(likelihood.loss, repeated, np.tile(grid, (len(raw), 1))))


@pytest.mark.parametrize("grid", [VELOCITY, OFFSET])
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_masses_of_the_grid_add_up_to_one(name, grid):
    likelihood = likelihoods.LIKELIHOODS[name](*grid)
    total = masses(likelihood, raws(likelihood), grid_of(*grid)).sum(axis=1)
    # A bin is not a whole number of values wide.
    assert np.allclose(total, 1, atol=1e-4 if name == "mixture" else 0.06)


def test_a_mixture_is_that_of_logistic_cells():
    likelihood = likelihoods.LogisticMixture(*VELOCITY)
    raw = raws(likelihood)
    logits, means, log_scales = np.split(raw, 3, axis=1)
    weights = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    # Three components begin at -2/3, 0 and 2/3 of [-1, 1].
    cells = scipy.stats.logistic(means + [-2 / 3, 0, 2 / 3], np.exp(log_scales - 1.5))
    edges = np.linspace(-1 - 1 / 126, 1 + 1 / 126, 128)
    edges[[0, -1]] = -np.inf, np.inf
    below = np.array([cells.cdf(edge) for edge in edges])
    expected = (np.diff(below, axis=0) * weights).sum(axis=2).T
    assert np.allclose(masses(likelihood, raw, grid_of(*VELOCITY)), expected, atol=1e-6)


def test_a_mixture_far_from_a_value_has_a_finite_loss_and_gradient():
    likelihood = likelihoods.LogisticMixture(*VELOCITY)
    raw = np.array([[0, 0, 0, 9, 9, 9, -9, -9, -9], [0, 0, 0, -9, -9, -9, -9, -9, -9]], float)

    def both(raw, value):
        loss = likelihood.loss(raw, value)
        return loss, tf.gradients(loss, raw)[0]

    loss, gradient = run(both, raw, np.array([0.5, 0.5]))
    assert np.isfinite(loss).all() and np.isfinite(gradient).all()
    assert (loss > 1000).all() and (np.abs(gradient[:, 3:6]).sum(axis=1) > 1).all()


def test_the_loss_of_a_bin_by_hand():
    # Four equal bins of 120 levels: a quarter of the mass in 30 levels, so log 120 each.
    likelihood = likelihoods.Bins(0.0, 1.0, 120, bins=4)
    loss = run(likelihood.loss, np.zeros((3, 4)), np.array([0.0, 0.6, 1.0]))
    assert np.allclose(loss, np.log(120))
    # Half of the mass in the bin of 0.6, the third: log 60.
    raw = np.log([[1.0, 1.0, 3.0, 1.0]])
    assert np.allclose(run(likelihood.loss, raw, np.array([0.6])), np.log(60))


def test_squared_error_by_hand():
    likelihood = likelihoods.SquaredError(-1.0, 1.0, 121)
    # tanh 0 = 0, and (0 - 0.5)^2 = 0.25.
    assert run(likelihood.loss, np.zeros((1, 1)), np.array([0.5])) == pytest.approx([0.25])


@pytest.mark.parametrize("name", likelihoods.LIKELIHOODS)
def test_gradients_are_those_of_finite_differences(name):
    likelihood = likelihoods.LIKELIHOODS[name](*OFFSET)
    raw, value = raws(likelihood, 4), np.array([-1.0, -0.3, 0.41, 1.0])
    gradient = run(lambda r, v: tf.gradients(likelihood.loss(r, v), r)[0], raw, value)
    step = 1e-2
    for i in range(likelihood.parameters):
        moved = np.zeros(likelihood.parameters)
        moved[i] = step
        above, below = (run(likelihood.loss, raw + way * moved, value) for way in (1, -1))
        assert np.allclose(gradient[:, i], (above - below) / (2 * step), atol=2e-3, rtol=2e-2)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_draws_are_distributed_as_the_likelihood_says(name):
    likelihood = likelihoods.LIKELIHOODS[name](*VELOCITY)
    raw = raws(likelihood, 3)
    grid = grid_of(*VELOCITY)
    drawn = run(likelihood.sample, np.repeat(raw[:, None], 20000, axis=1))
    assert drawn.min() >= VELOCITY[0] - 1e-6 and drawn.max() <= 1 + 1e-6
    cumulated = np.cumsum(masses(likelihood, raw, grid), axis=1)
    for share, of_one in zip(cumulated, drawn, strict=True):
        empirical = np.searchsorted(np.sort(of_one), grid + 0.5 / 126) / len(of_one)
        # The Kolmogorov distance of 20,000 draws is 0.0115 at the 1% level; bins are 4 cells wide.
        assert np.abs(share / share[-1] - empirical).max() < 0.03


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_the_median_halves_the_draws_and_cold_draws_agree(name):
    likelihood = likelihoods.LIKELIHOODS[name](*OFFSET)
    raw = raws(likelihood, 4)
    many = np.repeat(raw[:, None], 20000, axis=1)
    median = run(likelihood.median, raw)[:, None]
    drawn = run(likelihood.sample, many)
    # Several draws may be equal to the median, at the ends of the range.
    assert ((drawn < median - 1e-3).mean(axis=1) < 0.52).all()
    assert ((drawn > median + 1e-3).mean(axis=1) < 0.52).all()
    cold = run(lambda r: likelihood.sample(r, 1e-6), many[:, :50])
    assert np.ptp(cold, axis=1).max() < 1e-4
