from fractions import Fraction

import pytest

from pipelines.music.abc.grid import WHOLE
from pipelines.representations.abc_tokens import vocabulary


def test_joined_ids_and_tokens_are_one_to_one():
    tokens = [vocabulary.split(identifier) for identifier in range(vocabulary.SIZE)]
    assert len(set(tokens)) == vocabulary.SIZE
    assert [vocabulary.joined(token) for token in tokens] == list(range(vocabulary.SIZE))
    assert max(token.what for token in tokens) == vocabulary.WHATS - 1
    assert max(token.length for token in tokens) == vocabulary.LENGTH_IDS - 1
    for identifier in (-1, vocabulary.SIZE):
        with pytest.raises(ValueError, match="is no token"):
            vocabulary.split(identifier)


def test_lengths_are_exact_and_those_of_tunes():
    """A note of each kind that the shared corpora have, among others."""
    assert all(isinstance(length, int) for length in vocabulary.LENGTHS)
    lengths = {Fraction(length, WHOLE) for length in vocabulary.LENGTHS}
    for text in (
        "1/64 1/32 3/64 1/16 3/32 7/32 1/8 3/16 1/4 3/8 7/16 1/2 3/4 1 2 9/16 5/8 9/64 5/32 "
        "1/6 1/12 1/24 1/48 1/96 1/36 1/18 1/20 1/28"
    ).split():
        assert Fraction(text) in lengths


def test_signs_do_not_overlap():
    signs = [vocabulary.END, *vocabulary.LINES.values(), vocabulary.PART]
    assert signs == [0, 1, 2, 3, 4, 5, 6]
    assert vocabulary.FIRST_ENDING == 7
    assert len(set(vocabulary.ENDINGS)) == 15
    assert vocabulary.FIRST_METER == 22
    assert vocabulary.SIGNS == 22 + len(vocabulary.METERS) + 12 * len(vocabulary.MODES)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Double Jig", "jig"), ("slipjig", "slip jig"), ("Slip Jig", "slip jig"), ("Reel", "reel"),
        ("hornpipe", "hornpipe"), ("highland fling", "fling"), ("", ""), ("gavotte", ""),
        ("jig, reel", "reel"),
    ],
)  # fmt: skip
def test_rhythms(text, name):
    assert vocabulary.RHYTHMS[vocabulary.rhythm(text)] == name


def test_the_key_says_what_no_token_has():
    with pytest.raises(KeyError, match="pitch"):
        vocabulary.sound(vocabulary.HIGHEST + 1, WHOLE, False)
    with pytest.raises(KeyError, match="length"):
        vocabulary.sound(0, 1, False)
