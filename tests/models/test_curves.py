"""The LSTM of melody curves: its state, its inputs, its losses by hand."""

import math

import keras
import numpy as np
import pytest

from models.curves import StackedLSTM, sigmoid_loss, softmax_loss

pytestmark = pytest.mark.keras3


@pytest.fixture(scope="module", params=[False, True])
def network(request):
    keras.utils.set_random_seed(1)
    return StackedLSTM(7, (5, 3), depth=3, units=8, dropout=0.5, residual=request.param)


@pytest.mark.slow
def test_step_by_step_gives_what_the_whole_sequence_gives(network):
    rng = np.random.default_rng(0)
    inputs = np.stack([rng.integers(-1, size, (2, 6)) for size in (7, 5, 3)], axis=-1)
    whole, last = network(inputs)
    assert whole.shape == (2, 6, 7) and last.shape == (3, 2, 2, 8)
    states, steps = None, []
    for at in range(6):
        logits, states = network(inputs[:, at : at + 1], states)
        steps.append(np.asarray(logits)[:, 0])
    np.testing.assert_allclose(np.stack(steps, axis=1), whole, atol=1e-6)
    np.testing.assert_allclose(states, last, atol=1e-6)


def test_what_comes_later_changes_nothing_before_it(network):
    inputs = np.ones((1, 4, 3), np.int32)
    other = inputs.copy()
    other[0, 2:] = 0
    one, two = (np.asarray(network(each)[0]) for each in (inputs, other))
    np.testing.assert_array_equal(one[0, :2], two[0, :2])
    assert np.abs(one[0, 2:] - two[0, 2:]).min() > 0


def test_an_index_of_minus_one_is_no_input(network):
    # With a kernel of zeros for the columns of the ids, an id changes nothing; -1 never does.
    nothing = np.array([[[-1, 2, 1]]])
    before = np.asarray(network(nothing)[0])
    kernel = network.lstms[0].cell.kernel
    kept = np.asarray(kernel)
    kernel.assign(np.concatenate([np.zeros((7, 32)), kept[7:]]))
    try:
        np.testing.assert_allclose(network(np.array([[[4, 2, 1]]]))[0], before, atol=1e-6)
    finally:
        kernel.assign(kept)
    assert np.abs(network(np.array([[[4, 2, 1]]]))[0] - before).max() > 1e-4


def test_losses_by_hand():
    logits = np.log(np.array([[[1.0, 1.0, 2.0]]]))
    # Softmax: 1/4, 1/4, 1/2. Sigmoid: 1/2, 1/2, 2/3.
    np.testing.assert_allclose(softmax_loss(logits, np.array([[2]])), [[math.log(2)]], rtol=1e-6)
    np.testing.assert_allclose(softmax_loss(logits, np.array([[0]])), [[math.log(4)]], rtol=1e-6)
    true = [math.log(2), math.log(2), math.log(3 / 2)]
    np.testing.assert_allclose(sigmoid_loss(logits, np.array([[2]])), [[sum(true) / 3]], rtol=1e-6)
    true[2] = math.log(3)  # It is foretold at 2/3 and is not there.
    np.testing.assert_allclose(sigmoid_loss(logits, np.array([[0]])), [[sum(true) / 3]], rtol=1e-6)
