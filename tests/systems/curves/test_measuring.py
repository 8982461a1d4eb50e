"""Bits and accuracies: by hand, and the same however they are computed."""

import keras
import numpy as np
import pytest

from configs.curves import HPARAMS
from pipelines.representations import curves
from pipelines.representations.curves import Vocabulary
from pipelines.systems.curves import measuring, model, tunes
from pipelines.systems.curves.measuring import Classes
from tests.support.melodies import piece, random_notes

pytestmark = pytest.mark.keras3


def melodies(*seeds: int) -> list[curves.Tune]:
    return [curves.read(piece(random_notes(seed, bars=6), key=(0, 0))) for seed in seeds]


@pytest.fixture(scope="module", params=["curves", "curves-faithful"])
def untrained(request):
    """A model whose vocabulary lacks some curves of its tunes."""
    keras.utils.set_random_seed(2)
    hparams = HPARAMS[request.param]
    known = [curve for tune in melodies(1) for curve in tunes.curves_of(tune, hparams)]
    return model.untrained(request.param, hparams, Vocabulary.of(known))


def test_equal_curves_are_one_class():
    noisy = [1 / 3, 1.0 - 2 / 3, 0.5]
    classes = Classes(Vocabulary([(2, noisy[0]), (2, noisy[1]), (2, noisy[2])]))
    assert classes.of_id.tolist() == [0, 0, 1]
    assert classes.steps.tolist() == [[2, 4], [2, 6]]
    logits = np.log(np.array([[1.0, 2.0, 5.0], [3.0, 4.0, 1.0], [1.0, 1.0, 6.0], [1.0, 1.0, 1.0]]))
    bits, right = measuring.judge(logits, np.array([0, 0, 1, -1]), classes)
    # The class has 3 of 8, then 7 of 8; the other 6 of 8; the last is none.
    np.testing.assert_allclose(bits[:3], -np.log2([3 / 8, 7 / 8, 6 / 8]))
    assert np.isnan(bits[3])
    assert right.tolist() == [False, True, True, False]


@pytest.mark.slow
def test_scores_are_those_of_the_network_step_by_step(untrained):
    tune = melodies(3)[0]
    classes, hparams = Classes(untrained.vocabulary), untrained.hparams
    truth = classes.of(tune)
    assert (truth < 0).any() and (truth >= 0).any()
    ids = untrained.vocabulary.ids(tunes.curves_of(tune, hparams))
    inputs = tunes.inputs_of(tune, ids, hparams)
    [scored] = measuring.score(untrained, [tune])
    states = measuring.start_states(untrained, 1)
    seen = np.zeros(len(truth), bool)
    for at, row in enumerate(inputs):
        if hparams.window and at % hparams.window == 0:
            states = measuring.start_states(untrained, 1)
        logits, states = measuring.step(untrained, row[None, None], states)
        curve = at + hparams.ahead - (1 if hparams.context else 0)
        if curve < len(truth):
            seen[curve] = True
            bits, right = measuring.judge(logits, truth[curve : curve + 1], classes)
            np.testing.assert_allclose(scored.bits[curve], bits[0], rtol=1e-4)
            assert scored.right[curve] == right[0]
    # The first ones of a model that looks eight ahead are foretold by nothing.
    assert np.array_equal(np.isnan(scored.bits), ~seen | (truth < 0))
    assert seen.sum() == len(truth) - (0 if hparams.context else hparams.ahead)


@pytest.mark.slow
def test_many_tunes_are_scored_as_one_each(untrained):
    several = melodies(3, 4, 5)
    together = measuring.score(untrained, several)
    for tune, scored in zip(several, together, strict=True):
        [alone] = measuring.score(untrained, [tune])
        np.testing.assert_allclose(alone.bits, scored.bits, rtol=1e-4)


@pytest.mark.slow
def test_foretelling_one_ahead_is_the_next_curve():
    keras.utils.set_random_seed(2)
    several = melodies(1, 2)
    known = Vocabulary.of(curve for tune in several for curve in tune.curves())
    made = model.untrained("curves", HPARAMS["curves"], known)
    scored = measuring.score(made, several)
    found = measuring.right_ahead(made, several, 1)
    for one, right in zip(scored, found, strict=True):
        assert np.array_equal(one.right, right)
    eight = measuring.right_ahead(made, several, 8)
    assert all(not one[:7].any() for one in eight)


def test_foretelling_ahead_follows_the_guesses():
    """A model that always foretells a second up after an eighth, in a tune that is so."""
    tune = curves.read(piece([(i / 2, 60 + 2 * i) for i in range(12)] + [(6, 60)], key=(0, 0)))
    known = Vocabulary.of(tune.curves())
    up = known.id(tune.curves()[0])

    def forward(inputs, states):
        logits = np.full((*inputs.shape[:2], len(known)), -1.0, np.float32)
        logits[..., up] = 1
        return _Tensor(logits), _Tensor(states)

    made = model.Model("curves", HPARAMS["curves"], known, None, forward)
    [found] = measuring.right_ahead(made, [tune], 4)
    # Eleven steps up and a fall; the first three are foretold from before the tune.
    assert found.tolist() == [False] * 3 + [True] * 8 + [False]


class _Tensor(np.ndarray):
    """An array that has what tensors have."""

    def __new__(cls, values):
        return np.asarray(values).view(cls)

    def numpy(self):
        return np.asarray(self)
