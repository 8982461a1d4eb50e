"""What curves can be foretold without a model: how often each follows those before it."""

import collections
from collections.abc import Iterable, Sequence

import numpy as np

_Counts = tuple[np.ndarray, np.ndarray]


class NGrams:
    """Curves by the few before them, interpolated after Witten and Bell.

    The probability of a curve after a context is a mean of how often it followed there and of its
    probability after a context that is one shorter; the shorter one weighs as much as different
    curves followed there. Below all is the uniform distribution. Source: Chen and Goodman, "An
    empirical study of smoothing techniques for language modeling" (1998), section 2.4.

    Args:
      sequences: the classes of the curves of each training tune.
      size: how many classes there are.
      order: the length of the n-grams; 1 counts curves alone.
    """

    def __init__(self, sequences: Iterable[Sequence[int]], size: int, order: int):
        self._size = size
        self._order = order
        counted: dict[tuple[int, ...], collections.Counter[int]] = {}
        for sequence in sequences:
            for i, following in enumerate(sequence):
                for length in range(min(order - 1, i) + 1):
                    context = tuple(sequence[i - length : i])
                    counted.setdefault(context, collections.Counter())[following] += 1
        self._counts: dict[tuple[int, ...], _Counts] = {
            context: (np.array([*counts]), np.array([*counts.values()], np.float64))
            for context, counts in counted.items()
        }

    def probabilities(self, history: Sequence[int]) -> np.ndarray:
        """The probability of each class after a history: float array shaped [classes]."""
        found = np.full(self._size, 1 / self._size)
        for length in range(min(self._order - 1, len(history)) + 1):
            counts = self._counts.get(tuple(history[len(history) - length :]))
            if counts is None:
                break  # No longer context was seen either.
            classes, numbers = counts
            found *= len(classes)
            found[classes] += numbers
            found /= len(classes) + numbers.sum()
        return found
