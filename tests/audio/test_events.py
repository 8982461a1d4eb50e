"""What is played on which channel, and when."""

import pytest

from pipelines.audio import events
from tests.support.pieces import drums, melody

FIDDLE, PIANO = (0, 40), (0, 0)


def programs(piece, instrument=None):
    return list(events.of(piece, instrument).programs.values())


def test_frames_by_hand():
    part = events.of(drums([(0.5, 36, 100), (0.5, 22, 7)]))
    assert part.programs == {9: (128, 0)} and part.frames == round(0.55 * 44_100)
    # Drums sound for a second, however short their notes are; ends come before begins.
    assert list(part.events) == [
        (22_050, True, 9, 36, 100),
        (22_050, True, 9, 42, 7),
        (66_150, False, 9, 36, 0),
        (66_150, False, 9, 42, 0),
    ]
    part = events.of(melody([60, 60], seconds=0.5))
    assert [(event.frame, event.on) for event in part.events] == [
        *((0, True), (22_050, False), (22_050, True), (44_100, False))
    ]


@pytest.mark.parametrize("name, program", [
    ("", FIDDLE),
    ("Melody", FIDDLE),
    ("Piano", PIANO),
    ("Klavier rechts", PIANO),
    ("Acoustic Grand Piano", FIDDLE),  # pretty_midi's own name of a track that says nothing.
])  # fmt: skip
def test_program_0_is_a_piano_where_its_track_is_called_one(name, program):
    piece = melody([60])
    piece.instrument_infos.add(instrument=0, name=name)
    assert programs(piece) == [program]
    assert programs(piece, "flute") == [(0, 73)]


def test_program_0_is_a_piano_beside_other_programs():
    piece = melody([60, 40])
    piece.notes[1].program, piece.notes[1].instrument = 33, 1
    assert programs(piece) == [PIANO, (0, 33)]
    # Drums say nothing of the melody beside them.
    piece.notes[1].is_drum = True
    assert programs(piece) == [FIDDLE, (128, 0)]


def test_a_midi_file_says_its_piano(tmp_path):
    """A program change to 0 is in every file of note-seq and pretty_midi, and so says nothing."""
    mido = pytest.importorskip("mido")
    from pipelines.media import reading

    for name, expected in (("Piano", PIANO), ("", FIDDLE)):
        track = mido.MidiTrack([mido.MetaMessage("track_name", name=name)] if name else [])
        track += [
            mido.Message("program_change", program=0),
            mido.Message("note_on", note=60, velocity=90),
            mido.Message("note_off", note=60, time=480),
        ]
        mido.MidiFile(tracks=[track]).save(tmp_path / "a.mid")
        assert programs(reading.read_piece(tmp_path / "a.mid")) == [expected]
