"""Named things that users choose from: corpora and configs."""

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Generic, TypeVar

from pipelines.runtime.app import UserError
from pipelines.runtime.nearest import PART, did_you_mean

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """A mapping of names to things that rejects duplicates and answers unknown names with hints.

    Args:
      kind: what the things are, for messages ("corpus", "config").
    """

    def __init__(self, kind: str):
        self._kind = kind
        self._things: dict[str, T] = {}

    def add(self, name: str, thing: T) -> None:
        """Registers `thing`; raises ValueError if the name is taken."""
        if name in self._things:
            raise ValueError(f"two {self._kind} entries are named {name!r}")
        self._things[name] = thing

    def update(self, things: Mapping[str, T]) -> None:
        """Registers every item of `things`, as `add` does."""
        for name, thing in things.items():
            self.add(name, thing)

    def __getitem__(self, name: str) -> T:
        """Returns the thing of that name, or raises UserError with the nearest names."""
        if name in self._things:
            return self._things[name]
        hint = did_you_mean(name, self, least=PART) or f"; there are {', '.join(self)}"
        raise UserError(f"no {self._kind} is named {name!r}{hint}")

    def __contains__(self, name: object) -> bool:
        return name in self._things

    def __iter__(self):
        return iter(sorted(self._things))

    def __len__(self) -> int:
        return len(self._things)


def modules_of(package: ModuleType, but: Iterable[str] = ()) -> Iterable[ModuleType]:
    """Imports and yields the modules of a package in the order of their names.

    Args:
      package: the package; modules whose name begins with "_" are left out.
      but: names of other modules to leave out.
    """
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        if not info.name.startswith("_") and info.name not in but:
            yield importlib.import_module(f"{package.__name__}.{info.name}")


def discovered(kind: str, package: ModuleType, attribute: str, but: Iterable[str] = ()) -> Registry:
    """A registry of what the modules of a package export as `attribute`, by its name.

    Raises:
      UserError: for a module that exports nothing of this name.
    """
    registry: Registry = Registry(kind)
    for module in modules_of(package, but):
        thing = getattr(module, attribute, None)
        if thing is None:
            raise UserError(
                f"{module.__file__}: exports no {attribute}; each file beside it gives a {kind}, "
                'but for those whose names begin with "_"'
            )
        registry.add(thing.name, thing)
    return registry
