"""CycleGAN's losses and schedules by hand."""

import numpy as np
import pytest
import tensorflow as tf

from models import cyclegan

pytestmark = pytest.mark.keras3


def test_gradient_penalty_by_hand():
    # Norms of 5 and 1: (5 - 1)^2 and 0.
    gradients = np.array([[[3.0, 0.0], [0.0, 4.0]], [[1.0, 0.0], [0.0, 0.0]]])
    assert float(cyclegan.gradient_penalty(gradients)) == pytest.approx(8)


def test_a_linear_critic_has_the_penalty_of_its_weights():
    weights = tf.constant([[1.0, 2.0], [2.0, 0.0]])  # A norm of 3.
    points = tf.random.stateless_normal((4, 2, 2), (0, 1))
    with tf.GradientTape() as tape:
        tape.watch(points)
        values = tf.reduce_sum(points * weights, axis=(1, 2))
    found = cyclegan.gradient_penalty(tape.gradient(values, points))
    assert float(found) == pytest.approx((3 - 1) ** 2, abs=1e-4)


def test_points_lie_between_real_and_made():
    real, made = np.full((3, 2, 1), 10.0), np.zeros((3, 2, 1))
    found = np.asarray(cyclegan.between(real, made, np.array([0.0, 0.25, 1.0])))
    assert found[:, :, 0].tolist() == [[0, 0], [2.5, 2.5], [10, 10]]


def test_a_critic_gets_better_where_real_is_above_made():
    assert float(cyclegan.critic_loss(np.array([1.0, 3.0]), np.array([0.0, 1.0]))) == -1.5


def test_the_schedule():
    weights = [float(cyclegan.identity_weight(step, 5.0, 100)) for step in (0, 50, 100, 1000)]
    assert weights == [5, 2.5, 0, 0]
    weights = [float(cyclegan.adversarial_weight(step, 100)) for step in (0, 50, 100, 1000)]
    assert weights == [0, 0.5, 1, 1]
