"""Lengths and places in ticks: exact for music, bounded for what no one plays."""

from fractions import Fraction

import pytest

from pipelines.music.abc import reader, score, tunebook


def _primes(below: int) -> list[int]:
    return [n for n in range(2, below) if all(n % divisor for divisor in range(2, n))]


@pytest.mark.parametrize("total", [0, 7, Fraction(7, 3), Fraction(-1, 2**128), 2**200])
def test_a_sum_with_a_short_denominator_stays_exact(total):
    assert score.bounded(total) is total


def test_a_sum_of_ever_more_fractions_keeps_a_short_denominator():
    """The product of the 168 primes below 1000 has 1,393 bits."""
    exact, total = Fraction(0), 0
    for prime in _primes(1000):
        exact += Fraction(1, prime)
        total = score.bounded(total + Fraction(1, prime))
        assert total.denominator <= 2**128
    # Each of 168 sums is rounded by at most half of 2**-64.
    assert total != exact
    assert abs(total - exact) <= Fraction(168, 2**65)


def _read(notes: str):
    (tune,) = tunebook.tunes(f"X:1\nL:1/4\nQ:1/4=60\nK:C\n{notes}\n")
    return reader.read(tune).notes


def test_odd_parts_of_a_beat_are_exact_to_the_last_bit():
    """A quarter is a second: c/17 ends at 1/17, and so on."""
    divisors = (17, 19, 23, 29, 31)
    ends = [sum(Fraction(1, d) for d in divisors[: n + 1]) for n in range(len(divisors))]
    notes = _read("".join(f"c/{divisor}" for divisor in divisors))
    assert [note.end_time for note in notes] == [float(end) for end in ends]
    assert [(note.numerator, note.denominator) for note in notes] == [
        (1, 4 * divisor) for divisor in divisors
    ]


@pytest.mark.parametrize("bar_line", ["", "|"])
def test_hundreds_of_denominators_end_where_they_should(bar_line):
    primes = _primes(1000)
    notes = _read("".join(f"c/{prime}{bar_line}" for prime in primes))
    assert len(notes) == len(primes)
    exact = float(sum(Fraction(1, prime) for prime in primes))
    assert notes[-1].end_time == pytest.approx(exact, abs=1e-12)
    assert all(before.end_time == after.start_time for before, after in zip(notes, notes[1:]))
    # The lengths of the notes themselves are as written.
    assert [note.denominator for note in notes] == [4 * prime for prime in primes]
