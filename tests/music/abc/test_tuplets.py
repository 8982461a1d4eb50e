"""Tuplets inside one another, and those that the standard leaves to guess."""

from fractions import Fraction

import pytest

from pipelines.music.abc import tuplets
from pipelines.music.abc.reader import written
from tests.support.abc_reading import tune_of, warnings

THIRD, NINTH = Fraction(1, 3), Fraction(1, 9)


def lengths(text: str, meter: str) -> list[Fraction]:
    """The lengths of the notes in eighths."""
    (voice,) = written(tune_of(f"X:1\nM:{meter}\nL:1/8\nK:C\n{text}\n"))
    return [length * 8 for _, length in voice]


@pytest.mark.parametrize(
    "meter, text, expected",
    [
        # The bar has four eighths left for the five; then two, as the standard has it.
        ("3/4", "C2 (5CDEFG|", [2] + [Fraction(4, 5)] * 5),
        ("2/4", "C2 (5CDEFG|", [2] + [Fraction(2, 5)] * 5),
        ("5/8", "C2 (5CDEFG|", [2] + [Fraction(3, 5)] * 5),
        ("4/4", "C4 (7CDEFGAB|", [4] + [Fraction(4, 7)] * 7),
        ("4/4", "(9CDEFGABcd|", [Fraction(8, 9)] * 9),
        # A broken rhythm inside changes nothing of the sum.
        ("3/4", "C2 (5C>DEFG|", [2, Fraction(6, 5), Fraction(2, 5)] + [Fraction(4, 5)] * 3),
        # What is written out is not guessed.
        ("3/4", "C2 (5:2CDEFG|", [2] + [Fraction(2, 5)] * 5),
        # A pickup follows the full bars, and what completes the bar before it.
        ("2/4", "(5C/D/E/F/G/|C2 (5C/D/E/F/G/|", [Fraction(2, 5)] * 5 + [2] + [Fraction(2, 5)] * 5),
        ("2/4", "C3||(5C/D/E/F/G/|", [3] + [Fraction(1, 5)] * 5),
        ("3/4", "C6|C2||(5CDEFG|", [6, 2] + [Fraction(4, 5)] * 5),
        # In a compound meter five take the time of three (4.13), whatever the bar.
        ("6/8", "C2 (5CDEFG|", [2] + [Fraction(3, 5)] * 5),
    ],
)
def test_the_bar_says_in_the_time_of_how_many(meter, text, expected):
    assert lengths(text, meter) == expected


def test_a_tuplet_that_is_not_read_as_the_standard_has_it_is_told():
    header = "X:1\nM:3/4\nL:1/8\nK:C\n"
    told = "line 5: (5 is read as 5 notes in the time of 4, by the length of the bar"
    assert warnings("C2 (5CDEFG|C2(5CDEFG|C6|", header) == [told]
    assert warnings("C4 (5CDEFG|C6|", header) == []


@pytest.mark.parametrize(
    "meter, text, expected",
    [
        # A triplet of three notes, five with those of the inner one: r counts notes (4.13).
        ("2/4", "(3:2:5C(3D/E/F/G C2|", [2 * THIRD, *[2 * NINTH] * 3, 2 * THIRD, 2]),
        # The inner triplet stands for the second of three notes.
        ("2/4", "(3C(3D/E/F/G C2|", [2 * THIRD, *[2 * NINTH] * 3, 2 * THIRD, 2]),
        # The outer triplet had too few notes: each has its own three, or two.
        ("2/4", "(3C2D(3EFG|", [4 * THIRD, 2 * THIRD, *[2 * THIRD] * 3]),
        # A sign that was typed twice.
        ("2/4", "C2(3(3DEF|", [2, *[2 * THIRD] * 3]),
        # Nothing tells: the outer one says that it has five notes, or the last sign holds.
        ("none", "(3:2:5C(3D/E/F/G A|", [2 * THIRD, *[2 * NINTH] * 3, 2 * THIRD, 1]),
        ("none", "(3C(3DEF|", [2 * THIRD] * 4),
    ],
)
def test_a_tuplet_inside_another(meter, text, expected):
    assert lengths(text, meter) == expected


@pytest.mark.parametrize("bar_line", ["", "|"])
def test_a_tune_with_too_many_doubtful_tuplets_is_read_as_the_standard_has_it(
    monkeypatch, bar_line
):
    """To keep all readings of more would take long."""
    monkeypatch.setattr(tuplets, "MAX_DOUBTFUL", 2)
    fives = "C2 (5CDEFG" + bar_line
    as_written, by_bars = ([2] + [Fraction(time, 5)] * 5 for time in (2, 4))
    assert lengths(fives * 2, "3/4") == by_bars * 2
    assert lengths(fives * 3, "3/4") == as_written * 3


def test_tuplets_inside_too_many_are_told_and_take_no_time():
    text = "(3:2:3" * 5 + "CDE|"
    assert "line 6: (3:2:3 is inside too many tuplets; it ends them" in warnings(text)
    assert lengths(text, "none") == [2 * THIRD] * 3
