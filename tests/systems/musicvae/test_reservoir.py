"""Reservoir sampling."""

import numpy as np

from pipelines.systems.musicvae.reservoir import Reservoir


def test_all_items_have_the_same_chance_to_be_kept():
    rng = np.random.default_rng(0)
    kept = np.zeros(6)
    for _ in range(3000):
        reservoir = Reservoir(2, rng)
        for item in range(6):
            reservoir.add(item)
        kept[reservoir.kept] += 1
        assert reservoir.seen == 6
    # Each in a third of 3,000, with a standard deviation of 26.
    np.testing.assert_allclose(kept, 1000, atol=100)


def test_without_a_size_all_are_kept_in_order():
    reservoir = Reservoir(None, np.random.default_rng(0))
    for item in range(9):
        reservoir.add(item)
    assert reservoir.kept == list(range(9))
