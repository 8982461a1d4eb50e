"""MIDI written: the bytes that note_seq writes, by hand, and what MIDI cannot represent."""

import io
import random

import mido
import note_seq
import pytest

from pipelines.music import midi_reader, midi_writer
from pipelines.music.note_sequence import NoteSequence


def written_by_note_seq(sequence) -> bytes:
    buffer = io.BytesIO()
    note_seq.sequence_proto_to_pretty_midi(sequence).write(buffer)
    return buffer.getvalue()


def random_sequence(chance: random.Random) -> NoteSequence:
    """Chords, overlaps, notes without length or far apart, several instruments, tempos, meters."""
    sequence = NoteSequence(ticks_per_quarter=chance.choice([0, 96, 220, 480]))
    for _ in range(chance.choice([0, 1, 1, 1, 2])):
        qpm = chance.choice([120.0, 95.0, 33.3, chance.uniform(4, 900)])
        sequence.tempos.add(qpm=qpm, time=1.5 * len(sequence.tempos) or chance.choice([0, 0, 2]))
    for _ in range(chance.randrange(3)):
        sequence.time_signatures.add(
            time=chance.choice([0, 0, 2.3, 7]),
            numerator=chance.choice([3, 4, 6, 255]),
            denominator=chance.choice([1, 2, 4, 8, 32]),
        )
    for _ in range(chance.choice([0, 1, 20, 100])):
        start = chance.choice([0, chance.uniform(0, 20), chance.randrange(64) * 0.125])
        instrument = chance.choice([0, 1, 9, 30])
        sequence.notes.add(
            pitch=chance.choice([0, 36, 38, 127]),
            velocity=chance.randrange(128),
            start_time=start,
            end_time=start + chance.choice([0, 0.125, 0.0001, 90]),
            instrument=instrument,
            program={0: 5, 1: 40, 9: 0, 30: 127}[instrument],
            is_drum=instrument == 9,
        )
    if chance.random() < 0.1:
        sequence.key_signatures.add(key=NoteSequence.KeySignature.D)
    if chance.random() < 0.1:
        sequence.control_changes.add(time=1.0, control_number=64, control_value=127)
    return sequence


def test_what_is_written_is_what_note_seq_writes():
    for seed in range(300):
        sequence = random_sequence(random.Random(seed))
        expected = written_by_note_seq(sequence)
        assert midi_writer.note_sequence_to_midi(sequence) == expected, seed


def test_a_note_is_written_in_these_bytes():
    sequence = NoteSequence(ticks_per_quarter=480)
    sequence.tempos.add(qpm=100.0)
    sequence.time_signatures.add(numerator=6, denominator=8)
    # 800 ticks a second: 80 and 8,000 ticks.
    sequence.notes.add(
        pitch=36, velocity=90, start_time=0.1, end_time=10.1, instrument=9, is_drum=True
    )
    assert midi_writer.note_sequence_to_midi(sequence) == (
        b"MThd\0\0\0\x06\0\x01\0\x03\x01\xe0"
        # 600,000 microseconds a quarter; 6/2^3.
        b"MTrk\0\0\0\x13\0\xff\x51\x03\x09\x27\xc0\0\xff\x58\x04\x06\x03\x18\x08\x01\xff\x2f\0"
        b"MTrk\0\0\0\x07\0\xc0\0\x01\xff\x2f\0"
        b"MTrk\0\0\0\x18\0\xff\x03\x05Drums\0\xc9\0"
        b"\x50\x99\x24\x5a\xbe\x40\x24\0\x01\xff\x2f\0"
    )


def ends_of_tracks(data: bytes) -> list[int]:
    """The ticks at which the tracks of a MIDI file end, as mido reads them."""
    tracks = mido.MidiFile(file=io.BytesIO(data)).tracks
    assert all(track[-1].type == "end_of_track" for track in tracks)
    return [sum(message.time for message in track) for track in tracks]


@pytest.mark.parametrize("qpm", [120.0, 95.0, 33.3, 301.7])
@pytest.mark.parametrize("bars, last_hit", [(2, 0.0), (2, 7.75), (4, 15.99), (1, 3.5)])
def test_all_tracks_end_with_the_last_bar_so_that_a_loop_can_repeat(qpm, bars, last_hit):
    sequence = NoteSequence(ticks_per_quarter=220, total_time=4 * bars * 60 / qpm)
    sequence.tempos.add(qpm=qpm)
    sequence.time_signatures.add(numerator=4, denominator=4)
    start = last_hit * 60 / qpm
    end = min(start + 15 / qpm, sequence.total_time)
    sequence.notes.add(pitch=36, velocity=90, start_time=start, end_time=end, is_drum=True)
    data = midi_writer.note_sequence_to_midi(sequence)
    assert ends_of_tracks(data) == [4 * bars * 220] * 2
    [note] = midi_reader.midi_to_note_sequence(data).notes
    assert (note.pitch, note.velocity) == (36, 90)
    tick = 60 / qpm / 220
    assert note.start_time == pytest.approx(start, abs=tick)
    assert note.end_time == pytest.approx(end, abs=tick)


@pytest.mark.parametrize("total_time", [0.0, 0.3])
def test_a_file_lasts_as_long_as_its_notes_whatever_the_total_time_says(total_time):
    sequence = NoteSequence(ticks_per_quarter=220, total_time=total_time)
    sequence.notes.add(pitch=60, velocity=90, start_time=0.0, end_time=0.5)
    # As note_seq: a tick after the last event.
    assert max(ends_of_tracks(midi_writer.note_sequence_to_midi(sequence))) == 221


def test_programs_of_one_instrument_are_all_written():
    sequence = NoteSequence()
    for program in (0, 5, 73):
        sequence.notes.add(pitch=60, velocity=90, start_time=0, end_time=1, program=program)
    found = midi_reader.midi_to_note_sequence(midi_writer.note_sequence_to_midi(sequence))
    assert [note.program for note in found.notes] == [0, 5, 73]


@pytest.mark.parametrize(
    "make",
    [
        lambda s: s.notes.add(pitch=128, velocity=90, end_time=1),
        lambda s: s.notes.add(pitch=60, velocity=128, end_time=1),
        lambda s: s.notes.add(pitch=-1, velocity=90, end_time=1),
        lambda s: s.tempos.add(qpm=1.0),
        lambda s: s.tempos.add(qpm=0.0),
        lambda s: s.time_signatures.add(numerator=256, denominator=4),
        lambda s: s.time_signatures.add(numerator=4, denominator=3),
        lambda s: s.time_signatures.add(numerator=4, denominator=0),
    ],
)
def test_what_midi_has_no_number_for_is_refused(make):
    sequence = NoteSequence()
    make(sequence)
    with pytest.raises(ValueError, match="no tempo|no meter|0 to 127"):
        midi_writer.note_sequence_to_midi(sequence)
