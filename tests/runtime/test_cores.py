"""Batches that are computed in halves on two cores."""

import numpy as np
import pytest
import tensorflow as tf

from pipelines.runtime import cores


@pytest.fixture
def calls():
    return []


@pytest.fixture
def run(calls):
    def run(x, pair, none):
        calls.append(x.shape[0])
        assert none is None
        return x * pair[0] + pair[1]

    return run


@pytest.mark.parametrize(
    "two_cores, batch, units, parts",
    [
        (True, 5, 20, [3, 2]),
        (True, 4, 25, [2, 2]),
        (True, 4, 24, [4]),  # 96 numbers are too few for halves to pay.
        (True, 5, 0, [5]),
        (False, 5, 20, [5]),
    ],
)
def test_a_batch_is_split_where_that_pays(two_cores, batch, units, parts, run, calls, monkeypatch):
    monkeypatch.setattr(cores, "halved", lambda: two_cores)
    monkeypatch.setattr(cores, "_HALVES_FROM", 100)
    rng = np.random.default_rng(0)
    x, a, b = rng.normal(size=(3, batch, 2))
    with tf.Graph().as_default():
        given = tf.constant(x), (tf.constant(a), tf.constant(b)), None
        made = cores.in_halves(run, units, *given)
        with tf.compat.v1.Session() as session:
            found = session.run(made)
    assert calls == parts
    np.testing.assert_allclose(found, x * a + b)


@pytest.mark.parametrize(
    "count, gpus, halved", [(2, [], True), (1, [], False), (3, [], False), (2, ["a GPU"], False)]
)
def test_only_two_cores_without_a_gpu_take_halves(count, gpus, halved, monkeypatch):
    monkeypatch.setattr(cores, "count", lambda: count)
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: gpus)
    assert cores.halved() == halved
