"""Reading flags: paths with a tilde, and numbers that must be finite."""

import pytest
from absl import flags

from pipelines.runtime.app import UserError
from pipelines.runtime.flags import path_flag, path_flags, require_finite, required_path_flag


@pytest.fixture
def parse(monkeypatch):
    """A function that parses a command line with flags of this test alone."""
    values = flags.FlagValues()
    flags.DEFINE_string("where", None, "A path.", flag_values=values)
    flags.DEFINE_multi_string("many", [], "Paths.", flag_values=values)
    flags.DEFINE_float("rate", None, "A number.", flag_values=values)
    monkeypatch.setattr(flags, "FLAGS", values)
    monkeypatch.setenv("HOME", "/home/someone")
    return lambda *arguments: values(["job", *arguments])


def test_a_tilde_is_the_users_home(parse):
    parse("--where=~/a b", "--many=~/x*", "--many=y,~/z", "--many=")
    assert path_flag("where") == required_path_flag("where") == "/home/someone/a b"
    # Commas are left to the caller, and so is a tilde that does not begin the value.
    assert path_flags("many") == ["/home/someone/x*", "y,~/z"]


def test_a_path_that_is_not_given_is_none(parse):
    parse()
    assert path_flag("where") is None and path_flags("many") == []


@pytest.mark.parametrize("number", ["inf", "-inf", "nan"])
def test_numbers_have_to_be_finite(parse, number):
    parse(f"--rate={number}")
    with pytest.raises(UserError, match=f"--rate={number}: must be a finite number"):
        require_finite("rate")


@pytest.mark.parametrize("arguments", [[], ["--rate=-1e300"]])
def test_finite_numbers_and_none_pass(parse, arguments):
    parse(*arguments)
    require_finite("rate")
