"""Bars that are too short or too long, in tunes in which it can be told by hand."""

import random

import numpy as np
import pytest

from pipelines.judge.bars.bar_lengths import LINE, LONG, NO_LINE, SHORT, Habits, beat, faults
from pipelines.judge.faults import beat_faults
from pipelines.music.abc.grid import WHOLE
from tests.support.danced_tunes import danced_tune, danced_tunes, learned_rhythm
from tests.support.written_tunes import tune

_EIGHTH = WHOLE // 8


@pytest.fixture(scope="module")
def habits():
    return Habits.learn(known.tune for known in danced_tunes(1, 160))


def _found(body, habits, meter="4/4"):
    return [(one.bar, one.kind, one.by) for one in faults(tune(body, meter), habits)]


RIGHT = {
    "no pickup": ("|:c8|c8|c8|c8:|:c8|c8|c8|c8:|", "4/4"),
    "pickups and last bars": ("c2|c8|c8|c8|c6:|:c2|c8|c8|c8|c6:|", "4/4"),
    "a jig's pickups": ("c|c6|c6|c6|c5:|:c|c6|c6|c6|c5:|", "6/8"),
    "a pickup of half a bar": ("c3|c6|c6|c6|c3:|:c3|c6|c6|c6|c3:|", "6/8"),
    "the last bar lacks the next pickup": ("c8|c8|c8|c6||c2|c8|c8|c8|c6|]", "4/4"),
    "a double bar line in the middle of a bar": ("c8|c8|c8|c4||c4|c8|c8|c8|c4|]", "4/4"),
    "a repeat in the middle of a bar": ("c4|c8|c8|c8|c4:|c4|c8|c8|c8|c4:|", "4/4"),
    "endings of a bar": ("c2|c8|c8|c8|[1c6:|[2c6||c2|c8|c8|c8|c6|]", "4/4"),
    "endings of two bars": ("|:c8|c8|[1c8|c8:|[2c8|c8|]", "4/4"),
    "endings that begin in the middle of a bar": (
        "c2|c8|c8|c8|c4[1c2:|[2c2||c2|c8|c8|c8|c6|]", "4/4"),
    "only the second ending leaves room": ("|:c8|c8|c8|[1c8:|[2c6||c2|c8|c8|c8|c6|]", "4/4"),
    "the pickup stands before the repeat": ("c2|:c8|c8|c8|c8:|:c8|c8|c8|c8:|", "4/4"),
    "another meter": ("c8|c8|c8|c8||\nM:3/4\nc6|c6|c6|c6|]", "4/4"),
    "another meter, with a pickup": ("c2|c8|c8|c8|c6||\nM:3/4\nc2|c6|c6|c6|c4|]", "4/4"),
    "a part in free meter": ("c8|c8|c8|c8||\nM:none\nc5|c3|c11|]", "4/4"),
    "rests count": ("|:c8|z8|c4z4|c2z6:|", "4/4"),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_right_tunes_have_no_fault(name, habits):
    body, meter = RIGHT[name]
    assert _found(body, habits, meter) == []


WRONG = {
    "a beat too few": ("|:c8|c8|c6|c8:|", "4/4", [(2, SHORT, 2)]),
    "a beat too many": ("|:c8|c10|c8|c8:|", "4/4", [(1, LONG, 2)]),
    "an eighth too few": ("c2|c8|c7|c8|c6:|", "4/4", [(2, SHORT, 1)]),
    "a compound beat too few": ("c|c6|c3|c6|c5:|:c|c6|c6|c6|c5:|", "6/8", [(2, SHORT, 3)]),
    "in the last bar of the first strain": (
        "c2|c8|c8|c8|c8:|:c2|c8|c8|c8|c6:|", "4/4", [(4, LONG, 2)]),
    "in the last bar of the tune": (
        "c2|c8|c8|c8|c6:|:c2|c8|c8|c8|c4:|", "4/4", [(9, SHORT, 2)]),
    "in the pickup": ("c4|c8|c8|c8|c6:|:c2|c8|c8|c8|c6:|", "4/4", [(0, LONG, 2)]),
    "in the pickup of the second strain": (
        "c2|c8|c8|c8|c6:|:c4|c8|c8|c8|c6:|", "4/4", [(5, LONG, 2)]),
    "in the first bar, which then looks like a pickup": (
        "|:c6|c8|c8|c8:|:c8|c8|c8|c8:|", "4/4", [(0, SHORT, 2)]),
    "in the second ending": (
        "c2|c8|c8|c8|[1c6:|[2c4||c2|c8|c8|c8|c6|]", "4/4", [(5, SHORT, 2)]),
    "before two endings, not in both of them": (
        "|:c8|c8|c6|[1c8:|[2c8||c8|c8|c8|c8|]", "4/4", [(2, SHORT, 2)]),
    "in two bars": ("|:c8|c6|c8|c8|c8|c10|c8|c8:|", "4/4", [(1, SHORT, 2), (5, LONG, 2)]),
    "a bar line is missing": ("|:c8|c8|c8|c16|c8|c8|c8:|", "4/4", [(3, NO_LINE, 0)]),
    "a bar line is missing before the end": (
        "c2|c8|c8|c14:|:c2|c8|c8|c8|c6:|", "4/4", [(3, NO_LINE, 0)]),
    "a bar line too many": (
        "|:c8|c8|c8|c4|c4|c8|c8|c8|c8:|", "4/4", [(3, LINE, 0)]),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_bars_are_found_and_placed(name, habits):
    body, meter, expected = WRONG[name]
    found = _found(body, habits, meter)
    assert sorted(found) == [(bar, kind, by * _EIGHTH) for bar, kind, by in expected]


@pytest.mark.parametrize(
    "meter, eighths",
    [((4, 4), 2), ((2, 2), 4), ((2, 4), 2), ((3, 4), 2), ((6, 8), 3), ((9, 8), 3), ((12, 8), 3),
     ((3, 8), 1), ((6, 4), 2), (None, 0)],
)  # fmt: skip
def test_beats(meter, eighths):
    assert beat(meter) == eighths * _EIGHTH


@pytest.mark.parametrize("plant", beat_faults.FAULTS.values(), ids=beat_faults.FAULTS)
def test_planted_beats_are_found_and_placed(plant, habits):
    rng, random_tunes = np.random.default_rng(5), random.Random(7)
    right = 0
    for number in range(60):
        whole = danced_tune(random_tunes, ("jig", "reel", "hornpipe", "slip jig")[number % 4])
        assert faults(whole, habits) == []
        faulty = plant(whole, rng)
        found = faults(faulty.tune, habits)
        right += [one.bar for one in found] == list(faulty.bars)
    assert right >= 57


def test_habits_are_kept_in_arrays(habits):
    again = Habits.of_arrays(habits.arrays())
    body = "c2|c8|c8|c8|c8:|:c2|c8|c8|c8|c6:|"
    assert again.arrays().keys() == habits.arrays().keys()
    for name, array in habits.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], array)
        assert array.dtype != object
    assert faults(tune(body, "4/4"), again) == faults(tune(body, "4/4"), habits)


def test_without_habits_bars_inside_strains_are_judged_all_the_same():
    assert [one.bar for one in faults(tune("|:c8|c8|c6|c8|c8:|", "4/4"), Habits({}))] == [2]


def test_ten_thousand_bars_are_judged(habits):
    """So many wrong bars would take hours if each were tried against the whole tune."""
    one = tune("|:c8|c6|c8|c8|c10|c8|c8|c8:|", "4/4")
    long = one._replace(bars=one.bars * 1250)
    found = faults(long, habits)
    assert [fault.bar for fault in sorted(found)][:4] == [1, 4, 9, 12]
    assert len(found) == 2500


def test_what_is_learned_is_small():
    assert sum(array.nbytes for array in learned_rhythm().values()) < 200_000
