import numpy as np

from pipelines.music.abc.grid import WHOLE
from pipelines.systems.tune_lm import tune_features
from tests.support.written_tunes import tune

EIGHTH = WHOLE // 8


def test_the_key_finder_hears_the_tonic():
    assert tune_features.guessed_tonic(tune("d2f a2f|g2e c2A|d2f a2f|gec d3|", key="D")) == 2
    # Whatever the key says that is written.
    assert tune_features.guessed_tonic(tune("d2^f a2^f|g2e ^c2A|d6|", key="F")) == 2


def test_runs_of_intervals():
    """18 notes have 17 intervals, and so two runs of 16."""
    scale = tune("DEFGABcde|fgabc'd'e'f'g'|", meter="9/8")
    first, second = tune_features.grams(scale)
    assert list(first) == [2, 2, 1, 2, 2, 2, 1, 2, 2, 1, 2, 2, 2, 1, 2, 2]
    assert list(second) == [2, 1, 2, 2, 2, 1, 2, 2, 1, 2, 2, 2, 1, 2, 2, 1]
    assert tune_features.grams(tune("d6|")) == []


def test_features_of_a_tune_by_hand():
    """In D: d f a, a rest, d and ^d; the third bar is the first one, the last has its rhythm."""
    one = tune("d2f a2z|d3 ^d3|d2f a2z|d2f d2z|")
    value = {name: function(one) for name, (function, _) in tune_features.VALUES.items()}
    assert value == {
        "notes_a_bar": 11 / 4, "range": 7, "in_scale": 10 / 11, "rests": 3 / 24,
        "bars_again": 1 / 4, "rhythms_again": 2 / 4,
    }  # fmt: skip
    count = {name: function(one) for name, function in tune_features.COUNTS.items()}
    assert {i: n for i, n in enumerate(count["degrees"]) if n} == {0: 5, 1: 1, 4: 3, 7: 2}
    # From -12 on: d f a d ^d d f a d f d.
    intervals = {i - 12: n for i, n in enumerate(count["intervals"]) if n}
    assert intervals == {4: 3, 3: 2, -7: 2, 1: 1, -1: 1, -4: 1}
    assert count["lengths"].sum() == count["onsets"].sum() == 11
    assert {i: n for i, n in enumerate(count["onsets"]) if n} == {0: 4, 4: 3, 6: 4}
    assert np.count_nonzero(count["lengths"]) == 3


def test_tunes_weigh_the_same_in_histograms():
    short, long = tune("d6|"), tune("a3 a3|" * 8)
    found = tune_features.histograms([short, long])
    assert found["degrees"][[0, 7]].tolist() == [1, 1]
    assert found["range"].tolist()[0] == 2
    assert tune_features.means([short, long])["notes_a_bar"] == 1.5


def test_melodies_are_free_of_key():
    first, second = tune("d2f a3|"), tune("g2b d'3|", key="G")
    assert tune_features.melody(first).tolist() == [[0, 6], [4, 3], [7, 9]]
    assert (tune_features.melody(first) == tune_features.melody(second)).all()
