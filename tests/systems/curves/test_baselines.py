"""N-grams by hand."""

import numpy as np

from pipelines.systems.curves.baselines import NGrams


def test_witten_bell_by_hand():
    grams = NGrams([[0, 1, 0, 2], [0, 1]], size=4, order=2)
    # 6 curves, 3 different: 0 three times, 1 twice, 2 once, over a uniform 1/4 that weighs 3.
    alone = np.array([3.75, 2.75, 1.75, 0.75]) / 9
    np.testing.assert_allclose(grams.probabilities([]), alone)
    # After 0: 1 twice, 2 once; two different, so that `alone` weighs 2.
    after = (np.array([0, 2, 1, 0]) + 2 * alone) / 5
    np.testing.assert_allclose(grams.probabilities([0]), after)
    np.testing.assert_allclose(grams.probabilities([3, 0]), after)
    # Nothing followed 2.
    np.testing.assert_allclose(grams.probabilities([2]), alone)


def test_probabilities_add_up():
    rng = np.random.default_rng(0)
    sequences = [rng.integers(0, 5, 40).tolist() for _ in range(4)]
    grams = NGrams(sequences, size=6, order=5)
    for end in range(40):
        found = grams.probabilities(sequences[0][:end])
        assert found.min() > 0
        np.testing.assert_allclose(found.sum(), 1)
