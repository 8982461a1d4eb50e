"""Names that users choose from."""

import pytest

from pipelines.runtime.app import UserError
from pipelines.runtime.registry import Registry


def test_a_registry_without_anything_near_lists_all():
    registry = Registry("thing")
    registry.update({"b": 1, "a": 2})
    assert list(registry) == ["a", "b"] and "a" in registry and len(registry) == 2
    with pytest.raises(UserError, match="no thing is named 'zzz'; there are a, b"):
        registry["zzz"]
