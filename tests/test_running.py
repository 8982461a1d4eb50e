"""`python -m tests`, which ./run.sh test calls, on a small suite of its own."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.__main__ import merged, names_tests
from tests.support.jobs import ROOT

TWO = """
import pytest
def test_passes(): pass
@pytest.mark.slow
def test_slow(): pass
def test_fails(): assert BROKEN not in ("2", "both")
"""
THREE = """
import pytest
pytestmark = pytest.mark.keras3
def test_passes(): pass
def test_skipped(): pytest.skip("no")
def test_fails(): assert BROKEN not in ("3", "both")
"""


@pytest.fixture
def suite(tmp_path):
    """Runs the small suite: (arguments, which of its halves fails) to exit status and output."""

    def run(*arguments, broken="", named=True):
        for name, source in (("two", TWO), ("three", THREE)):
            (tmp_path / f"test_{name}.py").write_text(f"BROKEN = {broken!r}\n{source}")
        code = f"import sys, tests.__main__ as m; sys.exit(m.run(sys.argv[1:], {str(tmp_path)!r}))"
        named = named and not any(argument.endswith(".py") for argument in arguments)
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments, *([tmp_path] if named else [])],
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout

    return run


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments, broken, status, closing",
    [
        ([], "", 0, "5 passed, 1 skipped"),
        ([], "2", 1, "1 failed, 4 passed, 1 skipped"),
        ([], "3", 1, "1 failed, 4 passed, 1 skipped"),
        ([], "both", 1, "2 failed, 3 passed, 1 skipped"),
        (["--quick"], "", 0, "4 passed, 1 skipped, 1 deselected"),
        (["-k", "passes or slow"], "both", 0, "3 passed, 3 deselected"),
        (["-q", "--collect-only"], "", 0, "6 collected"),
        (["-x"], "3", 1, "1 failed, 4 passed, 1 skipped"),
    ],
)
def test_both_halves_run_and_the_last_line_tells_of_both(suite, arguments, broken, status, closing):
    returned, output = suite(*arguments, broken=broken)
    assert returned == status, output
    last = output.splitlines()[-1]
    assert last.startswith(f"= both processes: {closing} in "), output


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments, broken, status, closing",
    [
        (["test_two.py"], "3", 0, "3 passed"),
        (["test_three.py"], "2", 0, "2 passed, 1 skipped"),
        (["-k", "skipped"], "", 0, "1 skipped, 5 deselected"),
        (["-k", "nothing"], "", 5, "6 deselected"),
        # With -x the first failure is the last test that runs.
        (["-x"], "2", 1, "1 failed, 2 passed, 3 deselected"),
        (["--keras=3"], "", 0, "2 passed, 1 skipped, 3 deselected"),
        (["test_four.py"], "", 4, None),
        (["--help"], "", 0, None),
    ],
)
def test_one_process_is_enough_where_the_other_has_nothing_to_run(
    suite, arguments, broken, status, closing
):
    returned, output = suite(*arguments, broken=broken)
    assert returned == status, output
    assert "both processes" not in output
    assert closing is None or f" {closing} in " in output.splitlines()[-1]


def test_one_process_refuses_both(tmp_path):
    (tmp_path / "test_two.py").write_text(TWO)
    (tmp_path / "test_three.py").write_text(THREE)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-c", ROOT / "pyproject.toml"),
            *("-p", "tests.support.keras_processes", tmp_path),
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 4
    assert "ERROR: tests of Keras 2 and of Keras 3 cannot share a process" in done.stderr


@pytest.mark.parametrize(
    "first, second, both",
    [(0, 0, 0), (0, 5, 0), (5, 0, 0), (5, 5, 5), (1, 0, 1), (0, 1, 1), (5, 1, 1), (0, 139, 139)],
)
def test_the_exit_status_of_both(first, second, both):
    assert merged(first, second) == both


def test_files_and_tests_in_them_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "test_mine.py").touch()
    assert not names_tests([])
    assert not names_tests(["-k", "fast", "test_yours.py"])
    assert names_tests(["-x", "test_mine.py"])
    assert names_tests(["test_mine.py::test_it"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments, broken, status, closing",
    [
        ([], "", 0, "5 passed, 1 skipped"),
        (["--quick"], "", 0, "4 passed, 1 skipped, 1 deselected"),
        (["--quick"], "2", 1, "1 failed, 3 passed, 1 skipped, 1 deselected"),
        (["--quick"], "3", 1, "1 failed, 3 passed, 1 skipped, 1 deselected"),
        (["--quick", "-k", "skipped"], "", 0, "1 skipped, 5 deselected"),
        (["--quick", "-k", "nothing"], "", 5, "6 deselected"),
        (["--quick", "--what"], "", 4, None),
        (["--quick", "--keras=3"], "", 0, None),
    ],
)
def test_all_tests_run_where_none_are_named(suite, arguments, broken, status, closing):
    returned, output = suite(*arguments, broken=broken, named=False)
    assert returned == status, output
    if closing:
        assert output.splitlines()[-1].startswith(f"= both processes: {closing} in "), output


def test_a_terminated_run_ends_its_tests(tmp_path):
    pid = tmp_path / "pid"
    (tmp_path / "test_hangs.py").write_text(
        "import os, pathlib, time\n"
        "def test_hangs():\n"
        f"    pathlib.Path({str(pid)!r}).write_text(str(os.getpid()))\n"
        "    time.sleep(100)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "tests", tmp_path],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    with process:
        deadline = time.monotonic() + 60
        while not pid.exists() or not pid.read_text():
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 128 + signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
