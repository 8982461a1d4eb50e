"""The language models of tunes: what they see, steps beside whole tunes, probabilities by hand."""

import keras
import numpy as np
import pytest
from keras import ops

from models import tune_lm

pytestmark = pytest.mark.keras3

COLUMNS = (("kind", 7), ("place", 5), ("kind", 7))
KINDS, PITCHES = 6, 4
STEPS, TUNES = 11, 3


@pytest.fixture(params=tune_lm.NETWORKS, scope="module")
def network(request):
    """Each network, small, with random weights."""
    keras.utils.set_random_seed(1)
    heads = {"heads": 2} if request.param == "transformer" else {}
    made = tune_lm.NETWORKS[request.param](
        columns=COLUMNS, kinds=KINDS, pitches=PITCHES, units=16, depth=2, embedding=8, dropout=0.5,
        **heads,
    )  # fmt: skip
    made.log_probabilities(*drawn(0))
    rng = np.random.default_rng(2)
    for weight in made.trainable_weights:
        weight.assign(rng.normal(0, 0.5, weight.shape))
    return made


def drawn(seed):
    """Random rows, kinds and pitches; one of the pitches is that of tokens without."""
    rng = np.random.default_rng(seed)
    rows = np.stack([rng.integers(0, size, (TUNES, STEPS)) for _, size in COLUMNS], -1)
    kinds, pitches = rng.integers(0, [KINDS, PITCHES + 1], (TUNES, STEPS, 2)).transpose(2, 0, 1)
    return rows, kinds, pitches


def test_a_step_at_a_time_gives_what_all_steps_at_once_give(network):
    rows, _, _ = drawn(1)
    whole = ops.convert_to_numpy(network.hidden(rows))
    state = network.initial_state(TUNES, STEPS)
    for step in range(STEPS):
        hidden, state = network.step(rows[:, step], state)
        np.testing.assert_allclose(ops.convert_to_numpy(hidden), whole[:, step], atol=1e-4)


def test_nothing_is_seen_ahead(network):
    rows, _, _ = drawn(3)
    changed = rows.copy()
    changed[:, 6:] = drawn(4)[0][:, 6:]
    one, other = (ops.convert_to_numpy(network.hidden(each)) for each in (rows, changed))
    np.testing.assert_allclose(one[:, :6], other[:, :6], atol=1e-5)
    assert np.abs(one[:, 6:] - other[:, 6:]).max(axis=(0, 2)).min() > 1e-3


def test_what_came_before_matters(network):
    rows, _, _ = drawn(5)
    changed = rows.copy()
    changed[:, 0, 0] = (rows[:, 0, 0] + 1) % COLUMNS[0][1]
    one, other = (ops.convert_to_numpy(network.hidden(each)) for each in (rows, changed))
    assert np.abs(one[:, -1] - other[:, -1]).max() > 1e-4


def test_the_probabilities_of_all_tokens_are_one_together(network):
    """Kinds from 2 on are notes here, and have one of four pitches; others have none."""
    rows, _, _ = drawn(6)
    total = np.zeros((TUNES, STEPS))
    for kind in range(KINDS):
        for pitch in range(PITCHES) if kind >= 2 else [PITCHES]:
            chosen = [np.full((TUNES, STEPS), value) for value in (kind, pitch)]
            logarithms = network.log_probabilities(rows, *chosen)
            total += np.exp(ops.convert_to_numpy(logarithms))
    np.testing.assert_allclose(total, 1, atol=1e-5)


def test_columns_of_one_name_share_their_embeddings(network):
    (table,) = (each for each in network.weights if each.path.startswith("embed"))
    assert table.shape == (7 + 5, 8)
    rows = np.zeros((1, 3), int)
    rows[0] = 4, 2, 4
    entered = ops.convert_to_numpy(network.inputs(rows))
    enter = next(layer for layer in network.layers if layer.name == "enter")
    kernel, bias = (each.numpy() for each in enter.weights)
    vectors = table.numpy()[[4, 7 + 2, 4]].ravel()
    np.testing.assert_allclose(entered[0], vectors @ kernel + bias, atol=1e-5)


def test_dropout_is_for_training_alone(network):
    rows, kinds, pitches = drawn(7)
    measured = [network.log_probabilities(rows, kinds, pitches) for _ in range(2)]
    np.testing.assert_array_equal(*map(ops.convert_to_numpy, measured))
    trained = [network.log_probabilities(rows, kinds, pitches, training=True) for _ in range(2)]
    assert np.abs(np.subtract(*map(ops.convert_to_numpy, trained))).max() > 1e-3


def test_buckets_of_distances():
    """Each distance below 32 has its own; from 512 on all share the last of 64."""
    found = ops.convert_to_numpy(tune_lm._bucket(np.array([-3, 0, 1, 31, 32, 46, 511, 512, 9999])))
    # 32 + 32 * log(46 / 32) / log(512 / 32) = 36.19
    assert found.tolist() == [0, 0, 1, 31, 32, 36, 63, 63, 63]
