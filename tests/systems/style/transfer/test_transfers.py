"""Mels in dB, and the way around a method."""

import numpy as np
import pytest

from pipelines.audio import distances, spectrograms
from pipelines.systems.style.transfer import transfers
from tests.support.sounds import clicks, tone


class Louder:
    """Adds decibels, and keeps what it was given."""

    def __init__(self, gain):
        self.gain, self.given = gain, []

    def convert(self, mels):
        self.given.append(mels)
        return mels + np.float32(self.gain)


class Halved:
    """Halves samples, and keeps how many it was given."""

    def __init__(self):
        self.given = []

    def convert_samples(self, samples):
        self.given.append(len(samples))
        return samples / 2


def test_mels():
    found = transfers.mels(tone(440))
    assert found.shape == (1 + 16_000 // 200, 192) and found.dtype == np.float32
    assert found.min() == transfers.FLOOR_DB
    # Twice the amplitude is 20 log10(2) = 6.02 dB more, where it is not at the floor.
    louder = transfers.mels(2 * tone(440))
    heard = found > -60
    assert heard.any()
    np.testing.assert_allclose((louder - found)[heard], 6.0206, atol=1e-3)


def test_the_way_around():
    sound = clicks() + tone(440)
    again = transfers.converted(sound, None)
    assert again.shape == sound.shape and again.dtype == np.float32
    found, wanted = (spectrograms.stft(each, transfers.RATE) for each in (again, sound))
    assert distances.spectral_convergence(found, wanted) < -15
    louder = transfers.converted(sound, Louder(6.0206))
    np.testing.assert_allclose(louder, 2 * again, atol=0.05)


def test_parts_fade_into_each_other(monkeypatch):
    sound = tone(440, seconds=2.0)
    monkeypatch.setattr(transfers, "PART_SECONDS", 0.8)
    monkeypatch.setattr(transfers, "FADE_SECONDS", 0.1)
    monkeypatch.setattr(transfers, "_LEAD_SECONDS", 0.2)
    transfer = Louder(0)
    parts = transfers.converted(sound, transfer)
    # 0 to 0.9 s, 0.8 to 1.7 s, 1.6 to 2 s, the later ones with 0.2 s before.
    assert [len(mels) for mels in transfer.given] == [73, 89, 49]
    assert parts.shape == sound.shape
    found, wanted = (transfers.mels(each) for each in (parts, sound))
    band = int(wanted.mean(axis=0).argmax())
    assert np.abs(found - wanted)[:, band].max() < 6


def test_what_changes_samples_goes_no_way_around(monkeypatch):
    sound = tone(440, seconds=2.0)
    monkeypatch.setattr(transfers, "PART_SECONDS", 0.8)
    monkeypatch.setattr(transfers, "FADE_SECONDS", 0.1)
    transfer = Halved()
    made = transfers.converted(sound, transfer)
    # Parts that fade into each other sum to the whole, phases and all.
    np.testing.assert_allclose(made, sound / 2, atol=1e-6)
    assert transfer.given == [14_400, 14_400, 6_400] and made.dtype == np.float32


def test_silent_frames():
    found = np.full((8, 3), transfers.FLOOR_DB)
    found[4, 2] = -99
    assert np.flatnonzero(~transfers.are_silent(found)).tolist() == [4]
    assert np.flatnonzero(~transfers.are_silent(found, 2, 2)).tolist() == [2, 3, 4, 5, 6]
    assert np.flatnonzero(~transfers.are_silent(found, 3, 1)).tolist() == [3, 4, 5, 6, 7]


@pytest.mark.parametrize("length", [1, 200, 5000])
def test_silence_and_short_sounds(length):
    silence = transfers.converted(np.zeros(length, np.float32), None)
    np.testing.assert_array_equal(silence, np.zeros(length))
    short = transfers.converted(tone(440)[:length], Louder(-200))
    np.testing.assert_array_equal(short, np.zeros(length))
