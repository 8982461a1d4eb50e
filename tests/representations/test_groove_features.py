"""Features of drum windows, by hand."""

import numpy as np
import pytest

from pipelines.representations import groove_features as features
from pipelines.representations.groove_converter import CLASS_NAMES

BAR = 16
FEATURES_AND_HISTOGRAMS = {**features.FEATURES, **features.HISTOGRAMS}


def window(*hits, bars=1):
    """One window; a hit is (step, name of the class, velocity of 127, offset)."""
    array = np.zeros((1, bars * BAR, 27), np.float32)
    for step, name, velocity, offset in hits:
        drum = CLASS_NAMES.index(name)
        array[0, step, [drum, 9 + drum, 18 + drum]] = 1, velocity / 127, offset
    return array


def rhythm(bars=1, **steps):
    """One window of hits with velocity 100 on the grid, given as name=steps."""
    return window(
        *((step, name, 100, 0) for name, of_name in steps.items() for step in of_name), bars=bars
    )


def measured(name, array):
    (value,) = features.FEATURES[name](array, BAR)
    return value


def random_windows(n=20, bars=2, seed=0):
    rng = np.random.default_rng(seed)
    hits = rng.random((n, bars * BAR, 9)) < 0.2
    velocities, offsets = rng.random(hits.shape), rng.uniform(-1, 1, hits.shape)
    return np.concatenate([hits, hits * velocities, hits * offsets], axis=-1)


def test_density_and_nearly_empty_bars():
    # Three hits in the first bar, two in the second, none in the third and four in the last.
    array = rhythm(bars=4, kick=[0, 8, 16, 48, 49, 50, 51], snare=[4], ride=[20])
    assert measured("density", array) == 9 / 4
    assert measured("nearly_empty", array) == 2 / 4
    assert measured("sparsest_bar", array) == 0
    assert measured("sparsest_bar", array[:, :32]) == 2


@pytest.mark.parametrize(
    "steps, expected",
    [
        # On every quarter, and on two and four: no stronger step follows within the bar.
        (dict(kick=[0, 4, 8, 12]), 0),
        (dict(snare=[4, 12]), 0),
        # A kick on the eighth before three (-2), and a rest on three (-1).
        (dict(kick=[0, 6]), 1),
        # On the sixteenth before it (-3).
        (dict(kick=[0, 7]), 2),
        # The next note of the same drum takes the stronger step; one of another drum does not.
        (dict(kick=[0, 7, 8]), 0),
        (dict(kick=[0, 7], snare=[8]), 2),
        # The strongest rest counts, not the first: an eighth (-2) and a quarter (-1) follow.
        (dict(kick=[5]), 2),
        # Kick and snare add up: 1 and 2.
        (dict(kick=[0, 6], snare=[7]), 3),
        # Both hi-hats, crash and ride are one stream; toms are none.
        (dict(closed_hihat=[6], ride=[8], crash=[12]), 0),
        (dict(low_tom=[7]), 0),
    ],
)
def test_syncopation(steps, expected):
    assert measured("syncopation", rhythm(**steps)) == expected


def test_syncopation_over_the_bar_line():
    # A sixteenth before the second bar (-3), which begins with a rest (0): 3, in two bars.
    assert measured("syncopation", rhythm(bars=2, kick=[0, 15, 20])) == 3 / 2
    # At the end of the window, what would follow is unknown.
    assert measured("syncopation", rhythm(bars=2, kick=[0, 16, 31])) == 0


def test_three_quarters_a_bar():
    # A bar of 12 steps: the kick on 6 is an eighth before the third quarter, where there is a rest.
    (value,) = features.syncopation(rhythm(kick=[0, 6])[:, :12], 12)
    assert value == 1
    assert features.kick_profile(rhythm(kick=[0, 6])[:, :12], 12).shape == (1, 12)


def test_straight_eighths_have_no_swing():
    assert measured("swing", rhythm(closed_hihat=range(0, 16, 2))) == 1 / 2


def test_a_triplet_feel():
    # The second eighth is played at 8/3 of 4 steps: on step 3, early by 1/3, an offset of 2/3.
    quarters = [(step, "ride", 90, 0) for step in (0, 4, 8, 12)]
    offbeats = [(step, "ride", 90, 2 / 3) for step in (7, 15)]
    assert measured("swing", window(*quarters, *offbeats)) == pytest.approx(2 / 3)


def test_a_late_eighth_swings_a_little():
    # At 2.2 of 4 steps: on step 2, late by 0.2, an offset of -0.4.
    array = window((0, "closed_hihat", 90, 0), (2, "closed_hihat", 90, -0.4))
    assert measured("swing", array) == pytest.approx(2.2 / 4)


def test_swing_is_measured_from_what_is_played():
    # The first is late by 0.1, the second on the grid, the next quarter late by 0.3:
    # 2 - 0.1 = 1.9, and 4.3 - 2 = 2.3.
    array = window(
        (0, "closed_hihat", 90, -0.2), (2, "closed_hihat", 90, 0), (4, "closed_hihat", 90, -0.6)
    )
    assert measured("swing", array) == pytest.approx(1.9 / 4.2)


@pytest.mark.parametrize(
    "steps",
    [
        # Sixteenths; an eighth without a quarter before it; one sixteenth after the quarter; drums
        # that do not keep time.
        dict(closed_hihat=range(16)),
        dict(closed_hihat=[2, 6]),
        dict(closed_hihat=[0, 1]),
        dict(kick=[0, 2], snare=[4, 6]),
    ],
)
def test_no_eighths_no_swing(steps):
    assert np.isnan(measured("swing", rhythm(**steps)))


def test_swing_of_sixteenths():
    assert measured("swing_16th", rhythm(closed_hihat=range(16))) == 1 / 2
    assert np.isnan(measured("swing_16th", rhythm(closed_hihat=range(0, 16, 2))))
    # The second sixteenth is late by 0.2, an offset of -0.4: 1.2 and 0.8.
    array = window((4, "closed_hihat", 90, 0), (5, "open_hihat", 90, -0.4))
    assert measured("swing_16th", array) == pytest.approx(1.2 / 2)


def test_velocity():
    array = window(*((step, "kick", 10 * step, 0) for step in range(1, 12)))
    # 10, 20, ..., 110: the 10th percentile is 20, the 90th 100.
    assert measured("velocity_mean", array) == pytest.approx(60)
    assert measured("velocity_range", array) == pytest.approx(80)


def test_velocity_range_is_numpys():
    array = random_windows()
    flat = np.where(array[..., :9] > 0, 127 * array[..., 9:18], np.nan).reshape(len(array), -1)
    low, high = np.nanpercentile(flat, (10, 90), axis=1)
    np.testing.assert_allclose(features.velocity_range(array, BAR), high - low)


def test_hihat_open():
    array = rhythm(closed_hihat=[0, 4, 8], open_hihat=[14], ride=[2])
    assert measured("hihat_open", array) == 1 / 4
    assert np.isnan(measured("hihat_open", rhythm(kick=[0])))


def test_polyphony():
    # Five hits on three steps.
    assert measured("polyphony", rhythm(kick=[0, 8], closed_hihat=[0, 4, 8])) == 5 / 3


def test_self_similarity():
    # The first two bars share one hit of two and one: F1 is 2 / 3. The second and the third have
    # nothing in common: 0. The last two are empty and are passed over.
    array = rhythm(bars=5, kick=[0, 8, 16], snare=[36])
    # The third bar and the empty fourth: 0.
    assert measured("self_similarity", array) == pytest.approx((2 / 3 + 0 + 0) / 3)
    assert measured("self_similarity", rhythm(bars=2, kick=[0, 3, 16, 19])) == 1
    assert np.isnan(measured("self_similarity", rhythm(kick=[0])))


def test_profiles():
    array = rhythm(bars=2, kick=[0, 16, 26], snare=[4], open_hihat=[0], closed_hihat=[0, 16])
    kick = features.HISTOGRAMS["kick_profile"](array, BAR)
    assert kick.shape == (1, 16)
    assert kick[0, 0] == 2 and kick[0, 10] == 1 and kick.sum() == 3
    # Both hi-hats at once are one bar with a hit.
    hihat = features.HISTOGRAMS["hihat_profile"](array, BAR)
    assert hihat[0, 0] == 2 and hihat.sum() == 2
    assert features.HISTOGRAMS["snare_profile"](array, BAR)[0].nonzero()[0].tolist() == [4]


def test_velocity_histogram():
    array = window((0, "kick", 7, 0), (1, "kick", 8, 0), (2, "kick", 127, 0), (3, "kick", 0, 0))
    (counts,) = features.velocity_histogram(array, BAR)
    # Eight velocities a bin: 0 and 7; 8; 127.
    assert counts[0] == 2 and counts[1] == 1 and counts[15] == 1 and counts.sum() == 4


def test_timing_histogram():
    array = window((0, "kick", 9, -1), (1, "kick", 9, -0.95), (2, "kick", 9, 0), (3, "kick", 9, 1))
    (counts,) = features.timing_histogram(array, BAR)
    # Twenty bins of 0.1 from -1 to 1.
    assert counts[0] == 2 and counts[10] == 1 and counts[19] == 1 and counts.sum() == 4


@pytest.mark.parametrize("name", FEATURES_AND_HISTOGRAMS)
def test_a_window_is_measured_by_itself(name):
    array = random_windows()
    # Silence among the others: without a warning, which would be an error here.
    array[3] = 0
    measure = FEATURES_AND_HISTOGRAMS[name]
    whole = measure(array, BAR)
    assert len(whole) == len(array)
    np.testing.assert_array_equal(
        whole, np.concatenate([measure(each[None], BAR) for each in array])
    )


def test_silence():
    silence = {name: measured(name, window(bars=4)) for name in features.FEATURES}
    assert silence.pop("density") == 0 and silence.pop("nearly_empty") == 1
    assert silence.pop("sparsest_bar") == 0
    assert all(map(np.isnan, silence.values())), silence
    for name, histogram in features.HISTOGRAMS.items():
        assert not histogram(window(bars=4), BAR).any(), name


@pytest.mark.parametrize("name", FEATURES_AND_HISTOGRAMS)
def test_only_hits_count(name):
    array = random_windows()
    noisy = array.copy()
    hits = array[..., :9] > 0
    rng = np.random.default_rng(1)
    for third in (noisy[..., 9:18], noisy[..., 18:]):
        third[~hits] = rng.random((~hits).sum())
    measure = FEATURES_AND_HISTOGRAMS[name]
    np.testing.assert_array_equal(measure(array, BAR), measure(noisy, BAR))
