"""What errors of velocity and timing mean: the measurements that need no model."""

import numpy as np
import pytest

from experiments.dynamics import floors

KICK, SNARE = 0, 1


def window(*hits, steps=16):
    """A window shaped [steps, 27] with hits (step, drum, velocity of 127, offset)."""
    result = np.zeros((steps, 27), np.float32)
    for step, drum, velocity, offset in hits:
        result[step, [drum, 9 + drum, 18 + drum]] = 1, velocity / 127, offset
    return result


TRAINING = np.array(
    [
        window((0, KICK, 100, 0.1), (4, SNARE, 120, -0.5)),
        window((0, KICK, 60, 0.3), (4, SNARE, 40, -0.1)),
        window((0, KICK, 80, 0.2), (8, KICK, 20, 0.9)),
    ]
)


def test_medians_by_drum_and_by_step():
    """Kicks at 20, 60, 80 and 100: their median is 70; those of step 0 have 80."""
    drum = floors.medians(TRAINING, by_step=False)
    assert drum.shape == (16, 18) and (drum == drum[0]).all()
    np.testing.assert_allclose(127 * drum[0, [KICK, SNARE, 2]], [70, 80, 0], rtol=1e-6)
    np.testing.assert_allclose(drum[0, [9 + KICK, 9 + SNARE]], [0.25, -0.3], rtol=1e-6)
    step = floors.medians(TRAINING, by_step=True)
    np.testing.assert_allclose(127 * step[[0, 8, 3], KICK], [80, 20, 70], rtol=1e-6)
    np.testing.assert_allclose(step[[0, 8], 9 + KICK], [0.2, 0.9], rtol=1e-6)


def test_constants_are_measured_as_evaluate_does():
    """A kick of 90 for a median of 70 and a snare of 50 for 80: (20 + 30) / 2 = 25 off.

    At 120 quarters a minute half a sixteenth has 62.5 ms: 0.05 and 0.3 of it, on average 10.9 ms.
    """
    target = np.array([window((8, KICK, 90, 0.2), (20, SNARE, 50, 0), steps=32)])
    predicted = floors.with_constant(target, floors.medians(TRAINING, by_step=False))
    found = floors.measure([(target, predicted, 120)])
    assert found["f1"] == 1 and found["hits"] == 2
    assert found["velocity_mae"] == pytest.approx(25, abs=1e-4)
    assert found["timing_mae_ms"] == pytest.approx(62.5 * (0.05 + 0.3) / 2, abs=1e-4)


def test_the_nearest_window_has_the_highest_f1_of_hits():
    ours = np.array([window((0, KICK, 1, 0), (8, KICK, 1, 0)), window((4, SNARE, 9, 0)), window()])
    # The snare alone: F1 2/3 with each of the first two, so the first.
    assert floors.nearest(ours, TRAINING).tolist() == [2, 0, 0]


def test_a_neighbour_gives_its_common_hits_and_the_constant_the_others():
    ours = np.array([window((0, KICK, 1, 0), (2, SNARE, 1, 0))])
    constant = floors.medians(TRAINING, by_step=False)
    found = floors.with_neighbours(ours, TRAINING[:1], constant)[0]
    np.testing.assert_array_equal(found[:, :9], ours[0, :, :9])
    np.testing.assert_allclose(127 * found[[0, 2], [9 + KICK, 9 + SNARE]], [100, 80], rtol=1e-6)
    np.testing.assert_allclose(found[[0, 2], [18 + KICK, 18 + SNARE]], [0.1, -0.3], rtol=1e-6)


def test_draws_are_dynamics_of_training_hits_of_the_same_drum():
    ours = np.tile(window((3, KICK, 1, 0)), (200, 1, 1))
    found = floors.with_draws(ours, TRAINING, np.random.default_rng(0))
    pairs = {(round(float(127 * w[3, 9])), round(float(w[3, 18]), 1)) for w in found}
    assert pairs == {(100, 0.1), (60, 0.3), (80, 0.2), (20, 0.9)}
    assert not ours[:, 3, 18].any()


def test_takes_of_one_beat_are_compared_bar_by_bar():
    one, other = (np.array([window((0, KICK, v, 0))] * n) for v, n in ((100, 3), (90, 2)))
    takes = {("1", "a"): (one, 120.0), ("1", "b"): (other, 120.0), ("2", "c"): (one, 90.0)}
    pairs = list(floors.of_two_drummers(takes))
    assert [(len(a), len(b), qpm) for a, b, qpm in pairs] == [(2, 2, 120.0)]
    assert floors.measure(pairs)["velocity_mae"] == pytest.approx(10, abs=1e-4)
    assert [len(a) for a, _, _ in floors.consecutive(takes)] == [2, 1, 2]
    assert floors.measure(floors.consecutive(takes))["velocity_mae"] == 0
    with pytest.raises(ValueError, match="120.0 quarters a minute.*90.0"):
        list(floors.of_two_drummers({("1", "a"): (one, 120.0), ("1", "b"): (one, 90.0)}))


def test_levelled_takes_out_what_one_drummer_is_louder():
    """Kicks that are 10, 20 and 60 louder: 20 is taken off, and 10, 0 and 40 are left."""
    target = np.array([window(*((step, KICK, 40, 0) for step in range(3)))])
    louder = np.array([window((0, KICK, 50, 0), (1, KICK, 60, 0), (2, KICK, 100, 0))])
    found = floors.measure([(target, floors.levelled(target, louder), 120)])
    assert found["velocity_mae"] == pytest.approx(50 / 3, abs=1e-4)
    assert louder[0, 0, 9] == np.float32(50 / 127)
