"""Scorers beside each other: ranks and intervals by hand, and scorers whose result is known."""

import json
import math

import numpy as np
import pytest

from pipelines.systems.titles import evaluation, report
from pipelines.systems.titles.candidates import DIRECTIONS
from tests.support.scorers import (
    HELD_OUT,
    NOTHING,
    Hashed,
    Known,
    Noise,
    Perfect,
    book,
    many,
    value,
)

pytestmark = pytest.mark.keras3

AS_THEY_ARE, WITHOUT_RHYTHM = "titles_as_they_are", "without_rhythm_words"


def test_right_wrong_and_left_out_by_hand():
    towers = Known(
        {
            ("one/1", "swan's lake"): 9,  # of its other version: not ranked
            ("one/1", "golden bell"): 8,
            ("one/1", "silver lake"): 7,  # the second
            ("one/2", "silver lake"): 9,
            ("one/2", "swan's lake"): 8,
            ("one/2", "golden bell"): 3,  # the best of its two, the third
            ("one/2", "old bell"): 2,
            ("two/1", "silver lake"): 9,  # not ranked
            ("two/1", "swan's lake"): 5,  # the first
            ("two/2", "golden bell"): 4,
            ("two/2", "the old bell"): 3,
            ("two/2", "swan's lake"): 2,
            ("two/2", "silver lake"): 1,  # the fourth
            ("two/3", "silver lake"): 10,
            ("two/3", "golden bell"): 4,
        },
        other=-1,
    )
    result = evaluation.evaluate({"towers": towers}, HELD_OUT, NOTHING, resamples=50)
    # Four titles; "silver lake" is the spelling that stands for two.
    texts = ["golden bell", "the old bell", "silver lake", "swan's lake"]
    tunes = ["one/1", "one/2", "two/1", "two/2", "two/3"]
    assert [(ids, sorted(asked)) for ids, asked in towers.asked] == [(tunes, sorted(texts))] * 2
    assert (result["tunes"], result["titles"], result["sources"]) == (5, 4, 2)
    assert list(result["sections"]) == [
        AS_THEY_ARE,
        WITHOUT_RHYTHM,
        "same_source",
        "same_source_without_rhythm_words",
    ]
    section = result["sections"][AS_THEY_ARE]
    first, second = section["tune_to_title"], section["title_to_tune"]
    # Ranks 2, 3, 1, 4.
    assert (first["queries"], first["candidates"]) == (4, 4)
    assert first["ranked"] == (3 + 4 + 3 + 4) / 4
    assert value(result, AS_THEY_ARE, "tune_to_title") == pytest.approx(
        (1 / 2 + 1 / 3 + 1 + 1 / 4) / 4
    )
    assert value(result, AS_THEY_ARE, "tune_to_title", what="R@1") == 1 / 4
    assert value(result, AS_THEY_ARE, "tune_to_title", what="median rank") == 2.5
    # Golden bell: of one/1 8, one/2 3 (right), two/1 -1, two/2 4, two/3 4: the fourth.
    # The old bell: of two/2 3, the others -1, one/2 (right) among them: see below.
    # Silver lake: of one/1 7 (right), two/1 9 (not ranked), one/2 9, two/3 10: the third.
    # Swan's lake: of two/1 5 (right), one/1 9 (not ranked), one/2 8, two/2 2: the second.
    assert (second["queries"], second["candidates"]) == (4, 5)
    assert second["ranked"] == (5 + 5 + 4 + 4) / 4
    # The right one is after two/2 and in any order with three others: the second to the fifth.
    known = 1 / 4 + 1 / 3 + 1 / 2
    found = 4 * value(result, AS_THEY_ARE, "title_to_tune") - known
    assert min(abs(found - 1 / rank) for rank in (2, 3, 4, 5)) < 1e-9
    json.dumps(result, allow_nan=False)


def test_among_those_of_the_same_source_by_hand():
    towers = Known(
        {
            ("one/1", "swan's lake"): 9,
            ("one/1", "golden bell"): 8,
            ("one/1", "silver lake"): 7,
            ("one/2", "silver lake"): 9,
            ("one/2", "golden bell"): 3,
            ("two/2", "golden bell"): 4,
            ("two/2", "silver lake"): 1,
            ("two/2", "swan's lake"): 2,
            ("two/3", "silver lake"): 10,
            ("two/3", "swan's lake"): 1,
        },
        other=-1,
    )
    result = evaluation.evaluate({"towers": towers}, HELD_OUT, NOTHING, resamples=50)
    both = result["sections"]["same_source"]
    # The bells are of the first source, the swan's lake is of the second, silver lake is of both.
    # one/1: of the bells and silver lake: the second. one/2: the second. two/1: silver lake, of
    # another version, is not ranked, so nothing is wrong: no query. two/2: of silver and swan's
    # lake: the second.
    assert both["tune_to_title"]["queries"] == 3
    assert both["tune_to_title"]["dropped"] == {"queries with nothing wrong to rank": 1}
    assert both["tune_to_title"]["ranked"] == (3 + 3 + 2) / 3
    assert value(result, "same_source", "tune_to_title") == 1 / 2
    # Golden bell: of one/1 8 and one/2 3: the second. The old bell: of both -1. Silver lake: of
    # all but two/1, a version of one/1; right are one/1 (7) and two/2 (1), before are one/2 and
    # two/3: the third. Swan's lake: of two/1 (-1, right), two/2 2 and two/3 1: the third.
    second = both["title_to_tune"]
    assert second["queries"] == 4
    assert second["ranked"] == (2 + 2 + 4 + 3) / 4
    found = 4 * value(result, "same_source", "title_to_tune") - (1 / 2 + 1 / 3 + 1 / 3)
    assert min(abs(found - 1), abs(found - 1 / 2)) < 1e-9


def test_no_section_where_nothing_is_left():
    held_out = book(("a/1", "A", "Irish Waltzes"), ("a/2", "B", "Old Bell"))
    towers = Known()
    result = evaluation.evaluate({"towers": towers}, held_out, NOTHING, resamples=50)
    assert list(result["sections"]) == [AS_THEY_ARE] and len(towers.asked) == 1
    assert "Without" not in report.table(result)


def test_a_perfect_scorer_and_chance():
    held_out = many(150)
    scorers = {
        "towers": Perfect(),
        "noise": Noise(0),
        "constant": Known(),
    }
    result = evaluation.evaluate(scorers, held_out, NOTHING, resamples=300)
    chance = sum(1 / rank for rank in range(1, 151)) / 150
    # The spread of 1/rank is about 1/sqrt(150 * 150 / (pi^2 / 6)), and twice that for 95%.
    spread = 3 * math.sqrt(math.pi**2 / 6) / 150
    for direction in DIRECTIONS:
        measured = result["sections"][AS_THEY_ARE][direction]
        assert measured["scorers"]["towers"]["MRR"] == {"value": 1, "low": 1, "high": 1}
        assert value(result, AS_THEY_ARE, direction, what="median rank") == 1
        for name in ("noise", "constant"):
            assert abs(value(result, AS_THEY_ARE, direction, name) - chance) < spread
            less = measured["differences"][f"towers - {name}"]
            assert less["value"] == pytest.approx(1 - value(result, AS_THEY_ARE, direction, name))
            assert 0.9 < less["low"] <= less["value"] <= less["high"] < 1
        assert set(measured["differences"]) == {"towers - noise", "towers - constant"}
        # Without "reel" this scorer knows none of the titles: chance again.
        assert abs(value(result, WITHOUT_RHYTHM, direction) - chance) < spread
        # Among the 75 of the same source.
        near = result["sections"]["same_source"][direction]
        assert near["ranked"] == 75
        chance_near = sum(1 / rank for rank in range(1, 76)) / 75
        assert abs(value(result, "same_source", direction, "noise") - chance_near) < 2 * spread
    told = Perfect(lambda text: text.removesuffix(" reel"))
    result = evaluation.evaluate({"towers": told}, held_out, NOTHING, resamples=50)
    assert value(result, WITHOUT_RHYTHM, "title_to_tune") == 1


def test_the_order_of_tunes_makes_no_difference():
    held_out = many(40, versions=2)
    order = np.random.default_rng(0).permutation(40)
    mixed = held_out._replace(
        tunes=[held_out.tunes[i] for i in order], groups=1000 - held_out.groups[order]
    )
    training = book(("z/1", "A"))
    training = training._replace(tunes=[training.tunes[0]._replace(keys=(1,))])
    first, second = (
        evaluation.evaluate({"towers": Hashed()}, tunes, training, resamples=50)
        for tunes in (held_out, mixed)
    )
    for section in first["sections"]:
        for direction in DIRECTIONS:
            for what in ("MRR", "R@5", "median rank"):
                assert value(first, section, direction, what=what) == pytest.approx(
                    value(second, section, direction, what=what)
                )


def test_versions_make_one_draw_of_the_bootstrap():
    # All versions of a tune are right or wrong together, so 40 queries are as good as 10.
    class Half(Perfect):
        def scores(self, tunes, texts):
            scores = super().scores(tunes, texts)
            return scores * np.array([[1.0 if int(t.id[2:]) // 4 % 2 else -1.0] for t in tunes])

    wide, narrow = (
        evaluation.evaluate({"towers": Half()}, tunes, NOTHING)["sections"][AS_THEY_ARE][
            "tune_to_title"
        ]["scorers"]["towers"]["R@1"]
        for tunes in (
            many(40, versions=4),
            many(40, versions=4)._replace(groups=np.arange(40)),
        )
    )
    assert wide["value"] == narrow["value"] == 0.5
    # The standard deviations are 1/2 / sqrt(10) and 1/2 / sqrt(40).
    ratio = (wide["high"] - wide["low"]) / (narrow["high"] - narrow["low"])
    assert 1.6 < ratio < 2.4


def test_all_scorers_draw_alike():
    held_out = many(60)
    scorers = {"towers": Known(), "other": Known()}
    result = evaluation.evaluate(scorers, held_out, NOTHING, resamples=50)
    for section in result["sections"].values():
        for direction in DIRECTIONS:
            found = section[direction]
            assert found["scorers"]["towers"] == found["scorers"]["other"]
            assert found["differences"] == {"towers - other": {"value": 0, "low": 0, "high": 0}}
    again = evaluation.evaluate(scorers, held_out, NOTHING, resamples=50)
    assert again == result
    assert evaluation.evaluate(scorers, held_out, NOTHING, seed=1, resamples=50) != result


def test_scores_that_are_none():
    class Wrong:
        def __init__(self, scores):
            self._scores = scores

        def scores(self, tunes, texts):
            return np.full((len(tunes), len(texts)), self._scores)[: self._scores == 1 or None]

    for broken in (Wrong(np.nan), Wrong(np.inf)):
        with pytest.raises(ValueError, match="towers gave scores of shape"):
            evaluation.evaluate({"towers": broken}, HELD_OUT, NOTHING, resamples=50)
    with pytest.raises(ValueError, match=r"finite \[5, 4\] are needed"):
        evaluation.evaluate({"towers": Wrong(1)}, HELD_OUT, NOTHING, resamples=50)
    with pytest.raises(ValueError, match="no scorer"):
        evaluation.evaluate({}, HELD_OUT, NOTHING)


def test_the_monitor_measures_the_same():
    held_out = many(50, versions=2)
    result = evaluation.evaluate({"towers": Hashed()}, held_out, NOTHING, resamples=50)
    measured = evaluation.Monitor(held_out, NOTHING)(Hashed())
    assert len(measured) == 6
    for direction in DIRECTIONS:
        for what in ("MRR", "R@10", "median rank"):
            assert measured[f"{direction}/{what}"] == pytest.approx(
                value(result, AS_THEY_ARE, direction, what=what)
            )
