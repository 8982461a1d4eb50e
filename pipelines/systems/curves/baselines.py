"""What curves can be foretold without a model: how often each follows in which circumstances."""

import collections
from collections.abc import Hashable, Iterable, Sequence

import numpy as np

# From the most general context to the most special one.
Contexts = Sequence[Hashable]
_Counts = tuple[np.ndarray, np.ndarray]


class Counted:
    """Curves by their contexts, interpolated after Witten and Bell.

    The probability of a curve in a context is a mean of how often it followed there and of its
    probability in the next more general context; that one weighs as much as different curves
    followed here. Below all is the uniform distribution. Source: Chen and Goodman, "An empirical
    study of smoothing techniques for language modeling" (1998), section 2.4.

    Args:
      seen: pairs of the contexts of a curve of the training tunes, and its class.
      size: how many classes there are.
    """

    def __init__(self, seen: Iterable[tuple[Contexts, int]], size: int):
        self._size = size
        counted: dict[Hashable, collections.Counter[int]] = {}
        for contexts, following in seen:
            for context in contexts:
                counted.setdefault(context, collections.Counter())[following] += 1
        self._counts: dict[Hashable, _Counts] = {
            context: (np.array([*counts]), np.array([*counts.values()], np.float64))
            for context, counts in counted.items()
        }

    def probabilities(self, contexts: Contexts) -> np.ndarray:
        """The probability of each class: float array shaped [classes]."""
        found = np.full(self._size, 1 / self._size)
        for context in contexts:
            counts = self._counts.get(context)
            if counts is not None:
                classes, numbers = counts
                found *= len(classes)
                found[classes] += numbers
                found /= len(classes) + numbers.sum()
        return found


def n_grams(classes: Sequence[int], known: np.ndarray, order: int) -> list[Contexts]:
    """The contexts of each curve of a tune: none, the one before it, the two before it, ...

    Args:
      classes: those of the curves.
      known: what is known of the notes that they start from, which does not count here.
      order: the length of the n-grams.
    """
    return [
        [tuple(classes[i - length : i]) for length in range(min(order - 1, i) + 1)]
        for i in range(len(classes))
    ]


def n_grams_in_place(classes: Sequence[int], known: np.ndarray, order: int) -> list[Contexts]:
    """As `n_grams`, and before these the place and meter, then the degree of the scale too.

    Args:
      classes, order: as `n_grams` takes them.
      known: int array shaped [notes, columns of `curves.CONTEXT`].
    """
    found: list[Contexts] = []
    for of_curve, row in zip(n_grams(classes, known, order), known.tolist()):
        place, degree, meter = row
        here = (place, meter, degree)
        found.append([(), (place, meter), here, *((here, grams) for grams in of_curve[1:])])
    return found
