"""Files and folders appear as a whole or not at all."""

import json
import os

import pytest

from pipelines.runtime import files
from pipelines.runtime.app import UserError


def test_a_new_folder_appears_when_it_is_complete(tmp_path):
    target = tmp_path / "a" / "b"
    with files.new_folder(target) as folder:
        (folder / "one").write_text("1")
        assert not target.exists()
    assert [path.name for path in target.iterdir()] == ["one"]
    assert [path.name for path in target.parent.iterdir()] == ["b"]


def test_a_folder_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), files.new_folder(tmp_path / "a") as folder:
        (folder / "one").write_text("1")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_not_replaced(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("")
    (tmp_path / "file").write_text("")
    for name in ("full", "file"):
        with (
            pytest.raises(UserError, match=f"{name} exists already"),
            files.new_folder(tmp_path / name),
        ):
            pass
    (tmp_path / "empty").mkdir()
    with files.new_folder(tmp_path / "empty") as folder:
        (folder / "one").write_text("1")
    assert (tmp_path / "empty" / "one").exists()


def test_json_is_utf8_and_escapes_the_names_that_are_not(tmp_path):
    assert files.json_line({"title": "Ó Néill"}) == '{"title": "Ó Néill"}\n'.encode()
    # How Python reads the byte 0xff in the name of a file.
    line = files.json_line("b\udcff")
    assert line == b'"b\\udcff"\n' and json.loads(line) == "b\udcff"


def test_nothing_in_a_list_is_obeyed_by_the_terminal_that_shows_it():
    hostile = "\x1b[2J \x9b2J \u202egpj.exe \u2028 می\u200cخواهم 𝄞"
    line = files.json_line({"title": hostile})
    escaped = "\\u001b[2J \\u009b2J \\u202egpj.exe \\u2028 می\u200cخواهم 𝄞"
    assert line == f'{{"title": "{escaped}"}}\n'.encode()
    assert json.loads(line) == {"title": hostile}


def test_json_replaces_a_file_at_once(tmp_path):
    path = tmp_path / "x.json"
    path.write_text("old")
    with pytest.raises(TypeError):
        files.write_json(path, {"a": object()})
    assert path.read_text() == "old"
    files.write_json(path, {"b": 1, "a": [2]}, sort_keys=True)
    assert path.read_text() == '{\n  "a": [\n    2\n  ],\n  "b": 1\n}\n'


def test_a_file_is_replaced_at_once_or_not_at_all(tmp_path):
    path = tmp_path / "x.mid"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), files.replacing(path) as file:
        file.write(b"half")
        file.flush()
        assert path.read_bytes() == b"old"
        raise ZeroDivisionError
    assert [each.name for each in tmp_path.iterdir()] == ["x.mid"] and path.read_bytes() == b"old"
    with files.replacing(path) as file:
        file.write(b"new")
    assert [each.name for each in tmp_path.iterdir()] == ["x.mid"] and path.read_bytes() == b"new"


def test_a_name_as_long_as_names_can_be_is_written(tmp_path):
    path = tmp_path / ("a" * 251 + ".mid")
    with files.replacing(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"


def test_an_error_while_replacing_names_the_file_and_not_the_temporary_one(tmp_path):
    for path in (tmp_path / "absent" / "x", tmp_path / "folder"):
        (tmp_path / "folder" / "full").mkdir(parents=True, exist_ok=True)
        with pytest.raises(OSError) as caught, files.replacing(path):
            pass
        assert caught.value.filename == str(path)
    with pytest.raises(OSError) as caught, files.replacing(tmp_path / "x"):
        raise OSError(28, "No space left on device")
    assert caught.value.filename == str(tmp_path / "x")


def test_an_error_names_the_file(tmp_path):
    with pytest.raises(OSError) as caught, files.writing(tmp_path / "x"):
        raise OSError(28, "No space left on device")
    assert caught.value.filename == str(tmp_path / "x")


def test_pipes_devices_folders_and_large_files_are_not_read(tmp_path):
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("file")
    assert files.read_regular(tmp_path / "file", 5) == b"12345"
    assert files.read_regular(tmp_path / "link", 9) == b"12345"
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(10 << 30)
    for name, reason in (
        ("pipe", "not a regular file"),
        ("device", "not a regular file"),
        (".", "Is a directory|not a regular file"),
        ("file", "larger than 0 MB"),
        ("sparse", "larger than 0 MB"),
    ):
        with pytest.raises(OSError, match=reason) as caught:
            files.read_regular(tmp_path / name, 4)
        assert caught.value.filename == str(tmp_path / name)
