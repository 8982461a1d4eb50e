"""The melody of a piece: its first voice, its highest notes, and what is no single line."""

import itertools

import numpy as np
import pytest

from pipelines.music import melody
from pipelines.music.note_sequence import NoteSequence


def piece(*notes):
    """A NoteSequence of (pitch, instrument, whether it is a drum)."""
    sequence = NoteSequence()
    for pitch, instrument, is_drum in notes:
        sequence.notes.add(pitch=pitch, instrument=instrument, is_drum=is_drum)
    return sequence


def pitches(sequence):
    return [note.pitch for note in melody.first_voice(sequence)]


def test_the_first_voice_is_the_lowest_instrument_that_has_notes():
    assert pitches(piece((60, 2, False), (62, 1, False), (64, 2, False), (65, 1, False))) == [
        62,
        65,
    ]
    assert pitches(piece((60, 3, False))) == [60]


def test_drums_are_no_voice_wherever_they_stand():
    drum, note = (36, 0, True), (60, 1, False)
    assert pitches(piece(drum, note)) == pitches(piece(note, drum)) == [60]
    # An instrument may have both.
    assert pitches(piece((36, 1, True), note, (62, 4, False))) == [60]
    assert pitches(piece(drum)) == pitches(NoteSequence()) == []


def test_pitched_pieces_have_notes_and_no_drums():
    assert melody.is_pitched(piece((60, 0, False), (62, 1, False)))
    assert not melody.is_pitched(piece((60, 0, False), (36, 9, True)))
    assert not melody.is_pitched(NoteSequence())


def test_the_highest_notes_by_hand():
    onsets = np.array([4, 0, 4, 0, 7, 4])
    found = melody.highest(onsets, np.array([60, 72, 64, 67, 50, 64]), np.array([5, 1, 5, 9, 8, 6]))
    # At 0 the 72; at 4 two of pitch 64, of which the last is longer; at 7 the only one.
    assert found.tolist() == [1, 5, 4]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_the_order_of_the_notes_makes_no_difference(order):
    notes = np.array([(0, 60, 1), (0, 64, 1), (0, 64, 2), (1, 50, 2)])[list(order)]
    picked = notes[melody.highest(*notes.T)]
    assert picked.tolist() == [[0, 64, 2], [1, 50, 2]]


def polyphonic(*notes):
    starts, ends = np.array(notes, float).T
    return melody.is_polyphonic(starts, ends, least=0.5)


def test_notes_that_sound_at_once_for_longer_than_a_tie():
    assert not polyphonic((0, 4))
    assert not polyphonic((0, 4), (4, 8))
    # Half a unit is how one note is tied to the next; more is not.
    assert not polyphonic((0, 4.5), (4, 8))
    assert polyphonic((0, 4.6), (4, 8))
    # Short notes share over half of the shorter one: 0.4 of 0.6.
    assert polyphonic((0, 1), (0.6, 1.2))
    assert not polyphonic((0, 1), (0.7, 1.3))


def test_a_long_note_sounds_under_all_that_follow():
    assert polyphonic((0, 9), (0.2, 0.4), (5, 6))
    assert polyphonic((0, 4), (0, 4))
    # Each is tied to the one before, none sounds with another.
    assert not polyphonic((0, 1.1), (1, 2.1), (2, 3.1), (3, 4))
