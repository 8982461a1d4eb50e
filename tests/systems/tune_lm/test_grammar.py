import itertools

import numpy as np
import pytest

from pipelines.music.abc import reader
from pipelines.music.abc.grid import WHOLE
from pipelines.representations.abc_tokens import steps, vocabulary, written
from pipelines.systems.tune_lm import grammar

EIGHTH = WHOLE // 8
PLAIN = (EIGHTH // 2, EIGHTH, 3 * EIGHTH // 2, 2 * EIGHTH, 3 * EIGHTH, 4 * EIGHTH)
WITH_TUPLETS = (*PLAIN, WHOLE // 12, WHOLE // 24, WHOLE // 20)


def drawn(of, rng, count):
    """Tunes that are drawn from all that is allowed, lengths before pitches; rows of tokens."""
    states, last = np.full(count, of.begin), np.zeros(count, int)
    rows = [[] for _ in range(count)]
    for _ in range(1000):
        going = np.flatnonzero(states != of.end)
        if not len(going):
            return rows
        allowed = of.allowed(states[going], last[going])
        assert allowed.any(axis=1).all()  # No dead end.
        tokens = []
        for i, may in zip(going, allowed, strict=True):
            kind = rng.choice(np.unique(of.class_of[may]))
            tokens.append(int(rng.choice(np.flatnonzero(may & (of.class_of == kind)))))
            rows[i].append(tokens[-1])
        states[going], last[going] = of.step(states[going], last[going], np.array(tokens))
        assert (states >= 0).all()
    raise AssertionError("a tune does not end")


def tune(tokens, meter):
    given = steps.Given(meter, written.Key(2, "DORIAN"))
    return steps.decode(map(vocabulary.split, tokens), given)


@pytest.mark.parametrize(
    ("letters", "bars", "meter", "pickup"),
    [("AABB", 4, (6, 8), EIGHTH), ("AB", 2, (4, 4), 0), ("AABCC", 3, (3, 4), 2 * EIGHTH)],
)
def test_every_bar_is_full_and_every_strain_as_long_as_asked(letters, bars, meter, pickup):
    rng = np.random.default_rng(5)
    measure = WHOLE * meter[0] // meter[1]
    of = grammar.compiled(
        grammar.form(letters, bars, meter, pickup), WITH_TUPLETS, cadences=(0, 7), pitches=(-5, 17)
    )
    for tokens in drawn(of, rng, 10):
        made = tune(tokens, meter)
        strains = len(set(letters))
        lengths = [measure] * (bars - 1) + [measure - pickup]
        assert [bar.length for bar in made.bars] == ([pickup] * bool(pickup) + lengths) * strains
        assert (made.bars[-1].notes[-1].pitch - 62) % 12 in (0, 7)
        pitches = [note.pitch for bar in made.bars for note in bar.notes if note.pitch is not None]
        assert 57 <= min(pitches) <= max(pitches) <= 79
        for bar, after in itertools.pairwise(made.bars):
            assert not bar.notes[-1].tied or bar.notes[-1].pitch == after.notes[0].pitch
        # Played out, it is as long as its form, from the first bar on.
        quarters = reader.perform(written.to_score(made)).total_time * 2
        assert quarters * WHOLE // 4 >= (len(letters) * bars - 1) * measure


def test_the_signs_of_a_form():
    of = grammar.form("AABCC", 2, (2, 4), EIGHTH)
    bar, double, closes, opens, both = range(1, 6)
    assert [one.before for one in of.bars] == [
        (opens,), (bar,), (bar,), (closes,), (bar,), (bar,), (opens,), (bar,), (bar,),
    ]  # fmt: skip
    assert of.after == (closes, vocabulary.END)
    measure = 4 * EIGHTH
    assert [one.length for one in of.bars[:3]] == [EIGHTH, measure, measure - EIGHTH]
    assert [one.before for one in grammar.form("AABB", 1, (2, 4)).bars] == [(opens,), (both,)]
    alone = grammar.form("AB", 1, (2, 4))
    assert [one.before for one in alone.bars] == [(), (double,)]
    assert alone.after == (vocabulary.END,)


def test_all_tunes_of_a_small_form_by_hand():
    """A bar of 3/8 of eighths and quarters, all on the tonic: 3, 1+2 and 2+1, and with rests.

    Of three eighths the first two may be rests: 4 ways; 1+2 and 2+1 have one place for a rest: 2
    ways each. So there are 8 tunes.
    """
    of = grammar.compiled(
        grammar.form("A", 1, (3, 8)), (EIGHTH, 2 * EIGHTH), cadences=(0,), pitches=(0, 0)
    )
    found = []

    def go_on(state, tokens):
        if state == of.end:
            found.append(tuple(tokens))
            return
        last = tokens[-1] if tokens else 0
        for token in np.flatnonzero(of.allowed(np.array([state]), np.array([last]))[0]).tolist():
            after, _ = of.step(np.array([state]), np.array([last]), np.array([token]))
            go_on(int(after[0]), [*tokens, token])

    go_on(of.begin, [])
    assert len(found) == len(set(found)) == 8
    assert all(tune(tokens, (3, 8)).bars[0].length == 3 * EIGHTH for tokens in found)


def test_a_tie_is_followed_by_its_own_pitch():
    of = grammar.compiled(grammar.form("A", 2, (2, 4)), (4 * EIGHTH,), cadences=range(12))
    tied = vocabulary.joined(vocabulary.sound(4, 4 * EIGHTH, True))
    state, last = of.step(np.array([of.begin]), np.array([0]), np.array([tied]))
    bar_line = vocabulary.LINES[False, False, False]
    assert np.flatnonzero(of.allowed(state, last)[0]).tolist() == [bar_line]
    state, last = of.step(state, last, np.array([bar_line]))
    allowed = of.allowed(state, last)[0]
    assert np.flatnonzero(allowed).tolist() == [
        vocabulary.joined(vocabulary.sound(4, 4 * EIGHTH, False))
    ]


def test_states_without_a_way_to_the_end_are_left_out():
    """In 3/8 of quarters and dotted quarters a quarter leads nowhere."""
    of = grammar.compiled(
        grammar.form("A", 1, (3, 8)), (2 * EIGHTH, 3 * EIGHTH), cadences=range(12), pitches=(0, 0)
    )
    allowed = of.allowed(np.array([of.begin]), np.array([0]))[0]
    lengths = {
        vocabulary.length_of(vocabulary.split(int(t)).length) for t in np.flatnonzero(allowed)
    }
    assert lengths == {(3 * EIGHTH, False)}
    with pytest.raises(ValueError, match="make such bars full"):
        grammar.compiled(grammar.form("A", 1, (3, 8)), (2 * EIGHTH,))


@pytest.mark.parametrize(
    ("letters", "bars", "pickup", "message"),
    [
        ("", 8, 0, "no tune"), ("A", 0, 0, "no tune"), ("AAA", 8, 0, "more than twice"),
        ("AA", 8, WHOLE, "does not fit"), ("AA", 1, EIGHTH, "does not fit"),
    ],
)  # fmt: skip
def test_forms_that_cannot_be_written(letters, bars, pickup, message):
    with pytest.raises(ValueError, match=message):
        grammar.form(letters, bars, (4, 4), pickup)


def test_a_tie_leads_into_no_dead_end():
    """The last bar has room for one note, the tonic: no other note may be tied over to it."""
    of = grammar.compiled(grammar.form("A", 2, (2, 4)), (4 * EIGHTH,), cadences=(0,))
    allowed = np.flatnonzero(of.allowed(np.array([of.begin]), np.array([0]))[0])
    tied = [vocabulary.split(token) for token in allowed.tolist()]
    tied = [token.what for token in tied if vocabulary.length_of(token.length)[1]]
    assert {vocabulary.pitch_of(what) % 12 for what in tied} == {0}
