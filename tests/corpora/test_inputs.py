"""What is at --input: the names of files, and which of them are passed over."""

import zipfile

import pytest

from pipelines.corpora import Skipped, _inputs


def names(path):
    """The names of files, and the reasons of those that are skipped."""
    (given,) = _inputs.inputs([str(path)])
    return [
        (file.key, file.reason) if isinstance(file, Skipped) else file.name
        for file in given.files()
    ]


def test_hidden_files_are_passed_over_and_no_two_files_have_one_name(tmp_path):
    members = ["a.mid", "./a.mid", ".git/b", "__MACOSX/._a.mid", "c/.d", "x\ny", "../e", "./../f"]
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        for member in members:
            archive.writestr(member, b"")
    found = names(tmp_path / "z.zip")
    assert sorted(map(str, found)) == sorted(
        map(
            str,
            ["a.mid", ("a.mid", "duplicate"), ("../e", "outside"), ("../f", "outside"), "x\ny"],
        )
    )


def test_names_that_are_no_text_are_written_out(tmp_path):
    (tmp_path / "music").mkdir()
    (tmp_path / "music" / "a\udcff.mid").write_bytes(b"")
    assert names(tmp_path / "music") == ["a\\udcff.mid"]
    # The same as text is another file.
    (tmp_path / "music" / "a\\udcff.mid").write_bytes(b"")
    assert sorted(map(str, names(tmp_path / "music"))) == [
        "('a\\\\udcff.mid', 'duplicate')",
        "a\\udcff.mid",
    ]


@pytest.mark.parametrize("name", ["x", "x/y", "x/y/a"])
def test_a_file_by_itself_has_its_own_name(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    assert names(path) == [path.name]
