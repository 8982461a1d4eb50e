from fractions import Fraction

import pytest

from pipelines.music.abc.grid import WHOLE
from pipelines.representations.abc_tokens.written import Key
from pipelines.runtime.app import UserError
from pipelines.systems.tune_lm import conditions


@pytest.mark.parametrize(
    ("text", "pitch_class"), [("D", 2), ("f#", 6), ("Bb", 10), ("B♭", 10), ("Cb", 11), ("E#", 5)]
)
def test_tonics(text, pitch_class):
    assert conditions.tonic(text) == pitch_class


@pytest.mark.parametrize("text", ["H", "", "D dorian", "Dm", "2", "F##", "é"])
def test_a_tonic_that_is_no_note(text):
    with pytest.raises(UserError, match=f"--tonic={text}: no note; give one such as D"):
        conditions.tonic(text)


def test_modes_and_rhythms_by_their_names():
    assert conditions.mode("Aeolian", "key_mode") == conditions.mode("minor", "mode") == "MINOR"
    with pytest.raises(UserError, match="--mode=dorean: no mode; it is one of major.*dorian"):
        conditions.mode("dorean", "mode")
    assert conditions.rhythm("Double Jig") == "jig"
    assert conditions.rhythm("slip-jig") == conditions.rhythm("slipjig") == "slip jig"
    with pytest.raises(UserError, match="--rhythm=tango: no kind of tune.*reel"):
        conditions.rhythm("tango")


def test_meters_and_pickups():
    assert conditions.meter("6/8") == (6, 8)
    assert conditions.meter("C|") == (2, 2)
    for text in ("none", "11/8", "fast"):
        with pytest.raises(UserError, match=f"--meter={text}: no meter with bars to fill"):
            conditions.meter(text)
    assert conditions.pickup("1/8") == WHOLE // 8
    assert conditions.pickup("") == conditions.pickup("0") == 0
    for text in ("1/0", "one", "-1/8", "1/11"):
        with pytest.raises(UserError, match=f"--pickup={text}: no length"):
            conditions.pickup(text)


def test_what_is_not_asked_for():
    reel = conditions.make()
    assert (reel.meter, reel.key, reel.rhythm) == ((4, 4), Key(2, "MAJOR"), "reel")
    assert len(reel.form.bars) == 16
    assert conditions.make(of_rhythm="jig").meter == (6, 8)
    waltz = conditions.make((3, 4))
    assert (waltz.meter, waltz.rhythm) == ((3, 4), "")
    # Reels of 2/4 are as fast as those of 4/4, by the half bar.
    assert conditions.tempo("reel", (4, 4)) == 2 * conditions.tempo("reel", (2, 4)) == 200
    assert conditions.make(of_tempo=Fraction(99)).given().tempo == 99
    assert conditions.make(letters="ABA").given().parts == "ABA"
    with pytest.raises(UserError, match="--form: 'A8' is no form"):
        conditions.make(letters="A8")
