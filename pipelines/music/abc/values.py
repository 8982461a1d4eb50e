"""Values of fields, as text: the reverse of `fields`."""

import re
from fractions import Fraction

# Numerator and denominator as written.
Meter = tuple[int, int]

_NO_TEXT = re.compile(r"\s*[\x00-\x1f\x7f\x85\u2028\u2029]+\s*")


def in_threes(of_bar: Meter | None) -> bool:
    """Whether a meter is written in beats of three notes: 3/8 is one such beat, 6/4 is quarters.

    `fields.is_compound` is about tuplets, and calls 6/4 compound and 3/8 not.
    """
    return of_bar is not None and of_bar[1] >= 8 and of_bar[0] % 3 == 0


def meter(of_bar: Meter | None) -> str:
    """The value of an `M:` field; None is free meter."""
    return "none" if of_bar is None else f"{of_bar[0]}/{of_bar[1]}"


def tempo(qpm: float, of_bar: Meter | None) -> str:
    """The value of a `Q:` field.

    It counts the beat of the meter, or another where that makes it a whole number.

    Args:
      qpm: quarter notes a minute.
      of_bar: the meter that holds there.
    """
    beats = [Fraction(1, 4), Fraction(1, 8), Fraction(3, 8), Fraction(1, 2)]
    if in_threes(of_bar):
        beats.insert(0, Fraction(3, of_bar[1]))
    elif of_bar and of_bar[1] == 2:
        beats.insert(0, Fraction(1, 2))
    for beat in beats:
        count = qpm / 4 / beat
        if abs(count - round(count)) < 1e-6:
            return f"{beat.numerator}/{beat.denominator}={round(count)}"
    return f"1/4={qpm:.4f}".rstrip("0").rstrip(".")


def text(value: str) -> str:
    """A text as a field can hold it: on one line, and with no comment in it."""
    value = _NO_TEXT.sub(" ", value).strip()
    return re.sub(r"(?<!\\)%", r"\\%", value)


def chord_symbol(value: str) -> str:
    """The text of a chord symbol; the signs left out would make it a remark on the page."""
    return _NO_TEXT.sub(" ", value).replace('"', "'").strip().lstrip("^_<>@ ")
