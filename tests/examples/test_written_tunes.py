import pytest

from pipelines.examples import written_tunes
from pipelines.records import tune_list
from pipelines.runtime.app import UserError
from pipelines.runtime.files import json_line
from tests.support import tunebooks


@pytest.fixture
def folders(tmp_path):
    """A folder of tunebooks, and the list of tunes that records of it would have."""
    made = tunebooks.tunes(seed=2, count=4)
    book = "".join(
        tunebooks.abc(number, tune.title, tune.strains[0]) for number, tune in enumerate(made)
    )
    (tmp_path / "books" / "mine").mkdir(parents=True)
    chord = "X:9\nT:Chords\nM:4/4\nL:1/8\nK:C\n[CE]8|\n"
    (tmp_path / "books" / "mine" / "a.abc").write_text(book + chord)
    lines = [
        ("mine/a.abc/0", "train", [1, 2]), ("mine/a.abc/1", "test", [3]),
        ("mine/a.abc/2", "train", [2]), ("mine/a.abc/3", "validation", [4]),
        ("mine/a.abc/9", "train", [5]),
    ]  # fmt: skip
    (tmp_path / "records").mkdir()
    with open(tmp_path / "records" / tune_list.TUNES, "wb") as file:
        for name, split, keys in lines:
            listed = [f"{ord('r'):02x}{key:014x}" for key in keys]
            file.write(json_line({"id": name, "split": split, "keys": listed, "title": "T"}))
    return tmp_path / "records", tmp_path / "books"


def test_tunes_have_the_splits_and_groups_of_their_records(folders):
    records, books = folders
    read = written_tunes.read(records, [str(books)])
    assert [(tune.id, tune.corpus, tune.split) for tune in read.tunes] == [
        ("mine/a.abc/0", "mine", "train"), ("mine/a.abc/1", "mine", "test"),
        ("mine/a.abc/2", "mine", "train"), ("mine/a.abc/3", "mine", "validation"),
    ]  # fmt: skip
    groups = [tune.group for tune in read.tunes]
    assert groups[0] == groups[2]
    assert len(set(groups)) == 3
    assert read.left_out == {"chord": 1}
    assert [tune.id for tune in read.of("test")] == ["mine/a.abc/1"]
    assert read.tunes[0].steps.is_note.sum() == 64


def test_the_highest_notes_of_chords(folders):
    records, books = folders
    read = written_tunes.read(records, [str(books)], highest=True)
    assert len(read.tunes) == 5
    assert not read.left_out


def test_other_tunebooks_are_refused(folders, tmp_path):
    records, _ = folders
    (tmp_path / "other.abc").write_text("X:1\nT:Other\nM:4/4\nL:1/8\nK:C\nCDEF GABc|\n")
    with pytest.raises(UserError, match="5 tunes that are not in the tunebooks, such as mine/a"):
        written_tunes.read(records, [str(tmp_path / "other.abc")])
    with pytest.raises(UserError, match="no list of tunes"):
        written_tunes.read(tmp_path, [str(tmp_path / "other.abc")])
