"""The formats of music: what a file is shows in its bytes, or else in its name."""

import io
import zipfile

import mido
import pytest

from pipelines.music import formats, midi_reader
from pipelines.music.limits import Limits, Rejected
from tests.support import groove_release

SCORE = (
    b"<score-partwise><part id='P1'><measure><attributes><divisions>1</divisions></attributes>"
    b"<note><pitch><step>C</step><octave>4</octave></pitch><duration>1</duration></note></measure>"
    b"</part></score-partwise>"
)
MIDI = groove_release.midi_bytes(groove_release.hits((36, 100, 0), (38, 90, 0)))
TUNE = b"X:%d\nT:Tune\nM:4/4\nL:1/4\nK:C\n%b\n\n"


def packed(data):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("META-INF/container.xml", "<container/>")
        archive.writestr("score.xml", data)
    return stream.getvalue()


@pytest.mark.parametrize(
    "name, data, expected",
    [
        ("a.mid", MIDI, True),
        ("a", MIDI, True),
        ("a.xml", SCORE, True),
        ("a", SCORE.decode().encode("utf-16"), True),
        ("a.KAR", b"", True),
        ("a.mxl", packed(SCORE), True),
        ("a.zip", packed(SCORE), False),
        ("a.xml", b"<?xml version='1.0'?><settings/>", False),
        ("a.abc", TUNE % (1, b"CDEF|"), False),
        ("a.wav", b"RIFF\0\0\0\0WAVE", False),
        ("a", b"", False),
    ],
)
def test_what_may_be_read_as_a_score(name, data, expected):
    assert formats.has_score(name, data[: formats.LOOKED_AT]) is expected
    if not expected and name != "a.zip":
        assert formats.scores(name, data) is None


def test_scores_of_each_format():
    for name, data, pitches in (("x", MIDI, [36, 38]), ("x", SCORE, [60])):
        [piece] = formats.scores(name, data)
        assert [note.pitch for note in piece.notes] == pitches and not piece.id
    for name in ("a.mid", "a.mxl"):
        with pytest.raises(Rejected, match="malformed"):
            formats.scores(name, b"neither")
    with pytest.raises(Rejected, match="too_many_notes"):
        formats.scores("a", MIDI, Limits(max_notes=1))


def patterns(*tracks, kind=2):
    file = mido.MidiFile(type=kind, ticks_per_beat=96)
    file.tracks.extend(mido.MidiTrack(track) for track in tracks)
    stream = io.BytesIO()
    file.save(file=stream)
    return stream.getvalue()


def quarter(pitch, tempo=None):
    start = [mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(tempo))] if tempo else []
    on = mido.Message("note_on", note=pitch, velocity=80)
    return [*start, on, mido.Message("note_off", note=pitch, time=96)]


def test_the_tracks_of_a_file_of_type_2_are_pieces_each_with_its_tempo():
    data = patterns(quarter(60, 60), [mido.MetaMessage("text", text="none")], quarter(64, 240))
    pieces = formats.scores("a.mid", data)
    assert [(piece.id, piece.notes[0].pitch, piece.total_time) for piece in pieces] == [
        ("1", 60, 1.0),
        ("3", 64, 0.25),
    ]
    # As voices of one piece where the file says so, or has one track.
    [piece] = formats.scores("a.mid", patterns(quarter(60, 60), quarter(64), kind=1))
    assert len(piece.notes) == 2
    [piece] = formats.scores("a.mid", patterns(quarter(60, 60)))
    assert not piece.id and len(piece.notes) == 1
    with pytest.raises(Rejected, match="no_notes"):
        formats.scores("a.mid", patterns([], []))


def test_damaged_files_of_type_2_are_rejected():
    data = patterns(quarter(60), quarter(64))
    for size in range(4, len(data)):
        with pytest.raises(Rejected):
            formats.scores("a.mid", data[:size])
    assert midi_reader.patterns(data[:-30]) == []


def test_lyrics_of_karaoke_files_are_passed_over():
    words = [mido.MetaMessage("text", text="@TSong"), mido.MetaMessage("lyrics", text="la")]
    [piece] = formats.scores("a.kar", groove_release.midi_bytes([*words, *quarter(60)]))
    assert [note.pitch for note in piece.notes] == [60]


def test_tunes_and_those_that_cannot_be_read():
    data = TUNE % (7, b"CDEF|") + TUNE % (7, b"z4|") + TUNE % (7, b"C4|")
    first, second, third = formats.tunes(data)
    assert (first.id, third.id) == ("7", "7:15")
    assert isinstance(second, formats.Unread) and second.line == 8
    with pytest.raises(Rejected, match="not_text"):
        list(formats.tunes(b"\0\1\2" * 99))
