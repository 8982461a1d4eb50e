"""Melody metrics, by hand."""

import numpy as np
import pytest

from pipelines import representations
from pipelines.representations.melody import (
    MelodyMetrics,
    most_frequent_bar,
    most_frequent_event,
)
from pipelines.representations.melody_converter import MelodyConverter


def window(*events, depth=6):
    """One window, one-hot; 0 is no event, 1 the end of a note."""
    return np.eye(depth)[None, list(events)]


def measured(target, decoded, steps_per_bar=4):
    metrics = MelodyMetrics(steps_per_bar)
    metrics.update(target, decoded, np.array([120.0]))
    return metrics.result()


def test_by_hand():
    # Bar 1: the target's notes begin on 0 and 2; the first is right, the second has a wrong pitch.
    # Bar 2: notes on 0 and 3; the first is decoded a step late, the second is right.
    target = window(2, 0, 3, 1, 4, 0, 0, 5)
    decoded = window(2, 0, 4, 1, 0, 4, 0, 5)
    result = measured(target, decoded)
    bars = result.pop("bars")
    assert result == {
        "steps": 8,
        "onsets": 4,
        "onsets_decoded": 4,
        "accuracy": 5 / 8,
        "onset_accuracy": 2 / 4,
        "onset_precision": 2 / 4,
        "onset_f1": 2 / 4,
        # Three of four are on the same steps; two of these have the same pitch too.
        "rhythm_f1": 3 / 4,
        "pitch_accuracy": 2 / 3,
    }
    assert list(bars) == ["01", "02"]
    assert (bars["01"]["accuracy"], bars["02"]["accuracy"]) == (3 / 4, 2 / 4)
    assert (bars["01"]["rhythm_f1"], bars["02"]["rhythm_f1"]) == (1.0, 2 / 4)
    assert (bars["01"]["pitch_accuracy"], bars["02"]["pitch_accuracy"]) == (1 / 2, 1.0)


def test_silence_has_most_steps_right_and_no_note():
    result = measured(window(2, 0, 0, 0), window(0, 0, 0, 0))
    assert result["accuracy"] == 3 / 4
    assert result["onset_accuracy"] == 0.0 and result["onset_f1"] == 0.0
    # A metric without anything to measure is not zero.
    assert result["onset_precision"] is None and result["pitch_accuracy"] is None


def test_the_end_of_a_note_is_no_beginning():
    result = measured(window(2, 1, 0, 0), window(2, 0, 1, 0))
    assert result["accuracy"] == 2 / 4
    assert result["onset_f1"] == 1.0 and result["onsets"] == result["onsets_decoded"] == 1


def test_logits_are_taken_by_their_largest():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(3, 8, 6))
    target = np.eye(6)[rng.integers(6, size=(3, 8))]
    assert measured(target, logits) == measured(target, np.eye(6)[logits.argmax(-1)])


def test_batches_add_up():
    rng = np.random.default_rng(1)
    target, decoded = np.eye(6)[rng.integers(6, size=(2, 9, 12))]
    whole, parts = MelodyMetrics(4), MelodyMetrics(4)
    whole.update(target, decoded, np.full(9, 120.0))
    for part in range(0, 9, 4):
        which = slice(part, part + 4)
        parts.update(target[which], decoded[which], np.full(len(target[which]), 90.0))
    assert whole.result() == parts.result()


def test_agrees_with_scikit_learn():
    sklearn = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(2)
    target, decoded = rng.integers(5, size=(2, 4, 16))
    result = measured(np.eye(5)[target], np.eye(5)[decoded])
    truth, guess = target.ravel(), decoded.ravel()
    assert result["accuracy"] == pytest.approx(sklearn.accuracy_score(truth, guess))
    # The micro average over the pitches, which are the events from 2 on.
    pitches = dict(labels=[2, 3, 4], average="micro")
    assert result["onset_accuracy"] == pytest.approx(sklearn.recall_score(truth, guess, **pitches))
    assert result["onset_precision"] == pytest.approx(
        sklearn.precision_score(truth, guess, **pitches)
    )
    assert result["onset_f1"] == pytest.approx(sklearn.f1_score(truth, guess, **pitches))
    assert result["rhythm_f1"] == pytest.approx(sklearn.f1_score(truth > 1, guess > 1))


def test_the_commonest_bar_leaves_those_without_a_note_aside():
    windows = [window(*events)[0] for events in ([0, 0, 2, 0], [1, 0, 3, 1], [0, 0, 3, 1])]
    bar = most_frequent_bar(iter(windows), 2)
    np.testing.assert_array_equal(bar, window(3, 1)[0])
    # Among equally frequent bars the lowest is taken, whichever comes first.
    bar = most_frequent_bar(reversed(windows[:2]), 2)
    np.testing.assert_array_equal(bar, window(2, 0)[0])


def test_the_commonest_event_at_every_step():
    windows = [window(*events)[0] for events in ([0, 2, 2, 1], [1, 2, 0, 3])]
    np.testing.assert_array_equal(most_frequent_event(iter(windows), 2), window(2, 2)[0])


def test_features_and_onsets():
    representation = representations.of(MelodyConverter([(4, 4)], bars=1))
    array = window(5, 0, 1, 7, 0, 0, 0, 0, *[0] * 8, depth=48)
    features = representation.features()
    assert features["density"].measure(array, 16).tolist() == [2]
    # The end of a note is no onset.
    assert representation.onsets(array).sum() == 2
