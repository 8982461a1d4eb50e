import collections
import itertools

import numpy as np
import pytest

from pipelines.music.abc import reader, tunebook
from pipelines.music.abc.grid import BINARY, WHOLE
from pipelines.music.abc.notation import notate
from pipelines.representations.abc_tokens import notation, steps, vocabulary, written
from pipelines.representations.abc_tokens.vocabulary import FIRST_NOTE, KINDS, NO_PITCH
from pipelines.systems.tune_lm import forms, grammar
from tests.support import drawing

EIGHTH = WHOLE // 8
TONIC = 62
LINE = vocabulary.LINES[False, False, False]


def kind(length, tied=False):
    return FIRST_NOTE + 2 * vocabulary.LENGTHS.index(length) + tied


def index(pitch):
    return pitch - vocabulary.LOWEST


def tune(pairs, meter, parts=""):
    given = steps.Given(meter, written.Key(TONIC % 12, "DORIAN"), parts=parts)
    return steps.decode(drawing.tokens(pairs), given)


def require_form(made, letters, bars, meter, pickup, ending_bars=1):
    """Asserts what a tune of a form has to be, from what is written in it alone."""
    full = WHOLE * meter[0] // meter[1]
    strains = [[made.bars[0]]]
    for bar, after in itertools.pairwise(made.bars):
        # Where a strain begins; an ending goes on with its own.
        if not after.ending and (bar.closes or bar.ends_section or after.opens):
            strains.append([])
        strains[-1].append(after)
    names = list(dict.fromkeys(letters.replace("'", "")))
    assert len(strains) == len(names)
    for name, strain in zip(names, strains, strict=True):
        assert all(bar.length <= full for bar in strain)
        first, second = ([bar.ending == {n} for bar in strain] for n in (1, 2))
        if name + "'" in letters:
            at, then = first.index(True), second.index(True)
            assert len(strain) - then == then - at == ending_bars
            times = [strain[:then], strain[:at] + strain[then:]]
            assert [bar.closes for bar in strain] == [i == then - 1 for i in range(len(strain))]
            assert strain[0].opens
        else:
            assert not any(first) and not any(second)
            times = [strain]
            repeats = name * 2 in letters and not made.parts
            assert strain[0].opens == strain[-1].closes == repeats
        for played in times:
            lengths = [bar.length for bar in played]
            assert lengths == [pickup] * bool(pickup) + [full] * (bars - 1) + [full - pickup]
    assert made.parts == (letters if any(bar.part for bar in made.bars) else "")


def require_good_notes(made, cadences=(0,)):
    """Asserts what holds in any tune: the cadence, ties, tuplets, and no two rests in a row."""
    last = made.bars[-1]
    if made.parts:
        labels = [i for i, bar in enumerate(made.bars) if bar.part] + [len(made.bars)]
        last = made.bars[labels["ABCDEFGH".index(made.parts[-1]) + 1] - 1]
    assert (last.notes[-1].pitch - TONIC) % 12 in cadences
    for bar, after in itertools.pairwise((*made.bars, None)):
        for note, following in itertools.pairwise((*bar.notes, None)):
            if note.tied:
                assert following is None
                assert after.notes[0].pitch == note.pitch
            assert following is None or note.pitch is not None or following.pitch is not None
        places = np.cumsum([0, *(note.length for note in bar.notes)])
        # Between plain places there are notes of one kind of tuplet, whose lengths add up.
        group = []
        for note, place in zip(bar.notes, places[1:], strict=True):
            group.append(note.length)
            if place % BINARY == 0:
                assert len(group) == 1 or all(length * 3 % (2 * BINARY) == 0 for length in group)
                assert len(group) <= 6
                group = []
        assert not group


FORMS = [
    ("AABB", 4, (6, 8), EIGHTH), ("AB", 2, (4, 4), 0), ("AABCC", 3, (3, 4), 2 * EIGHTH),
    ("AA'BB'", 8, (2, 2), EIGHTH), ("AA'BB", 4, (9, 8), 0), ("AABA", 2, (2, 4), 0),
    ("ABAB", 4, (12, 8), EIGHTH), ("AA", 8, (3, 8), EIGHTH // 2), ("AABBCCDD", 8, (7, 8), 0),
    ("A", 16, (3, 2), 0), ("AAAB", 3, (5, 4), WHOLE // 4),
]  # fmt: skip


def test_every_tune_that_may_be_drawn_is_of_its_form():
    """A tune of each form, ten times, by a model that knows nothing."""
    programs = [grammar.items(forms.form(*one)) for one in FORMS]
    of = grammar.compiled(programs, cadences=(0, 7), pitches=(-5, 17))
    numbers = [number for number in range(len(FORMS)) for _ in range(10)]
    for number, pairs in zip(numbers, drawing.tunes(of, numbers, seed=5), strict=True):
        letters, bars, meter, pickup = FORMS[number]
        made = tune(pairs, meter, forms.form(letters, bars, meter, pickup).parts)
        require_form(made, letters, bars, meter, pickup)
        require_good_notes(made, (0, 7))
        pitches = [note.pitch for bar in made.bars for note in bar.notes if note.pitch is not None]
        assert TONIC - 5 <= min(pitches) <= max(pitches) <= TONIC + 17
        # Played out, it is as long as its form, from the first bar on.
        quarters = reader.perform(written.to_score(made)).total_time * 2
        times = len(letters.replace("'", ""))
        full = WHOLE * meter[0] // meter[1]
        assert quarters * WHOLE // 4 >= (times * bars - 1) * full


@pytest.mark.slow
def test_a_thousand_tunes_are_of_their_form_and_are_read_back_without_a_warning():
    programs = [grammar.items(forms.form(*one)) for one in FORMS]
    of = grammar.compiled(programs)
    numbers = [number % len(FORMS) for number in range(1000)]
    for number, pairs in zip(numbers, drawing.tunes(of, numbers, seed=6), strict=True):
        letters, bars, meter, pickup = FORMS[number]
        made = tune(pairs, meter, forms.form(letters, bars, meter, pickup).parts)
        require_form(made, letters, bars, meter, pickup)
        require_good_notes(made)
        (text,) = tunebook.tunes(notation.write(made))
        read = notate(text)
        assert not read.warnings
        assert written.from_score(read).bars == made.bars


def test_endings_of_several_bars():
    asked = forms.form("AA'BB'", 6, (6, 8), EIGHTH, ending_bars=3)
    of = grammar.compiled([grammar.items(asked)])
    for pairs in drawing.tunes(of, [0] * 5, seed=7):
        made = tune(pairs, (6, 8))
        require_form(made, "AA'BB'", 6, (6, 8), EIGHTH, ending_bars=3)
        require_good_notes(made)


def places_of(of, program=0):
    return of.begin(np.array([program]))


def allowed(of, place):
    return np.flatnonzero(of.kinds(np, place)[0]).tolist()


def step(of, place, kind, pitch=NO_PITCH):
    return of.step(np, place, np.array([kind]), np.array([pitch]))


def pitches(of, place, kind):
    return np.flatnonzero(of.pitches_of(np, place, np.array([kind]))[0]).tolist()


def test_all_tunes_of_a_small_form_by_hand():
    """A bar of 3/8 of eighths and quarters, all on the tonic: 3, 1+2 and 2+1, and with rests.

    The last one is a note. Of three eighths the first two may be rests, but not both: 3 ways; 1+2
    and 2+1 have one place for a rest: 2 ways each. So there are 7 tunes.
    """
    of = grammar.compiled(
        [grammar.items(forms.form("A", 1, (3, 8)))], (EIGHTH, 2 * EIGHTH), pitches=(0, 0)
    )
    found = []

    def go_on(place, pairs):
        if pairs and pairs[-1][0] == vocabulary.END:
            found.append(tuple(pairs))
            return
        for one in allowed(of, place):
            noted = pitches(of, place, one) if one >= FIRST_NOTE else [NO_PITCH]
            for pitch in noted:
                go_on(step(of, place, one, pitch), [*pairs, (one, pitch)])

    go_on(places_of(of), [])
    assert len(found) == len(set(found)) == 7
    assert all(tune(pairs, (3, 8)).bars[0].length == 3 * EIGHTH for pairs in found)


def test_a_tie_is_followed_by_its_own_pitch():
    whole = 4 * EIGHTH
    of = grammar.compiled([grammar.items(forms.form("A", 2, (2, 4)))], (whole,), cadences=range(12))
    place = step(of, places_of(of), kind(whole, True), index(4))
    assert allowed(of, place) == [LINE]
    place = step(of, place, LINE)
    assert allowed(of, place) == [kind(whole)]
    assert pitches(of, place, kind(whole)) == [index(4)]


def test_a_tie_leads_into_no_dead_end():
    """The last bar has room for one note, the tonic: no other note may be tied over to it."""
    whole = 4 * EIGHTH
    of = grammar.compiled([grammar.items(forms.form("A", 2, (2, 4)))], (whole,))
    tonics = [index(pitch) for pitch in (-24, -12, 0, 12, 24, 36)]
    assert pitches(of, places_of(of), kind(whole, True)) == tonics
    assert len(pitches(of, places_of(of), kind(whole))) == vocabulary.PITCHES
    # Nor may a chain of ties; with room for two notes any pitch may.
    of = grammar.compiled([grammar.items(forms.form("A", 3, (2, 4)))], (whole,))
    assert pitches(of, places_of(of), kind(whole, True)) == [
        index(pitch) for pitch in range(-24, 37)
    ]
    place = step(of, step(of, places_of(of), kind(whole, True), index(2)), LINE)
    assert allowed(of, place) == [kind(whole)]
    place = step(of, step(of, places_of(of), kind(whole, True), index(12)), LINE)
    assert allowed(of, place) == [kind(whole), kind(whole, True)]


def test_no_tie_leads_out_of_a_strain():
    of = grammar.compiled([grammar.items(forms.form("AABB", 1, (2, 4)))], (4 * EIGHTH,))
    place = step(of, places_of(of), vocabulary.LINES[False, True, False])
    assert kind(4 * EIGHTH, True) not in allowed(of, place)


def test_states_without_a_way_to_the_end_are_left_out():
    """In 3/8 of quarters and dotted quarters a quarter leads nowhere."""
    asked = [grammar.items(forms.form("A", 1, (3, 8)))]
    of = grammar.compiled(asked, (2 * EIGHTH, 3 * EIGHTH), cadences=range(12))
    assert allowed(of, places_of(of)) == [kind(3 * EIGHTH)]
    with pytest.raises(ValueError, match="make such bars full"):
        grammar.compiled(asked, (2 * EIGHTH,))
    with pytest.raises(ValueError, match="no pitch from 1 to 11 ends a tune"):
        grammar.compiled(asked, pitches=(1, 11))


def test_tokens_that_are_given_come_as_they_are():
    """The first bar is given up to its second eighth, with a rest; the other eighth is free."""
    rest = vocabulary.FIRST_REST + vocabulary.LENGTHS.index(EIGHTH)
    program = [
        grammar.Given(kind(EIGHTH), index(5)), grammar.Given(rest),
        grammar.Bar(3 * EIGHTH, start=2 * EIGHTH, rested=True), grammar.Given(vocabulary.END),
    ]  # fmt: skip
    of = grammar.compiled([program])
    place = places_of(of)
    assert (allowed(of, place), pitches(of, place, kind(EIGHTH))) == ([kind(EIGHTH)], [index(5)])
    place = step(of, place, kind(EIGHTH), index(5))
    assert allowed(of, place) == [rest]
    place = step(of, place, rest)
    # No second rest, and no tie at the end.
    sizes = collections.Counter(
        vocabulary.length_of(vocabulary.of_kind_and_pitch(one, 0).length)
        for one in allowed(of, place)
    )
    assert sizes.keys() == {
        (WHOLE // part, False) for part in (8, 16, 32, 12, 24, 48)
    } | {(3 * WHOLE // 32, False)}  # fmt: skip
    for pairs in drawing.tunes(of, [0] * 5, seed=8):
        assert tune(pairs, (3, 8)).bars[0].length == 3 * EIGHTH


def test_a_given_tie_is_kept_where_the_next_note_can_go_on():
    tied, plain = kind(4 * EIGHTH, True), kind(4 * EIGHTH)
    line, end = grammar.Given(LINE), grammar.Given(vocabulary.END)

    def first(program):
        of = grammar.compiled([program], (4 * EIGHTH,))
        return allowed(of, places_of(of))

    second, tonic = grammar.Given(tied, index(2)), grammar.Given(tied, index(0))
    last = grammar.Bar(4 * EIGHTH, cadence=True)
    assert first([second, line, grammar.Given(plain, index(2)), end]) == [tied]
    assert first([second, line, grammar.Given(plain, index(3)), end]) == [plain]
    assert first([tonic, line, last, end]) == [tied]
    assert first([second, line, last, end]) == [plain]
    # A rhythm that is given, with pitches that are free: the tie decides which ones.
    rhythm = [grammar.Given(tied, None), line, grammar.Given(plain, None, cadence=True), end]
    of = grammar.compiled([rhythm])
    assert {(pitch + vocabulary.LOWEST) % 12 for pitch in pitches(of, places_of(of), tied)} == {0}
    for pairs in drawing.tunes(of, [0] * 5, seed=9):
        require_good_notes(tune(pairs, (2, 4)))


def test_without_a_grammar_anything_may_come_until_the_end():
    of = grammar.compiled([[grammar.Anything()]])
    place = places_of(of)
    assert allowed(of, place) == list(range(KINDS))
    assert len(pitches(of, place, kind(EIGHTH, True))) == vocabulary.PITCHES
    after = step(of, place, kind(EIGHTH, True), index(3))
    assert allowed(of, after) == list(range(KINDS))
    assert len(pitches(of, after, kind(EIGHTH))) == vocabulary.PITCHES
    assert allowed(of, step(of, after, vocabulary.END)) == [vocabulary.END]
