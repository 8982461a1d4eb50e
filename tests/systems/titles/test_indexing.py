"""The indexes of a run and of a user's own lists: what is in them, and when they are used again."""

import hashlib
import os

import numpy as np
import pytest

from pipelines.runtime.app import UserError
from pipelines.systems.titles import index, indexing, tunes
from tests.support.datasets import write
from tests.support.titled import randomly, sequence

pytestmark = pytest.mark.keras3


class Fake:
    """Stands in for towers: a vector by a hash, and a count of those computed."""

    def __init__(self, towers="a", text_encoder="b"):
        self._made_with = {"text_encoder": text_encoder, "towers": towers}
        self.computed = 0

    def made_with(self):
        return dict(self._made_with)

    def _vectors(self, keys):
        self.computed += len(keys)
        seeds = [int.from_bytes(hashlib.sha256(key).digest()[:8], "big") for key in keys]
        return np.stack([np.random.default_rng(seed).normal(size=6) for seed in seeds])

    def title_vectors(self, texts, remember=True):
        return self._vectors([text.encode() for text in texts]).astype(np.float32)

    def tune_vectors(self, melodies):
        return self._vectors([each.notes.tobytes() for each in melodies]).astype(np.float32)


def listed(tmp_path, data, name="list.txt"):
    """The entries of an index of a list of titles."""
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    scratch = tmp_path / f"{name}.scratch"
    scratch.mkdir()
    return list(indexing.of_titles(str(path), Fake(), None, str(scratch)).entries())


MIXED = (
    "The Maid's Fancy\n"
    "\n"
    "  Maid's Fancy, The  \n"
    "🎻🎶\n"
    "Ó Néill's Áirde\n"
    "Untitled\n"
    "Mullindough, or the Black Laddie\n"
    f"{'x' * 10_000}\n"
    "Black Laddie\n"
    "Bonny\tKate 🎻"
)


def test_a_list_of_titles(tmp_path, capsys):
    assert listed(tmp_path, MIXED) == [
        {"title": "The Maid's Fancy", "fold": "maidsfancy", "line": 1},
        {"title": "Ó Néill's Áirde", "fold": "oneilsairde", "line": 5},
        {"title": "Mullindough, or the Black Laddie", "fold": "mulindough", "line": 7},
        {"title": "Mullindough, or the Black Laddie", "fold": "blackladie", "line": 7},
        {"title": "Bonny Kate 🎻", "fold": "bonykate", "line": 10},
    ]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{tmp_path}/list.txt: 5 different titles; 3 lines name no tune")
    assert "(line 4, 6, 8)" in line and line.endswith("2 are there before")


def test_many_lines_without_a_title_are_not_all_named(tmp_path, capsys):
    listed(tmp_path, "🎻\n" * 9 + "The Coolin\n")
    assert "(line 1, 2, 3, 4, 5, ...)" in capsys.readouterr().err


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\r").encode(),
        lambda text: text.replace("\n", "\r\r\n").encode(),
        lambda text: text.encode("utf-8-sig"),
        lambda text: text.encode("utf-16"),
        lambda text: (text + "\n\n").encode() + b"\x1a",
    ],
    ids=["CRLF", "CR", "CRCRLF", "BOM", "UTF-16", "DOS end"],
)
def test_however_it_is_written(tmp_path, encode):
    expected = listed(tmp_path, MIXED)
    assert listed(tmp_path, encode(MIXED), "other.txt") == expected


def test_latin_1_line_by_line(tmp_path):
    data = "Ó Néill's Áirde\nThe Coolin\n".encode("latin-1") + "Cáit Ní Dhuibhir\n".encode()
    assert [entry["title"] for entry in listed(tmp_path, data)] == [
        "Ó Néill's Áirde",
        "The Coolin",
        "Cáit Ní Dhuibhir",
    ]


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "has no title in it"),
        (b"\n \r\n\t\n", "has no title in it"),
        ("🎻\nUntitled\n".encode(), "has no title in it"),
        (b"x" * 10_000, "has no title in it"),
        (bytes(range(256)) * 9, "is no text"),
        (b"MThd\0\0\0\x06\0\1\0\1\0\xdcMTrk\0\0\0\0", "is no text"),
    ],
)
def test_files_without_a_title(tmp_path, data, message):
    with pytest.raises(UserError, match=message) as error:
        listed(tmp_path, data)
    assert f"{tmp_path}/list.txt" in str(error.value) and "\n" not in str(error.value)


def test_no_file(tmp_path):
    for place in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(OSError) as error:
            indexing.of_titles(str(place), Fake(), None, str(tmp_path))
        assert error.value.filename == str(place) and error.value.strerror


def test_a_kept_index_is_not_computed_again(tmp_path):
    path, folder = tmp_path / "list.txt", tmp_path / "kept"
    path.write_text(MIXED)
    towers = Fake()
    first = indexing.of_titles(str(path), towers, str(folder), str(tmp_path))
    assert towers.computed == len(first) == 5
    moved = tmp_path / "moved.txt"
    path.rename(moved)
    again = indexing.of_titles(str(moved), towers, str(folder), str(tmp_path))
    assert towers.computed == 5
    assert list(again.entries()) == list(first.entries())
    assert again.vectors.tolist() == first.vectors.tolist()


def test_an_empty_folder_takes_an_index(tmp_path):
    path, folder = tmp_path / "list.txt", tmp_path / "kept"
    path.write_text(MIXED)
    folder.mkdir()
    assert len(indexing.of_titles(str(path), Fake(), str(folder), str(tmp_path))) == 5


def test_an_index_of_something_else(tmp_path):
    path, folder = tmp_path / "list.txt", tmp_path / "kept"
    path.write_text(MIXED)
    indexing.of_titles(str(path), Fake(), str(folder), str(tmp_path))
    for towers, message in [
        (Fake(towers="c"), "another towers"),
        (Fake(text_encoder="c"), "another text encoder"),
    ]:
        with pytest.raises(UserError, match=message):
            indexing.of_titles(str(path), towers, str(folder), str(tmp_path))
    path.write_text(MIXED + "\nThe Drover's Hat\n")
    with pytest.raises(UserError, match="another list of titles"):
        indexing.of_titles(str(path), Fake(), str(folder), str(tmp_path))
    records = write(tmp_path / "r.tfrecord", [sequence("The Coolin")])
    with pytest.raises(UserError, match="index of titles, not of tunes"):
        indexing.of_tunes(records, Fake(), str(folder), str(tmp_path))
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="holds no index"):
        indexing.of_titles(str(path), Fake(), str(other), str(tmp_path))
    assert os.listdir(other) == ["mine.txt"]


def test_an_index_of_tunes(tmp_path, capsys):
    folder = tmp_path / "kept"
    first = write(
        tmp_path / "a" / "r.tfrecord",
        [
            sequence("The Coolin", name="1", pitches=randomly(1), genre="reel"),
            sequence(name="2", pitches=randomly(2), meter=None),
            sequence("Mullindough, or the Black Laddie", "Kate", name="3", pitches=randomly(3)),
            sequence("The Note", name="4", pitches=[60]),
        ],
    )
    towers = Fake()
    found = indexing.of_tunes(first, towers, str(folder), str(tmp_path))
    empty = {"titles": [], "rhythm": "", "meter": "4/4", "mode": "", "collection": ""}
    assert list(found.entries()) == [
        {**empty, "id": "1", "titles": ["The Coolin"], "rhythm": "reel"},
        {**empty, "id": "2", "meter": ""},
        {**empty, "id": "3", "titles": ["Mullindough, or the Black Laddie", "Kate"]},
    ]
    assert "4 records: 2 tunes with a title, 1 with no title, 1 left out" in capsys.readouterr().err
    # The same records elsewhere are the same; others at the same place are others.
    os.rename(tmp_path / "a", tmp_path / "b")
    indexing.of_tunes(f"{tmp_path}/b/*", towers, str(folder), str(tmp_path))
    assert towers.computed == 3
    write(tmp_path / "b" / "r.tfrecord", [sequence("Bonny Kate", pitches=randomly(5))])
    with pytest.raises(UserError, match="another set of records"):
        indexing.of_tunes(f"{tmp_path}/b/*", towers, str(folder), str(tmp_path))


def test_the_indexes_of_a_run(tmp_path):
    records = [
        sequence("The Coolin", "Mullindough, or the Coolin", name="1", pitches=randomly(1)),
        sequence("Coolin, The", name="2", pitches=randomly(2)),
        sequence(name="3", pitches=randomly(3)),
        sequence("Ó Néill's Áirde", name="4", pitches=randomly(4)),
    ]
    read = tunes.read(write(tmp_path / "r.tfrecord", records)).titled()
    towers, run = Fake(), str(tmp_path / "run")
    indexing.write_run_index(run, towers, read)
    titles = indexing.open_run_index(run, "titles", towers)
    assert list(titles.entries()) == [
        {"title": "The Coolin", "fold": "colin", "tunes": ["1", "2"]},
        {"title": "Mullindough, or the Coolin", "fold": "mulindough", "tunes": ["1"]},
        {"title": "Ó Néill's Áirde", "fold": "oneilsairde", "tunes": ["4"]},
    ]
    # A row is where its text's vector is.
    for row, text in enumerate(["the coolin", "mullindough", "o'neill's airde"]):
        assert titles.search(towers.title_vectors([text])[0], 1)[0] == (pytest.approx(1), row)
    found = indexing.open_run_index(run, "tunes", towers)
    assert [entry["id"] for entry in found.entries()] == ["1", "2", "4"]
    for row, tune in enumerate(read.tunes):
        assert found.search(towers.tune_vectors([tune.melody])[0], 1)[0][1] == row
    # Once more, as after an interruption, and with other towers.
    indexing.write_run_index(run, Fake(towers="c"), read)
    with pytest.raises(UserError, match="another towers"):
        indexing.open_run_index(run, "titles", towers)
    assert sorted(os.listdir(tmp_path / "run" / "index")) == ["titles", "tunes"]
    assert len(index.open_index(indexing.folder_of(run, "tunes"), "tunes", None)) == 3
