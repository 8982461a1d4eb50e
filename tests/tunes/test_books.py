"""Whole tunebooks: what has a passage in common stays together, and nothing else does."""

import pytest

from experiments.tunes import passages
from pipelines.music.abc import reader, tunebook
from tests.support import tunebooks


def measured(text):
    records = [
        passages.record(f"line {tune.line}", reader.read(tune)) for tune in tunebook.tunes(text)
    ]
    return passages.measure(records)


@pytest.mark.parametrize(
    "book, tunes, pairs, versions",
    [
        # Six ways of writing each tune, of which each two are a pair.
        (lambda: tunebooks.in_other_meters(8, tunebooks.tunes(1, 20)), 20, 20 * 15, 6),
        # A set of three, and the three by themselves.
        (lambda: tunebooks.in_sets(tunebooks.tunes(2, 30)), 10, 30, 4),
        (lambda: tunebooks.shifted(4, tunebooks.tunes(3, 40)), 40, 40, 2),
    ],
    ids="meters sets shifted".split(),
)
def test_records_with_a_passage_in_common_stay_together(book, tunes, pairs, versions):
    found = measured(book())
    assert found["pairs"] == pairs
    assert found["pairs of different groups"] == found["pairs apart"] == 0
    # Every group is one tune, or the three of a set.
    assert found["groups"] == tunes
    assert set(found["largest groups"]) == {versions}
    assert found["largest group is of all"] == round(versions / found["records"], 4)


def test_titles_that_name_no_tune_join_nothing():
    found = measured(tunebooks.polskas(5, 75))
    assert found["groups"] == found["records"] == 75 and found["pairs"] == 0


def test_the_measurement_finds_pairs_that_are_apart():
    one, other = tunebooks.tunes(6, 2)
    text = tunebooks.abc(1, "One", one.strains[0]) + tunebooks.abc(2, "Other", other.strains[0])
    assert measured(text)["pairs"] == 0
    # 31 notes in common are 30 intervals.
    for common, pairs in ((31, 1), (30, 0)):
        second = [*other.strains[0][:9], *one.strains[0][20 : 20 + common], *other.strains[0][:9]]
        text = tunebooks.abc(1, "One", one.strains[0]) + tunebooks.abc(2, "Other", second)
        assert measured(text)["pairs"] == pairs
