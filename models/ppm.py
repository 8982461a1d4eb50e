"""Prediction by partial matching in the tune so far, mixed with any other model.

Tunes repeat themselves, with and without repeat signs, which a model of all tunes does not see. PPM
(Cleary and Witten, 1984) predicts what followed the same tokens earlier in the tune; escapes to
shorter contexts are as in method C (Moffat, 1990), and all orders are blended, so that nothing has
to be excluded. The shortest context escapes to the other model.

So the probability of a token is `own + passed * other`, where `other` is the other model's, and
`passed` does not depend on the token: the mixture is a distribution if the other model is one.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Predicted(NamedTuple):
    """What the tune so far says of its tokens.

    Attributes:
      own: float array shaped [tokens]: the probability that it gives to the token.
      passed: float array shaped [tokens]: the mass that it leaves to the other model.
      matched: int array shaped [tokens]: how many tokens before this one stood together before,
        up to the order; -1 for the first token.
    """

    own: np.ndarray
    passed: np.ndarray
    matched: np.ndarray


class Ppm:
    """The tune so far, token by token.

    Args:
      order: how many tokens the longest context has.
    """

    def __init__(self, order: int):
        self._order = order
        self._seen: dict[tuple[int, ...], dict[int, int]] = {}
        self._recent: tuple[int, ...] = ()

    def predict(self, token: int) -> tuple[float, float, int]:
        """The values of `Predicted` for a token that may come next."""
        own, passed, matched = 0.0, 1.0, -1
        for size in range(len(self._recent) + 1):
            found = self._seen.get(self._recent[len(self._recent) - size :])
            if found is None:
                break
            total = sum(found.values()) + len(found)
            own = (found.get(token, 0) + len(found) * own) / total
            passed *= len(found) / total
            matched = size
        return own, passed, matched

    def add(self, token: int) -> None:
        """Takes the next token of the tune."""
        for size in range(len(self._recent) + 1):
            found = self._seen.setdefault(self._recent[len(self._recent) - size :], {})
            found[token] = found.get(token, 0) + 1
        self._recent = (*self._recent, token)[-self._order :] if self._order else ()


def predict(tokens: Sequence[int], order: int) -> Predicted:
    """What the tune so far says of each token of a tune."""
    model = Ppm(order)
    rows = []
    for token in tokens:
        rows.append(model.predict(token))
        model.add(token)
    own, passed, matched = zip(*rows)
    return Predicted(np.array(own), np.array(passed), np.array(matched))


class Mixture(NamedTuple):
    """How much the tune so far counts, by how many tokens match.

    Attributes:
      weights: float array shaped [order + 2]: the share of PPM where so many tokens match, after
        the share where nothing does.
    """

    weights: np.ndarray

    def probabilities(self, other: np.ndarray, so_far: Predicted) -> np.ndarray:
        """The probabilities of tokens: float array shaped [tokens].

        Args:
          other: what the other model gives to them.
          so_far: what the tune so far says of them.
        """
        weight = self.weights[so_far.matched + 1]
        return weight * so_far.own + (1 - weight + weight * so_far.passed) * other


def fit(
    others: Sequence[np.ndarray], so_far: Sequence[Predicted], order: int, rounds: int = 50
) -> Mixture:
    """Finds the shares that give validation tunes the highest probability.

    They are found by expectation maximisation, as Jelinek and Mercer (1980) do for n-grams.

    Args:
      others: for each tune, what the other model gives to its tokens.
      so_far: for each tune, what it says of its own tokens.
      order: that of `predict`.
      rounds: of the maximisation.
    """
    other = np.concatenate(list(others))
    own, passed, matched = (np.concatenate(parts) for parts in zip(*so_far))
    mixed = own + passed * other
    weights = np.full(order + 2, 0.5)
    sizes = np.bincount(matched + 1, minlength=order + 2)
    for _ in range(rounds):
        weight = weights[matched + 1]
        share = weight * mixed / (weight * mixed + (1 - weight) * other)
        sums = np.bincount(matched + 1, share, minlength=order + 2)
        weights = np.where(sizes > 0, sums / np.maximum(sizes, 1), weights)
    return Mixture(weights)
