import collections
import random

import numpy as np
import pytest

from pipelines.judge.faults import tune_faults
from tests.support.written_tunes import random_tune, tune

TUNE = tune("|:d3 e3|f3 g3|a3 b3|d6:|:a3 f3|e3 c3|B3 A3|d6:|")


def pitches(some):
    return [note.pitch for bar in some.bars for note in bar.notes]


def lengths(some):
    return [[note.length for note in bar.notes] for bar in some.bars]


def test_a_wrong_note_changes_one_pitch_and_nothing_else():
    found, (number,) = tune_faults.wrong_note(TUNE, np.random.default_rng(1))
    differ = [a != b for a, b in zip(pitches(found), pitches(TUNE), strict=True)]
    assert sum(differ) == 1 and lengths(found) == lengths(TUNE)
    assert found.bars[number] != TUNE.bars[number]
    steps = {
        next(a - b for a, b in zip(pitches(one), pitches(TUNE)) if a != b)
        for one, _ in (tune_faults.wrong_note(TUNE, np.random.default_rng(i)) for i in range(300))
    }
    assert steps == {-5, -4, -3, -2, -1, 1, 2, 3, 4, 5}


def test_a_wrong_note_breaks_no_tie():
    tied = tune("d6-|d6|")
    with pytest.raises(tune_faults.NoPlace):
        tune_faults.wrong_note(tied, np.random.default_rng(1))


def test_shuffled_bars_have_the_same_notes_in_another_order():
    found, places = tune_faults.bars_shuffled(TUNE, np.random.default_rng(2))
    bars = [bar.notes for bar in TUNE.bars]
    assert collections.Counter(bar.notes for bar in found.bars) == collections.Counter(bars)
    assert [bar.notes for bar in found.bars] != bars and len(places) == 8
    assert [(bar.opens, bar.closes) for bar in found.bars] == [
        (bar.opens, bar.closes) for bar in TUNE.bars
    ]
    with pytest.raises(tune_faults.NoPlace):
        tune_faults.bars_shuffled(tune("d6|d6|d6|"), np.random.default_rng(2))


def test_strains_are_swapped_dropped_and_taken_from_another_tune():
    rng = np.random.default_rng(3)
    swapped = tune_faults.strains_swapped(TUNE, rng)
    assert pitches(swapped.tune) == pitches(TUNE)[7:] + pitches(TUNE)[:7]
    dropped = {tuple(pitches(tune_faults.strain_dropped(TUNE, rng).tune)) for _ in range(20)}
    assert dropped == {tuple(pitches(TUNE)[:7]), tuple(pitches(TUNE)[7:])}
    other = tune("|:e6|f6:|:g6|e6:|", key="E")
    taken, places = tune_faults.other_strain(TUNE, other)
    # Two semitones down, from E to D: G# is F#.
    assert pitches(taken) == [*pitches(TUNE)[:7], 78, 74] and places == (4, 5)
    assert {bar.key.tonic for bar in taken.bars} == {2}
    with pytest.raises(tune_faults.NoPlace):
        tune_faults.other_strain(TUNE, tune("|:e8|:|:f8|", meter="4/4"))
    with pytest.raises(tune_faults.NoPlace):
        tune_faults.strain_dropped(tune("d6|e6|"), rng)


def test_a_random_walk_keeps_the_rhythm_and_the_scale():
    found, _ = tune_faults.random_walk(TUNE, np.random.default_rng(4))
    assert lengths(found) == lengths(TUNE)
    assert set(pitches(found)) <= set(pitches(TUNE)) and pitches(found) != pitches(TUNE)


@pytest.mark.parametrize("seed", range(30))
def test_faults_of_random_tunes_are_tunes(seed):
    some = random_tune(random.Random(seed))
    for plant in tune_faults.FAULTS.values():
        try:
            found = plant(some, np.random.default_rng(seed))
        except tune_faults.NoPlace:
            continue
        assert all(number < len(found.tune.bars) for number in found.bars)
        assert all(bar.notes for bar in found.tune.bars)
        again = plant(some, np.random.default_rng(seed))
        assert again == found
