"""Music that a user names: what is in a file counts, not what it is called."""

import pytest

from pipelines.media import pieces, reading
from pipelines.runtime.app import UserError
from tests.support.pieces import melody

TUNE = "X:{0}\nT:Tune {0}\nM:4/4\nL:1/4\nK:C\n{1}\n\n"
SCORE = (
    "<score-partwise><part id='P1'><measure><attributes><divisions>1</divisions></attributes>"
    "<note><pitch><step>C</step><octave>4</octave></pitch><duration>1</duration></note></measure>"
    "</part></score-partwise>"
)


@pytest.mark.parametrize("name", ["plain", "music.abc", "music.xml", "music.txt"])
def test_the_notation_shows_in_the_bytes(tmp_path, name):
    path = tmp_path / name
    pieces.write(melody([60, 62]), str(tmp_path / "two.mid"), draw=False)
    for data, pitches in [
        ((tmp_path / "two.mid").read_bytes(), [60, 62]),
        (TUNE.format(7, "CDEF|").encode(), [60, 62, 64, 65]),
        (SCORE.encode(), [60]),
    ]:
        path.write_bytes(data)
        piece = reading.read_piece(path)
        assert [note.pitch for note in piece.notes] == pitches
        assert piece.filename == str(path)


def test_a_tunebook_gives_all_tunes_or_the_first_and_says_so(tmp_path, capsys):
    path = tmp_path / "book.abc"
    path.write_text(TUNE.format(7, "z4|") + TUNE.format(8, "CDEF|") + TUNE.format(9, "C4|"))
    assert [piece.id for piece in reading.read_pieces(path)] == ["8", "9"]
    said = capsys.readouterr().err
    assert "book.abc, line 1: left out: " in said
    assert reading.read_piece(path).id == "8"
    assert "book.abc: 2 tunes; the first, 'Tune 8', is taken" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name, data, message",
    [
        ("a.mid", b"RIFF" * 9, "a.mid: not a MIDI file: .*give another file"),
        ("a.mxl", b"PK", "a.mxl: not readable as MusicXML"),
        ("a.abc", b"", "a.abc has no tune in it; give a .mid, an .abc or a .musicxml file"),
        ("a.abc", TUNE.format(1, "z4|").encode(), r"no tune in it that can be read \(line 1: "),
        ("a.wav", b"RIFF\0\0\1\2" * 99, "neither MIDI nor MusicXML nor text"),
    ],
)
def test_what_is_no_music_is_named_with_the_fix(tmp_path, name, data, message):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match=message):
        reading.read_pieces(tmp_path / name)


def test_a_folder_is_not_music(tmp_path):
    for read in (reading.read_pieces, reading.read_piece):
        with pytest.raises(UserError, match="is a folder; name a .mid, .abc or .musicxml file in"):
            read(tmp_path)
