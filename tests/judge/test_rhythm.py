"""The criterion of rhythm."""

import io
import json
import random

import numpy as np
import pytest

from pipelines.judge.criteria import criteria
from pipelines.judge.criteria.rhythm import CRITERION
from pipelines.judge.faults import beat_faults
from pipelines.judge.finding import CannotBeJudged, Mark
from tests.support.danced_tunes import danced_tune, learned_rhythm
from tests.support.written_tunes import tune

_REEL = "AB|defg agfe|d2fd gdfd|defg agfe|d2d2 {}:|"


@pytest.fixture(scope="module")
def judge():
    return CRITERION.open(learned_rhythm())


def test_full_bars(judge):
    found = judge(tune(_REEL.format("d2"), "4/4", header="R:reel\n"))
    assert found.marks == ()
    assert found.says.startswith("all bars are full; reel ")
    assert found.evidence["stated_dance"] == "reel"
    assert found.evidence["faulty_bars"] == []
    assert next(iter(found.evidence["dances"])) == "reel"


def test_a_fault_is_told_by_bar_beats_and_note_value(judge):
    found = judge(tune("AB|defg agfe|d2fd gd|defg agfe|d2d2 d2:|", "4/4", header="R:reel\n"))
    assert found.marks == (Mark(2, "a beat (a quarter note) too short"),)
    assert found.says.startswith("bar 3: a beat (a quarter note) too short; reel ")
    assert found.evidence["faulty_bars"] == [
        {"bar": 3, "kind": "short", "beats": 1.0, "note_value": "1/4"}
    ]


def test_fractions_and_multiples_of_a_beat(judge):
    found = judge(tune("A|def gf|d3 e2f gfe def|def gfe|d3 d2:|", "6/8"))
    assert [mark.text for mark in found.marks] == [
        "1/3 of a beat (an eighth note) too short",
        "a bar line is missing in it",
    ]
    found = judge(tune("|:defg agfe|defg|defg agfe|defg agfe|defg agfe|defg agfe|d8|d8:|", "4/4"))
    assert [mark.text for mark in found.marks] == ["2 beats (a half note) too short"]


@pytest.mark.parametrize(
    "body, meter, text",
    [
        ("|:d6|d3|d6|d6|d6|d6|d6|d6:|", "6/8", "a beat (a dotted quarter note) too short"),
        ("|:d8|d8|d13|d8|d8|d8|d8|d8:|", "4/4", "2 1/2 beats (5/8 of a whole note) too long"),
        ("|:d8|d8|d11|d8|d8|d8|d8|d8:|", "2/2", "3/4 of a beat (a dotted quarter note) too long"),
    ],
)
def test_note_values(judge, body, meter, text):
    assert [mark.text for mark in judge(tune(body, meter)).marks] == [text]


def test_more_than_three_faults_are_counted(judge):
    found = judge(tune("|:d8|" + "d6|" * 5 + "d8|d8:|", "4/4"))
    assert ", and 2 more; " in found.says
    assert len(found.marks) == 5


def test_another_dance_than_stated_is_said_and_costs_less_than_a_fault(judge):
    body = _REEL.format("d2")
    right = judge(tune(body, "4/4", header="R:reel\n"))
    other = judge(tune(body, "4/4", header="R:jig\n"))
    faulty = judge(tune(body.replace("gdfd", "gd"), "4/4", header="R:reel\n"))
    assert right.measure > other.measure > faulty.measure
    assert "rather reel" in other.says


def test_more_faults_are_worse_and_bar_lines_are_better(judge):
    bars = "defg agfe|" * 6
    missing = judge(tune(f"|:defg agfe|defg ag|{bars}:|", "4/4"))
    two = judge(tune(f"|:defg agfe|defg ag|defg agfe|defg agfedc|{bars}:|", "4/4"))
    line = judge(tune(f"|:defg agfe|defg agfe defg agfe|{bars[10:]}:|", "4/4"))
    assert [mark.text for mark in line.marks] == ["a bar line is missing in it"]
    assert line.measure > missing.measure > two.measure


def test_a_dance_that_is_not_known_is_none(judge):
    found = judge(tune(_REEL.format("d2"), "4/4", header="R:gavotte\n"))
    assert found.evidence["stated_dance"] is None
    assert found.says.startswith("all bars are full; reel ")


def test_free_meter_cannot_be_judged(judge):
    with pytest.raises(CannotBeJudged, match="free meter"):
        judge(tune("d2 e2|f8|", "none"))


@pytest.mark.parametrize("body", ["d6|", "z6|d6|"])
def test_the_smallest_tunes_are_judged(judge, body):
    assert np.isfinite(judge(tune(body)).measure)


@pytest.mark.parametrize("body", ["d|", "d3|"])
def test_a_tune_without_a_full_bar_has_no_rhythm(judge, body):
    with pytest.raises(CannotBeJudged, match="none of its bars is full"):
        judge(tune(body))


def test_findings_are_json_and_marks_are_bars(judge):
    rng, random_tunes = np.random.default_rng(1), random.Random(1)
    for plant in beat_faults.FAULTS.values():
        for _ in range(10):
            faulty = plant(danced_tune(random_tunes, "jig"), rng).tune
            found = judge(faulty)
            assert json.loads(json.dumps(found.evidence)) == found.evidence
            assert all(0 <= mark.bar < len(faulty.bars) for mark in found.marks)
            assert "\n" not in found.says


def test_arrays_can_be_read_without_pickle():
    file = io.BytesIO()
    np.savez(file, **learned_rhythm())
    file.seek(0)
    with np.load(file, allow_pickle=False) as read:
        assert set(read.files) == set(learned_rhythm())


def test_is_among_the_criteria():
    assert criteria()["rhythm"] is CRITERION
    assert CRITERION.stage == 1
