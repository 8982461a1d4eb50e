"""WaveNet as a generator: what it sees, what it leaves alone, and its mels."""

import keras
import numpy as np
import pytest

from models import wavenet, wavenet_gan
from pipelines.audio import spectrograms
from pipelines.systems.style.transfer import transfers

pytestmark = pytest.mark.keras3

GROUP = 4


def made(trained):
    """A network of two layers, twice; as it begins, or with weights everywhere."""
    keras.utils.set_random_seed(1)
    network = wavenet_gan.generator(2, 2, 6, 5, GROUP)
    rng = np.random.default_rng(2)
    for weight in network.weights if trained else []:
        weight.assign(rng.normal(0, 0.5, weight.shape))
    return network


def noise(rng, *shape):
    return rng.uniform(-0.5, 0.5, shape).astype(np.float32)


def test_before_training_it_does_nothing_but_to_quantise():
    samples = noise(np.random.default_rng(0), 2, 10 * GROUP)
    np.testing.assert_allclose(made(False)(samples), wavenet.requantised(samples), atol=1e-5)
    loud = np.array([[-1.0, 1.0, -2.0, 2.0]], np.float32)
    # The second largest of 256 levels is 4% below the largest.
    np.testing.assert_allclose(made(False)(loud), np.sign(loud), atol=0.001)


def test_it_has_256_levels_whatever_it_has_learnt():
    samples = noise(np.random.default_rng(1), 3, 400 * GROUP)
    found = np.asarray(made(True)(samples))
    assert np.abs(found - np.asarray(wavenet.requantised(samples))).max() > 0.1
    np.testing.assert_allclose(found, wavenet.requantised(found), atol=1e-6)


def test_silence_becomes_the_level_nearest_to_it():
    found = np.asarray(made(True)(np.zeros((1, 10 * GROUP), np.float32)))
    np.testing.assert_allclose(found, wavenet.samples_of(128), rtol=1e-4)


def test_a_sample_sees_both_sides_and_no_further():
    samples = noise(np.random.default_rng(3), 1, 40 * GROUP)
    network = made(True)
    whole = np.asarray(network(samples))
    # Two stacks of layers that look 1 and 2 groups far: 6 groups, and the rest of its own.
    far = wavenet_gan.seen(2, 2, GROUP)
    assert far == 6 * GROUP + 3
    at = 20 * GROUP + 1
    other = samples.copy()
    other[0, at] = -0.9
    moved = np.abs(np.asarray(network(other)) - whole)[0] > 0
    assert not moved[: at - far].any() and not moved[at + far + 1 :].any()
    assert moved[at] and moved[: at - 4 * GROUP].any() and moved[at + 4 * GROUP :].any()


def test_mels_are_those_of_transfers():
    samples = noise(np.random.default_rng(4), 2, 3200)
    samples[:, 1500:] = 0
    filters = spectrograms.mel_filters(transfers.RATE, transfers.BANDS)
    found = np.asarray(wavenet_gan.log_mels(samples, filters, transfers.FLOOR_DB))
    expected = np.stack([transfers.mels(each) for each in samples])
    assert expected.min() == transfers.FLOOR_DB and expected.max() > -10
    np.testing.assert_allclose(found, expected, atol=0.01)
    floored = np.asarray(wavenet_gan.log_mels(samples, filters, -30.0))
    np.testing.assert_allclose(floored, np.maximum(expected, -30), atol=0.01)


def test_a_gradient_passes_the_quantiser_and_the_mels():
    """By it the network learns: a few steps bring mels nearer to those of a softer sound."""
    if keras.backend.backend() != "tensorflow":
        pytest.skip("the gradient is taken by TensorFlow")
    import tensorflow as tf

    samples = noise(np.random.default_rng(5), 1, 4000)
    filters = spectrograms.mel_filters(transfers.RATE, transfers.BANDS)
    wanted = wavenet_gan.log_mels(samples / 4, filters, -60.0)
    network = made(False)
    optimizer = keras.optimizers.Adam(0.01)
    losses = []
    for _ in range(30):
        with tf.GradientTape() as tape:
            found = wavenet_gan.log_mels(network(samples), filters, -60.0)
            loss = tf.reduce_mean(tf.abs(found - wanted))
        gradients = tape.gradient(loss, network.trainable_variables)
        assert all(np.isfinite(each).all() for each in gradients)
        optimizer.apply(gradients, network.trainable_variables)
        losses.append(float(loss))
    # A quarter of the amplitude is 12 dB less.
    assert losses[0] == pytest.approx(12.04, abs=0.2) and losses[-1] < losses[0] - 4
    # In the end all weights learn, not only the last.
    assert all(np.abs(each).max() > 0 for each in gradients)
