import random

import numpy as np
import pytest

from pipelines.judge.copying import skeletons, tune_index
from pipelines.judge.copying.tune_index import TuneIndex
from pipelines.judge.faults import copies
from tests.support.written_tunes import tune

METERS = {"4/4": 8, "6/8": 6, "9/8": 9, "5/8": 5}


def walk(rng, meter, bars=16):
    """A tune that walks at random."""
    size, at, body = METERS[meter], 7, []
    for _ in range(bars):
        for _ in range(size):
            at = min(max(at + rng.choice((-3, -2, -1, -1, 1, 1, 2, 3)), 0), 13)
            body.append("CDEFGABcdefgab"[at])
        body.append("|")
    return tune("".join(body), meter=meter, key="C")


def skeletons_of(tunes):
    notes = skeletons.notes_of(tunes)
    return skeletons.skeletons(notes, skeletons.levels(notes))


@pytest.fixture(scope="module", name="tunes")
def _tunes():
    rng = random.Random(1)
    return [walk(rng, rng.choice(list(METERS))) for _ in range(150)]


@pytest.fixture(scope="module", name="index")
def _index(tunes):
    return TuneIndex(skeletons_of(tunes))


@pytest.mark.parametrize("number", range(0, 150, 10))
def test_a_copy_with_a_third_of_the_notes_changed_is_found_in_its_key(tunes, index, number):
    rng = np.random.default_rng(number)
    copy = copies.transposed(copies.notes_changed(tunes[number], rng, 1 / 3), -5)
    found = index.candidates(skeletons_of([copy]), 10)
    assert found.tune[0] == number and len(found.tune) == 10
    # F lies three steps and five semitones above C.
    assert (found.up[0], found.above[0]) == (3, 5)


def test_tunes_that_are_left_out_are_not_found(tunes, index):
    query = skeletons_of([tunes[3]])
    away = np.zeros(150, bool)
    assert index.candidates(query, 5, away).tune[0] == 3
    away[3] = True
    assert 3 not in index.candidates(query, 150, away).tune


def test_a_part_and_a_longer_tune_are_found(tunes, index):
    for number in (0, 71, 149):
        some = tunes[number]
        part = some._replace(bars=some.bars[9:])
        assert index.candidates(skeletons_of([part]), 3).tune[0] == number
        meter = "{}/{}".format(*some.bars[0].meter)
        other = walk(random.Random(9), meter, 40)
        longer = some._replace(bars=(*other.bars, *some.bars, *other.bars))
        assert number in index.candidates(skeletons_of([longer]), 3).tune


def test_more_tunes_than_there_are_may_be_wanted(tunes):
    index = TuneIndex(skeletons_of(tunes[:1]))
    assert index.candidates(skeletons_of([tunes[0]]), 24).tune.tolist() == [0]


def test_intervals_do_not_lead_from_one_tune_into_the_next():
    # The last notes of each and the first of the next are a scale that none has.
    some = [tune("cccc cccc|cccc ccBA|", meter="4/4"), tune("GFED CCCC|CCCC CCCC|", meter="4/4")]
    index = TuneIndex(skeletons_of(some))
    query = skeletons_of([tune("cBAG FEDC|", meter="4/4")])
    votes = {number: votes for number, votes in enumerate(_most_votes(index, query))}
    # cBA: two intervals to the next note, one to the one after, and so on.
    alone = TuneIndex(skeletons_of(some[:1]))
    assert votes[0] == _most_votes(alone, query)[0]


def _most_votes(index, query):
    layout = index._layouts[4]
    votes = tune_index._count(query, tune_index._places(query, 0, 4), layout)
    return np.maximum.reduceat(votes.most, layout.first).tolist()


def test_bars_begin_at_beats_also_after_a_strain_that_is_not_full():
    # After three crotchets of a bar the next strain begins without a pickup.
    body = "AB|cdef gabc'|c'bag fedc|cdef gaAB|cded c2:|" + "|:cdef gabc'|c'bag fedc|cdef gfed:|"
    found = skeletons_of([tune(body, meter="4/4", key="C")])
    places = tune_index._places(found, 0, 4)
    first = {bar: int(places[found.bar == bar][0]) for bar in range(8)}
    assert first == {0: 2, 1: 4, 2: 12, 3: 20, 4: 28, 5: 36, 6: 44, 7: 52}


def test_a_strain_beside_one_with_another_pickup_is_found(tunes, index):
    # The first strain of a tune, after five quavers of which its bars know nothing.
    some = tunes[0]
    notes = some.bars[0].notes[:5]
    odd = some.bars[0]._replace(notes=notes)
    for number in (0, 20, 40):
        one = tunes[number]
        longer = one._replace(bars=(*one.bars[12:], odd, *one.bars[:12]))
        assert index.candidates(skeletons_of([longer]), 2).tune[0] == number


def test_few_intervals_are_looked_for_in_a_large_index(tunes, monkeypatch):
    monkeypatch.setattr("pipelines.judge.copying.tune_index._BUDGET", 150 * 5000)
    index = TuneIndex(skeletons_of(tunes))
    for number in range(0, 150, 7):
        assert index.candidates(skeletons_of([tunes[number]]), 1).tune.tolist() == [number]
