"""MelGAN-VC's losses by hand, and how spectrograms are split and joined."""

import math

import numpy as np
import pytest

from models import melgan_vc

pytestmark = pytest.mark.keras3


def test_pieces_follow_each_other_and_join_to_what_was_split():
    whole = np.arange(2 * 6 * 1, dtype=np.float32).reshape(2, 6, 1)
    pieces = np.asarray(melgan_vc.split(whole))
    assert pieces.shape == (6, 2, 1)
    # The first pieces of both examples, then the second, then the third.
    assert pieces[:, :, 0].tolist() == [[0, 1], [6, 7], [2, 3], [8, 9], [4, 5], [10, 11]]
    np.testing.assert_array_equal(melgan_vc.join(pieces), whole)


def test_what_is_made_keeps_its_place_in_the_whole():
    whole = np.random.default_rng(0).normal(size=(4, 12, 3)).astype(np.float32)
    np.testing.assert_array_equal(melgan_vc.join(melgan_vc.split(whole) * 2), whole * 2)


def vectors(*rows):
    return np.array(rows, np.float32)


def test_travel_loss_by_hand():
    zero = vectors([0, 0])
    # (3, 4) and (4, -3) are at a right angle; their difference is (-1, 7): (1 + 49) / 2 = 25.
    found = melgan_vc.travel_loss(vectors([3, 4]), zero, vectors([4, -3]), zero)
    assert float(found) == pytest.approx(25 + 1)
    # Of one direction, twice as long: the difference is (3, 4).
    found = melgan_vc.travel_loss(vectors([3, 4]), zero, vectors([6, 8]), zero)
    assert float(found) == pytest.approx(25 / 2, abs=1e-5)
    # Opposite: (6, 8), and a cosine of -1.
    found = melgan_vc.travel_loss(vectors([3, 4]), zero, vectors([-3, -4]), zero)
    assert float(found) == pytest.approx(50 + 2, abs=1e-4)


def test_travel_loss_looks_at_differences_alone():
    rng = np.random.default_rng(1)
    one, other = rng.normal(size=(2, 5, 8)).astype(np.float32)
    found = melgan_vc.travel_loss(one, other, one + 3, other + 3)
    assert float(found) == pytest.approx(0, abs=1e-5)


def test_margin_loss_by_hand():
    # Distances of 5 and 1, of which the latter lacks 1 of 2.
    found = melgan_vc.margin_loss(vectors([3, 4], [0, 1]), vectors([0, 0], [0, 0]), 2.0)
    assert float(found) == pytest.approx(0.5)


def test_margin_loss_has_a_slope_where_all_vectors_are_one():
    import tensorflow as tf

    equal = tf.zeros((2, 3))
    with tf.GradientTape() as tape:
        tape.watch(equal)
        loss = melgan_vc.margin_loss(equal, equal * 2, 1.0)
    assert np.isfinite(tape.gradient(loss, equal)).all()


def test_hinge_losses_by_hand():
    real, made = np.array([2.0, 0.5]), np.array([-3.0, 0.0])
    # Real lacks 0 and 0.5 of 1; made has 0 and 1 over -1.
    assert float(melgan_vc.critic_hinge_loss(real, made)) == pytest.approx((0.25 + 0.5) / 2)
    assert float(melgan_vc.generator_hinge_loss(made)) == pytest.approx(1.5)


def test_the_siamese_network_gives_a_vector_to_a_piece():
    network = melgan_vc.siamese(6, 24, 8, 5)
    assert network(np.zeros((3, 24, 6))).shape == (3, 5)


def test_the_margin_is_a_distance_and_not_a_sum():
    found = melgan_vc.margin_loss(vectors([1, 1, 1, 1]), vectors([0, 0, 0, 0]), 3.0)
    assert float(found) == pytest.approx(3 - math.sqrt(4))
