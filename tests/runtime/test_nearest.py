"""Hints at names that exist."""

import subprocess
import sys

import pytest

from pipelines.runtime.app import UserError
from pipelines.runtime.nearest import PART, did_you_mean
from pipelines.runtime.registry import Registry
from tests.support.jobs import ROOT


def test_a_slip_is_answered_with_the_nearest_names():
    assert did_you_mean("smaple", ["sample", "edit"]) == "; did you mean sample?"
    assert did_you_mean("jsno", ["json", "help"], "--") == "; did you mean --json?"
    # The nearest first, each once, and three at most.
    names = ["tune1", "tune22", "tune333", "tune4444", "tune1"]
    assert did_you_mean("tune1", names) == "; did you mean tune1 or tune22 or tune333?"
    assert did_you_mean("xyzzy", ["sample"]) == did_you_mean("x", []) == ""


def test_a_part_of_a_long_name_is_enough_where_that_is_asked_for():
    # Of 4 and 14 characters 4 agree: 2 * 4 / 18 = 0.44.
    names = ["flat-reel_2bar", "cat-mel_2bar_big"]
    assert did_you_mean("reel", names) == ""
    assert did_you_mean("reel", names, least=PART) == "; did you mean flat-reel_2bar?"


def test_a_registry_hints_in_the_same_words():
    found = Registry("config")
    found.update({"flat-reel_2bar": 1, "nade": 2})
    with pytest.raises(UserError, match=r"named 'reel'; did you mean flat-reel_2bar\?$"):
        found["reel"]


def test_it_needs_no_package():
    code = "import sys; sys.path.insert(0, '.'); import pipelines.runtime.nearest"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], cwd=ROOT, check=True)
