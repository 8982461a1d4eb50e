"""N-grams by hand."""

import numpy as np

from pipelines.systems.curves.baselines import Counted, n_grams, n_grams_in_place

NOTHING = np.zeros((0, 3), np.int64)


def bigrams(*sequences: list[int], size: int) -> Counted:
    seen = [pair for one in sequences for pair in zip(n_grams(one, NOTHING, 2), one)]
    return Counted(seen, size)


def test_witten_bell_by_hand():
    grams = bigrams([0, 1, 0, 2], [0, 1], size=4)
    # 6 curves, 3 different: 0 three times, 1 twice, 2 once, over a uniform 1/4 that weighs 3.
    alone = np.array([3.75, 2.75, 1.75, 0.75]) / 9
    np.testing.assert_allclose(grams.probabilities([()]), alone)
    # After 0: 1 twice, 2 once; two different, so that `alone` weighs 2.
    after = (np.array([0, 2, 1, 0]) + 2 * alone) / 5
    np.testing.assert_allclose(grams.probabilities([(), (0,)]), after)
    # Nothing followed 2.
    np.testing.assert_allclose(grams.probabilities([(), (2,)]), alone)


def test_contexts_by_hand():
    assert n_grams([5, 6, 7, 8], NOTHING, 3) == [
        [()],
        [(), (5,)],
        [(), (6,), (5, 6)],
        [(), (7,), (6, 7)],
    ]
    known = np.array([[1, 0, 5], [13, 4, 5], [25, 7, 5]])
    assert n_grams_in_place([5, 6], known, 2) == [
        [(), (1, 5), (1, 5, 0)],
        [(), (13, 5), (13, 5, 4), ((13, 5, 4), (5,))],
    ]


def test_probabilities_add_up():
    rng = np.random.default_rng(0)
    sequences = [rng.integers(0, 5, 40).tolist() for _ in range(4)]
    known = rng.integers(0, 3, (40, 3))
    seen = [pair for one in sequences for pair in zip(n_grams_in_place(one, known, 3), one)]
    counted = Counted(seen, size=6)
    for contexts in n_grams_in_place(sequences[0], known, 3):
        found = counted.probabilities(contexts)
        assert found.min() > 0
        np.testing.assert_allclose(found.sum(), 1)
