"""What is played on which channel, and when."""

import pytest

from pipelines.audio import events
from pipelines.audio.presets import Preset
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


BRUSH = Preset(128, 40, "Brush", is_drums=True)
FLUTE = Preset(0, 73, "Flute", is_drums=False)


def pitches(piece, preset=None):
    return [event.pitch for event in events.of(piece, preset=preset).events if event.on]


def test_a_preset_plays_drums_or_all_other_notes():
    piece = drums([(0.0, 36, 100)])
    piece.notes.add(pitch=69, velocity=90, end_time=1.0, program=12)
    part = events.of(piece, preset=BRUSH)
    assert part.programs == {9: (128, 40)} and pitches(piece, BRUSH) == [36]
    part = events.of(piece, preset=FLUTE)
    assert part.programs == {0: (0, 73)} and pitches(piece, FLUTE) == [69]
    # A kit may be in another bank than General MIDI's; it is played on the channel of drums.
    assert events.of(piece, preset=Preset(0, 0, "Kit", True)).programs == {9: (0, 0)}
    # What has a note of neither kind still has its length.
    assert events.of(drums([(0.5, 36, 100)]), preset=FLUTE).frames == round(0.55 * 44_100)


def test_drums_of_the_groove_dataset_have_general_midis_pitches():
    roland = [22, 26, 36, 38, 40, 43, 49, 52, 55, 57, 58]
    general = [42, 46, 36, 38, 38, 43, 49, 57, 49, 57, 43]
    piece = drums([(0.1 * i, pitch, 100) for i, pitch in enumerate(roland)])
    # In other music these are an electric snare, a china and a splash cymbal.
    assert pitches(piece, BRUSH) == [42, 46, 36, 38, 40, 43, 49, 52, 55, 57, 43]
    piece.collection_name = "groove"
    assert pitches(piece, BRUSH) == general
    # The listening page plays what it always did.
    assert pitches(piece) == [42, 46, 36, 38, 40, 43, 49, 52, 55, 57, 43]
