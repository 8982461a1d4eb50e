import json
import random

import numpy as np
import pytest

from pipelines.judge.criteria import copied, criteria
from pipelines.judge.faults import copies
from pipelines.judge.finding import CannotBeJudged, Known
from tests.support.written_tunes import random_tune, tune

KESH = (
    "|:G3 GAB|A3 ABd|edd gdd|edB dBA|GAG GAB|ABA ABd|edd gdd|BAF G3:|"
    "|:B2B d2d|ege dBG|B2B dBG|ABA AGA|BAB d2d|ege dBd|gfg aga|bgg g3:|"
)
REEL = "|:d2fd Adfd|e2ge cege|d2fd Adfa|gfec d2d2:||:a2fa dafa|b2gb egbg|a2fa dafa|gfec d2d2:|"
AIR = "e2|a3b c'b|a2e2c2|d3e dc|B4e2|a3b c'b|a2e2f2|e2d2c2|A4:|"


def known(some, name, group=0, corpus="book"):
    return Known(name, corpus, group, some)


@pytest.fixture(scope="module", name="tunes")
def _tunes():
    rng = random.Random(3)
    made = [
        known(tune(KESH, key="G", header="T:The Kesh\n"), "book/a.abc/1", 1),
        known(tune(REEL, "4/4", "D", header="T:A Reel\n"), "book/a.abc/2", 2),
        known(tune(AIR, "3/4", "A"), "book/a.abc/3", 3, ""),
    ]
    return made + [known(random_tune(rng), f"random/{i}", 10 + i, "random") for i in range(30)]


@pytest.fixture(scope="module", name="judge")
def _judge(tunes):
    arrays = copied.index_of(tunes)
    return copied.CRITERION.open({name: array.copy() for name, array in arrays.items()})


def test_it_is_a_criterion_that_rejects():
    criterion = criteria()["copied"]
    assert criterion is copied.CRITERION and criterion.stage == 1 and criterion.keeps_tunes


def test_the_same_tune_is_told_as_that(judge, tunes):
    found = judge(tunes[0].tune)
    assert found.measure == 0 and found.says == 'the notes of "The Kesh" (book)'
    nearest = found.evidence["nearest"][0]
    assert (nearest["id"], nearest["same_notes"], nearest["same_title"]) == (
        "book/a.abc/1", True, True,
    )  # fmt: skip
    assert nearest["matching_bars"] == [[bar, bar] for bar in range(1, 17)]
    assert [mark.bar for mark in found.marks] == list(range(16))
    assert found.marks[2].text == 'bar 3 of "The Kesh" (book)'
    assert found.evidence["side_by_side"][0] == {
        "bar": 1, "notes": "G3 GAB", "of_other": 1, "other": "G3 GAB",
    }  # fmt: skip
    assert json.loads(json.dumps(found.evidence)) == found.evidence


def test_another_key_is_the_same_tune(judge, tunes):
    found = judge(copies.transposed(tunes[0].tune, 4)._replace(title="Mine"))
    nearest = found.evidence["nearest"][0]
    assert found.measure == 0 and nearest["same_notes"] and not nearest["same_title"]
    assert nearest["semitones_above"] == -4


def test_three_changed_notes_are_three_notes_less(judge, tunes):
    some = tunes[0].tune
    # A bar of three notes that the tune does not have there.
    bars = list(some.bars)
    notes = tuple(note._replace(pitch=note.pitch + 3) for note in bars[6].notes[:3])
    bars[6] = bars[6]._replace(notes=(*notes, *bars[6].notes[3:]))
    found = judge(some._replace(bars=tuple(bars)))
    count = sum(len(bar.notes) for bar in some.bars)
    assert found.evidence["similarity"] == pytest.approx(1 - 3 / count, abs=5e-4)
    assert found.measure == pytest.approx(3 / count)
    assert not found.evidence["nearest"][0]["same_notes"]


@pytest.mark.parametrize(
    "change",
    [
        lambda some, rng: copies.notes_changed(some, rng, 0.4),
        lambda some, rng: copies.notes_edited(some, rng, 0.3),
        lambda some, rng: copies.ornamented(some, rng, 0.3),
        copies.in_other_meter,
        lambda some, rng: copies.in_mixolydian(some),
    ],
)
@pytest.mark.parametrize("number", [0, 1])
def test_disguised_copies_are_found(judge, tunes, change, number):
    rng = np.random.default_rng(5)
    copy = copies.transposed(change(tunes[number].tune, rng), int(rng.integers(-6, 6)))
    found = judge(copy)
    assert found.evidence["nearest"][0]["id"] == tunes[number].id
    assert found.evidence["similarity"] > 0.5 and found.marks


def test_strains_are_found_in_another_order(judge, tunes):
    bars = tunes[0].tune.bars
    found = judge(tunes[0].tune._replace(bars=(*bars[8:], *bars[:8])))
    assert found.measure == 0
    assert found.evidence["nearest"][0]["matching_bars"][0] == [1, 9]
    assert "bars 1-16" in found.says or found.says.startswith("the notes")


def test_a_tune_played_with_its_repeats_is_found(judge, tunes):
    bars = tunes[0].tune.bars
    played = tuple(bars[:8]) * 2 + tuple(bars[8:]) * 2
    found = judge(tunes[0].tune._replace(bars=played))
    assert found.evidence["similarity"] == 1.0


def test_a_bar_that_many_tunes_have_is_no_copy(judge, tunes):
    bars = tunes[1].tune.bars[1:3]
    found = judge(tunes[1].tune._replace(bars=bars))
    # All its 14 notes, where 24 make a whole.
    assert sum(len(bar.notes) for bar in bars) == 14
    assert found.evidence["similarity"] == pytest.approx(14 / 24, abs=5e-4)
    assert found.measure == pytest.approx(1 - 14 / 24)


def test_a_strain_that_is_copied_counts(judge, tunes):
    # Half of the tune's notes are those of another one.
    first = tune("|:c3 cde|f3 fga|bgb afa|gec cBc|e3 efg|agf edc|dBd fed|c3 c3:|").bars
    found = judge(tunes[0].tune._replace(bars=(*first, *tunes[0].tune.bars[:8])))
    assert found.evidence["nearest"][0]["title"] == "The Kesh"
    assert found.evidence["similarity"] < 0.7 and found.measure <= 0.25


def test_what_is_left_out_is_not_found(judge, tunes):
    found = judge(tunes[0].tune, left_out={1})
    assert all(near["id"] != "book/a.abc/1" for near in found.evidence["nearest"])
    assert found.measure > 0.4 and not found.marks and found.says.startswith("nearest is")


def test_a_tune_without_a_title_is_called_by_its_id(judge, tunes):
    assert judge(tunes[2].tune).says == "the notes of book/a.abc/3"


def test_too_few_notes_cannot_be_judged(judge, tunes):
    with pytest.raises(CannotBeJudged, match="it has 3 notes; copies are told from 8 on"):
        judge(tune("CDE|"))
    with pytest.raises(CannotBeJudged, match="no tune to compare it with"):
        copied.CRITERION.open(copied.index_of([]))(tunes[0].tune)


def test_the_index_gives_tunes_back(judge, tunes):
    for number, one in enumerate(tunes[:3]):
        found = judge.written(number)
        assert [bar.notes for bar in found.bars] == [bar.notes for bar in one.tune.bars]
        assert {bar.meter for bar in found.bars} == {one.tune.bars[0].meter}
        assert {bar.key for bar in found.bars} == {one.tune.bars[0].key}


def test_what_is_learnt_are_the_tunes_of_training(tunes):
    learnt = copied.CRITERION.learn(tunes[:2], tunes[2:])
    assert learnt["title"].tolist() == ["The Kesh", "A Reel"]
    assert all(array.dtype != object for array in learnt.values())


@pytest.mark.parametrize("seed", range(20))
def test_any_tune_is_judged_or_told_why_not(judge, seed):
    try:
        found = judge(random_tune(random.Random(seed)))
    except CannotBeJudged:
        return
    assert 0 <= found.measure <= 1
    assert json.loads(json.dumps(found.evidence)) == found.evidence


@pytest.mark.parametrize(
    "body",
    ["DEFG ABcd|dcBA GFED|DEFG ABcd|dcBA GFED|", "D2D2 D2D2|" * 8, "DADA DADA|" * 4],
)
def test_scales_and_repeated_notes_are_no_copies(tunes, body):
    judge = copied.CRITERION.open(copied.index_of([known(tune(body), "plain"), *tunes]))
    with pytest.raises(CannotBeJudged, match="its notes move by fewer than 3 intervals"):
        judge(tune(body))
