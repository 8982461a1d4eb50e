"""The decoder of dynamics: what its loss counts, what it draws, flat and hierarchical."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from magenta.models.music_vae import lstm_models

import configs
from models import accelerated
from models.dynamics import DynamicsLstmDecoder
from models.likelihoods import LIKELIHOODS

_SMALL = "enc_rnn_size=[6],dec_rnn_size=[8],z_size=3,batch_size=2"


def decoder_with(**hparams):
    """A decoder of 9 drums, built in the default graph."""
    values = lstm_models.get_default_hparams()
    values.dec_rnn_size = [8]
    for name, value in {"dynamics": "mixture", "dynamics_weight": 1.0, **hparams}.items():
        values.add_hparam(name, value)
    decoder = DynamicsLstmDecoder()
    decoder.build(values, 27, is_training=False)
    return decoder


def window(*hits):
    """One step of 27 numbers with hits (drum, velocity, offset)."""
    step = np.zeros((1, 27), np.float32)
    for drum, velocity, offset in hits:
        step[0, [drum, 9 + drum, 18 + drum]] = 1, velocity, offset
    return step


def test_the_loss_by_hand():
    # Of zeros: each of 9 hits costs log 2. One hit of velocity 1: tanh(0) lies in the middle of
    # [1/127, 1], at 64/127, so its squared error is (63/127)^2; its offset of 0.5 costs 0.25.
    with tf.Graph().as_default(), tf.Session() as session:
        decoder = decoder_with(dynamics="squared_error", dynamics_weight=0.5)
        loss, _ = decoder._flat_reconstruction_loss(
            tf.constant(window((2, 1.0, 0.5))), tf.zeros([1, 27])
        )
        expected = 9 * np.log(2) + 0.5 * ((63 / 127) ** 2 + 0.25)
        assert session.run(loss) == pytest.approx([expected], rel=1e-6)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_velocity_and_offset_of_silent_drums_cost_nothing(name):
    with tf.Graph().as_default(), tf.Session() as session:
        decoder = decoder_with(dynamics=name)
        velocity, offset = (each.parameters for each in (decoder._velocity, decoder._offset))
        depth = 9 * (1 + velocity + offset)
        raw = tf.constant(np.random.default_rng(0).normal(size=(1, depth)), tf.float32)
        loss, _ = decoder._flat_reconstruction_loss(tf.constant(window((4, 0.3, -0.2))), raw)
        gradient = session.run(tf.gradients(loss, raw)[0])[0]
        by_class = [
            np.abs(gradient[9 + 9 * 0 : 9 + 9 * velocity].reshape(9, velocity)).sum(axis=1) > 0,
            np.abs(gradient[9 + 9 * velocity :].reshape(9, offset)).sum(axis=1) > 0,
        ]
        for of_class in by_class:
            assert of_class.tolist() == [drum == 4 for drum in range(9)]
        assert (gradient[:9] != 0).all()


def test_what_is_drawn_is_silent_without_a_hit():
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(0)
        decoder = decoder_with()
        raw = tf.random.normal([500, decoder._output_layer.units], seed=1)
        drawn = session.run(decoder._sample(raw, 1.0))
    hits, velocities, offsets = np.split(drawn, 3, axis=1)
    assert set(np.unique(hits)) == {0, 1}
    assert not velocities[hits == 0].any() and not offsets[hits == 0].any()
    assert velocities[hits == 1].min() >= 1 / 127 and np.abs(offsets).max() <= 1
    assert np.std(velocities[hits == 1]) > 0.1


def test_what_is_expected_of_any_leading_shape():
    with tf.Graph().as_default(), tf.Session() as session:
        decoder = decoder_with()
        raw = np.random.default_rng(2).normal(size=(2, 3, decoder._output_layer.units))
        whole = session.run(decoder.expected(tf.constant(raw, tf.float32)))
        single = session.run(decoder.expected(tf.constant(raw[1, 2:], tf.float32)))
    assert whole.shape == (2, 3, 27)
    assert np.allclose(whole[1, 2], single[0])
    assert (whole[..., :9] == (raw[..., :9] > 0)).all()


@pytest.mark.parametrize("name", ["flat-groove_4bar-dynamics", "hierdec-groove_4bar-dynamics"])
def test_the_accelerated_loss_is_that_of_magentas_loops(name):
    rng = np.random.default_rng(5)
    hits = rng.random((2, 64, 9)) < 0.2
    target = np.concatenate(
        [hits, hits * rng.uniform(0.1, 1, hits.shape), hits * rng.uniform(-1, 1, hits.shape)], 2
    ).astype(np.float32)
    z = rng.normal(size=(2, 3)).astype(np.float32)
    fed = np.pad(target, [(0, 0), (1, 0), (0, 0)])[:, :-1]
    losses, variables = [], None
    config = configs.ConfigRef(name, None, _SMALL).build()
    ours, magentas = config.model.decoder, config.model.decoder._decoder
    if name.startswith("hierdec"):
        core = magentas._core_decoder._decoder
        magentas = lstm_models.HierarchicalLstmDecoder(
            core, level_lengths=[4, 16], disable_autoregression=True
        )
    for decoder in (ours, magentas):
        with tf.Graph().as_default(), tf.Session() as session:
            tf.train.get_or_create_global_step()
            decoder.build(config.hparams, 27, is_training=False)
            lengths = tf.fill([2], 64)
            loss, _, results = decoder.reconstruction_loss(
                tf.constant(fed), tf.constant(target), lengths, tf.constant(z)
            )
            if variables is None:
                drawn = np.random.default_rng(1)
                variables = {
                    v.op.name: drawn.normal(scale=0.5, size=v.shape)
                    for v in tf.trainable_variables()
                }
            assert {v.op.name for v in tf.trainable_variables()} == set(variables)
            for variable in tf.trainable_variables():
                variable.load(variables[variable.op.name], session)
            losses.append(session.run(loss))
            if decoder is ours:
                expected = accelerated.expected(decoder, results.rnn_output)
                assert session.run(expected).shape == (2, 64, 27)
    assert np.allclose(losses[0], losses[1], rtol=1e-5)


def test_other_decoders_expect_nothing():
    config = configs.ConfigRef("flat-groove_4bar", None, _SMALL).build()
    assert accelerated.expected(config.model.decoder, None) is None
