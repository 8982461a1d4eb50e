import pytest

from pipelines.music.abc.grid import WHOLE
from pipelines.representations.abc_tokens import vocabulary
from pipelines.systems.tune_lm import forms

EIGHTH = WHOLE // 8
BAR, DOUBLE, CLOSES, OPENS, BOTH = range(1, 6)
END, PART = vocabulary.END, vocabulary.PART
FIRST, SECOND = forms.FIRST_ENDING, forms.SECOND_ENDING


def before(form):
    return [bar.before for bar in form.bars]


def test_the_signs_of_a_form():
    of = forms.form("AABCC", 2, (2, 4), EIGHTH)
    assert before(of) == [
        (OPENS,), (BAR,), (BAR,), (CLOSES,), (BAR,), (BAR,), (OPENS,), (BAR,), (BAR,),
    ]  # fmt: skip
    assert of.after == (CLOSES, END)
    measure = 4 * EIGHTH
    assert [one.length for one in of.bars[:3]] == [EIGHTH, measure, measure - EIGHTH]
    assert [one.cadence for one in of.bars] == [False] * 8 + [True]
    assert before(forms.form("AABB", 1, (2, 4))) == [(OPENS,), (BOTH,)]
    alone = forms.form("AB", 1, (2, 4))
    assert before(alone) == [(), (DOUBLE,)]
    assert alone.after == (END,)


def test_a_prime_is_a_second_ending():
    of = forms.form("AA'BB'", 3, (2, 4), EIGHTH)
    assert before(of) == [
        (OPENS,), (BAR,), (BAR,), (BAR, FIRST), (CLOSES, SECOND),
        (OPENS,), (BAR,), (BAR,), (BAR, FIRST), (CLOSES, SECOND),
    ]  # fmt: skip
    assert of.after == (END,)
    measure = 4 * EIGHTH
    strain = [EIGHTH, measure, measure, measure - EIGHTH, measure - EIGHTH]
    assert [bar.length for bar in of.bars] == 2 * strain
    assert [bar.cadence for bar in of.bars] == [False] * 9 + [True]
    # Endings of two bars, and a strain without them.
    of = forms.form("AA'BB", [4, 1], (2, 4), ending_bars=2)
    assert before(of) == [
        (OPENS,), (BAR,), (BAR, FIRST), (BAR,), (CLOSES, SECOND), (BAR,), (OPENS,),
    ]  # fmt: skip
    assert of.after == (CLOSES, END)


def test_a_strain_that_comes_back_is_written_once_under_a_label():
    of = forms.form("AABA", [2, 1], (3, 4))
    assert before(of) == [(PART,), (BAR,), (DOUBLE, PART)]
    assert (of.parts, of.after) == ("AABA", (END,))
    # The last strain that is played ends the tune, not the last one that is written.
    assert [bar.cadence for bar in of.bars] == [False, True, False]
    assert forms.form("ABAB", 8, (4, 4)).parts == "ABAB"
    assert forms.form("AAAB", 8, (4, 4)).parts == "AAAB"


@pytest.mark.parametrize(
    ("letters", "bars", "pickup", "message"),
    [
        ("", 8, 0, "without a strain"), ("A", 0, 0, "1 to 32 bars, not 0"),
        ("A", 33, 0, "1 to 32 bars, not 33"), ("AA", 8, WHOLE, "pickup of 1 does not fit"),
        ("AA", 1, EIGHTH, "pickup of 1/8 does not fit"), ("A8B", 8, 0, "no form"),
        ("aabb", 8, 0, "no form"), ("A'", 8, 0, "follows no A"), ("AAA'", 8, 0, "played twice"),
        ("AA'BA", 8, 0, "comes back later"), ("AACC", 8, 0, "does not name its strains A, B"),
        ("BBAA", 8, 0, "in order"), ("ABCDEFGHI", 8, 0, "at most 8"),
        ("AABB", [8, 8, 8], 0, "2 strains, and bars are given for 3"),
        ("AA'", 1, 0, "endings of 1 bars do not fit"),
    ],
)  # fmt: skip
def test_forms_that_cannot_be_counted(letters, bars, pickup, message):
    with pytest.raises(forms.FormError, match=message):
        forms.form(letters, bars, (4, 4), pickup)
