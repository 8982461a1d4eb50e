"""`./run.sh doctor` as a whole, in a good environment and in one without any package."""

import json
import os
import subprocess
import sys

import pytest

from pipelines import doctor
from pipelines.health import ERROR, devices
from tests.support.jobs import ROOT, error_of, job

WITHOUT_IMPORTS = """
from pipelines import doctor
from pipelines.health import devices, environment, optional
# The environment of .venv is told by `site`, which -S leaves out.
environment.skipped = devices.skipped = optional.skipped = lambda name: None
devices._MODULES = ("json",)
doctor.main()
"""


def test_without_any_package_it_reports_and_does_not_fail():
    done = subprocess.run(
        # -S: without the folder of packages.
        [sys.executable, "-S", "-c", WITHOUT_IMPORTS, "--json"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    report = json.loads(done.stdout)
    found = {each["name"]: each for each in report["findings"]}
    assert found["packages"]["status"] == ERROR and "missing: absl-py" in found["packages"]["found"]
    assert report["errors"] == sum(each["status"] == ERROR for each in report["findings"]) > 0
    assert all(each["advice"] for each in report["findings"] if each["status"] != "ok")


def test_what_cannot_be_looked_at_is_a_finding(monkeypatch, capsys):
    def broken():
        raise RuntimeError("odd\nmachine")

    monkeypatch.setattr(devices, "look", broken)
    monkeypatch.setattr(sys, "argv", ["doctor"])
    with pytest.raises(SystemExit) as ended:
        doctor.main()
    lines = capsys.readouterr().out.splitlines()
    assert ended.value.code == 1
    assert any("cannot be looked at (RuntimeError: odd machine)" in line for line in lines)
    assert lines[0].startswith("reelgroove ") and lines[-1].startswith("errors: 1")


def test_bad_command_lines():
    assert "did you mean --json?" in error_of(job("doctor", "--jsno"))
    assert "unrecognized arguments: stray" in error_of(job("doctor", "stray"))


@pytest.mark.slow
def test_this_environment_is_whole():
    done = job("doctor", "--json")
    found = {each["name"]: each for each in json.loads(done.stdout)["findings"]}
    assert found["imports"]["status"] == found["Python"]["status"] == "ok", done.stdout
    assert "TensorFlow" in found["GPU"]["found"] or "CUDA" in found["GPU"]["found"]
