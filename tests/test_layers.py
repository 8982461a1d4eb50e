"""A room imports only the rooms below it; a copy of the project with a planted fault fails."""

import importlib.util
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.skipif(
    not importlib.util.find_spec("importlinter"),
    reason="import-linter is missing: "
    "./.venv/bin/python -m pip install --no-deps -r requirements-dev.txt",
)


def check(root: pathlib.Path) -> subprocess.CompletedProcess[str]:
    """Runs the layer check on a checkout."""
    return subprocess.run(
        [sys.executable, "-m", "tests.support.layers", root],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def copy(tmp_path) -> pathlib.Path:
    """A copy of the project's modules, all of them empty."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for source in (ROOT / name for name in ("configs", "models", "pipelines", "reelgroove")):
        for path in source.rglob("*.py"):
            target = tmp_path / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text("")
    return tmp_path


def write(root: pathlib.Path, modules: dict[str, str]) -> None:
    """Writes modules of pipelines, by their path in it, each folder with its `__init__.py`."""
    for name, text in modules.items():
        path = root / "pipelines" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(text)


def test_the_project_imports_no_room_upward_and_nothing_in_a_circle():
    done = check(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "; upward: 0; in circles: 0\n" in done.stdout


def test_the_copy_without_a_fault_passes_and_its_arrows_are_counted(copy):
    write(
        copy,
        {
            "systems/one/work.py": "from pipelines.music import planted\n"
            "from pipelines.runtime import planted",
            "music/planted.py": "import pipelines.runtime.planted",
            "runtime/planted.py": "",
        },
    )
    done = check(copy)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "arrows between rooms: 3; upward: 0; in circles: 0\n" in done.stdout
    assert "imports between modules: 3; in circles: 0\n" in done.stdout


def test_an_import_upward_inside_a_function_fails(copy):
    write(
        copy,
        {
            "music/planted.py": "def work():\n    from pipelines.records import planted",
            "records/planted.py": "",
        },
    )
    done = check(copy)
    assert done.returncode == 1
    assert "arrows between rooms: 1; upward: 1; in circles: 0\n" in done.stdout
    assert "\n  pipelines.music -> pipelines.records\n" in done.stdout


def test_two_rooms_of_one_layer_that_import_each_other_fail(copy):
    write(
        copy,
        {
            "demo/planted.py": "import pipelines.bench.planted",
            "bench/planted.py": "import pipelines.demo.planted",
        },
    )
    done = check(copy)
    assert done.returncode == 1
    assert "arrows between rooms: 2; upward: 0; in circles: 2\n" in done.stdout


def test_two_modules_of_a_room_that_import_each_other_fail(copy):
    write(
        copy,
        {
            "runtime/one.py": "def work():\n    from pipelines.runtime import two",
            "runtime/two.py": "from pipelines.runtime import one",
        },
    )
    done = check(copy)
    assert done.returncode == 1
    assert "imports between modules: 2; in circles: 2\n" in done.stdout


def test_two_folders_of_a_room_that_import_each_other_fail(copy):
    """No two modules import each other here, but the folders do."""
    write(
        copy,
        {
            "music/left/one.py": "import pipelines.music.right.one",
            "music/left/two.py": "",
            "music/right/one.py": "",
            "music/right/two.py": "import pipelines.music.left.two",
        },
    )
    done = check(copy)
    assert done.returncode == 1
    assert "imports between modules: 2; in circles: 0\n" in done.stdout
    assert "No cycles are allowed in pipelines.music." in done.stdout


def test_a_folder_and_a_module_in_it_that_import_each_other_fail(copy):
    write(
        copy,
        {
            "music/planted/one.py": "import pipelines.music.planted",
            "music/planted/__init__.py": "import pipelines.music.planted.one",
        },
    )
    done = check(copy)
    assert done.returncode == 1
    assert "imports between modules: 2; in circles: 2\n" in done.stdout


def test_a_system_that_imports_another_fails(copy):
    write(
        copy,
        {"systems/one/work.py": "import pipelines.systems.two.work", "systems/two/work.py": ""},
    )
    done = check(copy)
    assert done.returncode == 1
    assert "No system imports another system BROKEN" in done.stdout


def test_a_room_without_a_layer_fails(copy):
    write(copy, {"planted/work.py": ""})
    done = check(copy)
    assert done.returncode == 1
    assert "without a layer in pyproject.toml: pipelines.planted\n" in done.stdout
