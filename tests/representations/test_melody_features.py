"""Features of melody windows, by hand."""

import numpy as np
import pytest

from pipelines.representations import melody_features as features

OFF = 1
BAR = 8


def window(notes, steps=BAR, depth=40):
    """One window, one-hot; notes are {step: semitones above the lowest pitch, or None: an end}."""
    events = np.zeros(steps, np.int64)
    for step, pitch in notes.items():
        events[step] = OFF if pitch is None else 2 + pitch
    return np.eye(depth)[None, events]


def measured(name, array):
    (value,) = features.FEATURES[name].measure(array, BAR)
    return value


def test_density_and_empty_bars():
    array = window({0: 5, 2: 7, 4: None, 16: 5}, steps=3 * BAR)
    assert measured("density", array) == 1
    # An end of a note is no note.
    assert measured("empty_bars", array) == pytest.approx(1 / 3)


def test_diatonic():
    # A major scale on the third semitone above the lowest pitch, over two octaves.
    scale = [3, 5, 7, 8, 10, 12, 14, 27]
    assert measured("diatonic", window(dict(enumerate(scale)))) == 1
    # The relative minor has the same notes; its raised seventh is outside.
    assert measured("diatonic", window(dict(enumerate([12, 14, 3, 5, 7, 8, 11, 12])))) == 7 / 8
    # Of all twelve, no scale has more than seven.
    chromatic = window(dict(enumerate(range(12))), steps=16)
    assert measured("diatonic", chromatic) == pytest.approx(7 / 12)


def test_pitch_range():
    assert measured("pitch_range", window({0: 5, 3: None, 4: 17, 6: 9})) == 12
    assert measured("pitch_range", window({4: 17})) == 0


def test_on_eighths():
    # Steps are sixteenths: 0, 2 and 6 are on eighths, 3 is not, and 5 ends a note.
    assert measured("on_eighths", window({0: 1, 2: 1, 3: 1, 5: None, 6: 1})) == 3 / 4


def test_rests():
    # From step 2 on, six steps: silent on 4 and 5.
    assert measured("rests", window({2: 1, 4: None, 6: 1})) == 2 / 6
    assert measured("rests", window({0: 1, 4: 3})) == 0
    # An end of a note that began before the window is not counted.
    assert measured("rests", window({0: None, 4: 3})) == 0


def test_self_similarity():
    # Bars of 2 and 2 notes that share one: 2 / 4. Then the same pitch on another step: none.
    array = window({0: 5, 4: 7, 8: 5, 12: 9, 17: 5}, steps=3 * BAR)
    assert measured("self_similarity", array) == (2 / 4 + 0) / 2
    assert np.isnan(measured("self_similarity", window({0: 5})))


def test_histograms():
    # 5, up by 2, down by 14 (an octave in the histogram); an end lies between two notes.
    array = window({0: 15, 1: 17, 3: None, 4: 3})
    pitches = measured("pitch_histogram", array)
    assert pitches.nonzero()[0].tolist() == [3, 15, 17] and pitches.sum() == 3
    intervals = measured("interval_histogram", array)
    assert intervals.shape == (25,) and intervals.sum() == 2
    assert intervals[12 + 2] == 1 and intervals[0] == 1
    # One step; two; from step 4 to the end of the window, four.
    durations = measured("duration_histogram", array)
    assert durations.shape == (16,) and durations.nonzero()[0].tolist() == [0, 1, 3]
    profile = measured("onset_profile", window({0: 1, 8: 3, 11: 3}, steps=2 * BAR))
    assert profile.tolist() == [2, 0, 0, 1, 0, 0, 0, 0]


@pytest.mark.parametrize("name", features.FEATURES)
def test_a_window_is_measured_by_itself(name):
    rng = np.random.default_rng(0)
    array = np.eye(40)[rng.integers(0, 40, [12, 3 * BAR]) * (rng.random([12, 3 * BAR]) < 0.4)]
    array[3] = np.eye(40)[0]
    measure = features.FEATURES[name].measure
    whole = measure(array, BAR)
    np.testing.assert_array_equal(
        whole, np.concatenate([measure(each[None], BAR) for each in array])
    )
    if name not in ("density", "empty_bars"):
        # Silence has nothing to measure.
        assert not np.nan_to_num(whole[3]).any()
