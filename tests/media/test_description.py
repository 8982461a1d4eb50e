"""pieces.json: what is written is read, and what is damaged is passed over with a word."""

import json
import os

import pytest

from pipelines.media import description
from pipelines.media.description import Description


def test_what_is_written_is_read(tmp_path):
    pieces = [
        Description("ä \udcff.mid", "sample", {"seed": 7, "temperature": 0.5}, position=(0,)),
        Description(
            "b.mid", "edit", {}, ("x.mid",), ("inputs/x.mid",), {"swing": -1.5}, "s", (1, 2)
        ),
    ]
    for each in pieces:
        (tmp_path / each.file).touch()
    description.add(tmp_path, pieces)
    assert description.read(tmp_path) == {each.file: each for each in pieces}


def test_a_later_command_adds_and_replaces_and_forgets_what_is_gone(tmp_path):
    for name in "abc":
        (tmp_path / name).touch()
    description.add(tmp_path, [Description("a", "sample"), Description("b", "sample")])
    (tmp_path / "a").unlink()
    description.add(tmp_path, [Description("b", "edit"), Description("c", "grid")])
    found = description.read(tmp_path)
    assert {name: each.mode for name, each in found.items()} == {"b": "edit", "c": "grid"}


def test_nothing_is_known_of_a_plain_folder(tmp_path):
    assert description.read(tmp_path) == {}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pieces": 1}', "[" * 100_000, "\x00"])
def test_a_damaged_file_is_passed_over(tmp_path, capsys, content):
    (tmp_path / description.FILE).write_text(content)
    assert description.read(tmp_path) == {}
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: {tmp_path}/pieces.json is passed over: ")


def test_what_is_not_a_file_is_passed_over(tmp_path, capsys):
    for make in (os.mkfifo, os.mkdir):
        folder = tmp_path / make.__name__
        folder.mkdir()
        make(folder / description.FILE)
        assert description.read(folder) == {}
        assert "pieces.json is passed over: " in capsys.readouterr().err


@pytest.mark.parametrize(
    "entry",
    [
        1,
        {},
        {"file": 1},
        {"file": "x", "settings": []},
        {"file": "x", "sources": [1]},
        {"file": "x", "sources": 1},
        {"file": "x", "amounts": {"swing": "much"}},
        {"file": "x", "position": [float("inf")]},
        {"file": "x", "position": [10**4299]},
        {"file": "x", "position": [-1]},
        {"file": "x", "series": None},
    ],
)
def test_a_damaged_entry_is_passed_over_and_the_rest_is_read(tmp_path, capsys, entry):
    pieces = [entry, {"file": "good.mid"}]
    (tmp_path / description.FILE).write_text(json.dumps({"pieces": pieces}))
    assert description.read(tmp_path) == {"good.mid": Description("good.mid")}
    assert "1 entries are no descriptions" in capsys.readouterr().err
