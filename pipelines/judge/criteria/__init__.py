"""The criteria, one module each: a new criterion is a new module here that exports `CRITERION`."""

import functools
import sys

from pipelines.judge.finding import Criterion
from pipelines.runtime.registry import Registry, discovered


@functools.cache
def criteria() -> Registry[Criterion]:
    """All criteria by name."""
    return discovered("criterion", sys.modules[__name__], "CRITERION")
