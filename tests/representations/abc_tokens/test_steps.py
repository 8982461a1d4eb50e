import random

import numpy as np
import pytest

from pipelines.music.abc.grid import WHOLE
from pipelines.music.abc.notation import notate
from pipelines.representations.abc_tokens import steps, vocabulary, written
from pipelines.representations.abc_tokens.vocabulary import Token
from tests.support.abc_reading import tune_of
from tests.support.written_tunes import random_tune

EIGHTH, QUARTER = WHOLE // 8, WHOLE // 4
BAR, DOUBLE, CLOSES, OPENS, BOTH = range(1, 6)
FIRST, SECOND = vocabulary.FIRST_ENDING, vocabulary.FIRST_ENDING + 1


def tune(music, key="D", meter="2/4", fields=""):
    text = f"X:1\nT:Test\nM:{meter}\nL:1/8\n{fields}K:{key}\n{music}\n"
    return written.from_score(notate(tune_of(text)))


def note(pitch, length=EIGHTH, tied=False):
    return vocabulary.sound(pitch, length, tied)


def sign(number):
    return Token(number)


def test_tokens_of_a_tune_with_repeats_and_endings():
    """In D: a pickup, a triplet, two endings, a double bar line."""
    encoded = steps.encode(tune("A|:(3def d2|1 e2 A2:|2 e4||z4|]"))
    triplet = WHOLE // 12
    assert steps.tokens_of(encoded) == [
        note(7), sign(OPENS),
        note(12, triplet), note(14, triplet), note(16, triplet), note(12, QUARTER),
        sign(BAR), sign(FIRST), note(14, QUARTER), note(7, QUARTER),
        sign(CLOSES), sign(SECOND), note(14, WHOLE // 2),
        sign(DOUBLE), vocabulary.sound(None, WHOLE // 2, False), sign(vocabulary.END),
    ]  # fmt: skip


def test_pitches_count_from_the_tonic_above_middle_c():
    """The same notes in three keys a fourth apart give the same tokens."""
    in_d = steps.encode(tune("D F A d", "D"))
    in_g = steps.encode(tune("G B d g", "G"))
    assert in_d.tokens.tolist() == in_g.tokens.tolist()
    assert steps.tokens_of(in_d)[:4] == [note(0), note(4), note(7), note(12)]
    minor = steps.encode(tune("A c e a", "Am"))
    assert steps.tokens_of(minor)[:4] == [note(0), note(3), note(7), note(12)]


def test_a_change_of_key_and_meter_stands_before_the_bar_and_moves_the_tonic():
    encoded = steps.encode(tune("d4|[M:3/4][K:G]g2 d4|", "D"))
    up_a_fourth = 5 * len(vocabulary.MODES) + vocabulary.MODES.index("MAJOR")
    assert steps.tokens_of(encoded)[1:5] == [
        sign(BAR),
        sign(vocabulary.FIRST_METER + vocabulary.METERS.index((3, 4))),
        sign(vocabulary.FIRST_KEY + up_a_fourth),
        note(12, QUARTER),
    ]
    assert encoded.meter[4] == vocabulary.METERS.index((3, 4))


def test_what_is_known_before_each_token():
    """A pickup, a strain of two bars with two endings, and a second strain."""
    encoded = steps.encode(tune("A|:d4|[1 e4:|[2 f4|:g4:|", fields="R:double jig\n"))
    rows = list(
        zip(
            encoded.strain.tolist(), encoded.bar.tolist(), encoded.ending.tolist(),
            (encoded.place // EIGHTH).tolist(), (encoded.left // EIGHTH).tolist(),
        )
    )  # fmt: skip
    assert rows == [
        (0, 0, 0, 0, 4), (0, 0, 0, 1, 3),  # A |:
        (1, 0, 0, 0, 4), (1, 0, 0, 4, 0),  # d4 |
        (1, 1, 0, 0, 4), (1, 1, 1, 0, 4), (1, 1, 1, 4, 0),  # [1 e4 :|
        (2, 0, 0, 0, 4), (1, 1, 2, 0, 4), (1, 1, 2, 4, 0),  # [2 f4 |:
        (2, 0, 0, 0, 4), (2, 0, 0, 4, 0), (3, 0, 0, 0, 4),  # g4 :| end
    ]  # fmt: skip
    assert set(encoded.rhythm.tolist()) == {vocabulary.RHYTHMS.index("jig")}
    assert set(encoded.mode.tolist()) == {vocabulary.MODES.index("MAJOR")}
    assert encoded.is_note.sum() == 5


def test_nothing_that_is_known_looks_ahead():
    """What is known before a token is the same whatever follows."""
    rng = random.Random(3)
    for _ in range(20):
        made = random_tune(rng)
        encoded = steps.encode(made)
        follow = steps.Follower(steps.given(made))
        for row, token in enumerate(steps.tokens_of(encoded)):
            assert follow.known() == tuple(int(column[row]) for column in encoded[3:])
            follow.add(token)


def test_random_tunes_come_back():
    rng = random.Random(1)
    for _ in range(300):
        made = random_tune(rng)
        encoded = steps.encode(made)
        assert steps.decode(steps.tokens_of(encoded), steps.given(made)) == made
        assert encoded.tokens.dtype == np.int32
        split = [vocabulary.split(token) for token in encoded.tokens.tolist()]
        assert split == steps.tokens_of(encoded)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([note(0)], "no end"),
        ([sign(vocabulary.END)], "without a bar"),
        ([note(0), sign(BAR), sign(BAR), note(0), sign(vocabulary.END)], "token 2 is a bar line"),
        ([sign(CLOSES), note(0), sign(vocabulary.END)], "token 0 is a bar line"),
        ([note(0), sign(BAR), sign(vocabulary.END)], "without a bar"),
        ([note(0), sign(vocabulary.PART), sign(vocabulary.END)], "token 1 stands where"),
        (
            [note(0), sign(BAR), sign(FIRST), sign(FIRST), note(0), sign(vocabulary.END)],
            "token 3 stands where",
        ),
        ([note(0), sign(vocabulary.END), note(0)], "token 2 stands after the end"),
    ],
)
def test_tokens_that_are_no_tune_are_refused(tokens, message):
    with pytest.raises(ValueError, match=message):
        steps.decode(tokens, steps.Given((4, 4), written.Key(0, "MAJOR")))


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (lambda: tune("A4", meter="11/16"), "meter"),
        (lambda: tune("A11"), "length"),
        (lambda: tune("D,,,"), "pitch"),
        (lambda: tune("|:A4|[1 A4:|[2 A4:|[3 A4:|[4 A4:|[5 A4:|"), "ending"),
    ],
)
def test_what_no_token_says_is_left_out_by_its_reason(made, reason):
    with pytest.raises(written.LeftOut) as left_out:
        steps.encode(made())
    assert left_out.value.reason == reason
