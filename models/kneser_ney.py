"""N-grams with interpolated modified Kneser-Ney smoothing.

Chen and Goodman, 1999, "An empirical study of smoothing techniques for language modeling", Computer
Speech and Language 13, section 3: absolute discounts for counts of one, two, and three or more,
and lower orders that count in how many contexts a token follows, not how often.

A sequence begins with a symbol of its own, which may say what is given of it and is not predicted.
No n-gram reaches back beyond it, so those that begin with it keep their own counts in all orders.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

_Counts = dict[int, int]


class _Context:
    """What follows a context: counts by token, their sum, and the mass for the shorter context."""

    __slots__ = ("counts", "total", "backoff")

    def __init__(self, counts: _Counts, discounts: Sequence[float]):
        self.counts = counts
        self.total = sum(counts.values())
        taken = sum(discounts[min(count, 3)] for count in counts.values())
        self.backoff = taken / self.total


class KneserNey:
    """A model of sequences of tokens.

    Args:
      sequences: pairs of the symbol that begins a sequence, any number of `size` or more, and its
        tokens, each below `size`.
      base: float array shaped [size], a distribution that the unigrams are smoothed with: it gives
        tokens that no sequence has their price. Uniform, or what is known of tokens.
      order: the longest n-gram.
    """

    def __init__(
        self, sequences: Iterable[tuple[int, Sequence[int]]], base: np.ndarray, order: int = 5
    ):
        if order < 1:
            raise ValueError(f"n-grams of {order} tokens; there must be at least one")
        if not np.isclose(base.sum(), 1) or base.min() <= 0:
            raise ValueError("the base is no distribution that gives each token a probability")
        self.order = order
        self._base = base
        self._levels: list[dict[tuple[int, ...], _Context]] = []
        self.discounts: list[tuple[float, ...]] = []
        for counts in _all_counts(sequences, order):
            discounts = _discounts(counts.values())
            self.discounts.append(discounts)
            self._levels.append(
                {context: _Context(found, discounts) for context, found in counts.items()}
            )

    def probabilities(self, begin: int, tokens: Sequence[int]) -> np.ndarray:
        """The probability of each token of a sequence after those before it: float64 [tokens].

        Args:
          begin: the symbol that begins the sequence.
          tokens: the sequence.
        """
        history = (begin, *tokens)
        return np.array(
            [
                self._probability(history[max(i - self.order + 1, 0) : i], history[i])
                for i in range(1, len(history))
            ]
        )

    def _probability(self, context: tuple[int, ...], token: int) -> float:
        probability = float(self._base[token])
        for level, found in self._contexts(context):
            count = found.counts.get(token, 0)
            discounted = count - self.discounts[level][min(count, 3)]
            probability = discounted / found.total + found.backoff * probability
        return probability

    def _contexts(self, context: tuple[int, ...]) -> Iterable[tuple[int, _Context]]:
        """The ends of a context that were seen, the shortest first."""
        for level in range(len(context) + 1):
            found = self._levels[level].get(context[len(context) - level :])
            if found is None:
                return  # Nor was any longer one.
            yield level, found

    def distribution(self, begin: int, tokens: Sequence[int]) -> np.ndarray:
        """The probabilities of all tokens after a sequence: float64 [size]."""
        history = (begin, *tokens)
        probabilities = self._base.copy()
        for level, found in self._contexts(history[max(len(history) - self.order + 1, 0) :]):
            probabilities *= found.backoff
            for token, count in found.counts.items():
                discounted = count - self.discounts[level][min(count, 3)]
                probabilities[token] += discounted / found.total
        return probabilities


def _all_counts(
    sequences: Iterable[tuple[int, Sequence[int]]], order: int
) -> list[dict[tuple[int, ...], _Counts]]:
    """The counts of tokens after contexts, by the length of the context.

    The longest n-grams are counted as often as they occur; of shorter ones, how many different
    tokens stand before them. What begins a sequence has nothing before it and is counted as it
    occurs.
    """
    levels: list[dict[tuple[int, ...], _Counts]] = [
        defaultdict(lambda: defaultdict(int)) for _ in range(order)
    ]
    for begin, tokens in sequences:
        history = (begin, *tokens)
        for i in range(1, len(history)):
            context = history[max(i - order + 1, 0) : i]
            levels[len(context)][context][history[i]] += 1
    for level in range(order - 1, 0, -1):
        shorter = levels[level - 1]
        for context, counts in levels[level].items():
            into = shorter[context[1:]]
            for token in counts:
                into[token] += 1
    return levels


def _discounts(counts: Iterable[_Counts]) -> tuple[float, float, float, float]:
    """The discounts of counts of 0, 1, 2, and 3 or more (Chen and Goodman, equation 26).

    Where a count of counts is missing, as in a handful of sequences, half of a count is taken.
    """
    often = Counter(min(count, 5) for found in counts for count in found.values())
    one, two = often[1], often[2]
    if not one or not two:
        return 0.0, 0.5, 0.5, 0.5
    share = one / (one + 2 * two)
    found = [0.0]
    for count in (1, 2, 3):
        if often[count] and often[count + 1]:
            exact = count - (count + 1) * share * often[count + 1] / often[count]
        else:
            exact = 0.5
        # A discount may not exceed what it is taken from, nor be negative.
        found.append(min(max(exact, 0.0), float(count)))
    return found[0], found[1], found[2], found[3]
