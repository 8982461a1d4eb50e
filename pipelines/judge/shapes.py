"""Checks arrays that were read from a folder, before a criterion reckons with them."""

from collections.abc import Mapping

import numpy as np

from pipelines.judge.finding import Arrays

# Kinds of `np.dtype.kind`.
FLOATS, NUMBERS, WORDS = "f", "iu", "U"


def require(
    arrays: Arrays, shapes: Mapping[str, tuple[int | str, ...]], kinds: str = FLOATS
) -> None:
    """Finds arrays of other shapes and types than were learnt, and numbers that are not finite.

    Args:
      arrays: the arrays.
      shapes: the shape of each that is needed. A name in place of a number stands for the same
        length wherever it is.
      kinds: the kinds of values that they may have: FLOATS, NUMBERS, WORDS.

    Raises:
      KeyError: for an array that is missing.
      ValueError: for another shape or type, for infinity and for what is not a number.
    """
    lengths: dict[str, int] = {}
    for name, shape in shapes.items():
        found = arrays[name]
        fits = found.ndim == len(shape) and all(
            length == (axis if isinstance(axis, int) else lengths.setdefault(axis, length))
            for length, axis in zip(found.shape, shape, strict=True)
        )
        if not fits or found.dtype.kind not in kinds:
            raise ValueError(f"{name} has the type {found.dtype} and the shape {found.shape}")
        if found.dtype.kind in FLOATS and not np.isfinite(found).all():
            raise ValueError(f"{name} has values that are no finite numbers")
