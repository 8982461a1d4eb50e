"""Methods of transfer that are not trained, one module each, which exports `METHOD`.

A method is fitted on mels of the two sounds, which need not be the same music.
"""

import functools
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from pipelines.runtime.registry import Registry, discovered
from pipelines.systems.style.transfer.transfers import Transfer


class Fitted(Transfer, Protocol):
    """A transfer that a method has fitted."""

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """All that it knows, by the names that `Method.restored` takes."""


class Method(NamedTuple):
    """A method.

    Attributes:
      name: what it is called in flags and tables.
      summary: what it does, in a line.
      fit: makes a transfer of the sounds of the source and of the target: of each sound the mels,
        float32 in dB, shaped [frames, 192].
      restored: makes a transfer of the `arrays` of one.
    """

    name: str
    summary: str
    fit: Callable[[Sequence[np.ndarray], Sequence[np.ndarray]], Fitted]
    restored: Callable[..., Fitted]


@functools.cache
def methods() -> Registry[Method]:
    """All methods by name."""
    return discovered("method", sys.modules[__name__], "METHOD")
