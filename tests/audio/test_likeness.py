"""How alike sounds are as music, on sounds whose onsets, notes and timbres are known."""

import numpy as np
import pytest

from pipelines.audio import likeness
from tests.support.sounds import clicks, tone

RATE = 16_000


def melody(*hertz: float, seconds: float = 0.4) -> np.ndarray:
    """Tones that each die away, after a tenth of a second of silence."""
    fade = np.linspace(1, 0.2, round(RATE * seconds), dtype=np.float32)
    return np.concatenate(
        [np.zeros(RATE // 10, np.float32), *(tone(each, RATE, seconds) * fade for each in hertz)]
    )


def shifted(samples: np.ndarray, seconds: float) -> np.ndarray:
    return np.concatenate([np.zeros(round(RATE * seconds), np.float32), samples])


def test_onsets():
    # Bursts begin at 0, 0.25, 0.5 and 0.75 s, after 0.1 s of silence.
    found = likeness.onsets(shifted(clicks(), 0.1), RATE)
    np.testing.assert_allclose(found, [0.1, 0.35, 0.6, 0.85], atol=0.03)
    assert likeness.onsets(np.zeros(RATE, np.float32), RATE).size == 0


def test_onset_f1():
    sound = shifted(clicks(), 0.1)
    assert likeness.onset_f1(sound, sound, RATE) == 1
    # Half of the four bursts: precision 1, recall 1/2, and so 2/3.
    assert likeness.onset_f1(sound[: RATE // 2], sound, RATE) == pytest.approx(2 / 3)
    assert likeness.onset_f1(shifted(sound, 0.12), sound, RATE) == 0
    silence = np.zeros(RATE, np.float32)
    assert likeness.onset_f1(silence, silence, RATE) == 1
    assert likeness.onset_f1(silence, sound, RATE) == likeness.onset_f1(sound, silence, RATE) == 0


def test_notes():
    intervals, pitches = likeness.notes(melody(440, 660, 330), RATE)
    np.testing.assert_allclose(pitches, [440, 660, 330], rtol=0.01)
    np.testing.assert_allclose(intervals[:, 0], [0.1, 0.5, 0.9], atol=0.04)
    assert likeness.notes(np.zeros(RATE, np.float32), RATE)[1].size == 0


def test_note_f1():
    sound = melody(440, 660, 330)
    assert likeness.note_f1(sound, sound, RATE) == 1
    # Two of three notes are right: precision and recall 2/3.
    assert likeness.note_f1(melody(440, 587, 330), sound, RATE) == pytest.approx(2 / 3)
    # Other overtones are the same notes.
    bright = np.clip(3 * sound, -0.5, 0.5)
    assert likeness.note_f1(bright, sound, RATE) == 1
    silence = np.zeros(len(sound), np.float32)
    assert likeness.note_f1(silence, sound, RATE) == likeness.note_f1(sound, silence, RATE) == 0
    assert likeness.note_f1(silence, silence, RATE) == 1


def test_timbre_distance():
    noise, sound = clicks(), melody(440, 660)
    assert likeness.timbre_distance(sound, sound, RATE) == pytest.approx(0, abs=1e-9)
    there, back = (
        likeness.timbre_distance(*each, RATE) for each in ((noise, sound), (sound, noise))
    )
    assert there == pytest.approx(back) and there > 1
    # The music may be another one: the same timbre is nearer than another.
    assert likeness.timbre_distance(melody(495, 587), sound, RATE) < there
    # Loudness is no timbre, but where it reaches the floor of librosa's decibels.
    assert likeness.timbre_distance(0.5 * noise, noise, RATE) < 0.01 * there
    silence = np.zeros(RATE, np.float32)
    assert np.isfinite(likeness.timbre_distance(silence, noise, RATE))


def test_timbre_distance_by_hand(monkeypatch):
    # One coefficient: means 0 and 3, variances 2 and 5, with the least variance 1. In nats:
    # ((5/2 + 2/5) + 9 (1/2 + 1/5)) / 4 - 1/2 = (2.9 + 6.3) / 4 - 0.5 = 1.8.
    known = {1.0: (np.zeros(1), 2 * np.eye(1)), 2.0: (3 * np.ones(1), 5 * np.eye(1))}
    monkeypatch.setattr(likeness, "_timbre", lambda samples, rate: known[float(samples[0])])
    assert likeness.timbre_distance(np.ones(1), 2 * np.ones(1), RATE) == pytest.approx(1.8)
