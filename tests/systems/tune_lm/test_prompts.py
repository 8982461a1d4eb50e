import pytest
from note_seq.protobuf import music_pb2

from pipelines.music import midi_writer
from pipelines.music.abc.grid import WHOLE
from pipelines.representations.abc_tokens.written import Key, Note
from pipelines.runtime.app import UserError
from pipelines.systems.tune_lm import prompts
from tests.support.pieces import drums

EIGHTH = WHOLE // 8


def abc(tmp_path, body, key="K:D"):
    path = tmp_path / "tune.abc"
    path.write_text(f"X:1\nT:Mine\nR:jig\nM:6/8\nL:1/8\n{key}\n{body}\n")
    return str(path)


def midi(tmp_path, notes, meter=(4, 4), instruments=1):
    """A MIDI file at 120 quarters a minute of (pitch, begin, end) in eighths."""
    sequence = music_pb2.NoteSequence(ticks_per_quarter=220)
    sequence.tempos.add(qpm=120)
    sequence.time_signatures.add(numerator=meter[0], denominator=meter[1])
    for number, (pitch, begin, end) in enumerate(notes):
        sequence.notes.add(
            pitch=pitch, velocity=90, start_time=begin / 4, end_time=end / 4,
            instrument=number % instruments,
        )  # fmt: skip
    sequence.total_time = max(end for _, _, end in notes) / 4
    path = tmp_path / "tune.mid"
    path.write_bytes(midi_writer.note_sequence_to_midi(sequence))
    return str(path)


def test_notation_is_read_as_it_is_written(tmp_path):
    tune = prompts.read(abc(tmp_path, "A|d2f a2f|d3 z3"))
    assert (tune.title, tune.rhythm) == ("Mine", "jig")
    assert [bar.length for bar in tune.bars] == [EIGHTH, 6 * EIGHTH, 6 * EIGHTH]
    assert tune.bars[0].key == Key(2, "MAJOR")
    # The rest is written.
    assert tune.bars[-1].notes[-1] == Note(None, 3 * EIGHTH)


def test_midi_has_the_bars_of_its_meter(tmp_path):
    """A pickup of an eighth, a bar of 3/4 and two quarters of another one, in G."""
    notes = [(62, 5, 6), (67, 6, 8), (71, 8, 10), (74, 10, 12), (72, 12, 14), (67, 14, 16)]
    tune = prompts.read(midi(tmp_path, notes, (3, 4)))
    assert [bar.length for bar in tune.bars] == [EIGHTH, 6 * EIGHTH, 4 * EIGHTH]
    assert [bar.meter for bar in tune.bars] == [(3, 4)] * 3
    assert {bar.key for bar in tune.bars} == {Key(7, "MAJOR")}
    pitches = [note.pitch for bar in tune.bars for note in bar.notes]
    assert pitches == [62, 67, 71, 74, 72, 67]
    assert prompts.read(midi(tmp_path, notes), Key(4, "MINOR")).bars[0].key == Key(4, "MINOR")


def test_a_key_that_is_missing_is_found_from_the_notes(tmp_path):
    tune = prompts.read(abc(tmp_path, "d2^f a2^f|g2e ^c2A|d6|", key="K:none"))
    assert {bar.key for bar in tune.bars} == {Key(2, "MAJOR")}


def test_music_that_is_not_of_one_voice(tmp_path):
    with pytest.raises(
        UserError, match=r"tune.abc: in the bar of line 7: give a tune of one voice"
    ):
        prompts.read(abc(tmp_path, "[df]2f a2f|"))
    two = abc(tmp_path, "V:1\nd2f a2f|\nV:2\nD2F A2F|")
    with pytest.raises(UserError, match=r"tune.abc: 2 voices: give a tune of one voice"):
        prompts.read(two)
    chords = midi(tmp_path, [(60, 0, 2), (64, 0, 2), (67, 2, 8)])
    with pytest.raises(UserError, match=r"tune.mid: .*: give a tune of one voice"):
        prompts.read(chords)
    with pytest.raises(UserError, match=r"tune.mid: 2 voices: give a tune of one voice"):
        prompts.read(midi(tmp_path, [(60, 0, 2), (48, 1, 8)]))


def test_files_that_are_no_tune(tmp_path):
    with pytest.raises(UserError, match="is a folder; name a .mid, .abc"):
        prompts.read(str(tmp_path))
    empty = tmp_path / "empty.abc"
    empty.write_text("nothing\n")
    with pytest.raises(UserError, match=r"empty.abc has no tune in it"):
        prompts.read(str(empty))
    empty.write_bytes(b"\0\1\2\3" * 100)
    with pytest.raises(UserError, match="neither MIDI nor MusicXML nor text"):
        prompts.read(str(empty))
    beat = tmp_path / "beat.mid"
    beat.write_bytes(midi_writer.note_sequence_to_midi(drums([(0, 36, 100)])))
    with pytest.raises(UserError, match=r"beat.mid: only music with notes and without drums"):
        prompts.read(str(beat))
    free = midi(tmp_path, [(60, 0.01234, 1), (62, 1.3333, 2)])
    with pytest.raises(UserError, match=r"tune.mid: .*quantize the music"):
        prompts.read(free)
