"""Judgements on the page: what is written beside tunes, and where marked bars are heard."""

import json

import pytest

from pipelines.media import judgement, tune_texts
from pipelines.media.judgement import Mark, Opinion
from pipelines.media.page import folder, judged, marks, writing
from pipelines.media.page.judged import Judged
from pipelines.music import midi_writer
from pipelines.runtime.app import UserError
from tests.support.pieces import tune

HEAD = "M:4/4\nL:1/8\nQ:1/4=120\nK:C\n"
BOOK = f"%%titlefont x\n\nX:1\nT:One\n{HEAD}C2|D8|E6:|\n\nX:2\nT:Two\n{HEAD}C8|D8|]\n"
OPINIONS = (
    Opinion("rhythm", 1.0, "bar 2 is wrong", True, (Mark(1, "a </script> too long"),)),
    Opinion("mode", None, "cannot be judged"),
)


def read(path):
    """The tunes of a file, all judged alike."""
    texts = tune_texts.read(str(path)).tunes
    return [
        Judged(str(path), number, text, "rejected: rhythm", OPINIONS)
        for number, text in enumerate(texts, start=1)
    ]


def on_page(directory):
    """What the page shows of the judgements of its pieces, by title."""
    content = writing.page(str(directory)).decode()
    data = content.split('id="data">')[1].split("</script>")[0]
    return {
        card["title"]: card["tracks"][0]["pieces"][0]["judged"]
        for card in json.loads(data)["cards"]
    }


@pytest.fixture
def book(tmp_path):
    path = tmp_path / "book.abc"
    path.write_text(BOOK)
    return path


def test_tunes_judgements_and_page_are_in_one_folder(tmp_path, book):
    made = judged.write(str(tmp_path / "page"), read(book))
    assert made == str(tmp_path / "page" / "index.html")
    assert (tmp_path / "page" / "book.abc").read_bytes() == book.read_bytes()
    shown = on_page(tmp_path / "page")
    assert shown["One"] == {
        "verdict": "rejected: rhythm",
        "criteria": [
            {"name": "rhythm", "score": 1.0, "says": "bar 2 is wrong", "fails": True,
             "marks": [[1, "a </script> too long"]]},
            {"name": "mode", "score": None, "says": "cannot be judged", "fails": False,
             "marks": []},
        ],
        "bars": 3,
        # A rest of three quarters, the upbeat, and the marked bar: each lasts so many seconds.
        "spans": [[1, 2.0, 4.0], [1, 6.0, 8.0]],
    }  # fmt: skip
    assert shown["Two"]["spans"] == [[1, 2.0, 4.0]]


def test_what_is_said_cannot_end_the_script(tmp_path, book):
    made = judged.write(str(tmp_path / "page"), read(book))
    with open(made, "rb") as file:
        assert b"</script> too long" not in file.read()


def test_a_tune_that_was_changed_is_shown_without_its_judgement(tmp_path, book):
    judged.write(str(tmp_path / "page"), read(book))
    (tmp_path / "page" / "book.abc").write_text(BOOK.replace("C8|", "E8|"))
    shown = on_page(tmp_path / "page")
    assert shown["One"] and shown["Two"] is None


def test_midi_is_shown_in_notation(tmp_path):
    path = tmp_path / "tune.mid"
    path.write_bytes(
        midi_writer.note_sequence_to_midi(tune([(60 + n, 4 * n, 4) for n in range(8)]))
    )
    judged.write(str(tmp_path / "page"), read(path))
    assert (tmp_path / "page" / "tune.abc").exists()
    [shown] = on_page(tmp_path / "page").values()
    assert shown["bars"] == 2
    assert shown["spans"] == [[1, 2.0, 4.0]]


def test_files_of_one_name_are_kept_apart(tmp_path, book):
    (tmp_path / "sub").mkdir()
    other = tmp_path / "sub" / "book.abc"
    other.write_text(BOOK.replace("One", "Three"))
    judged.write(str(tmp_path / "page"), read(book) + read(other))
    assert (tmp_path / "page" / "book-2.abc").read_text() == other.read_text()
    assert {key[:2] for key in judgement.read(tmp_path / "page")} == {
        ("book.abc", 1), ("book.abc", 2), ("book-2.abc", 1), ("book-2.abc", 2)
    }  # fmt: skip


def test_a_page_is_made_anew_but_other_music_stays(tmp_path, book):
    page = tmp_path / "page"
    judged.write(str(page), read(book))
    book.write_text(BOOK.replace("D8", "F8"))
    judged.write(str(page), read(book))
    assert (page / "book.abc").read_text() == book.read_text()
    other = tmp_path / "other"
    other.mkdir()
    (other / "book.abc").write_text("X:1\nT:Mine\nK:C\nC8|\n")
    with pytest.raises(UserError, match="exists and holds other music"):
        judged.write(str(other), read(book))
    judged.write(str(other), read(book), overwrite=True)
    assert (other / "book.abc").read_text() == book.read_text()


def test_the_sound_of_an_older_tune_is_removed(tmp_path):
    path, page = tmp_path / "tune.abc", tmp_path / "page"
    path.write_text(f"X:1\n{HEAD}C8|\n")
    judged.write(str(page), read(path))
    (page / "tune.mp3").touch()
    judged.write(str(page), read(path))
    assert (page / "tune.mp3").exists()
    path.write_text(f"X:1\n{HEAD}D8|\n")
    judged.write(str(page), read(path))
    assert not (page / "tune.mp3").exists()


@pytest.mark.slow
def test_sound_is_made(tmp_path, book):
    pytest.importorskip("tinysoundfont")
    judged.write(str(tmp_path / "page"), read(book), audio="wav")
    assert len(list((tmp_path / "page" / "book-sound").iterdir())) == 2
    assert all(piece.sound for piece in folder.read(str(tmp_path / "page"), True))


def test_tunes_may_lie_in_the_folder_of_the_page(tmp_path, book):
    judged.write(str(tmp_path), read(book))
    assert book.read_text() == BOOK
    assert on_page(tmp_path)["Two"] is not None


def test_without_a_tune_there_is_no_page(tmp_path):
    with pytest.raises(UserError, match="none of the files has a tune"):
        judged.write(str(tmp_path / "page"), [])
    assert not (tmp_path / "page").exists()


def test_a_sound_of_another_length_gets_no_marks(tmp_path, book):
    [piece, _] = folder.read(str(tmp_path), False)
    said = judgement.Judgement("book.abc", 1, "", "", OPINIONS)
    assert marks.shown_on_page(piece, said)["spans"]
    piece.sequence.total_time += 1
    assert marks.shown_on_page(piece, said)["spans"] == []
    assert marks.shown_on_page(piece, said)["bars"] == 3


def test_notation_that_cannot_be_read_has_no_bars():
    said = judgement.Judgement("a.abc", 1, "", "", OPINIONS)
    shown = marks.shown_on_page(folder.Piece("a.abc", abc="words\n"), said)
    assert (shown["bars"], shown["spans"]) == (0, [])
