"""Musical time as exact numbers: whole numbers of ticks, and fractions where ticks do not reach.

A tick is so short a part of a whole note that triplets, quintuplets and septuplets of every
written length down to 1/1024, one inside another, are whole numbers of ticks. Whole numbers are
many times faster than fractions, and Python mixes the two exactly.
"""

from fractions import Fraction

Ticks = int | Fraction

WHOLE = 2**10 * 3**3 * 5 * 7 * 11 * 13


def scaled(ticks: Ticks, numerator: int, denominator: int) -> Ticks:
    """`ticks * numerator / denominator`, exactly."""
    product = ticks * numerator
    if denominator == 1:
        return product
    if isinstance(product, int):
        quotient, rest = divmod(product, denominator)
        if not rest:
            return quotient
    exact = Fraction(product) / denominator
    return exact.numerator if exact.denominator == 1 else exact


def of_whole(ticks: Ticks) -> Fraction:
    """A length in ticks as a fraction of a whole note."""
    return Fraction(ticks) / WHOLE
