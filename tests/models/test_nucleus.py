"""Nucleus sampling: worked by hand, and what decoders draw of it."""

import copy

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from magenta.models.music_vae import lstm_models

import configs
from models import accelerated, nucleus

LOG = np.log


def run(make, seed=0):
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(seed)
        return session.run(make())


@pytest.mark.parametrize(
    "top_p, left",
    [
        (0.45, [0, 1, 0, 0]),
        (0.55, [0.375, 0.625, 0, 0]),
        (0.85, [0.3, 0.5, 0, 0.2]),
        (0.95, [0.3, 0.5, 0, 0.2]),
    ],
)
def test_the_least_set_of_a_choice(top_p, left):
    """The third of these is impossible in any case; the others are 3/10, 5/10 and 2/10."""

    def make():
        logits = tf.constant([[LOG(3), LOG(5), -50, LOG(2)]], tf.float32)
        return tf.nn.softmax(nucleus.categorical(logits, 1.0, top_p))[0]

    np.testing.assert_allclose(run(make), left, rtol=1e-5, atol=1e-9)


def test_the_nucleus_is_that_of_the_temperature():
    """At the temperature 1/2 the probabilities 1/3 and 2/3 are 1/5 and 4/5."""

    def make():
        logits = tf.constant([[0.0, LOG(2.0)]], tf.float32)
        return [nucleus.categorical(logits, t, 0.75) for t in (1.0, 0.5)]

    warm, cold = run(make)
    np.testing.assert_allclose(warm, [[0, LOG(2)]], rtol=1e-6)
    assert cold[0, 0] < -1e8 and cold[0, 1] == pytest.approx(LOG(2))


def test_hits_are_sure_where_one_outcome_is_the_nucleus():
    logits = np.array([LOG(9), -LOG(9), LOG(3), -LOG(3)], np.float32)  # 0.9, 0.1, 0.75, 0.25

    def make():
        return nucleus.bernoulli(tf.constant(logits), 1.0, 0.8)

    found = 1 / (1 + np.exp(-np.clip(run(make), -80, 80)))
    np.testing.assert_allclose(found, [1, 0, 0.75, 0.25], atol=1e-6)


def sampler(decoder, top_p, depth):
    """A model with a decoder alone that was built, narrowed to the nucleus."""

    class Model:
        pass

    model = Model()
    model.decoder = model._decoder = decoder
    narrowed = nucleus.with_nucleus(model, top_p)._decoder
    narrowed._output_depth = depth
    return narrowed


def test_velocities_and_offsets_of_a_groove_stay():
    raw = np.random.default_rng(0).normal(size=(200, 27)).astype(np.float32)

    def make():
        narrowed = sampler(lstm_models.GrooveLstmDecoder(), 0.5, 27)
        return narrowed._sample(tf.constant(raw), 0.7)

    drawn = run(make)
    # Of two outcomes the likelier one has at least 0.5.
    np.testing.assert_array_equal(drawn[:, :9], raw[:, :9] > 0)
    np.testing.assert_allclose(drawn[:, 9:18], 1 / (1 + np.exp(-raw[:, 9:18])), rtol=1e-5)
    np.testing.assert_allclose(drawn[:, 18:], np.tanh(raw[:, 18:]), rtol=1e-5)


def test_parts_of_a_choice_are_narrowed_each():
    probabilities = np.array([[0.6, 0.4, 0.1, 0.2, 0.7]])

    def make():
        narrowed = sampler(lstm_models.MultiOutCategoricalLstmDecoder([2, 3]), 0.55, 5)
        logits = tf.constant(np.tile(LOG(probabilities), (300, 1)), tf.float32)
        return narrowed._sample(logits)

    np.testing.assert_array_equal(run(make), np.tile([[1, 0, 0, 0, 1]], (300, 1)))


def test_a_decoder_without_a_nucleus_is_told():
    with pytest.raises(ValueError, match="MultiLabelRnnNadeDecoder has no top_p"):
        sampler(lstm_models.MultiLabelRnnNadeDecoder(), 0.9, 5)
    # With 1 it draws as ever.
    assert sampler(decoder := lstm_models.MultiLabelRnnNadeDecoder(), 1.0, 5) is decoder


SIZES = "z_size=4,enc_rnn_size=[8],dec_rnn_size=[8]"


@pytest.mark.slow
@pytest.mark.parametrize("layout", [lambda model: model, accelerated.accelerated])
@pytest.mark.parametrize(
    "name",
    ["flat-groove_4bar", "hierdec-groove_4bar-dynamics", "flat-reel_2bar", "hierdec-reel_16bar"],
)
def test_a_nucleus_of_one_outcome_leaves_nothing_to_draw(name, layout):
    """Two seeds draw the same hits, or notes, and other ones without it; the variables stay."""
    config = configs.ConfigRef(name, None, SIZES).build()
    hparams = config.hparams
    z = np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32)

    def drawn(top_p, seed):
        with tf.Graph().as_default(), tf.Session() as session:
            tf.set_random_seed(seed)
            model = nucleus.with_nucleus(layout(copy.deepcopy(config.model)), top_p)
            model.build(hparams, config.data_converter.output_depth, is_training=False)
            samples, _ = model.sample(
                4, max_length=hparams.max_seq_len, z=tf.constant(z), temperature=1.0
            )
            names = sorted(v.op.name for v in tf.trainable_variables())
            # The same weights for every seed, far from 0.
            rng = np.random.default_rng(1)
            for variable in sorted(tf.trainable_variables(), key=lambda v: v.op.name):
                variable.load(rng.normal(size=variable.shape.as_list()) * 0.5, session)
            found = session.run(samples)
            return names, found[..., :9] if "groove" in name else found

    names, first = drawn(0.01, 1)
    again, second = drawn(0.01, 2)
    plain, third = drawn(1.0, 1)
    assert names == again == plain
    if "dynamics" not in name:  # There the velocity that is fed back is drawn, too.
        np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, third)
    assert not np.array_equal(third, drawn(1.0, 2)[1])
