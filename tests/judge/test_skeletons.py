import random

import numpy as np
import pytest

from pipelines.judge.copying import skeletons
from pipelines.judge.faults import copies
from pipelines.music.abc.grid import WHOLE
from tests.support.written_tunes import random_tune, tune


def skeleton(*tunes):
    notes = skeletons.notes_of(tunes)
    return skeletons.skeletons(notes, skeletons.levels(notes))


def steps(some):
    """Steps above middle C, "-" where no note begins."""
    found = skeleton(some)
    return [
        step - 35 if onset else "-"
        for step, onset in zip(found.step.tolist(), found.onset, strict=True)
    ]


SCALE = "CDEF GABc|cBAG FEDC|"


def test_each_quaver_has_its_note():
    found = skeleton(tune(SCALE, meter="4/4", key="C"))
    assert found.step.tolist() == [*range(35, 43), *range(42, 34, -1)]
    assert found.pitch[:8].tolist() == [60, 62, 64, 65, 67, 69, 71, 72]
    assert found.onset.all() and found.bar.tolist() == [0] * 8 + [1] * 8
    assert found.starts.tolist() == [0, 16]


@pytest.mark.parametrize(
    "same",
    [
        "C/D/E/F/ G/A/B/c/|c/B/A/G/ F/E/D/C/|",  # of half the length
        "C4D4E4F4 G4A4B4c4|c4B4A4G4 F4E4D4C4|",
        "C>DE>F G>AB>c|c>BA>G F>ED>C|",  # dotted
        "C<DE<F G<AB<c|c<BA<G F<ED<C|",
        "B,/4C3/4DEF GABc|cB3/4c/4AG FEDC|",  # with grace notes
        "(3CDD (3EFF GABc|cBAG (3FEE DC|",  # with triplets
        "CDEF|GABc|cBAG|FEDC|",
    ],
)
def test_ways_of_writing_have_one_skeleton(same):
    assert steps(tune(same, meter="4/4", key="C")) == steps(tune(SCALE, meter="4/4", key="C"))


def test_long_notes_and_rests_hold():
    assert steps(tune("C2DE FDEF|Gz AB cBc2|", meter="4/4", key="C")) == [
        0, "-", 1, 2, 3, 1, 2, 3, 4, "-", 5, 6, 7, 6, 7, "-",
    ]  # fmt: skip


def test_a_pickup_stands_before_the_slots_of_bars():
    # Slots are crotchets in these bars, and begin where bars do.
    body = "D|G4D4|E4F4|G4D4|E4F4|G4D4|E4F4|"
    found = skeleton(tune(body, meter="4/4", key="C"))
    changes = np.flatnonzero(np.diff(found.bar))
    assert len(set((changes + 1) % 2)) == 1


def test_steps_are_free_of_the_mode():
    major = tune("|:d2ef gabc'|c'4 d'4:|", meter="4/4", key="D")
    lowered = copies.in_mixolydian(major)
    assert lowered != major
    assert skeleton(lowered).step.tolist() == skeleton(major).step.tolist()
    moved = skeleton(copies.transposed(major, 3))
    assert set(moved.step - skeleton(major).step) == {2}


def test_many_tunes_have_the_skeletons_that_each_has():
    rng = random.Random(1)
    tunes = [random_tune(rng) for _ in range(40)]
    together = skeleton(*tunes)
    for number, one in enumerate(tunes):
        alone = skeleton(one)
        begin, end = together.starts[number : number + 2]
        assert end - begin == alone.starts[1] <= skeletons.MAX_SLOTS
        for name in ("step", "pitch", "bar"):
            assert np.array_equal(getattr(together, name)[begin:end], getattr(alone, name))
        assert np.array_equal(together.onset[begin:end][1:], alone.onset[1:])


def test_a_tune_without_end_is_cut():
    found = skeleton(tune("CDEF GABc|" * 400, meter="4/4", key="C"))
    assert len(found.step) == skeletons.MAX_SLOTS


def test_ties_join_notes_over_bar_lines():
    notes = skeletons.notes_of([tune("C6-|C2 z4|D6|", key="C")])
    assert notes.pitch.tolist() == [60, skeletons.REST, 62]
    assert notes.length.tolist() == [WHOLE, WHOLE // 2, WHOLE * 3 // 4]
    assert notes.bar.tolist() == [0, 1, 2] and notes.starts.tolist() == [0, 3]


@pytest.mark.parametrize("seed", range(20))
def test_other_lengths_and_meters_are_among_the_possible_levels(seed):
    rng = np.random.default_rng(seed)
    body = "|:d|ged BGB|A2B c2d|ged BAG|AFD D2:|"
    copy = copies.in_other_meter(tune(body), rng)
    (level,) = skeletons.levels(skeletons.notes_of([tune(body)]))
    # By how much the lengths are doubled.
    doubled = np.log2(copy.bars[0].notes[0].length / (WHOLE // 8))
    assert level + doubled in skeletons.possible_levels(skeletons.notes_of([copy]))
