"""The form of a tune in numbers."""

import random

import numpy as np
import pytest

from pipelines.judge.forms import form_features, form_letters
from pipelines.judge.forms.form_features import lay, strains_of
from pipelines.music.abc.grid import WHOLE
from pipelines.representations.abc_tokens import strains
from pipelines.representations.abc_tokens.written import Bar, Key, Note, Tune
from tests.support.keyed_tunes import keyed_tune

_EIGHTH = WHOLE // 8
_KEY = Key(0, "MAJOR")


def _bar(*pitches: int | None, **signs) -> Bar:
    return Bar(tuple(Note(p, _EIGHTH) for p in pitches), (2, 4), _KEY, **signs)


_A = _bar(60, 62, 64, 65)
_B = _bar(67, 65, 64, 62)
_C = _bar(60, 60, 67, 67)
_D = _bar(64, 62, 60, 60)
# A, a third higher, on the scale.
_MOVED = _bar(64, 65, 67, 69)


def _laid(*bars: Bar) -> form_features.Laid:
    tune = Tune(bars)
    return lay(tune, strains.sounds(tune))


def test_the_same_time_with_the_same_notes_is_alike():
    laid = _laid(_A, _B, _A, _bar(60, 62, 60, 60))
    assert laid.alike[0, 2] == 1
    # A and B share their third note; A and the last bar the first two.
    assert laid.alike[0, 1] == pytest.approx(0.25)
    assert laid.alike[0, 3] == pytest.approx(0.5)
    assert (laid.rhythm == 1).all()


def test_bars_are_compared_however_many_there_are():
    bars = (_A, _B, _C, _D)
    few, many = _laid(*bars * 2), _laid(*bars * 50)
    np.testing.assert_array_equal(many.alike[192:, 192:], few.alike)
    np.testing.assert_array_equal(many.alike[:8, 192:], few.alike)


def test_rests_are_not_alike_and_rhythms_share_onsets():
    long = Bar((Note(60, 2 * _EIGHTH), Note(None, 2 * _EIGHTH)), (2, 4), _KEY)
    laid = _laid(long, long, _A)
    assert laid.alike[0, 1] == 1
    # One eighth of C: twice 1 of the 2 and 4 eighths that sound.
    assert laid.alike[0, 2] == pytest.approx(2 / 6)
    assert laid.rhythm[0, 2] == pytest.approx(1 / 4)
    assert laid.onsets.tolist() == [1, 1, 4]
    assert laid.longest.tolist() == [0.25, 0.25, 0.125]
    assert (laid.first.tolist(), laid.last.tolist()) == ([60, 60, 60], [60, 60, 65])


def test_pickups_and_first_endings_are_no_bars_of_a_strain():
    pickup = _bar(67)
    tune = Tune(
        (
            pickup, _A, _B, _C._replace(ending=frozenset({1}), closes=True),
            _D._replace(ending=frozenset({2}), ends_section=True), _A, _B,
        )
    )  # fmt: skip
    first, second = strains_of(tune)
    assert (first.bars, first.pickup, first.repeats) == ([1, 2, 4], True, True)
    assert first.endings == [{1}, {2}]
    assert (second.bars, second.pickup, second.repeats) == ([5, 6], False, False)


def test_a_pickup_between_strains_is_no_strain():
    tune = Tune((_bar(67), _A._replace(opens=True), _B._replace(closes=True)))
    (only,) = strains_of(tune)
    assert only.bars == [1, 2]
    assert [strain.bars for strain in strains_of(Tune((_bar(67),)))] == [[0]]


def test_features_are_free_of_key():
    tune = keyed_tune(random.Random(1), Key(2, "MAJOR"))
    up = Tune(
        tuple(
            bar._replace(notes=tuple(n._replace(pitch=n.pitch + 3) for n in bar.notes))
            for bar in tune.bars
        )
    )
    rows = [
        form_features.features(lay(one, strains.sounds(one)), tonic)
        for one, tonic in ((tune, 2), (up, 5))
    ]
    np.testing.assert_allclose(rows[0], rows[1], atol=1e-5)


@pytest.mark.parametrize("count", [1, 2, 9, 33])
def test_features_are_finite_whatever_the_length(count):
    laid = _laid(*[_A] * (count - 1), _bar(None, None, 60, None))
    assert np.isfinite(form_features.features(laid, 0)).all()


def _form(*bars: Bar) -> form_letters.Letters:
    return form_letters.letters(_laid(*bars))


def test_strains_with_signs_of_repeats_are_named_as_they_are_played():
    end = {"closes": True}
    found = _form(_A, _B, _A, _C._replace(**end), _D, _C, _D, _B._replace(closes=True, opens=False))
    assert found.form == "AABB"
    assert found.phrases == ["abac", "abac"]


def test_repeats_that_are_written_out_are_found():
    strain = (_A, _B, _A, _C, _A, _B, _C, _D)
    varied = (_A, _B, _A, _C, _A, _B, _bar(60, 60, 67, 65), _D)
    assert _form(*strain, *strain).form == "AA"
    assert _form(*strain, *varied).form == "AA'"
    assert _form(*strain, *(_B, _D, _C, _B, _D, _D, _B, _A)).form == "A"


def test_a_variation_has_seven_tenths_of_the_time_alike():
    # Phrases of a bar of ten eighths, of which three, then four differ.
    theme = (60, 62, 64, 65, 67, 69, 71, 72, 74, 76)
    three = (*theme[:7], 61, 61, 61)
    four = (*theme[:6], 63, 63, 63, 63)
    assert _form(_bar(*theme), _bar(*three), _bar(*four), _bar(*theme)).phrases == ["aa'ba"]


def test_a_phrase_on_other_degrees_is_a_sequence():
    assert _form(_A, _MOVED, _C, _D).phrases == ["aa*bc"]
    # The same pitch again and again is no theme to be moved.
    assert _form(_bar(60, 60, 60, 60), _bar(62, 62, 62, 62), _C, _D).phrases == ["abcd"]


def test_strains_without_four_phrases_have_no_letters_of_phrases():
    assert _form(_A, _B, _C).phrases == [""]


def test_more_strains_than_letters_have_the_last_one():
    rng = random.Random(2)
    bars = [_bar(*(rng.randrange(48, 84) for _ in range(4)), closes=True) for _ in range(40)]
    form = _form(*bars).form
    assert form.startswith("AABBCC")
    assert form.endswith("ZZ")
