import numpy as np

from pipelines.judge import additive


def test_kinds_are_told_apart_by_the_middle_of_a_range():
    rng = np.random.default_rng(1)
    rows = rng.uniform(-1, 1, (2000, 2))
    wanted = np.abs(rows[:, 0]) < 0.5  # No straight line tells that.
    model = additive.Additive(additive.fit(rows, wanted), 2)
    fresh = np.array([[0.0, 0.3], [0.9, 0.3], [-0.9, 0.3], [99.0, 0.0]])
    assert (model(fresh) > 0).tolist() == [True, False, False, False]
    # The second number says nothing.
    parts = model.parts(fresh)
    assert np.abs(parts[:, 1]).max() < np.abs(parts[:, 0]).min()
    np.testing.assert_allclose(parts.sum(axis=1) + model._bias, model(fresh))


def test_both_kinds_count_the_same_however_many_they_are():
    rows = np.concatenate([np.zeros((30, 1)), np.ones((970, 1))])
    wanted = np.arange(1000) % 10 == 0  # As often among each.
    model = additive.Additive(additive.fit(rows, wanted), 1)
    np.testing.assert_allclose(model(np.array([[0.0], [1.0]])), 0, atol=0.1)


def test_learning_again_gives_the_same():
    rows = np.random.default_rng(2).normal(size=(200, 3))
    wanted = rows[:, 0] > 0
    first, second = additive.fit(rows, wanted), additive.fit(rows, wanted)
    assert all(np.array_equal(first[name], second[name]) for name in first)
