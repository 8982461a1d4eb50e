"""The names of configs, read without importing them."""

import os

import pytest

import configs
from configs import _names
from pipelines.runtime.app import UserError
from tests.support.jobs import error_of, without_tensorflow


def test_the_names_that_are_read_are_those_that_can_be_built():
    hyperparameters = configs.hyperparameters()
    assert _names.names() == set(configs.builders()) | set(hyperparameters)
    systems = {name: configs.system_of(name) for name in hyperparameters}
    assert set(systems.values()) == set(configs.systems()) and None not in systems.values()
    assert configs.system_of("flat-groove_4bar") is None


OWN = """
from configs import groove
CONFIG_MAP = {"mine": groove.flat_groove_4bar}
CONFIG_MAP["also-mine"] = groove.flat_groove_4bar
"""


def test_a_users_file_adds_its_names(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(OWN)
    assert _names.names(str(path)) == _names.names() | {"mine", "also-mine"}
    built = set(configs.builders(str(path))) | set(configs.hyperparameters())
    assert _names.names(str(path)) == built
    configs.require_known("also-mine", str(path))
    configs.require_known("flat-groove_4bar", str(path))
    with pytest.raises(UserError, match="no config is named 'mien'; did you mean mine"):
        configs.require_known("mien", str(path))


@pytest.mark.parametrize(
    "text",
    [
        "CONFIG_MAP = dict(mine=1)",
        "CONFIG_MAP = {name: 1 for name in 'ab'}",
        "CONFIG_MAP = {**others}",
        "CONFIG_MAP = {'a': 1}\nCONFIG_MAP.update(b=1)",
        "CONFIG_MAP = {'a': 1}\nCONFIG_MAP |= {'b': 1}",
        "CONFIG_MAP = {'a': 1}\nfor name in 'bc':\n    CONFIG_MAP[name] = 1",
        "CONFIG_MAP = {}\nCONFIG_MAP[f'{1}'] = 1",
        "from others import CONFIG_MAP",
        "from others import mine as CONFIG_MAP",
        "from others import *",
        "OTHER = CONFIG_MAP = {'a': 1}",
        "x = 1",
        "x = (",
        "\0",
    ],
)
def test_names_that_are_not_written_out_are_left_to_the_look_up(text, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(text)
    assert _names.names(str(path)) is None
    configs.require_known("whatever", str(path))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match="none.py: no such file"):
        configs.require_known(None, str(tmp_path / "none.py"))


@pytest.mark.parametrize(
    "verb, arguments",
    [
        ("train", ["--run_dir=r", "--examples_path=x"]),
        ("tensors", ["--input=x", "--dry_run"]),
        ("evaluate", ["--run_dir=r", "--examples_path=x"]),
        ("generate", ["--checkpoint_file=x", "--output_dir=y"]),
    ],
)
def test_a_misspelt_config_is_noticed_before_tensorflow_is_imported(verb, arguments, tmp_path):
    done = without_tensorflow(
        f"pipelines.{verb}", "--config=flat-grove_4bar", *arguments, cwd=tmp_path
    )
    assert "no config is named 'flat-grove_4bar'; did you mean flat-groove_4bar" in error_of(done)
    assert len(done.stderr.splitlines()) == 1 and not os.listdir(tmp_path)
