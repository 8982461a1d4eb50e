"""How benchmarks measure and compare."""

import subprocess
import sys

import pytest

from pipelines.app import UserError
from pipelines.bench import Benchmark, _compare, benchmarks


def test_memory_and_time_of_a_command_and_its_children(tmp_path):
    child = "data = b'x' * 120_000_000; import time; time.sleep(0.7)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    measured = _compare.measure([sys.executable, "-c", parent], str(tmp_path / "log"))
    assert 120e6 / 2**20 < measured["peak MiB"] < 120e6 / 2**20 + 100
    assert 0.7 <= measured["seconds"] < 60


def test_a_command_that_fails_is_an_error(tmp_path):
    log = str(tmp_path / "log")
    with pytest.raises(UserError, match="ended with 3; it said: why"):
        _compare.measure([sys.executable, "-c", "print('why'); raise SystemExit(3)"], log)
    assert (tmp_path / "log").read_text() == "why\n"


def test_contenders_take_turns_and_medians_are_compared():
    turns = []

    def contender(name, values):
        def run(number):
            turns.append(name)
            return {"seconds": values[number]}

        return run

    benchmark = Benchmark(
        "made",
        "Made up.",
        lambda: None,
        (),
        lambda scratch: {
            "ours": contender("ours", [3.0, 1.0, 2.0]),
            "theirs": contender("theirs", [9.0, 8.0, 50.0]),
        },
    )
    report = _compare.compare(benchmark, 3, None)
    assert turns == ["ours", "theirs"] * 3
    assert report["runs"]["theirs"] == [{"seconds": 9.0}, {"seconds": 8.0}, {"seconds": 50.0}]
    # Medians 2 and 9, and 2 / 9.
    assert "| seconds | 2 | 9 | 0.222 |" in _compare.table(report)


def test_benchmarks_are_listed():
    done = subprocess.run([sys.executable, "-m", "pipelines.bench"], capture_output=True, text=True)
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == sorted(benchmarks())
    assert "convert" in benchmarks()


def test_the_benchmark_of_tunes_converts_as_many_as_it_says(tmp_path):
    book = tmp_path / "book.abc"
    book.write_text("X:1\nT:One\nM:4/4\nL:1/8\nK:C\nCDEF GABc|cBAG FEDC|]\n")
    command = [sys.executable, "-m", "pipelines.bench", "tunes", f"--input={book}"]
    done = subprocess.run(
        [*command, "--tunes=1200,30", "--repeats=1"], capture_output=True, text=True, check=True
    )
    assert "| records | 1200 | 30 | 40.000 |" in done.stdout
    failed = subprocess.run([*command, "--tunes=many"], capture_output=True, text=True)
    assert failed.returncode == 1 and "--tunes=many: give numbers" in failed.stderr


def test_missing_flags_and_unknown_names_are_one_line():
    for arguments, message in [
        (["convert"], "missing --input, --stock"),
        (["convrt"], "no benchmark is named 'convrt'; nearest: convert"),
    ]:
        done = subprocess.run(
            [sys.executable, "-m", "pipelines.bench", *arguments], capture_output=True, text=True
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert message in done.stderr and done.stderr.count("\n") == 1
