import random

import numpy as np
import pytest

from pipelines.judge.notes import note_model
from pipelines.judge.notes.note_contexts import REACH, contexts
from pipelines.judge.notes.note_model import NoteModel
from pipelines.representations.abc_tokens import strains
from tests.support.written_tunes import random_tune, tune

SCALE = "CDEFGABc"


def scale_tune(seed):
    """A tune that goes up and down the scale, from a random note."""
    rng = random.Random(seed)
    at, step, body = rng.randrange(8), rng.choice((-1, 1)), ""
    for number in range(64):
        if not 0 <= at + step < 8:
            step = -step
        at += step
        body += SCALE[at] + ("|" if number % 8 == 7 else "")
    return tune(body, meter="4/4", key="C")


def seen(some):
    heard = strains.sounds(some)
    return contexts(some, 0, "MAJOR", heard), np.array(heard)[:, 0]


def learn():
    """Models of 30 tunes on the scale, and of one that none of them is like, in part 1."""
    found = [seen(tune) for tune in (*map(scale_tune, range(30)), random_tune(random.Random(5)))]
    parts = [*(seed % note_model.PARTS for seed in range(30)), 1]
    return note_model.fit([notes for notes, _ in found], [pitches for _, pitches in found], parts)


@pytest.fixture(scope="module")
def arrays():
    return learn()


@pytest.mark.slow
def test_a_note_out_of_line_is_a_surprise(arrays):
    model = NoteModel(arrays)
    some = scale_tune(99)
    notes, _ = seen(some)
    usual = note_model.bits(model.probabilities(notes, model.without([])), notes.pitches)
    assert usual.mean() < 1.5
    bar = some.bars[4]
    wrong = bar._replace(notes=(*bar.notes[:3], bar.notes[3]._replace(pitch=66), *bar.notes[4:]))
    spoilt, _ = seen(some._replace(bars=(*some.bars[:4], wrong, *some.bars[5:])))
    cost = note_model.bits(model.probabilities(spoilt, model.without([])), spoilt.pitches)
    assert cost.argmax() == 4 * 8 + 3 and cost.max() > usual.max() + 3


@pytest.mark.slow
def test_probabilities_are_a_distribution_of_each_note(arrays):
    model = NoteModel(arrays)
    notes, _ = seen(random_tune(random.Random(3)))
    found = model.probabilities(notes, [0, 2])
    assert found.shape == (len(notes.pitches), 2 * REACH + 1)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    one, other = (model.probabilities(notes, [which]) for which in (0, 2))
    np.testing.assert_allclose(found, (one + other) / 2, rtol=1e-5)


@pytest.mark.slow
def test_a_tune_is_priced_by_the_model_that_was_learnt_without_it(arrays):
    model = NoteModel(arrays)
    _, pitches = seen(random_tune(random.Random(5)))
    moved = pitches + 5
    assert model.without(model.knowing(pitches)) == [1] == model.without(model.knowing(moved))
    _, unknown = seen(random_tune(random.Random(8)))
    assert model.knowing(unknown) == [] and model.without([]) == [0, 1, 2]
    # One that several parts have is priced by all.
    assert model.without([0, 1]) == [0, 1, 2]


@pytest.mark.slow
def test_learning_again_gives_the_same(arrays):
    again = learn()
    assert all(np.array_equal(again[name], arrays[name]) for name in arrays)


def test_parts_are_of_about_the_same_size():
    counts = np.bincount([note_model.part_of(group) for group in range(3000)])
    assert len(counts) == note_model.PARTS and (abs(counts - 1000) < 100).all()


def test_versions_have_hashes_in_common_and_other_tunes_have_not():
    rng = np.random.default_rng(1)
    pitches = 60 + np.cumsum(rng.integers(-3, 4, 120))
    mine = set(note_model.fingerprint(pitches).tolist())
    # In another key, with one note changed, with an octave more in one strain.
    changed = pitches + 3
    changed[30] += 1
    assert mine & set(note_model.fingerprint(changed).tolist())
    other = 60 + np.cumsum(rng.integers(-3, 4, 120))
    assert not mine & set(note_model.fingerprint(other).tolist())
    assert len(note_model.fingerprint(pitches[:5])) == 0
