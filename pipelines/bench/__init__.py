"""Benchmarks, most beside stock Magenta, one module each. A module here exports `BENCHMARK`.

The sides of a benchmark take turns, so that other load on the machine affects them alike.
"""

import functools
import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pipelines.runtime.registry import Registry, discovered


class Comparison(NamedTuple):
    """What is run, prepared.

    Attributes:
      cases: for each case, by its title, a function for each side, by its name. A function runs
        that side once, given the number of the round, and returns what it measured: numbers by
        name, whose medians are shown; and "notes", lines that are only said and kept, if there are
        any. All cases have the same sides, the reference last.
      sides: descriptions of sides by name, for names that do not explain themselves.
    """

    cases: Mapping[str, Mapping[str, Callable[[int], Mapping[str, Any]]]]
    sides: Mapping[str, str] = {}


class Benchmark(NamedTuple):
    """What can be measured.

    Attributes:
      name: its name on the command line.
      summary: a line about what is measured.
      define_flags: defines the flags that only this benchmark has.
      required: names of the flags without which it cannot run.
      prepare: prepares a scratch folder, which it is given, and returns what to run.
      better: "more" or "less" by measured name, for those where one of them is better.
    """

    name: str
    summary: str
    define_flags: Callable[[], None]
    required: tuple[str, ...]
    prepare: Callable[[str], Comparison]
    better: Mapping[str, str]


@functools.cache
def benchmarks() -> Registry[Benchmark]:
    """All benchmarks by name."""
    return discovered("benchmark", sys.modules[__name__], "BENCHMARK")
