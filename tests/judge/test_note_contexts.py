import random

import numpy as np
import pytest

from pipelines.judge.notes import note_contexts
from pipelines.judge.notes.note_contexts import NONE, REACH, SIZES, contexts
from pipelines.representations.abc_tokens import strains
from tests.support.written_tunes import random_tune, tune

OFFSETS = np.concatenate([[0], np.cumsum(SIZES)[:-1]])
BEFORE, AFTER, LENGTH, PLACE, METER, MODE, BEGIN, LEFT, LIKE = 5, 6, 13, 15, 16, 17, 18, 19, 20


def seen(some, tonic=2, mode="MAJOR"):
    found = contexts(some, tonic, mode, strains.sounds(some))
    return found, found.columns - OFFSETS


def test_what_stands_around_the_notes_of_a_small_tune():
    found, columns = seen(tune("A|d3 e3|f3 d2A|d3 e3|f3 d2|", key="D"))
    # D4 is nearest to the mean pitch: A3 is 5 below it.
    assert found.pitches.tolist()[:5] == [REACH - 5, REACH, REACH + 2, REACH + 4, REACH]
    assert found.bars.tolist() == [0, 1, 1, 2, 2, 2, 3, 3, 4, 4]
    assert columns[0, BEFORE] == NONE and columns[0, AFTER] == REACH
    assert columns[1, BEFORE] == REACH - 5 and columns[1, AFTER] == REACH + 2
    # The pickup stands at the end of its bar, in 48ths of a whole note.
    assert columns[:4, PLACE].tolist() == [30, 0, 18, 0]
    assert columns[:4, BEGIN].tolist() == [8, 0, 0, 1]
    assert columns[:4, LEFT].tolist() == [4, 3, 3, 2]
    # Bar 4 is as bar 2: what stands there is the note itself, and all the rest is alike.
    assert columns[1, LIKE] == REACH * 5 + 4 and columns[2, LIKE] == (REACH + 2) * 5 + 4


@pytest.mark.parametrize("by", [-7, -2, 3, 12])
def test_a_tune_in_another_key_looks_the_same(by):
    body = "|:A|dfa d'af|gec A2:|"
    one = tune(body, key="D")
    moved = one._replace(
        bars=tuple(
            bar._replace(notes=tuple(n._replace(pitch=n.pitch + by) for n in bar.notes))
            for bar in one.bars
        )
    )
    first, second = seen(one, 2)[0], seen(moved, (2 + by) % 12)[0]
    assert np.array_equal(first.columns, second.columns)
    assert np.array_equal(first.pitches, second.pitches)


@pytest.mark.parametrize("seed", range(40))
def test_numbers_stay_below_their_sizes(seed):
    some = random_tune(random.Random(seed))
    found, columns = seen(some, some.bars[0].key.tonic, some.bars[0].key.mode)
    assert columns.shape == (len(strains.sounds(some)), len(SIZES))
    assert (columns >= 0).all() and (columns < np.array(SIZES)).all()
    assert (found.pitches <= 2 * REACH).all()


def test_long_tunes_are_compared_in_stretches(monkeypatch):
    some = tune("d3 e3|f3 g3|d3 e3|" * 4)
    whole = seen(some)[0]
    monkeypatch.setattr(note_contexts, "_STRETCH", 6)
    assert np.array_equal(seen(some)[0].columns[:, :LIKE], whole.columns[:, :LIKE])
