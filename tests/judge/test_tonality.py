"""What is heard of keys in tunes."""

import random

import numpy as np
import pytest

from pipelines.judge.keys import tonality
from pipelines.judge.keys.key_finder import Found, KeyFinder
from pipelines.representations.abc_tokens.written import Key, Tune
from tests.support.keyed_tunes import keyed_tune, learned_mode


@pytest.fixture(scope="module")
def finder() -> KeyFinder:
    return KeyFinder(learned_mode())


@pytest.mark.parametrize(
    "key, sharps",
    [
        (Key(0, "MAJOR"), 0), (Key(2, "MAJOR"), 2), (Key(11, "MINOR"), 2), (Key(4, "DORIAN"), 2),
        (Key(9, "MIXOLYDIAN"), 2), (Key(10, "MAJOR"), -2), (Key(6, "MAJOR"), 6),
        (Key(1, "MAJOR"), -5), (Key(4, "PHRYGIAN"), 0), (Key(5, "LYDIAN"), 0),
        (Key(11, "LOCRIAN"), 0),
    ],
)  # fmt: skip
def test_signatures(key, sharps):
    assert tonality.signature(key) == sharps


def test_signatures_gather_the_keys_that_share_one():
    probabilities = np.zeros((12, 6))
    probabilities[2, 0] = 0.5  # D major
    probabilities[11, 1] = 0.3  # B minor
    probabilities[5, 0] = 0.2  # F major
    likely = tonality.signatures(Found(Key(2, "MAJOR"), 0.5, probabilities))
    assert likely[2] == pytest.approx(0.8)
    assert likely[-1] == pytest.approx(0.2)
    assert likely.sum() == pytest.approx(1)


def test_notes_outside_are_those_that_the_scale_lacks(finder):
    tune = keyed_tune(random.Random(3), Key(2, "MAJOR"))
    assert not tonality.hear(tune, finder).notes.outside.any()
    bars = list(tune.bars)
    # The second bar gets the C natural and the G sharp that D major lacks.
    notes = bars[1].notes
    bars[1] = bars[1]._replace(
        notes=(*notes[:2], notes[2]._replace(pitch=72), notes[3]._replace(pitch=68), *notes[4:])
    )
    heard = tonality.hear(Tune(tuple(bars)), finder)
    assert heard.found.key == Key(2, "MAJOR")
    outside = np.flatnonzero(heard.notes.outside)
    assert outside.tolist() == [10, 11]
    assert [heard.name_of(note) for note in outside] == ["C natural", "G#"]
    # From C natural to G sharp is a leap; no other note has these pitch classes.
    assert heard.notes.context[10].tolist()[1:] == [3, 0]
    assert heard.notes.context[11].tolist()[0] == 3


def test_contexts_at_the_ends_of_a_tune(finder):
    heard = tonality.hear(keyed_tune(random.Random(4), Key(0, "MAJOR")), finder)
    assert heard.notes.context[0, 0] == tonality.STEPS - 1
    assert heard.notes.context[-1, 1] == tonality.STEPS - 1
    assert heard.notes.context[-1, 2] == tonality.OTHERS - 1


def test_a_strain_in_another_key_is_a_change(finder):
    first = keyed_tune(random.Random(5), Key(2, "MAJOR"), strains=2)
    second = keyed_tune(random.Random(6), Key(8, "MAJOR"), strains=1)
    heard = tonality.hear(Tune(first.bars + second.bars), finder)
    assert heard.found.key == Key(2, "MAJOR")
    assert heard.starts == [0, 8, 16]
    assert list(heard.changes) == [2]
    assert heard.changes[2].key == Key(8, "MAJOR")
    assert heard.keys == [Key(2, "MAJOR"), Key(2, "MAJOR"), Key(8, "MAJOR")]
    # Notes are compared with the key of their strain.
    assert not heard.notes.outside.any()
    assert [one.near for one in heard.departures] == [True, True, False]
    assert heard.departures[2].gap > heard.departures[0].gap


def test_a_tune_of_one_strain_has_no_change(finder):
    heard = tonality.hear(keyed_tune(random.Random(7), Key(4, "DORIAN"), strains=1), finder)
    assert (heard.changes, heard.departures, heard.starts) == ({}, [], [0])


def test_short_strains_have_no_key_of_their_own(finder):
    first = keyed_tune(random.Random(8), Key(2, "MAJOR"))
    short = keyed_tune(random.Random(9), Key(8, "MAJOR"), bars_a_strain=3, strains=1)
    heard = tonality.hear(Tune(first.bars + short.bars), finder)
    assert len(heard.departures) == 2
    assert not heard.changes
