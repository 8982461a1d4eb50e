"""The command `page`: it makes the sound that pieces lack."""

import pytest

from pipelines.media import pieces
from tests.support.jobs import error_of, job
from tests.support.pieces import drums, melody


@pytest.mark.slow
def test_the_page_makes_the_sound_that_is_missing(tmp_path):
    pytest.importorskip("tinysoundfont")
    for name, piece in (("a", drums([(0.0, 36, 100)])), ("b <é>", melody([60, 62]))):
        pieces.write(piece, str(tmp_path / f"{name}.mid"), draw=False)
    pieces.write(drums([]), str(tmp_path / "empty.mid"), draw=False)
    (tmp_path / "a.wav").write_bytes(b"of its own")
    (tmp_path / "damaged.mid").write_bytes(b"MThd")
    (tmp_path / "book.abc").write_text("X:1\nT:A\nK:C\nCDEF|\n\nX:2\nT:B\nK:C\nGABc|\n")
    done = job("page", "--audio=none", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.glob("*.mp3"))
    done = job("page", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.glob("*.mp3")] == ["b <é>.mp3"]
    # Each tune of the book has its own sound, and keeps it where another is put before it.
    sounds = {path: path.read_bytes() for path in (tmp_path / "book-sound").iterdir()}
    assert len(sounds) == 2 and {path.suffix for path in sounds} == {".mp3"}
    assert len(set(sounds.values())) == 2
    book = (tmp_path / "book.abc").read_text()
    (tmp_path / "book.abc").write_text("X:3\nT:New\nK:C\ncdef|\n\n" + book)
    assert job("page", "--instrument=flute", str(tmp_path)).returncode == 0
    new = set((tmp_path / "book-sound").iterdir()) - set(sounds)
    assert len(new) == 1 and all(path.read_bytes() == sounds[path] for path in sounds)
    assert (tmp_path / "a.wav").read_bytes() == b"of its own"
    page = (tmp_path / "index.html").read_text()
    assert "b%20%3C%C3%A9%3E.mp3" in page
    assert all(f"./book-sound/{path.name}" in page for path in (*sounds, *new))


def test_a_folder_that_does_not_exist(tmp_path):
    assert "does not exist; name a folder" in error_of(job("page", str(tmp_path / "none")))
