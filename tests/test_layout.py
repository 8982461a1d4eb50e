"""How the tests are laid out."""

import ast
import pathlib

import pytest

from tests.support.jobs import ROOT


def imported(source: str) -> set[str]:
    """The modules that a module imports, wherever in it, and what it takes from them."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            names.update(f"{module}.{alias.name}" for alias in node.names)
    return names


def of_tests(names: set[str]) -> list[str]:
    """Those names that a test module, or something in one, has."""
    return sorted(
        name
        for name in names
        if name.startswith(("tests.", "."))
        and any(part.startswith("test_") or part == "conftest" for part in name.split("."))
    )


@pytest.mark.parametrize(
    "source, found",
    [
        ("from tests.music.test_midi import piece", ["tests.music.test_midi.piece"]),
        ("from tests.music import test_midi as midi", ["tests.music.test_midi"]),
        ("def f():\n    import tests.music.test_midi", ["tests.music.test_midi"]),
        ("from .test_midi import piece", [".test_midi.piece"]),
        ("from . import test_midi", ["..test_midi"]),
        ("from tests import conftest", ["tests.conftest"]),
        ("from tests.support import jobs, pieces\nimport pytest", []),
        ("from other.test_utils import check", []),
    ],
)
def test_imports_of_tests_are_found(source, found):
    assert of_tests(imported(source)) == found


def test_tests_import_no_tests():
    """What tests share is in tests/support, so that each test module runs and moves on its own."""
    modules = sorted(pathlib.Path(ROOT, "tests").rglob("*.py"))
    assert len(modules) > 40
    broken = {
        str(path.relative_to(ROOT)): found
        for path in modules
        if (found := of_tests(imported(path.read_text(encoding="utf-8"))))
    }
    assert not broken
