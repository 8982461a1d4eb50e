"""Methods of transfer that are not trained, one module each, which exports `METHOD`.

A method is fitted on mels of the two sounds, which need not be the same music.
"""

import functools
import sys
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pipelines.runtime.registry import Registry, discovered
from pipelines.systems.style.transfers import Transfer


class Method(NamedTuple):
    """A method.

    Attributes:
      name: what it is called in flags and tables.
      summary: what it does, in a line.
      fit: makes a transfer of the mels of the source and of the target, each float32 in dB, shaped
        [frames, 192].
    """

    name: str
    summary: str
    fit: Callable[[np.ndarray, np.ndarray], Transfer]


@functools.cache
def methods() -> Registry[Method]:
    """All methods by name."""
    return discovered("method", sys.modules[__name__], "METHOD")
