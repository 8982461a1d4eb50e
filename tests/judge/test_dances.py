"""Which dance bars move as."""

import random

import numpy as np
import pytest

from pipelines.judge.bars import dances
from tests.support.danced_tunes import danced_tune, danced_tunes
from tests.support.written_tunes import tune


@pytest.fixture(scope="module")
def arrays():
    return dances.learn(
        [known.tune for known in danced_tunes(1, 80)], [known.tune for known in danced_tunes(2, 20)]
    )


@pytest.mark.parametrize(
    "text, meter, expected",
    [
        ("double jig", (6, 8), "jig"), ("single jig", (6, 8), "jig"), ("jig", (9, 8), "slip jig"),
        ("slipjig", (9, 8), "slip jig"), ("hop jig", (9, 8), "slip jig"), ("Reels", None, "reel"),
        ("highland fling", (4, 4), "strathspey"), ("clog", (2, 2), "hornpipe"),
        ("The Blue Bell Polka", (2, 4), "polka"), ("Waltzes", (3, 4), "waltz"),
        ("The Irish Washerwoman", (6, 8), ""), ("", None, ""), ("jigger", (6, 8), ""),
    ],
)  # fmt: skip
def test_names_of_dances(text, meter, expected):
    assert dances.dance(text, meter) == expected


def test_tunes_move_as_their_dance(arrays):
    classifier = dances.Classifier(**arrays)
    rng = random.Random(3)
    for name in ("jig", "reel", "hornpipe", "slip jig"):
        likely = classifier(danced_tune(rng, name))
        assert next(iter(likely)) == name
        assert sum(likely.values()) == pytest.approx(1)
        assert list(likely.values()) == sorted(likely.values(), reverse=True)


def test_neither_names_nor_pitches_nor_tempo_count(arrays):
    classifier = dances.Classifier(**arrays)
    plain = danced_tune(random.Random(4), "reel")
    bars = tuple(
        bar._replace(
            notes=tuple(note._replace(pitch=60 + 2 * i) for i, note in enumerate(bar.notes))
        )
        for bar in plain.bars
    )
    other = plain._replace(bars=bars, rhythm="waltz", title="A Polka", tempo=plain.tempo * 2)
    assert classifier(other) == classifier(plain)


def test_a_dance_in_halved_notes_has_the_same_onsets():
    long, short = tune("|:d4 efga:|", "4/4"), tune("|:d2 e/2f/2g/2a/2:|", "2/4")
    ours, theirs = dances.features(long), dances.features(short)
    assert {name for name in ours if "meter" not in name} == {
        name for name in theirs if "meter" not in name
    }


def test_features_by_hand():
    assert dances.features(tune("|:d3 e2f:|")) == {
        "meter 6/8": 1, "6/8 onset 0": 1, "6/8 onset 24": 1, "6/8 onset 40": 1,
        "6/8 part 0": 1, "6/8 part 0 16": 1, "6/8 end 0": 1, "6/8 end 8": 1, "6/8 end 13": 1,
        "6/8 end length 2": 1, "6/8 bars other": 1,
    }  # fmt: skip
    assert dances.features(tune("d2|e2|")) is None


def test_a_tune_without_a_full_bar_has_no_dance(arrays):
    assert dances.Classifier(**arrays)(tune("d2|e2|")) == {}


def test_two_dances_can_be_told_apart():
    two = [known.tune for known in danced_tunes(1, 80) if known.tune.rhythm in ("jig", "reel")]
    classifier = dances.Classifier(**dances.learn(two, two))
    assert classifier.dances == ["jig", "reel"]
    for one in two[:6]:
        likely = classifier(one)
        assert next(iter(likely)) == one.rhythm
        assert sum(likely.values()) == pytest.approx(1)


def test_one_dance_is_too_few():
    with pytest.raises(ValueError, match="fewer than two dances"):
        dances.learn(
            [known.tune for known in danced_tunes(1, 80) if known.tune.rhythm == "jig"], []
        )


def test_titles_name_dances_where_no_field_does(arrays):
    tunes = [
        known.tune._replace(rhythm="", title=f"The {known.tune.rhythm} of Cork")
        for known in danced_tunes(1, 80)
    ]
    learned = dances.learn(tunes, [known.tune for known in danced_tunes(2, 20)])
    np.testing.assert_array_equal(learned["weights"], arrays["weights"])
