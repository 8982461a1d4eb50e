"""Separation by masks: what sums, what chunks change, and how well tones and clicks come apart."""

import mir_eval
import numpy as np
import pytest

from pipelines.audio import separation
from pipelines.audio.separation import HPSS, Separator
from tests.support.sounds import clicks, tone

RATE = 16_000


def separated(samples, separator=HPSS, chunk_seconds=10.0, block=4096, rate=RATE):
    """The two sounds of samples [frames, channels], read in blocks."""
    blocks = [samples[start : start + block] for start in range(0, len(samples), block)]
    chunks = list(separation.separate(blocks, rate, separator, chunk_seconds))
    first, second = (np.concatenate(each) for each in zip(*chunks))
    return first, second


def stereo(seconds=2.0, rate=RATE):
    left = tone(440, rate, seconds) + clicks(rate, seconds)
    return np.stack([left, 0.5 * tone(660, rate, seconds)], axis=1).astype(np.float32)


def test_a_tone_and_clicks_come_apart():
    wanted = clicks(seconds=4.0), tone(440, seconds=4.0)
    found = separated(sum(wanted)[:, np.newaxis])
    for one, truth in zip(found, wanted):
        mixed = separation.si_sdr(sum(wanted), truth)
        assert separation.si_sdr(one[:, 0], truth) > mixed + 6


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("seconds", [0.001, 0.3, 1.0])
def test_both_sum_to_the_sound(rate, seconds):
    samples = stereo(seconds, rate)
    first, second = separated(samples, rate=rate)
    assert first.shape == second.shape == samples.shape
    assert first.dtype == second.dtype == np.float32
    assert np.abs(first + second - samples).max() < 1e-6


def test_a_mask_of_one_gives_the_sound_back():
    samples = stereo()
    whole = Separator(
        ("all", "nothing"), lambda magnitudes, rate: np.ones_like(magnitudes), 0, 0.05
    )
    first, second = separated(samples, whole, chunk_seconds=0.4)
    assert np.abs(first - samples).max() < 1e-5
    assert np.abs(second).max() < 1e-5


@pytest.mark.parametrize("chunk_seconds", [0.001, 0.3, 0.7, 1.9])
def test_the_chunks_change_nothing(chunk_seconds):
    samples = stereo()
    found = separated(samples, chunk_seconds=chunk_seconds, block=777)
    for one, other in zip(found, separated(samples)):
        assert np.abs(one - other).max() < 1e-5


def test_channels_keep_their_places():
    # What is silent on the right stays so, and equal channels stay equal.
    left = tone(440) + clicks()
    for one in separated(np.stack([left, 0 * left], axis=1)):
        assert np.any(one[:, 0]) and not np.any(one[:, 1])
    for one in separated(np.stack([left, left], axis=1)):
        assert (one[:, 0] == one[:, 1]).all()


def test_silence_and_nothing():
    for one in separated(np.zeros((1000, 1), np.float32)):
        assert one.shape == (1000, 1) and not np.any(one)
    assert list(separation.separate([], RATE, HPSS)) == []


def test_si_sdr_by_hand():
    # The estimate is the reference and half of something orthogonal to it: 10 log10(1 / 0.25).
    reference, orthogonal = np.array([1.0, 0, 1, 0]), np.array([0, 1.0, 0, 1])
    assert separation.si_sdr(reference + orthogonal / 2, reference) == pytest.approx(
        6.0206, abs=1e-4
    )
    # Its scale makes no difference, and its sign neither.
    assert separation.si_sdr(-7 * (reference + orthogonal / 2), reference) == pytest.approx(
        6.0206, abs=1e-4
    )
    assert separation.si_sdr(3 * reference, reference) == np.inf
    assert separation.si_sdr(orthogonal, reference) == -np.inf
    assert separation.si_sdr(0 * reference, reference) == -np.inf
    with pytest.raises(ValueError, match="silent"):
        separation.si_sdr(reference, 0 * reference)
    with pytest.raises(ValueError, match="shapes"):
        separation.si_sdr(reference[:2], reference)


def test_si_sdr_is_at_most_what_mir_eval_finds():
    # BSS Eval also allows a filter of 512 taps, so it finds no more distortion, and not much less
    # where the error is noise.
    rng = np.random.default_rng(0)
    reference = rng.normal(size=(1, RATE))
    estimate = reference + 0.1 * rng.normal(size=(1, RATE))
    with pytest.warns(FutureWarning):
        found, *_ = mir_eval.separation.bss_eval_sources(reference, estimate, False)
    ours = separation.si_sdr(estimate[0], reference[0])
    assert ours <= found[0] < ours + 0.5
    assert ours == pytest.approx(20, abs=0.3)
