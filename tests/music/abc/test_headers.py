"""The title of a tune by itself is the one that its reading has."""

import pytest

from pipelines.music.abc.headers import MAX_CHARACTERS, title
from pipelines.music.abc.reader import read
from tests.support.abc_reading import tune_of


@pytest.mark.parametrize(
    "text, expected",
    [
        ("X:1\nT:One\nT:Two\nK:C\nC8|\n", "One"),
        ("X:1\nK:C\nC8|\n", ""),
        ("X:1\nT: \nT:Second\nK:C\nC8|\n", "Second"),
        ("X:1\nT:One\n+:two\nT:Three\n+:four\nK:C\nC8|\n", "One two"),
        ("X:1\nT:One\n%%a directive\n+:two % a comment\n\nK:C\nC8|\n", "One two"),
        # The field before is not the title.
        ("X:1\nT:One\nU:t=!trill!\n+:two\nK:C\nC8|\n", "One"),
        ("X:1\nT:One\nK:C\nC8|[N:a]\n+:two\n", "One"),
        ("X:1\nT:x\\% y\nK:C\nC8|\n", "x% y"),
        ("X:1\nT:One % a comment\nK:C\nC8|\n", "One"),
        ("X:1\nT:One=20\nK:C\nC8|\n", "One"),
        # Older standards let a field run over several lines.
        ("X:1\nT:One\ntwo, and so on\nK:C\nC8|\n", "One two, and so on"),
        ("X:1\nT:One\n-----\nK:C\nC8|\n", "One"),
        # In the body of a tune, and above it.
        ("X:1\nK:C\nC8|\nT:Late\nD8|\n", "Late"),
        ("T:Early\nX:1\nT:Late\nK:C\nC8|\n", "Early"),
        ("X:1\nK:C\n[T:Inline]C8|\n", ""),
        # Without a key, the first line of music ends the header.
        ("X:1\nT:One\nM:4/4\nC8|\nD8|\n", "One"),
        ("%%abc-2.1\nC:Trad.\n\nX:1\nT:One\nK:C\nC8|\n", "One"),
        ("X:1\nT:" + "a" * MAX_CHARACTERS + "b\nK:C\nC8|\n", "a" * MAX_CHARACTERS),
    ],
)
def test_the_title_is_that_of_the_reading(text, expected):
    tune = tune_of(text)
    assert title(tune) == expected
    assert read(tune).sequence_metadata.title == expected


def test_a_tune_that_cannot_be_read_has_a_title():
    assert title(tune_of("X:1\nT:One\n+:two\nK:C\nz8|\n")) == "One two"
