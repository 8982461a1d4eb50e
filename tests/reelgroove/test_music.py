"""Music in and out of Python: files, pictures, and what counts as a piece."""

import os
import subprocess
import sys

import mido
import numpy as np
import pytest
import soundfile

import reelgroove
from reelgroove import music
from tests.support.jobs import ROOT
from tests.support.pieces import melody

TUNE = "X:1\nT:One\nM:4/4\nL:1/4\nK:G\nGABc|d4|\n\nX:2\nT:Two\nM:4/4\nL:1/4\nK:D\ndcBA|\n"


@pytest.fixture
def piece():
    return melody([60, 62, 64, 65])


@pytest.fixture
def book(tmp_path):
    (tmp_path / "book.abc").write_text(TUNE)
    return tmp_path / "book.abc"


def test_what_is_public_is_documented():
    assert sorted(reelgroove.__all__) == reelgroove.__all__ == dir(reelgroove)
    for name in set(reelgroove.__all__) - {"NoteSequence"}:
        assert getattr(reelgroove, name).__doc__.strip(), name


def test_nothing_heavy_is_imported_at_first():
    code = (
        "import sys, reelgroove\n"
        "heavy = {'tensorflow', 'keras', 'note_seq', 'magenta', 'matplotlib', 'apache_beam'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_files_are_read_and_written(book, piece, tmp_path):
    one, _ = reelgroove.read(book)
    assert [note.pitch for note in one.notes] == [67, 69, 71, 72, 74]
    path = reelgroove.save(piece, tmp_path / "a.mid")
    assert path == str(tmp_path / "a.mid")
    [again] = reelgroove.read(path)
    assert [note.pitch for note in again.notes] == [60, 62, 64, 65]
    assert mido.MidiFile(path).length == pytest.approx(2.0)
    reelgroove.save(piece, tmp_path / "a.abc")
    [tune] = reelgroove.read(tmp_path / "a.abc")
    assert [note.pitch for note in tune.notes] == [60, 62, 64, 65]
    assert tune.sequence_metadata.title == "a"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.abc", "a.mid", "book.abc"]


def test_a_piece_is_heard(piece, tmp_path):
    pytest.importorskip("tinysoundfont")
    samples, rate = reelgroove.render(piece, "piano")
    assert samples.shape[1] == 2 and len(samples) >= 2 * rate and np.abs(samples).max() > 0.01
    for ending in ("mp3", "flac", "wav"):
        path = reelgroove.save(piece, tmp_path / f"a.{ending}")
        assert soundfile.info(path).duration > 2
    with pytest.raises(reelgroove.Error, match=r"none\.sf2: no such sound font"):
        reelgroove.render(piece, sound_font=tmp_path / "none.sf2")


def test_a_home_folder_is_found(tmp_path, piece, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert reelgroove.save(piece, "~/a.mid") == str(tmp_path / "a.mid")
    assert len(reelgroove.read("~/a.mid")) == 1


def test_a_picture_is_shown_by_notebooks(piece, tmp_path):
    picture = reelgroove.show(piece, "four notes")
    assert picture._repr_png_() == bytes(picture) and bytes(picture)[:8] == b"\x89PNG\r\n\x1a\n"
    assert repr(picture) == f"<Picture: PNG, {len(bytes(picture))} bytes>"
    reelgroove.save(piece, tmp_path / "four notes.png")
    assert (tmp_path / "four notes.png").read_bytes() == bytes(picture)


def test_what_is_no_piece_is_an_exception_that_says_so(piece, tmp_path):
    with pytest.raises(reelgroove.Error, match="not list; reelgroove.read gives those of a file"):
        reelgroove.show([piece])
    with pytest.raises(reelgroove.Error, match="ends in '.ogg'; save as .mid, .abc, .png"):
        reelgroove.save(piece, tmp_path / "a.ogg")
    drums = melody([36])
    drums.notes[0].is_drum = True
    with pytest.raises(reelgroove.Error, match="a.abc"):
        reelgroove.save(drums, tmp_path / "a.abc")
    with pytest.raises(FileNotFoundError):
        reelgroove.read(tmp_path / "absent.mid")
    with pytest.raises(reelgroove.Error, match="is a folder; name a .mid"):
        reelgroove.read(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_file_is_saved_as_another_one(book, tmp_path):
    reelgroove.save(str(book), tmp_path / "a.mid")
    [again] = reelgroove.read(tmp_path / "a.mid")
    # The first of its two tunes.
    assert [note.pitch for note in again.notes] == [67, 69, 71, 72, 74]
    with pytest.raises(reelgroove.Error, match="a piece is a NoteSequence or a path, not list"):
        reelgroove.save([again], tmp_path / "b.mid")


def test_advice_to_save_as_midi_is_for_abc_alone(piece, tmp_path):
    drums = melody([36])
    drums.notes[0].is_drum = True
    with pytest.raises(reelgroove.Error, match="; save as .mid or .png$"):
        reelgroove.save(drums, tmp_path / "a.abc")
    piece.tempos[0].qpm = -5
    with pytest.raises(reelgroove.Error, match="a.mid: MIDI has no tempo of -5.0 quarters a min"):
        reelgroove.save(piece, tmp_path / "a.mid")
    with pytest.raises(reelgroove.Error, match="quarters a minute$"):
        reelgroove.save(piece, tmp_path / "a.mid")


def test_one_piece_or_several_count_alike(book, piece):
    assert len(music.pieces_of(piece)) == 1
    assert len(music.pieces_of(book)) == 2
    assert len(music.pieces_of([str(book), piece])) == 3
