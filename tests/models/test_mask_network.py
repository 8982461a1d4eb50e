"""The network that finds masks: shapes, what a frame depends on, and the loss by hand."""

import numpy as np
import pytest

pytestmark = pytest.mark.keras3


def network():
    import keras

    from models.mask_network import MaskNetwork

    keras.utils.set_random_seed(0)
    return MaskNetwork(32, (4, 6), 8, (1, 2))


def test_a_frame_depends_on_its_context_alone():
    made = network()
    rng = np.random.default_rng(0)
    magnitudes = rng.exponential(size=(1, 120, 32)).astype(np.float32)
    before = np.asarray(made(magnitudes))
    assert before.shape == magnitudes.shape
    magnitudes[0, 60] = 100
    changed = np.abs(np.asarray(made(magnitudes)) - before).max(axis=(0, 2)) > 1e-6
    assert changed[60]
    frames = np.flatnonzero(changed)
    assert 60 - made.context <= frames.min() and frames.max() <= 60 + made.context


def test_it_takes_any_number_of_frames():
    made = network()
    for frames in (1, 7):
        assert made(np.ones((2, frames, 32), np.float32)).shape == (2, frames, 32)


def test_bins_that_cannot_be_halved():
    from models.mask_network import MaskNetwork

    with pytest.raises(ValueError, match="34 bins cannot be halved 2 times"):
        MaskNetwork(34, (4, 6), 8)


def test_the_loss_by_hand():
    from models.mask_network import distortion_db

    # One bin: a mixture of 3 + 4i with the drums 3. A mask of 1/2 leaves the error 1.5 - 2i - 1.5 =
    # -2i, of the energy 4 of 25.
    one = np.ones((1, 1, 1), np.float32)
    loss = distortion_db(0 * one, 25 * one, 9 * one, 9 * one)
    error = abs((3 + 4j) / 2 - 3) ** 2
    assert float(loss[0]) == pytest.approx(10 * np.log10(error / 25 + 1e-3), abs=1e-4)
    # Nothing at all is no error, and not infinite.
    assert np.isfinite(distortion_db(one, 0 * one, 0 * one, 0 * one)).all()


def test_the_best_mask_is_the_phase_sensitive_one():
    from models.mask_network import distortion_db

    shares = np.linspace(0.01, 0.99, 99, dtype=np.float32)
    ones = np.ones((99, 1, 1), np.float32)
    logits = np.log(shares / (1 - shares))[:, np.newaxis, np.newaxis]
    losses = np.asarray(distortion_db(logits, 25 * ones, 9 * ones, 9 * ones))
    assert shares[losses.argmin()] == pytest.approx(9 / 25, abs=1e-6)
