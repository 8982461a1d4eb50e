"""Seconds to quarter notes: changes of tempo by hand, and tempos that cannot be followed."""

import math

import numpy as np
import pytest

from pipelines.music import timing
from pipelines.music.note_sequence import NoteSequence
from pipelines.music.timing import DEFAULT_QPM, TempoMap


def tempos(*changes):
    """Tempos of a NoteSequence from pairs of seconds and quarter notes a minute."""
    return [NoteSequence.Tempo(time=time, qpm=qpm) for time, qpm in changes]


def quarters(changes, *seconds):
    return TempoMap(tempos(*changes))(np.array(seconds)).tolist()


def test_without_a_tempo_there_are_two_quarters_a_second():
    assert DEFAULT_QPM == 120
    assert quarters([], 0, 0.25, 3) == [0, 0.5, 6]


def test_changes_by_hand():
    # 60 a minute: one quarter in the first second; 180: three in the next; 30: half a one a second.
    changes = [(0, 60), (1, 180), (2, 30)]
    assert quarters(changes, 0.5, 1, 1.5, 2, 4, 102) == [0.5, 1, 2.5, 4, 5, 54]
    assert quarters(changes[::-1], 0.5, 1, 1.5, 2, 4, 102) == [0.5, 1, 2.5, 4, 5, 54]


def test_before_the_first_tempo_it_is_120_as_in_midi():
    assert quarters([(2, 60)], 1, 2, 3) == [2, 4, 5]
    assert TempoMap(tempos((2, 60))).changes == [(0, 120), (2, 60)]


def test_of_several_tempos_at_one_time_the_last_one_given_holds():
    for one, other in ((60, 90), (90, 60)):
        assert quarters([(0, one), (0, other)], 60) == [other]
        assert TempoMap(tempos((0, 120), (3, one), (3, other))).changes == [(0, 120), (3, other)]


def test_times_before_the_begin():
    # A note may be a little early; a tempo given for then is the first.
    assert quarters([(0, 60), (1, 180)], -0.5) == [-0.5]
    assert quarters([(-1, 60)], 0, 1) == [0, 1]
    assert quarters([(-1, 90), (-2, 60)], 0, 60) == [0, 90]


def test_a_tempo_that_is_repeated_is_a_change_too():
    assert TempoMap(tempos((0, 90), (2, 90))).changes == [(0, 90), (2, 90)]


def test_any_shape():
    times = np.array([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]])
    found = TempoMap(tempos((0, 60), (3, 120)))(times)
    np.testing.assert_array_equal(found, [[0, 1, 2], [3, 5, 7]])
    assert TempoMap([])(np.zeros((0, 2))).shape == (0, 2)


@pytest.mark.parametrize(
    "time, qpm",
    [
        (1, 0),
        (1, -60),
        (1, math.inf),
        (1, math.nan),
        (0, 0),
        (math.nan, 60),
        (math.inf, 60),
        (-math.inf, 60),
    ],
)
def test_tempos_that_cannot_be_followed_are_passed_over_and_told(time, qpm):
    good = tempos((0, 90), (2, 30))
    broken = [*good, *tempos((time, qpm))]
    assert TempoMap(broken).changes == TempoMap(good).changes == [(0, 90), (2, 30)]
    assert timing.all_valid(good) and not timing.all_valid(broken)
    assert timing.all_valid([]) and TempoMap(tempos((time, qpm))).changes == [(0, 120)]


def test_random_tempos_by_adding_up_small_stretches():
    rng = np.random.default_rng(0)
    for _ in range(20):
        # Changes at whole tenths of a second, and the quarters of each tenth one after another.
        changes = [(at / 10, float(rng.uniform(20, 300))) for at in rng.choice(100, 5, False)]
        known = {0.0: 120.0, **dict(changes)}
        total, expected, qpm = 0.0, [], 120.0
        for tenth in range(120):
            qpm = known.get(tenth / 10, qpm)
            expected.append(total)
            total += qpm / 600
        found = TempoMap(tempos(*changes))(np.arange(120) / 10)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_the_tempo_of_a_piece():
    sequence = NoteSequence()
    assert timing.first_qpm(sequence) == 120
    sequence.tempos.extend(tempos((0, 97.5), (2, 60)))
    assert timing.first_qpm(sequence) == 97.5


def test_seconds_are_the_inverse_of_quarters():
    # Two seconds at 60 are two quarters; from there on a quarter takes half a second.
    quarters = TempoMap(tempos((0, 60), (2, 120)))
    assert quarters.seconds(np.array([0, 1, 2, 4])).tolist() == [0, 1, 2, 3]
    times = np.array([-1, 0.3, 2, 7.5])
    np.testing.assert_allclose(quarters.seconds(quarters(times)), times)
