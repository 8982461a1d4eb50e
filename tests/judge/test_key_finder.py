"""Keys that are found in notes alone."""

import random

import numpy as np
import pytest

from pipelines.judge.finding import CannotBeJudged
from pipelines.judge.keys import key_finder
from pipelines.judge.keys.key_finder import KeyFinder
from pipelines.music.abc.grid import WHOLE
from pipelines.representations.abc_tokens.written import Bar, Key, Note, Tune
from pipelines.runtime.app import UserError
from tests.support.keyed_tunes import keyed_tune, keyed_tunes, learned_mode

_EIGHTH = WHOLE // 8


@pytest.fixture(scope="module")
def finder() -> KeyFinder:
    return KeyFinder(learned_mode())


def _tune(*bars: tuple[int, ...]) -> Tune:
    made = [Bar(tuple(Note(p, _EIGHTH) for p in bar), (4, 4), Key(0, "MAJOR")) for bar in bars]
    return Tune(tuple(made))


def test_finds_the_keys_of_tunes_that_it_has_not_seen(finder):
    tunes = keyed_tunes(3, 60)
    found = [finder.find(known.tune) for known in tunes]
    right = [one.key == known.tune.bars[0].key for one, known in zip(found, tunes)]
    assert np.mean(right) >= 0.95


def test_a_transposed_tune_has_its_key_transposed(finder):
    tune = keyed_tune(random.Random(5), Key(2, "DORIAN"))
    found = finder.find(tune)
    for by in (1, 5, -7):
        bars = tuple(
            bar._replace(notes=tuple(n._replace(pitch=n.pitch + by) for n in bar.notes))
            for bar in tune.bars
        )
        moved = finder.find(tune._replace(bars=bars))
        assert moved.key == Key((found.key.tonic + by) % 12, found.key.mode)
        np.testing.assert_allclose(
            moved.probabilities, np.roll(found.probabilities, by, axis=0), rtol=1e-6
        )


def test_probabilities_sum_to_one_and_belong_to_the_key_that_is_found(finder):
    found = finder.find(keyed_tune(random.Random(6), Key(9, "MINOR")))
    assert found.probabilities.shape == (12, 6)
    assert found.probabilities.sum() == pytest.approx(1)
    assert found.probability == found.of(found.key) == found.probabilities.max()
    assert found.tonic_probability == pytest.approx(found.probabilities[found.key.tonic].sum())
    assert found.of(Key(0, "LOCRIAN")) == 0


def test_the_key_field_is_not_used(finder):
    tune = keyed_tune(random.Random(7), Key(4, "MINOR"))
    bars = tuple(bar._replace(key=Key(0, "NOT_SPECIFIED")) for bar in tune.bars)
    other = finder.find(tune._replace(bars=bars))
    np.testing.assert_array_equal(other.probabilities, finder.find(tune).probabilities)


def test_passages_are_the_tune_and_its_strains(finder):
    tune = keyed_tune(random.Random(8), Key(7, "MAJOR"))
    whole, first, second = key_finder.passages(tune)
    # Seven bars of eight notes and one of five, twice.
    assert [len(p.sounds) for p in (whole, first, second)] == [122, 61, 61]
    assert np.flatnonzero(whole.closing).tolist() == [60, 121]
    assert np.flatnonzero(second.closing).tolist() == [60]


def test_several_passages_are_found_as_each_alone(finder):
    some = key_finder.passages(keyed_tune(random.Random(9), Key(2, "MIXOLYDIAN")))
    some += key_finder.passages(_tune((60, 62), (), (64, 65, 67, 60)))
    for passage, found in zip(some, finder.find_in(some), strict=True):
        (alone,) = finder.find_in([passage])
        np.testing.assert_allclose(found.probabilities, alone.probabilities, rtol=1e-9)


def test_a_tune_of_many_strains_is_found_strain_by_strain(finder):
    tune = keyed_tune(random.Random(10), Key(2, "MAJOR"), bars_a_strain=4, strains=70)
    whole, *parts = key_finder.passages(tune)
    found = finder.find_in([whole, *parts])
    assert len(found) == 71
    np.testing.assert_allclose(
        found[-1].probabilities, finder.find_in(parts[-1:])[0].probabilities, rtol=1e-9
    )


def test_one_note_and_notes_without_a_downbeat_have_a_key(finder):
    (found,) = finder.find_in(key_finder.passages(_tune((60,)))[:1])
    assert np.isfinite(found.probabilities).all()
    rest = Bar((Note(None, _EIGHTH), Note(60, _EIGHTH)), (4, 4), Key(0, "MAJOR"))
    (found,) = finder.find_in(key_finder.passages(Tune((rest, rest)))[:1])
    assert np.isfinite(found.probabilities).all()


@pytest.mark.parametrize(
    "pitches, says",
    [
        ((), "it has no notes; a mode needs 6 or more"),
        ((60,), "it has one note; a mode needs 6 or more"),
        ((60, 62, 64, 65, 67), "it has 5 notes; a mode needs 6 or more"),
        ((60,) * 6, "its notes have one pitch but for octaves; a mode needs 3 or more"),
        ((60, 72, 67) * 2, "its notes have 2 pitches but for octaves; a mode needs 3 or more"),
    ],
)
def test_few_notes_or_pitches_cannot_be_judged(finder, pitches, says):
    with pytest.raises(CannotBeJudged) as caught:
        finder.find(_tune(pitches))
    assert str(caught.value) == says


def test_six_notes_of_three_pitches_can_be_judged(finder):
    assert 0 < finder.find(_tune((60, 64, 67), (67, 64, 60))).probability <= 1


@pytest.mark.parametrize(
    "key, says, tonic",
    [
        (Key(2, "DORIAN"), "D dorian", "D"),
        (Key(10, "MAJOR"), "Bb major", "Bb"),
        (Key(11, "MINOR"), "B minor", "B"),
        (Key(6, "MINOR"), "F# minor", "F#"),
        (Key(3, "MIXOLYDIAN"), "Eb mixolydian", "Eb"),
    ],
)
def test_names_of_keys(key, says, tonic):
    assert (key_finder.name(key), key_finder.tonic_name(key)) == (says, tonic)


@pytest.mark.parametrize(
    "pitch, key, says",
    [
        (60, Key(2, "MAJOR"), "C natural"),
        (61, Key(7, "MAJOR"), "C#"),
        (60, Key(7, "MAJOR"), "C"),
        (70, Key(0, "MAJOR"), "Bb"),
        (71, Key(5, "MAJOR"), "B natural"),
        (68, Key(9, "MINOR"), "G#"),
    ],
)
def test_names_of_notes_in_keys(pitch, key, says):
    assert key_finder.note_name(pitch, key) == says


def _learned(seed: int) -> dict[str, np.ndarray]:
    return key_finder.learn(keyed_tunes(seed, 12), keyed_tunes(2, 4))


def test_learning_twice_gives_the_same():
    # What is learned of other tunes in between takes the place of what was kept.
    once, other, again = _learned(1), _learned(3), _learned(1)
    assert once.keys() == again.keys()
    for name, array in once.items():
        np.testing.assert_array_equal(array, again[name])
        assert array.dtype == np.float32
    assert (other["key_weights"] != once["key_weights"]).any()


def test_tunes_without_keys_teach_nothing():
    (known,) = keyed_tunes(1, 1)
    bars = tuple(bar._replace(key=Key(0, "NOT_SPECIFIED")) for bar in known.tune.bars)
    with pytest.raises(UserError, match="no tune of training has a K: field"):
        key_finder.learn([known._replace(tune=Tune(bars))], [])
    assert np.isfinite(key_finder.learn([known], [])["key_weights"]).all()
