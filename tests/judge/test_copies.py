import random

import numpy as np
import pytest

from pipelines.judge.faults import copies
from pipelines.judge.faults.tune_faults import NoPlace
from pipelines.music.abc.grid import WHOLE
from pipelines.representations.abc_tokens.written import Key
from tests.support.written_tunes import random_tune, tune

JIG = tune("|:d|ged BGB|A2B c2d|ged BAG|AFD D2:|", key="G")


def notes(some):
    return [note for bar in some.bars for note in bar.notes if note.pitch is not None]


def pitches(some):
    return [note.pitch for note in notes(some)]


def lengths(some):
    return [note.length for note in notes(some)]


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 1.0])
def test_so_many_notes_are_changed_and_none_by_more_than_a_fifth(share):
    found = copies.notes_changed(JIG, np.random.default_rng(1), share)
    apart = np.abs(np.array(pitches(found)) - pitches(JIG))
    assert (apart > 0).sum() == round(share * 21)
    assert apart.max() <= 7 and lengths(found) == lengths(JIG)
    assert {pitch % 12 for pitch in pitches(found)} <= {pitch % 12 for pitch in pitches(JIG)}


def test_edited_bars_stay_as_long():
    found = [copies.notes_edited(JIG, np.random.default_rng(seed), 0.5) for seed in range(60)]
    for one in found:
        assert [bar.length for bar in one.bars] == [bar.length for bar in JIG.bars]
    # Of ten notes a third get another beside them, and a third go but where they begin a bar.
    counts = [len(notes(one)) for one in found]
    assert np.mean(counts) == pytest.approx(21 + 10 / 3 - 10 / 3 * 16 / 21, abs=0.6)
    assert copies.notes_edited(JIG, np.random.default_rng(1), 0.0) == JIG


def test_a_tune_is_moved_with_its_key():
    found = copies.transposed(JIG, 7)
    assert pitches(found) == [pitch + 7 for pitch in pitches(JIG)]
    assert {bar.key for bar in found.bars} == {Key(2, "MAJOR")}


def test_sevenths_are_lowered():
    found = copies.in_mixolydian(tune("GFE gfe|", key="G"))
    assert pitches(found) == [67, 65, 64, 79, 77, 76]
    assert found.bars[0].key == Key(7, "MIXOLYDIAN")
    for body, key in (("GBd g3|", "G"), ("ABc d3|", "Am")):
        with pytest.raises(NoPlace):
            copies.in_mixolydian(tune(body, key=key))


def in_each_meter(some):
    found = {}
    for seed in range(40):
        one = copies.in_other_meter(some, np.random.default_rng(seed))
        found[one.bars[0].meter, len(one.bars)] = one
    return found


def test_a_jig_is_written_in_other_meters():
    found = in_each_meter(JIG)
    # The pickup stays alone, and four bars become two, four and eight.
    assert set(found) == {((12, 8), 3), ((6, 4), 5), ((3, 4), 5), ((3, 8), 9)}
    for (meter, _), one in found.items():
        times = 2 if meter == (6, 4) else 1
        whole = sum(bar.length for bar in one.bars)
        assert whole == times * sum(bar.length for bar in JIG.bars)
        assert one.bars[0].opens and one.bars[-1].closes
        assert one.bars[0].length == times * WHOLE // 8
    assert pitches(found[(12, 8), 3]) == pitches(JIG)
    assert [bar.length for bar in found[(3, 8), 9].bars[1:]] == [WHOLE * 3 // 8] * 7 + [WHOLE // 4]


def test_a_note_over_a_new_bar_line_is_tied():
    found = in_each_meter(tune("c2e4g2|c8|", meter="4/4", key="C"))[(2, 4), 4]
    assert [[(n.pitch, n.tied) for n in bar.notes] for bar in found.bars] == [
        [(72, False), (76, True)], [(76, False), (79, False)], [(72, True)], [(72, False)],
    ]  # fmt: skip


def test_bars_are_joined_up_to_signs():
    found = in_each_meter(tune("|:c2|d2|e2:|:f2|g2:|", meter="2/4", key="C"))
    joined = found[(4, 4), 3]
    assert [len(bar.notes) for bar in joined.bars] == [2, 1, 2]
    assert [(bar.opens, bar.closes) for bar in joined.bars] == [
        (True, False), (False, True), (True, True),
    ]  # fmt: skip


def test_ornaments_leave_bars_as_long_and_notes_where_they_are():
    found = copies.ornamented(JIG, np.random.default_rng(3), 0.4)
    assert [bar.length for bar in found.bars] == [bar.length for bar in JIG.bars]
    more = len(notes(found)) - len(notes(JIG))
    # Eight notes get one note more, or two.
    assert 8 <= more <= 16
    assert {pitch % 12 for pitch in pitches(found)} == {pitch % 12 for pitch in pitches(JIG)}


@pytest.mark.parametrize("seed", range(30))
def test_copies_of_random_tunes_are_tunes(seed):
    some = random_tune(random.Random(seed))

    def all_of(rng):
        made = [copies.transposed(some, 5)]
        for change in (copies.notes_changed, copies.notes_edited, copies.ornamented):
            made.append(change(some, rng, 0.4))
        for change in (
            lambda: copies.in_other_meter(some, rng),
            lambda: copies.in_mixolydian(some),
        ):
            try:
                made.append(change())
            except NoPlace:
                continue
        return made

    made = all_of(np.random.default_rng(seed))
    assert made == all_of(np.random.default_rng(seed))
    for one in made:
        assert all(bar.notes and bar.length for bar in one.bars)
        for bar, after in zip(one.bars, one.bars[1:]):
            last = bar.notes[-1]
            assert not last.tied or after.notes[0].pitch == last.pitch
