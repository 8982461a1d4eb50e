"""Resampling to mono."""

import numpy as np
import pytest

from pipelines.audio import resampling


def tone(hertz, rate, seconds=1.0):
    return np.sin(np.arange(int(rate * seconds)) / rate * 2 * np.pi * hertz).astype(np.float32)


def blocks_of(samples, size):
    return [samples[at : at + size] for at in range(0, len(samples), size)]


@pytest.mark.parametrize("size", [44_100, 999, 1 << 16])
def test_a_tone_stays_what_it_is(size):
    left = tone(440, 44_100)
    found = np.concatenate(
        list(resampling.mono(blocks_of(np.stack([left, 0 * left], 1), size), 44_100, 16_000))
    )
    assert found.dtype == np.float32 and found.shape == (16_000,)
    # Half of it is silent; the ends miss what was before and comes after.
    assert np.abs(found - tone(440, 16_000) / 2)[200:-200].max() < 1e-3


def test_what_is_too_high_is_left_out():
    high = tone(10_000, 44_100)
    found = np.concatenate(list(resampling.mono([high[:, None]], 44_100, 16_000)))
    assert np.abs(found[200:-200]).max() < 1e-3


def test_the_same_rate():
    samples = np.array([[0.5, 0.25], [0.0, -1.0]], np.float32)
    (found,) = resampling.mono([samples], 16_000, 16_000)
    assert found.tolist() == [0.375, -0.5]
    assert [len(each) for each in resampling.mono([samples[:0]], 44_100, 16_000)] == [0, 0]
