"""WaveNet: levels by hand, what it sees, and the same numbers sample by sample in NumPy."""

import keras
import librosa
import numpy as np
import pytest
from keras import ops

from models import wavenet
from models.wavenet import Sampler, WaveNet

pytestmark = pytest.mark.keras3

HOP = 4


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(1)
    made = WaveNet((1, 2, 4, 8, 1, 2), channels=6, skip_channels=5, hop=HOP)
    made((np.zeros((1, 8), np.float32), np.zeros((1, 2, 3), np.float32)))
    # Biases are zero at first, and one that is forgotten would not be noticed.
    rng = np.random.default_rng(2)
    for weight in made.weights:
        weight.assign(rng.normal(0, 0.5, weight.shape))
    return made


def inputs(rng, sounds=2, frames=9):
    return (
        rng.uniform(-1, 1, (sounds, frames * HOP)).astype(np.float32),
        rng.normal(size=(sounds, frames, 3)).astype(np.float32),
    )


# Levels


def test_the_mu_law_is_librosas():
    samples = np.linspace(-1, 1, 1001).astype(np.float32)
    expected = librosa.mu_compress(samples, mu=255, quantize=False)
    np.testing.assert_allclose(wavenet.compand(samples), expected, atol=1e-6)
    np.testing.assert_allclose(wavenet.expand(expected), samples, atol=1e-6)


def test_levels_by_hand():
    assert np.asarray(wavenet.levels([-2.0, -1.0, 0.0, 1.0, 2.0])).tolist() == [0, 0, 128, 255, 255]
    every = np.arange(wavenet.LEVELS)
    assert np.asarray(wavenet.levels(wavenet.samples_of(every))).tolist() == every.tolist()
    # The levels next to 0 are half a step of 2 / 255 away, companded.
    step = (256 ** (1 / 255) - 1) / 255
    np.testing.assert_allclose(wavenet.samples_of([127, 128]), [-step, step], rtol=1e-4)


def test_the_quantiser_has_256_levels_and_the_gradient_of_tanh():
    values = np.linspace(-3, 3, 2001).astype(np.float32)
    quantised = np.asarray(wavenet.quantised(values))
    assert len(np.unique(quantised)) <= wavenet.LEVELS
    np.testing.assert_allclose(quantised, wavenet.requantised(np.tanh(values)), atol=1e-6)
    assert np.abs(quantised - np.tanh(values)).max() < 0.025
    if keras.backend.backend() != "tensorflow":
        pytest.skip("the gradient is taken by TensorFlow")
    import tensorflow as tf

    given = tf.constant([-1.0, -0.2, 0.3, 1.5])
    with tf.GradientTape() as tape:
        tape.watch(given)
        total = tf.reduce_sum(wavenet.quantised(given))
    # By hand, but for the derivative of the expansion, which is taken at the nearest level.
    slope = np.asarray(tape.gradient(total, given)) / (1 - np.tanh(given) ** 2)
    np.testing.assert_allclose(slope, 1, atol=0.05)


# The network


def test_a_sample_sees_those_before_it_and_no_others(network):
    rng = np.random.default_rng(0)
    before, mels = inputs(rng, 1)
    assert network.receptive_field == 19
    whole = np.asarray(network((before, mels)))
    for changed in (0, 10, 35):
        other = before.copy()
        other[0, changed] = -other[0, changed]
        moved = np.abs(np.asarray(network((other, mels))) - whole).max(axis=(0, 2)) > 0
        assert not moved[:changed].any() and moved[changed]
        assert not moved[changed + network.receptive_field :].any()
    other = mels.copy()
    other[0, 3] += 1
    moved = np.abs(np.asarray(network((before, other))) - whole).max(axis=(0, 2)) > 0
    assert not moved[: 3 * HOP].any() and moved[3 * HOP : 4 * HOP].any()


def test_one_after_another_gives_what_all_at_once_gives(network):
    before, mels = inputs(np.random.default_rng(1), sounds=3)
    sampler = Sampler(network)
    state, frames = sampler.begin(3), sampler.frames(mels)
    found = [
        sampler.logits(before[:, at], state, frames[at // HOP], at) for at in range(before.shape[1])
    ]
    np.testing.assert_allclose(np.stack(found, axis=1), network((before, mels)), atol=1e-4)


def test_draws_follow_the_network(network):
    """The likeliest level, at a temperature of 0; and the share of each, at 1."""
    mels = inputs(np.random.default_rng(3), sounds=2)[1]
    sampler = Sampler(network)
    made = sampler.draw(mels, 3 * HOP, np.random.default_rng(4), temperature=0)
    assert made.shape == (2, 3 * HOP)
    before = np.concatenate([np.zeros((2, 1), np.float32), made[:, :-1]], axis=1)
    likeliest = np.asarray(network((before, mels))).argmax(axis=2)
    np.testing.assert_allclose(made, wavenet.samples_of(likeliest), atol=1e-6)
    many = np.repeat(mels[:1], 20_000, axis=0)
    first = sampler.draw(many, 1, np.random.default_rng(5))[:, 0]
    shares = np.bincount(np.asarray(wavenet.levels(first)), minlength=256) / len(first)
    logits = network((np.zeros((1, 1), np.float32), mels[:1]))
    np.testing.assert_allclose(shares, np.asarray(ops.softmax(logits))[0, 0], atol=0.01)
    again = sampler.draw(many, 1, np.random.default_rng(5))[:, 0]
    np.testing.assert_array_equal(first, again)


def test_the_loss_of_no_knowledge_is_that_of_256_levels():
    logits = np.zeros((2, 5, wavenet.LEVELS), np.float32)
    samples = np.random.default_rng(6).uniform(-1, 1, (2, 5))
    assert float(wavenet.loss(logits, samples)) == pytest.approx(np.log(256), abs=1e-5)
    sure = 50.0 * np.eye(256, dtype=np.float32)[np.asarray(wavenet.levels(samples))]
    assert float(wavenet.loss(sure, samples)) == pytest.approx(0, abs=1e-5)
