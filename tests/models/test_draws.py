"""models.accelerated.draws: what is drawn from noise, and how often."""

import numpy as np
import pytest

from pipelines.runtime import magenta_compat

magenta_compat.apply()

import tensorflow.compat.v1 as tf  # noqa: E402
from magenta.models.music_vae import base_model, lstm_models  # noqa: E402

from models import nucleus  # noqa: E402
from models.accelerated import draws  # noqa: E402
from models.dynamics import DynamicsLstmDecoder  # noqa: E402


def drawn(decoder, depth, output, uniform, temperature=1.0):
    drawer = draws.of(decoder, depth)
    uniform = np.asarray(uniform, "f")
    assert uniform.shape == (len(output), drawer.depth)
    with tf.Graph().as_default(), tf.Session() as session:
        output = tf.constant(output, tf.float32)
        return session.run(drawer.draw(output, tf.constant(uniform), temperature))


def test_a_hit_is_drawn_where_the_number_is_below_its_probability():
    """The odds are 3 to 1, and at temperature 2 their square root to 1: 3/4, and 0.634."""
    logits = np.full([4, 1], np.log(3))
    uniform = [[0.0], [0.64], [0.74], [0.76]]
    decoder = lstm_models.BooleanLstmDecoder()
    assert drawn(decoder, 1, logits, uniform).ravel().tolist() == [1, 1, 1, 0]
    assert drawn(decoder, 1, logits, uniform, 2.0).ravel().tolist() == [1, 0, 0, 0]


def test_of_a_groove_hits_are_drawn_and_the_rest_is_activated():
    output = np.array([[np.log(3), -np.log(3), 0.0, np.log(4), np.log(2), 0.0]])
    found = drawn(lstm_models.GrooveLstmDecoder(), 6, output, [[0.7, 0.3]])
    # sigmoid(ln 4) = 4/5 and tanh(ln 2) = 3/5.
    np.testing.assert_allclose(found, [[1, 0, 0.5, 0.8, 0.6, 0]], rtol=1e-6)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_a_choice_has_its_probability(temperature):
    """Odds of 1:2:3:4:5, raised to 1 / temperature, in 20,000 draws."""
    odds = np.arange(1, 6.0)
    uniform = np.random.default_rng(0).random([20000, 5])
    output = np.tile(np.log(odds), [20000, 1])
    found = drawn(lstm_models.CategoricalLstmDecoder(), 5, output, uniform, temperature)
    np.testing.assert_array_equal(found.sum(axis=1), 1)
    expected = odds ** (1 / temperature) / (odds ** (1 / temperature)).sum()
    bound = 5 * np.sqrt(expected * (1 - expected) / 20000)
    assert (abs(found.mean(axis=0) - expected) < bound).all()


def test_of_several_choices_each_is_drawn_by_itself():
    """With the same noise for all outcomes the likeliest one is drawn, of each part."""
    decoder = lstm_models.MultiOutCategoricalLstmDecoder([2, 3])
    found = drawn(decoder, 5, [[0, 1, 3, 2, 1], [1, 0, 1, 2, 3]], np.full([2, 5], 0.5))
    assert found.tolist() == [[0, 1, 1, 0, 0], [1, 0, 0, 0, 1]]


def test_noise_of_0_is_no_number_that_is_not_one():
    """A logarithm of 0 makes an outcome impossible, and no NaN."""
    uniform = [[0.0, 0.5, 0.0]]
    found = drawn(lstm_models.CategoricalLstmDecoder(), 3, [[50, 0, 50]], uniform)
    assert found.tolist() == [[0, 1, 0]]


class OwnDraw(lstm_models.CategoricalLstmDecoder):
    """A user's decoder with a way of its own."""

    def _sample(self, rnn_output, temperature=1.0):
        return super()._sample(rnn_output * 2, temperature)


def narrowed():
    """A decoder that draws from the nucleus."""
    encoder = lstm_models.BidirectionalLstmEncoder()
    model = base_model.MusicVAE(encoder, lstm_models.CategoricalLstmDecoder())
    return nucleus.with_nucleus(model, 0.9).decoder


@pytest.mark.parametrize(
    "make", [OwnDraw, DynamicsLstmDecoder, lstm_models.MultiLabelRnnNadeDecoder, narrowed]
)
def test_another_way_to_draw_is_left_alone(make):
    assert draws.of(make(), 5) is None
