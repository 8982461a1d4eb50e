import numpy as np
import pytest

from models import ppm


def test_by_hand():
    """The tune a b a b: at the second b, a was followed by b once and b was half of two tokens.

    In order 0, three tokens of two kinds make 5 parts: a has 2, b 1, the other model 2. In order 1,
    after a, b has 1 of 2 parts.
    """
    found = ppm.predict([0, 1, 0, 1], order=1)
    np.testing.assert_allclose(found.own, [0, 0, 1 / 4, 1 / 2 + 1 / 2 * 1 / 5])
    np.testing.assert_allclose(found.passed, [1, 1 / 2, 1 / 2, 1 / 2 * 2 / 5])
    assert found.matched.tolist() == [-1, 0, 0, 1]


@pytest.mark.parametrize("order", [0, 1, 3, 8])
def test_the_mixture_is_a_distribution(order):
    """Over all tokens, with any distribution of the other model and any shares."""
    rng = np.random.default_rng(3)
    size = 6
    tune = rng.integers(0, size - 1, size=40).tolist()
    mixture = ppm.Mixture(rng.random(order + 2))
    model = ppm.Ppm(order)
    for token in tune:
        other = rng.dirichlet(np.ones(size))
        rows = [model.predict(each) for each in range(size)]
        own, passed, matched = (np.array(column) for column in zip(*rows))
        assert len(set(passed.tolist())) == len(set(matched.tolist())) == 1
        found = mixture.probabilities(other, ppm.Predicted(own, passed, matched))
        assert found.sum() == pytest.approx(1)
        assert found.min() > 0
        model.add(token)


def test_fitting_finds_the_best_shares():
    """Better than any on a grid, for the tunes that it was fitted on."""
    rng = np.random.default_rng(4)
    tunes = [[0, 1, 2, 3] * 4 + rng.integers(0, 8, size=8).tolist() for _ in range(5)]
    others = [np.full(len(tune), 1 / 8) for tune in tunes]
    so_far = [ppm.predict(tune, 1) for tune in tunes]

    def bits(weights):
        mixture = ppm.Mixture(np.array(weights))
        return -sum(
            np.log2(mixture.probabilities(*both)).sum() for both in zip(others, so_far, strict=True)
        )

    fitted = ppm.fit(others, so_far, order=1, rounds=200)
    grid = np.linspace(0.01, 0.99, 15)
    best = min(bits([0.5, low, high]) for low in grid for high in grid)
    assert bits(fitted.weights) <= best + 1e-3
    assert bits(fitted.weights) < bits([0.5, 0.5, 0.5])
