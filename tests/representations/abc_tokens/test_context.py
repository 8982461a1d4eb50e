import random

import numpy as np

from pipelines.music.abc.notation import notate
from pipelines.representations.abc_tokens import context, steps, vocabulary, written
from pipelines.representations.abc_tokens.context import COLUMNS, LOOKBACKS
from tests.support.abc_reading import tune_of
from tests.support.written_tunes import random_tune

FIRST_TOKEN, MATCHED = 0, 10
LOOKED = MATCHED + 3
BEFORE = LOOKED + 2 * len(LOOKBACKS)


def encoded(music, meter="2/4"):
    text = f"X:1\nT:Test\nM:{meter}\nL:1/8\nK:C\n{music}\n"
    tune = written.from_score(notate(tune_of(text)))
    made = steps.encode(tune)
    return context.rows(made, steps.given(tune)), context.targets(made)


def at(column, rows, row):
    return tuple(rows[row, column : column + 2].tolist())


def test_the_columns():
    names = [name for name, _ in COLUMNS]
    assert names[MATCHED] == "matched"
    assert len(names) == BEFORE + 2
    assert names[:2] == names[LOOKED : LOOKED + 2] == names[BEFORE:] == ["kind", "pitch"]
    assert len(set(COLUMNS)) == len(set(names))  # Columns of one name have the same values.


def test_the_token_before():
    rows, targets = encoded("C2 E2|]")
    assert at(FIRST_TOKEN, rows, 0) == (vocabulary.KINDS, vocabulary.NO_PITCH)
    for row in (1, 2):
        assert at(FIRST_TOKEN, rows, row) == tuple(targets[row - 1].tolist())


def test_the_same_place_of_the_bars_before():
    """Bars of two notes and a line: C D | E F | G A | B c, then the end."""
    rows, targets = encoded("C2D2|E2F2|G2A2|B2c2|]")
    nothing = (vocabulary.KINDS, vocabulary.NO_PITCH)
    b = 9
    for back, row in ((1, 6), (2, 3)):
        column = LOOKED + 2 * LOOKBACKS.index(back)
        assert at(column, rows, b) == tuple(targets[row].tolist())
        assert at(column, rows, b + 1) == tuple(targets[row + 1].tolist())
    for back in (0, 4, 8):
        assert at(LOOKED + 2 * LOOKBACKS.index(back), rows, b) == nothing
    # No note stands on the second eighth of the bar before.
    rows, _ = encoded("C4|EFGA|]")
    assert at(LOOKED + 2 * LOOKBACKS.index(1), rows, 3) == nothing


def test_the_strain_before_and_the_first_ending():
    """Tokens: |: C | D :| E | F; and |: C |1 D :|2 E."""
    rows, targets = encoded("|:C4|D4:|E4|F4|]")
    assert at(BEFORE, rows, 5) == tuple(targets[1].tolist())
    assert at(BEFORE, rows, 7) == tuple(targets[3].tolist())
    rows, targets = encoded("|:C4|1D4:|2E4|]")
    # |: C | 1 D :| 2 E: the note of the second ending looks back at that of the first.
    assert vocabulary.FIRST_ENDING <= targets[6, 0] < vocabulary.FIRST_METER
    assert at(LOOKED, rows, 7) == tuple(targets[4].tolist())


def test_what_followed_the_last_tokens_before():
    """C D E C D F C: after the second C D came F, after the third C comes what followed C D ..."""
    rows, targets = encoded("C2D2E2C2D2F2C2z2", meter="none")
    tokens = [tuple(pair) for pair in targets.tolist()]
    assert rows[3, MATCHED] == 0  # E is new.
    assert rows[4, MATCHED] == 1 and at(MATCHED + 1, rows, 4) == tokens[1]
    assert rows[5, MATCHED] == 2 and at(MATCHED + 1, rows, 5) == tokens[2]
    assert rows[6, MATCHED] == 0
    assert rows[7, MATCHED] == 1 and at(MATCHED + 1, rows, 7) == tokens[4]


def test_rows_of_random_tunes_are_inside_their_columns_and_look_at_nothing_ahead():
    rng = random.Random(5)
    sizes = np.array([size for _, size in COLUMNS])
    for _ in range(50):
        tune = random_tune(rng)
        made = steps.encode(tune)
        rows = context.rows(made, steps.given(tune))
        assert (rows >= 0).all() and (rows < sizes).all()
        half = len(rows) // 2
        cut = steps.Steps(*(values[:half] for values in made))
        np.testing.assert_array_equal(context.rows(cut, steps.given(tune)), rows[:half])


def test_kinds_and_pitches_are_another_form_of_tokens():
    for identifier in range(vocabulary.SIZE):
        token = vocabulary.split(identifier)
        kind, pitch = vocabulary.kind_and_pitch(token)
        assert 0 <= kind < vocabulary.KINDS
        assert (pitch == vocabulary.NO_PITCH) == (kind < vocabulary.FIRST_NOTE)
        assert vocabulary.of_kind_and_pitch(kind, pitch) == token
