"""Random numbers for the built-in corpora, the same on every Python."""

import random
from collections.abc import Iterator, Sequence


class Dice:
    """Draws with `random.Random.random` alone, the one method whose sequence Python guarantees."""

    def __init__(self, *seed: object):
        self._random = random.Random("/".join(map(str, seed))).random

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self._random() < probability

    def below(self, count: int) -> int:
        """An integer from 0 to count - 1."""
        return int(self._random() * count)

    def pick(self, things: Sequence):
        """One of the things, each with the same chance."""
        return things[self.below(len(things))]

    def rounds(self, things: Sequence) -> Iterator:
        """All things in a random order, then in another, without end."""
        while True:
            order = sorted((self._random(), index) for index in range(len(things)))
            yield from (things[index] for _, index in order)

    def bell(self) -> float:
        """About normal: mean 0, standard deviation 1, and never beyond 3.47."""
        # Not `sum`, whose rounding changed in Python 3.12. The variance of the four is 1/3.
        total = self._random() + self._random() + self._random() + self._random()
        return (total - 2.0) * 1.7320508
