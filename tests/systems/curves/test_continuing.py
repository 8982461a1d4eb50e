"""Continuations: how curves are drawn, and where they begin and end."""

import keras
import numpy as np
import pytest

from configs.curves import HPARAMS
from pipelines.representations import curves
from pipelines.representations.curves import Vocabulary
from pipelines.systems.curves import continuing, model
from tests.support.melodies import piece, random_notes

pytestmark = pytest.mark.keras3


def test_drawing_by_hand():
    logits = np.log(np.array([[0.5, 0.2, 0.3]] * 20_000))
    rng = np.random.default_rng(0)
    shares = np.bincount(continuing.draw(logits, rng, 1.0, 1.0), minlength=3) / 20_000
    np.testing.assert_allclose(shares, [0.5, 0.2, 0.3], atol=0.015)
    # The nucleus of 0.6 has the first and the third, 5 to 3.
    shares = np.bincount(continuing.draw(logits, rng, 1.0, 0.6), minlength=3) / 20_000
    np.testing.assert_allclose(shares, [0.625, 0, 0.375], atol=0.015)
    # At a temperature of a half probabilities are squared: 25, 4 and 9 of 38.
    shares = np.bincount(continuing.draw(logits, rng, 0.5, 1.0), minlength=3) / 20_000
    np.testing.assert_allclose(shares, np.array([25, 4, 9]) / 38, atol=0.015)
    assert set(continuing.draw(logits, rng, 1e-6, 1.0).tolist()) == {0}
    assert set(continuing.draw(logits, rng, 1.0, 0.01).tolist()) == {0}
    never = np.array([[0.0, -np.inf]] * 50)
    assert set(continuing.draw(never, rng, 1e6, 1.0).tolist()) == {0}


def test_bars_are_counted_by_hand():
    # A pickup of a quarter to 3/4: bars begin at 0, 3, 6 ...
    tune = curves.read(piece([(2, 60), (3, 62), (4, 64), (6, 65), (8, 67)], (3, 4), (0, 0)))
    assert continuing.first_bars(tune, 1) == 6 * curves.GRID
    assert continuing.first_bars(tune, 2) == 9 * curves.GRID
    # The last note is in the bar from 6 to 9; two more end at 15.
    assert continuing.bars_after(tune, 8 * curves.GRID, 2) == 15 * curves.GRID
    full = curves.read(piece([(0, 60), (1, 62)], (3, 4), (0, 0)))
    assert continuing.first_bars(full, 1) == 3 * curves.GRID


@pytest.fixture(scope="module")
def drawing():
    keras.utils.set_random_seed(3)
    tune = curves.read(piece(random_notes(1), key=(0, 0)))
    return model.untrained("curves", HPARAMS["curves"], Vocabulary.of(tune.curves())), tune


def test_continuations_rise_in_time_and_end(drawing):
    made, tune = drawing
    end = continuing.bars_after(tune, int(tune.onsets[-1]), 4)
    found = continuing.continued(made, tune, end, number=5, seed=1)
    assert len(found) == 5 and len({tuple(one) for one in found}) == 5
    for notes in found:
        onsets = [int(tune.onsets[-1]), *(onset for onset, _ in notes)]
        assert notes and all(one < other for one, other in zip(onsets, onsets[1:]))
        assert onsets[-1] < end
        # The longest curve here is a quarter, so that none ends much earlier.
        assert onsets[-1] >= end - curves.GRID
        steps = np.diff([(int(tune.onsets[-1]), int(tune.pitches[-1])), *notes], axis=0)
        known = set(map(tuple, made.vocabulary.steps().tolist()))
        assert {(pitch, parts) for parts, pitch in steps.tolist()} <= known


def test_the_same_seed_gives_the_same_notes(drawing):
    made, tune = drawing
    end = continuing.bars_after(tune, int(tune.onsets[-1]), 2)
    one, two, other = (continuing.continued(made, tune, end, 3, seed) for seed in (7, 7, 8))
    assert one == two != other


def test_pitches_stay_on_the_keyboard(drawing):
    made, tune = drawing
    high = tune._replace(pitches=tune.pitches - tune.pitches.max() + 127)
    end = continuing.bars_after(high, int(high.onsets[-1]), 8)
    for notes in continuing.continued(made, high, end, number=10, temperature=1e6):
        assert all(0 <= pitch < 128 for _, pitch in notes)


class _Counting:
    """A network that foretells of each id the next one, and says what it was given.

    Its state counts the windows since it was zero.
    """

    def __init__(self, ids: int):
        self._ids = ids
        self.calls: list[tuple[list[int], float]] = []

    def __call__(self, inputs, states):
        given = inputs[0, :, 0].tolist()
        self.calls.append((given, float(states.max())))
        logits = np.zeros((1, len(given), self._ids), np.float32)
        for step, one in enumerate(given):
            logits[0, step, (one + 1) % self._ids] = 1
        return logits, states + 1


def test_the_likeliest_windows_follow_each_other_as_in_the_course():
    # The i-th curve of the vocabulary is i - 2 semitones up, a quarter later.
    known = Vocabulary([(i - 2, 1.0) for i in range(5)])
    hparams = HPARAMS["curves-faithful"]
    network = _Counting(5)
    made = model.Model("curves-faithful", hparams, known, None, network)
    assert continuing.notes_needed(made) == 9 and not continuing.draws(made)
    ids = [0, 1, 2, 3, 4, 3, 2, 1, 0, 1, 2, 3, 4, 3, 2, 1, 1]
    pitches = np.cumsum([60, *(one - 2 for one in ids)])
    tune = curves.Tune(np.arange(18) * 12, pitches, (curves.Signature(0, (4, 4), 0),))
    end = 28 * curves.GRID
    [first, second] = continuing.continued(made, tune, end, number=2)
    assert first == second
    # 17 curves: the last two windows of 8, the state kept; each output is the id after its input.
    said = [(one + 1) % 5 for one in ids[9:]]
    assert network.calls[:3] == [(ids[1:9], 0), (ids[9:], 1), (said, 0)]
    then = [(one + 1) % 5 for one in said]
    expected = np.cumsum([pitches[-1], *(one - 2 for one in [*said, *then])])[1:11]
    # The last note of the tune is at quarter 17; ten more fit before 28.
    assert first == [(12 * (18 + i), pitch) for i, pitch in enumerate(expected.tolist())]
