"""Spectrograms and the way back: their shapes, their ends, and how much is lost."""

import numpy as np
import pytest

from pipelines.audio import distances, spectrograms
from tests.support.sounds import clicks, tone

RATE = 16_000


def lost(name, samples, rate=RATE):
    """The spectral convergence in dB of what comes back, and what comes back."""
    chosen = spectrograms.REPRESENTATIONS[name]
    again = chosen.invert(chosen.analyse(samples, rate), rate, len(samples))
    assert again.dtype == np.float32 and again.shape == samples.shape
    found, wanted = (spectrograms.stft(each, rate) for each in (again, samples))
    return distances.spectral_convergence(found, wanted), again


def test_a_tone_is_in_its_bin():
    # A window of 800 frames has bins of 20 Hz: 1,000 Hz is bin 50. A Hann window sums to 400, and a
    # sine of half the full scale has half of that, halved again for the negative frequencies.
    found = spectrograms.stft(tone(1000), RATE)
    assert found.shape == (401, 1 + RATE // 200) and found.dtype == np.float32
    assert found[50, 40] == pytest.approx(100, rel=1e-3)
    assert set(found[:, 5:-5].argmax(axis=0)) == {50}


def test_mels_are_sums_of_bins():
    found = spectrograms.mel(tone(1000), RATE)
    assert found.shape == (192, 1 + RATE // 200)
    # Slaney's scale has 15 mels at 1,000 Hz and 45.245 at 8,000, here in 193 equal steps; the band
    # whose centre is nearest to 15 mels is 15 / 45.245 * 193 - 1 = 63.
    assert set(found[:, 5:-5].argmax(axis=0)) == {63}


def test_a_tone_is_in_its_semitone():
    # A4, 440 Hz, is 45 semitones above C1.
    found = spectrograms.cqt(tone(440, seconds=2.0), RATE)
    assert found.shape == (95, 1 + 2 * RATE // 512)
    assert set(found[:, 20:-20].argmax(axis=0)) == {45}


@pytest.mark.parametrize("samples", [tone(440), clicks()], ids=["tone", "clicks"])
def test_magnitudes_of_an_stft_are_enough(samples):
    found, again = lost("stft", samples)
    assert found < -25
    # The ends are as loud as they were: 10 ms of each.
    for end in (slice(160), slice(-160, None)):
        before, after = (np.sqrt(np.mean(each[end] ** 2)) for each in (samples, again))
        assert abs(20 * np.log10(after / before)) < 1.5


def test_mels_lose_less_than_the_cqt():
    mixed = tone(440) + clicks()
    by_mel, _ = lost("mel", mixed)
    assert by_mel < -15 and by_mel < lost("cqt", mixed)[0]


def test_the_stft_of_mels_is_non_negative_and_has_these_mels():
    mels = spectrograms.mel(clicks(), RATE)
    found = spectrograms.stft_of_mel(mels, RATE)
    assert found.dtype == np.float32 and found.min() >= 0
    assert distances.spectral_convergence(spectrograms.mel_filters(RATE, 192) @ found, mels) < -40


@pytest.mark.parametrize("name", list(spectrograms.REPRESENTATIONS))
@pytest.mark.parametrize("frames", [1, 799, 801, 5001])
def test_any_length_comes_back(name, frames):
    lost(name, tone(440)[100 : 100 + frames] + 0.1)


@pytest.mark.parametrize("name", list(spectrograms.REPRESENTATIONS))
def test_silence_stays_silent(name):
    chosen = spectrograms.REPRESENTATIONS[name]
    silence = np.zeros(5000, np.float32)
    again = chosen.invert(chosen.analyse(silence, RATE), RATE, 5000)
    assert np.abs(again).max() < 1e-6


def test_the_same_sound_comes_back_each_time():
    first, second = (lost("mel", clicks())[1].tobytes() for _ in range(2))
    assert first == second


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 96_000])
def test_any_rate_has_a_bin_for_each_band(rate):
    assert spectrograms.mel_filters(rate, 192).max(axis=1).min() > 0


def test_more_mels_than_bins():
    with pytest.raises(ValueError, match="600 mel bands are too many for 401 bins"):
        spectrograms.mel(tone(440), RATE, 600)
    with pytest.raises(ValueError, match="have no bin"):
        spectrograms.mel(tone(440), RATE, 400)
