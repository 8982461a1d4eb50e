"""Pieces written: where they end, and that a reader finds what was written."""

import io

import mido
import pytest

from pipelines.media import pieces
from pipelines.music import midi_reader
from tests.support.pieces import drums


def length(path) -> tuple[int, int]:
    """Ticks in a MIDI file, and in a quarter note, as mido reads them."""
    file = mido.MidiFile(file=io.BytesIO(path.read_bytes()))
    return max(sum(message.time for message in track) for track in file.tracks), file.ticks_per_beat


@pytest.mark.parametrize("qpm", [97.0, 120.0])
@pytest.mark.parametrize("last_hit", [0.0, 4.0, 7.9])
def test_a_loop_lasts_its_bars_wherever_its_last_hit_is(tmp_path, qpm, last_hit):
    quarter = 60 / qpm
    # A hit lasts 0.05 s, so that the last one would reach into the third bar.
    loop = drums([(0.0, 36, 90), (last_hit * quarter, 38, 70)], qpm=qpm)
    path = tmp_path / "loop.mid"
    pieces.write(pieces.end_at(loop, 8 * quarter), str(path), draw=False)
    ticks, resolution = length(path)
    assert ticks == 8 * resolution
    read = midi_reader.midi_to_note_sequence(path.read_bytes())
    found = sorted((note.start_time, note.pitch, note.velocity) for note in read.notes)
    expected = sorted([(0.0, 36, 90), (last_hit * quarter, 38, 70)])
    assert [note[1:] for note in found] == [note[1:] for note in expected]
    tick = quarter / resolution
    assert [note[0] for note in found] == pytest.approx([note[0] for note in expected], abs=tick)


def test_a_piece_of_unknown_length_keeps_its_end():
    piece = drums([(0.0, 36, 90)])
    before = piece.SerializeToString(deterministic=True)
    assert pieces.end_at(piece, None).SerializeToString(deterministic=True) == before
