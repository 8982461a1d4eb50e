"""The criterion of mode."""

import json
import random

import numpy as np
import pytest

from pipelines.judge.criteria.mode import CRITERION
from pipelines.judge.faults import key_faults
from pipelines.judge.finding import CannotBeJudged, Mark
from pipelines.representations.abc_tokens.written import Key, Tune
from tests.support import judged_tunes
from tests.support.keyed_tunes import keyed_tune, learned_mode


@pytest.fixture(scope="module")
def arrays():
    return learned_mode()


@pytest.fixture(scope="module")
def judge(arrays):
    return CRITERION.open(arrays)


def _with_pitch(tune: Tune, bar: int, place: int, pitch: int) -> Tune:
    bars = list(tune.bars)
    notes = list(bars[bar].notes)
    notes[place] = notes[place]._replace(pitch=pitch)
    bars[bar] = bars[bar]._replace(notes=tuple(notes))
    return tune._replace(bars=tuple(bars))


def _in_field(tune: Tune, field: Key) -> Tune:
    return tune._replace(bars=tuple(bar._replace(key=field) for bar in tune.bars))


def test_says_key_and_probability(judge):
    finding = judge(keyed_tune(random.Random(3), Key(2, "MAJOR")))
    assert finding.says.startswith("D major, ")
    assert finding.evidence["key"] == "D major"
    assert finding.evidence["field"] == "D major"
    assert 0.5 < finding.evidence["probability"] <= 1
    assert finding.evidence["next"]["probability"] <= 1 - finding.evidence["probability"]
    assert finding.evidence["notes_outside"] == {}
    assert finding.marks == ()
    json.dumps(finding.evidence)


def test_a_note_outside_the_mode_is_marked_and_measures_worse(judge):
    tune = keyed_tune(random.Random(3), Key(2, "MAJOR"))
    wrong = judge(_with_pitch(tune, 5, 4, 68))
    assert wrong.measure < judge(tune).measure
    assert wrong.evidence["notes_outside"] == {"G#": 1}
    assert wrong.marks in (
        (Mark(5, "G# outside D major"),),
        (Mark(5, "G# outside D major (rare)"),),
    )
    assert "1 note outside" in wrong.says


def test_two_notes_in_a_bar_are_one_mark(judge):
    tune = keyed_tune(random.Random(4), Key(2, "MAJOR"))
    (mark,) = judge(_with_pitch(_with_pitch(tune, 1, 2, 72), 1, 5, 68)).marks
    assert mark.bar == 1
    assert mark.text.startswith("C natural and G# outside D major")


def test_the_field_is_only_compared(judge):
    tune = keyed_tune(random.Random(5), Key(2, "MIXOLYDIAN"))
    agreed = judge(tune)
    other = judge(_in_field(tune, Key(1, "MAJOR")))
    assert (other.evidence["key"], other.evidence["probability"]) == (
        agreed.evidence["key"],
        agreed.evidence["probability"],
    )
    assert other.measure < agreed.measure
    assert other.marks[0].bar == 0
    assert other.marks[0].text.startswith("K: says Db major; the notes say D mixolydian, ")
    assert other.evidence["against_field"] == other.marks[0].text
    assert other.says.endswith("K: says Db major")


def test_without_a_field_there_is_nothing_to_compare(judge):
    tune = keyed_tune(random.Random(5), Key(2, "MIXOLYDIAN"))
    finding = judge(_in_field(tune, Key(0, "NOT_SPECIFIED")))
    assert not {"field", "field_probability", "against_field"} & set(finding.evidence)
    assert finding.measure == pytest.approx(judge(tune).measure, abs=0.1)


def test_a_locrian_field_is_told_but_does_not_count(judge):
    tune = keyed_tune(random.Random(5), Key(2, "MAJOR"))
    finding = judge(_in_field(tune, Key(2, "LOCRIAN")))
    assert finding.evidence["field"] == "D locrian"
    assert finding.evidence["field_probability"] == 0
    assert finding.measure == judge(_in_field(tune, Key(0, "NOT_SPECIFIED"))).measure


def test_names_do_not_count(judge):
    tune = keyed_tune(random.Random(6), Key(9, "MINOR"))
    assert judge(tune) == judge(tune._replace(title="The A major", rhythm="reel"))


def test_a_transposed_strain_is_a_change_and_measures_worse(judge):
    tune = keyed_tune(random.Random(7), Key(2, "MAJOR"), strains=3)
    planted = key_faults.strain_transposed(tune, np.random.default_rng(1))
    finding = judge(planted.tune)
    (change,) = finding.evidence["changes"]
    assert change["from_bar"] == planted.bars[0] + 1
    assert change["strain"] == planted.bars[0] // 8 + 1
    assert any(mark.bar == planted.bars[0] and change["key"] in mark.text for mark in finding.marks)
    assert finding.measure < judge(tune).measure


def test_few_notes_cannot_be_judged(judge):
    tune = keyed_tune(random.Random(8), Key(2, "MAJOR"))
    with pytest.raises(CannotBeJudged, match="^it has one note; a mode needs 6 or more$"):
        judge(Tune((tune.bars[0]._replace(notes=tune.bars[0].notes[:1]),)))


def test_arrays_go_to_disk_without_pickle(arrays, judge, tmp_path):
    np.savez(tmp_path / "mode.npz", **arrays)
    with np.load(tmp_path / "mode.npz", allow_pickle=False) as read:
        again = CRITERION.open(dict(read))
    tune = keyed_tune(random.Random(9), Key(4, "DORIAN"))
    assert again(tune) == judge(tune)


def test_learns_of_tunes_without_any_note_outside(arrays):
    assert all(np.isfinite(array).all() for array in arrays.values())


def test_planted_faults_of_key():
    tune = keyed_tune(random.Random(10), Key(2, "MAJOR"), strains=3)
    rng = np.random.default_rng(2)
    moved = key_faults.strain_transposed(tune, rng)
    assert len(moved.bars) == 8
    (by,) = {
        a.pitch - b.pitch
        for i in moved.bars
        for a, b in zip(moved.tune.bars[i].notes, tune.bars[i].notes)
    }
    assert -5 <= by <= 6 and by
    same = set(range(24)) - set(moved.bars)
    assert all(moved.tune.bars[i] == tune.bars[i] for i in same)
    other = key_faults.other_field(tune, rng).tune
    assert [bar.notes for bar in other.bars] == [bar.notes for bar in tune.bars]
    (key,) = {bar.key for bar in other.bars}
    assert key.mode == "MAJOR" and key.tonic != 2


def test_any_tune_gets_a_finite_measure_or_a_reason(judge):
    assert judged_tunes.measured_at_random(judge, 150) >= 75
