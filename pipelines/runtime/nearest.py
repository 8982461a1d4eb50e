"""Hints at names that exist, for messages about a name that does not.

It imports Python's own library alone, since `doctor` works where packages are missing.
"""

import difflib
from collections.abc import Iterable

# Names this alike, from 0 to 1, differ by a slip. A name that is part of a long one is less alike.
SLIP, PART = 0.6, 0.3


def did_you_mean(name: str, names: Iterable[str], before: str = "", least: float = SLIP) -> str:
    """The end of a message about a name that does not exist; "" where none is near.

    Args:
      name: what the user wrote.
      names: what exists; up to three of them are named.
      before: stands before each name, such as "--".
      least: how alike the names have to be: `SLIP`, or `PART` where names are long, and people may
        write a part of them.
    """
    nearest = difflib.get_close_matches(name, sorted(set(names)), n=3, cutoff=least)
    return f"; did you mean {' or '.join(before + each for each in nearest)}?" if nearest else ""
