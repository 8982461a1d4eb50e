"""Planted beats."""

import numpy as np
import pytest

from pipelines.judge.faults.beat_faults import FAULTS, beat_added, beat_missing
from pipelines.judge.faults.tune_faults import NoPlace
from pipelines.music.abc.grid import WHOLE
from tests.support.written_tunes import tune

_EIGHTH = WHOLE // 8


@pytest.mark.parametrize("plant, by", [(beat_added, 3), (beat_missing, -3)])
def test_one_bar_is_a_beat_longer_or_shorter(plant, by):
    whole = tune("A|d3 e2f|gfe def|d3 d2:|")
    places = set()
    for seed in range(60):
        faulty = plant(whole, np.random.default_rng(seed))
        before = [bar.length for bar in whole.bars]
        after = [bar.length for bar in faulty.tune.bars]
        (place,) = faulty.bars
        before[place] += by * _EIGHTH
        assert after == before
        assert all(note.length > 0 for bar in faulty.tune.bars for note in bar.notes)
        places.add(place)
    # An upbeat of an eighth has no beat to lose.
    assert places == ({0, 1, 2, 3} if by > 0 else {1, 2, 3})


def test_all_ways_to_lose_a_beat_are_taken():
    whole = tune("d2 ef g4|", "4/4")
    left = {
        tuple(note.length // _EIGHTH for note in faulty.tune.bars[0].notes)
        for seed in range(60)
        for faulty in [beat_missing(whole, np.random.default_rng(seed))]
    }
    assert left == {(1, 1, 4), (2, 4), (2, 1, 1, 2)}


def test_ties_lead_to_a_note_of_their_pitch():
    whole = tune("d2 e4-|e2 d4|", "3/4")
    for seed in range(40):
        for plant in FAULTS.values():
            first, second = plant(whole, np.random.default_rng(seed)).tune.bars
            if first.notes[-1].tied:
                assert first.notes[-1].pitch == second.notes[0].pitch
            assert not any(note.tied for note in first.notes[:-1])
            assert not second.notes[-1].tied


def test_no_place():
    for plant in FAULTS.values():
        with pytest.raises(NoPlace):
            plant(tune("d2 e2|f2 g2|", "none"), np.random.default_rng(1))
    with pytest.raises(NoPlace):
        beat_missing(tune("d2|e2|", "2/4"), np.random.default_rng(1))
