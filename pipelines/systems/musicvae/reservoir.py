"""Keeps some items of a stream, each with the same chance to be among them."""

from typing import Generic, TypeVar

import numpy as np

Item = TypeVar("Item")


class Reservoir(Generic[Item]):
    """Keeps some items of a stream; each item has the same chance to be among them.

    J. S. Vitter, "Random sampling with a reservoir", ACM Transactions on Mathematical Software
    11(1), 1985, algorithm R.

    Args:
      size: how many to keep; None keeps all.
      rng: what is drawn from.

    Attributes:
      kept: the items, those that came first first until one is replaced.
      seen: how many items there were.
    """

    def __init__(self, size: int | None, rng: np.random.Generator):
        self.kept: list[Item] = []
        self.seen = 0
        self._size = size
        self._rng = rng

    def add(self, item: Item) -> None:
        """Takes an item of the stream, or passes it over."""
        self.seen += 1
        if self._size is None or len(self.kept) < self._size:
            self.kept.append(item)
        elif (place := int(self._rng.integers(self.seen))) < self._size:
            self.kept[place] = item
