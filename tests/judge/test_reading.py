import pytest

from pipelines.judge import reading
from pipelines.judge.copying import skeletons
from pipelines.media import tune_texts
from pipelines.music.abc import grid, reader, tunebook
from pipelines.runtime.app import UserError

HEAD = "M:4/4\nL:1/8\nK:D\n"
BOOK = {
    "good": f"X:1\nT:Good\n{HEAD}d2e2f2g2|a4d4|\n",
    "no notes": f"X:2\n{HEAD}z8|z8|\n",
    "two voices": f"X:3\n{HEAD}V:1\nd8|\nV:2\nD8|\n",
    "overlay": f"X:4\n{HEAD}d8&D8|\n",
    "chord": f"X:5\n{HEAD}[Df]8|\n",
    "long": f"X:6\n{HEAD}" + "d8|e8|\n" * 1001,
}


@pytest.fixture
def book(tmp_path):
    path = tmp_path / "book.abc"
    path.write_text("\n".join(BOOK.values()))
    return str(path)


def test_what_cannot_be_judged_says_why_and_the_rest_is_read(book):
    found = list(reading.read(book))
    assert [(each.number, each.name) for each in found] == [(i, str(i)) for i in range(1, 7)]
    assert [each.problem for each in found] == [
        "",
        "it has no notes",
        "it has 2 voices, and a tune has one",
        "it has two voices in a bar, and a tune has one",
        "",
        "it has 2002 bars, and a tune at most 2000",
    ]
    assert [each.tune is None for each in found] == [bool(each.problem) for each in found]
    assert found[0].title == "Good" and found[0].tune.title == "Good"
    # Of a chord the highest note.
    assert found[4].tune.bars[0].notes[0].pitch == 78


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"Dear friends, this is a letter.\n", "has no tune in it"),
        (b"", "has no tune in it"),
        (bytes(range(256)) * 8, "is neither MIDI nor MusicXML nor text"),
        (b"MThd\0\0\0\6", "the file ends inside an event"),
    ],
)
def test_files_without_a_tune_cannot_be_judged(tmp_path, content, problem):
    path = tmp_path / "letter.txt"
    path.write_bytes(content)
    (found,) = reading.read(str(path))
    assert found.tune is None and problem in found.problem and str(path) not in found.problem


def test_folders_are_searched_for_music(tmp_path, book):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "more.ABC").write_text(BOOK["good"])
    (tmp_path / "notes.txt").write_text("no music")
    assert reading.files_of([str(tmp_path)]) == [book, str(tmp_path / "deep" / "more.ABC")]
    assert len(list(reading.read_all([str(tmp_path)]))) == 7
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no file ends in .abc"):
        reading.files_of([str(tmp_path / "empty")])
    with pytest.raises(UserError, match="there is no such file"):
        reading.files_of([str(tmp_path / "missing.abc")])


def test_a_score_beside_its_notation_is_the_same_tune(tmp_path, book):
    (tmp_path / "book.mid").write_bytes(b"MThd\0\0\0\6")
    (tmp_path / "other.mid").write_bytes(b"MThd\0\0\0\6")
    assert reading.files_of([str(tmp_path)]) == [book, str(tmp_path / "other.mid")]
    assert reading.files_of([str(tmp_path / "book.mid")]) == [str(tmp_path / "book.mid")]


def test_a_bar_that_never_ends_cannot_be_judged(tmp_path):
    path = tmp_path / "book.abc"
    path.write_text(f"X:1\n{HEAD}D99999999 DEFG ABcd|\n\n{BOOK['good']}")
    first, second = reading.read(str(path))
    assert first.tune is None
    assert first.problem.startswith("bar 1 lasts ") and first.problem.endswith("at most 1000")
    assert second.tune


def read_one(tmp_path, body):
    path = tmp_path / "one.abc"
    path.write_text(f"X:1\n{HEAD}{body}\n")
    (found,) = reading.read(str(path))
    return found


def test_a_tune_that_ties_make_one_long_note_cannot_be_judged(tmp_path):
    found = read_one(tmp_path, "D8000-|" * 21)
    assert found.problem == "it lasts 21000 whole notes, and a tune at most 20000"
    # At the bound, a note is counted in 32 bits.
    tune = read_one(tmp_path, "D8000-|" * 19 + "D8000|").tune
    assert skeletons.notes_of([tune]).length.tolist() == [20_000 * grid.WHOLE]


@pytest.mark.parametrize(("body", "rests"), [("d8|Z2000|e8|", 2000), ("Z600|d8|Z600|", 600)])
def test_a_tune_whose_bars_cannot_be_numbered_is_not_judged(tmp_path, body, rests):
    assert read_one(tmp_path, body).problem == (
        f"it has more bars of rests than are read, by {rests}, so that its bars cannot be numbered"
    )
    assert len(read_one(tmp_path, "d8|Z900|e8|").tune.bars) == 902


def test_a_file_that_no_reader_takes_is_told(tmp_path, monkeypatch):
    path = tmp_path / "book.abc"
    path.write_text(BOOK["good"])
    monkeypatch.setattr(tune_texts.formats, "max_bytes", lambda limits: 10)
    (found,) = reading.read(str(path))
    assert found.problem == "larger than 0 MB; give another file"


def test_archives_are_judged_by_beam(tmp_path):
    (tmp_path / "books.zip").write_bytes(b"PK")
    with pytest.raises(UserError, match="archives are judged with --output=DIR"):
        reading.files_of([str(tmp_path / "books.zip")])


def test_drums_beside_a_melody_are_left_out():
    piece = reader.read(next(tunebook.tunes(BOOK["good"])))
    alone = reading.of_music(piece)
    piece.notes.add(
        pitch=38, velocity=80, start_time=0.25, end_time=0.3, is_drum=True, instrument=9
    )
    assert reading.of_music(piece) == alone
    drums = [note for note in piece.notes if note.is_drum]
    del piece.notes[:]
    piece.notes.extend(drums)
    assert reading.of_music(piece) is None
