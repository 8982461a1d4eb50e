"""What networks of timbre transfer share: the spectral norm beside NumPy's SVD, the generators."""

import keras
import numpy as np
import pytest

from models import spectral_transfer
from models.spectral_transfer import SpectralNormConv1D

pytestmark = pytest.mark.keras3


def test_a_kernel_is_divided_by_its_largest_singular_value():
    keras.utils.set_random_seed(0)
    layer = SpectralNormConv1D(5, 3, use_bias=False, kernel_initializer="he_uniform")
    ones = np.random.default_rng(0).normal(size=(2, 8, 4)).astype(np.float32)
    layer(ones)
    for _ in range(200):
        layer(ones, training=True)
    kernel = np.asarray(layer.kernel)
    norm = np.linalg.svd(kernel.reshape(-1, 5), compute_uv=False)[0]
    windows = np.lib.stride_tricks.sliding_window_view(ones, 3, axis=1)
    wanted = np.einsum("bfck,kco->bfo", windows, kernel / norm)
    np.testing.assert_allclose(layer(ones), wanted, atol=1e-4)


def test_using_a_layer_changes_no_weight_and_training_it_only_the_vector():
    layer = SpectralNormConv1D(4, 1)
    ones = np.ones((1, 2, 3), np.float32)
    layer(ones)
    kernel, left = (np.asarray(each).copy() for each in (layer.kernel, layer.left))
    layer(ones)
    np.testing.assert_array_equal(layer.left, left)
    layer(ones, training=True)
    assert np.abs(np.asarray(layer.left) - left).max() > 0
    np.testing.assert_array_equal(layer.kernel, kernel)
    np.testing.assert_allclose(np.linalg.norm(layer.left), 1, atol=1e-6)
    assert [weight.name for weight in layer.non_trainable_weights] == ["left"]


def test_the_scale_of_a_kernel_makes_no_difference():
    layer = SpectralNormConv1D(4, 3, use_bias=False)
    ones = np.random.default_rng(1).normal(size=(1, 6, 3)).astype(np.float32)
    before = np.asarray(layer(ones))
    layer.kernel.assign(layer.kernel * 7)
    np.testing.assert_allclose(layer(ones), before, atol=1e-5)


@pytest.mark.parametrize("frames", [4, 24, 72])
def test_a_generator_keeps_the_shape_and_one_with_tanh_the_range(frames):
    ones = 9 * np.random.default_rng(2).normal(size=(2, frames, 6)).astype(np.float32)
    found = np.asarray(spectral_transfer.generator(6, 8)(ones))
    assert found.shape == ones.shape and np.abs(found).max() <= 1


def test_a_residual_generator_changes_nothing_before_training():
    ones = np.random.default_rng(3).normal(size=(2, 8, 6)).astype(np.float32)
    made = spectral_transfer.generator(6, 8, batch_norm=False, residual=True)(ones)
    np.testing.assert_array_equal(made, ones)


def test_sizes_as_published():
    """By the layers of the paper's U-Net, without biases where batches are normalized."""
    network = spectral_transfer.generator(192, 256)
    kernels = [weight.shape for weight in network.trainable_weights if len(weight.shape) == 3]
    assert kernels == [
        (3, 192, 256),
        (9, 256, 256),
        (7, 256, 256),
        (7, 256, 256),
        (9, 512, 256),
        (1, 512, 192),
    ]


def test_a_critic_gives_a_value_to_every_fourth_frame():
    assert spectral_transfer.critic(6, 8)(np.zeros((3, 72, 6))).shape == (3, 18, 1)


def test_mean_absolute_error():
    found = spectral_transfer.mean_absolute_error(np.array([1.0, -2.0]), np.array([0.0, 2.0]))
    assert float(found) == 2.5


def test_what_a_generator_sees():
    network = spectral_transfer.generator(3, 8, spectral_norm=False, batch_norm=False)
    ones = np.zeros((1, 160, 3), np.float32)
    before = np.asarray(network(ones))
    for at in (80, 81, 82, 83):
        other = ones.copy()
        other[0, at] = 1
        changed = np.flatnonzero(np.abs(np.asarray(network(other)) - before)[0].max(axis=1))
        assert max(abs(changed - at)) <= spectral_transfer.SEEN
