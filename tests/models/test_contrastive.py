"""The losses of the dual tower against arithmetic by hand, another program, and differences."""

import math

import keras
import numpy as np
import pytest
import scipy.special
import tensorflow as tf

from models import contrastive

pytestmark = pytest.mark.keras3

NONE_SAME = np.eye(3, dtype=bool)
SCORES = np.array([[0.9, 0.2, 0.6], [0.1, 0.3, 0.5], [-0.4, 0.8, 0.0]], np.float32)
# Tunes 0 and 2 are versions of one tune.
VERSIONS = np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1]], bool)


def hinge(scores, same, **kwargs):
    return float(contrastive.hinge(tf.constant(scores), tf.constant(same), **kwargs))


def info_nce(scores, same, temperature):
    return float(contrastive.info_nce(tf.constant(scores), tf.constant(same), temperature))


def test_hinge_by_hand():
    # Tune to titles, max(0, 0.4 - own + other):
    #   tune 0 (own 0.9): -0.3 -> 0, 0.1            mean 0.05
    #   tune 1 (own 0.3): 0.2, 0.6                  mean 0.4
    #   tune 2 (own 0.0): 0.0, 1.2                  mean 0.6
    # Title to tunes, down the columns:
    #   title 0 (own 0.9): -0.4 -> 0, -0.9 -> 0     mean 0
    #   title 1 (own 0.3): 0.3, 0.9                 mean 0.6
    #   title 2 (own 0.0): 1.0, 0.9                 mean 0.95
    # (1.05 / 3 + 1.55 / 3) / 2 = 2.6 / 6
    assert contrastive.MARGIN == 0.4
    assert hinge(SCORES, NONE_SAME) == pytest.approx(2.6 / 6, abs=1e-6)
    # At margin 0: 0, 0; 0, 0.2; 0, 0.8 and 0, 0; 0, 0.5; 0.6, 0.5.
    assert hinge(SCORES, NONE_SAME, margin=0.0) == pytest.approx((0.5 + 0.8) / 6, abs=1e-6)


def test_hinge_leaves_out_what_is_the_same():
    # Without the pairs (0, 2) and (2, 0) of the test above:
    #   tune 0: 0; tune 1: 0.4; tune 2: 1.2. Title 0: 0; title 1: 0.6; title 2: 0.9.
    assert hinge(SCORES, VERSIONS) == pytest.approx((1.6 + 1.5) / 6, abs=1e-6)


def test_info_nce_by_hand():
    # At temperature 0.5 the scores, doubled:
    #   1.8  0.4  1.2
    #   0.2  0.6  1.0
    #  -0.8  1.6  0.0
    e = math.exp
    rows = [
        math.log(e(1.8) + e(0.4) + e(1.2)) - 1.8,
        math.log(e(0.2) + e(0.6) + e(1.0)) - 0.6,
        math.log(e(-0.8) + e(1.6) + e(0.0)) - 0.0,
    ]
    columns = [
        math.log(e(1.8) + e(0.2) + e(-0.8)) - 1.8,
        math.log(e(0.4) + e(0.6) + e(1.6)) - 0.6,
        math.log(e(1.2) + e(1.0) + e(0.0)) - 0.0,
    ]
    expected = (sum(rows) + sum(columns)) / 6
    assert info_nce(SCORES, NONE_SAME, 0.5) == pytest.approx(expected, abs=1e-5)


def test_info_nce_leaves_out_what_is_the_same():
    e = math.exp
    rows = [
        math.log(e(1.8) + e(0.4)) - 1.8,
        math.log(e(0.2) + e(0.6) + e(1.0)) - 0.6,
        math.log(e(1.6) + e(0.0)) - 0.0,
    ]
    columns = [
        math.log(e(1.8) + e(0.2)) - 1.8,
        math.log(e(0.4) + e(0.6) + e(1.6)) - 0.6,
        math.log(e(1.0) + e(0.0)) - 0.0,
    ]
    expected = (sum(rows) + sum(columns)) / 6
    assert info_nce(SCORES, VERSIONS, 0.5) == pytest.approx(expected, abs=1e-5)


def test_equal_scores():
    """Nothing is told apart: the margin, and the logarithm of the batch."""
    scores = np.full((4, 4), 0.25, np.float32)
    assert hinge(scores, np.eye(4, dtype=bool)) == pytest.approx(0.4, abs=1e-6)
    assert info_nce(scores, np.eye(4, dtype=bool), 0.07) == pytest.approx(math.log(4), abs=1e-5)


def random_batch(seed):
    rng = np.random.default_rng(seed)
    size = int(rng.integers(2, 12))
    groups = rng.integers(0, rng.integers(2, 12), size)
    scores = rng.uniform(-1, 1, (size, size)).astype(np.float32)
    return scores, groups[:, None] == groups


@pytest.mark.parametrize("seed", range(30))
def test_both_against_another_program(seed):
    """Loops over pairs in double precision, with SciPy's logsumexp."""
    scores, same = random_batch(seed)
    temperature = (0.01, 0.07, 1.0)[seed % 3]
    expected = {"hinge": [], "infonce": []}
    for values, apart in ((scores, ~same), (scores.T, ~same.T)):
        for i, row in enumerate(values.astype(float)):
            others = row[apart[i]]
            losses = [max(0.0, 0.4 - row[i] + other) for other in others]
            expected["hinge"].append(np.mean(losses) if losses else 0.0)
            logits = np.array([row[i], *others]) / temperature
            expected["infonce"].append(scipy.special.logsumexp(logits) - logits[0])
    assert hinge(scores, same) == pytest.approx(np.mean(expected["hinge"]), abs=1e-5)
    assert info_nce(scores, same, temperature) == pytest.approx(
        np.mean(expected["infonce"]), rel=1e-4, abs=1e-5
    )


@pytest.mark.parametrize("seed", range(10))
def test_both_directions_count_the_same(seed):
    scores, same = random_batch(seed)
    assert hinge(scores.T, same.T) == pytest.approx(hinge(scores, same), abs=1e-6)
    assert info_nce(scores.T, same.T, 0.1) == pytest.approx(info_nce(scores, same, 0.1), abs=1e-5)


@pytest.mark.parametrize("seed", range(10))
def test_the_order_of_the_batch_makes_no_difference(seed):
    scores, same = random_batch(seed)
    order = np.random.default_rng(seed).permutation(len(scores))
    moved = scores[order][:, order], same[order][:, order]
    assert hinge(*moved) == pytest.approx(hinge(scores, same), abs=1e-6)
    assert info_nce(*moved, 0.1) == pytest.approx(info_nce(scores, same, 0.1), abs=1e-5)


def gradient(loss, scores, same):
    """The loss and its gradient by the scores and by the loss's own weights."""
    scores = tf.constant(scores)
    with tf.GradientTape() as tape:
        tape.watch(scores)
        value = loss(scores, tf.constant(same))
    found = tape.gradient(value, [scores, *loss.trainable_variables])
    return float(value), [np.asarray(part) for part in found]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", contrastive.LOSSES)
def test_gradients_are_those_of_differences(name, seed):
    scores, same = random_batch(seed)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    try:
        loss = contrastive.LOSSES[name]()
        scores = scores.astype(np.float64)
        _, [by_scores, *by_weights] = gradient(loss, scores, same)
        step = 1e-5
        for at in np.ndindex(*scores.shape):
            moved = [scores.copy(), scores.copy()]
            moved[0][at] += step
            moved[1][at] -= step
            up, down = (float(loss(tf.constant(one), tf.constant(same))) for one in moved)
            assert by_scores[at] == pytest.approx((up - down) / (2 * step), abs=1e-6)
        for weight, found in zip(loss.trainable_variables, by_weights, strict=True):
            was = float(weight)
            values = []
            for moved in (was + step, was - step):
                weight.assign(moved)
                values.append(float(loss(tf.constant(scores), tf.constant(same))))
            assert float(found) == pytest.approx((values[0] - values[1]) / (2 * step), abs=1e-6)
            assert abs(float(found)) > 1e-3
    finally:
        keras.config.set_dtype_policy(policy)


@pytest.mark.parametrize("name", contrastive.LOSSES)
@pytest.mark.parametrize("size", [1, 3])
def test_a_batch_without_negatives_is_nothing(name, size):
    """A batch of one, and a batch of versions of one tune: no loss, and no gradient, no NaN."""
    scores = np.linspace(-1, 1, size * size, dtype=np.float32).reshape(size, size)
    value, gradients = gradient(contrastive.LOSSES[name](), scores, np.ones((size, size), bool))
    assert value == 0
    for part in gradients:
        np.testing.assert_array_equal(part, 0)


@pytest.mark.parametrize("name", contrastive.LOSSES)
@pytest.mark.parametrize("value", [-1.0, 0.0, 1.0])
def test_rows_that_are_all_the_same_are_finite(name, value):
    same = np.eye(5, dtype=bool)
    loss = contrastive.LOSSES[name]()
    if name == "infonce":
        loss.log_temperature.assign(math.log(contrastive.LEAST_TEMPERATURE))
    found, gradients = gradient(loss, np.full((5, 5), value, np.float32), same)
    assert found > 0
    for part in gradients:
        assert np.isfinite(part).all()


def test_the_losses_work_for_batches_of_any_size():
    for name in contrastive.LOSSES:
        loss = contrastive.LOSSES[name]()
        spec = [tf.TensorSpec([None, None]), tf.TensorSpec([None, None], tf.bool)]
        compiled = tf.function(loss, input_signature=spec)
        for seed in range(3):
            scores, same = random_batch(seed)
            eager = loss(tf.constant(scores), tf.constant(same))
            assert float(compiled(scores, same)) == pytest.approx(float(eager), abs=1e-5)


def test_the_temperature_is_learnt():
    """Pairs that are told apart ask for a lower one, pairs that are confused for a higher one."""
    loss = contrastive.InfoNCE()
    assert float(loss.temperature()) == pytest.approx(0.07)
    apart = np.eye(3, dtype=np.float32)
    _, [_, good] = gradient(loss, apart, NONE_SAME)
    _, [_, bad] = gradient(loss, -apart, NONE_SAME)
    assert good > 0 > bad


def test_the_temperature_is_bounded_and_comes_back():
    loss = contrastive.InfoNCE()
    optimizer = keras.optimizers.SGD(1.0)

    def step(scores):
        _, [_, by_temperature] = gradient(loss, scores, NONE_SAME)
        optimizer.apply([tf.constant(by_temperature)], loss.trainable_variables)
        return float(loss.temperature())

    loss.log_temperature.assign(math.log(0.0101))
    # Told apart by little, so that the lower the temperature, the better.
    close = 0.02 * np.eye(3, dtype=np.float32)
    lowest = [step(close) for _ in range(5)]
    assert lowest[-1] == pytest.approx(0.01) and min(lowest) > 0.00999
    assert step(-close) > 0.02
