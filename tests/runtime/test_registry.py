"""Names that users choose from."""

import types

import pytest

from pipelines.runtime import registry
from pipelines.runtime.app import UserError
from pipelines.runtime.registry import Registry


def test_a_registry_without_anything_near_lists_all():
    found = Registry("thing")
    found.update({"b": 1, "a": 2})
    assert list(found) == ["a", "b"] and "a" in found and len(found) == 2
    with pytest.raises(UserError, match="no thing is named 'zzz'; there are a, b"):
        found["zzz"]


def test_a_module_without_an_entry_is_named(monkeypatch):
    empty = types.ModuleType("empty")
    empty.__file__ = "corpora/empty.py"
    monkeypatch.setattr(registry, "modules_of", lambda package, but: [empty])
    with pytest.raises(UserError, match="corpora/empty.py: exports no CORPUS"):
        registry.discovered("corpus", types.ModuleType("package"), "CORPUS")
