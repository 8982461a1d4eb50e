"""Keys: how pitches are spelled in them, their signatures and names, and keys that are guessed."""

import re

import pytest

from pipelines.music import keys
from pipelines.music.abc import reader, tunebook
from pipelines.music.note_sequence import NoteSequence

Modes = NoteSequence.KeySignature
C, D, E, F, G, A, B = 60, 62, 64, 65, 67, 69, 71
MAJOR = {name: (pitch % 12, Modes.MAJOR) for name, pitch in zip("CDEFGAB", (C, D, E, F, G, A, B))}


@pytest.mark.parametrize(
    ("key", "pitches", "written"),
    [
        (MAJOR["C"], [61, 63, 66, 68, 70], "^C_E^F^G_B"),
        (MAJOR["D"], [60, 61, 65, 66, 68], "=CC=FF^G"),
        ((G % 12, Modes.MINOR), [66, 65, 64, 63, 61], "^FF=EE_D"),
        ((A % 12, Modes.MINOR), [68, 67, 66, 65], "^GG^FF"),
        ((3, Modes.MAJOR), [59, 58, 61, 66, 57], "=B,B,_D_G=A,"),
        ((6, Modes.MAJOR), [60, 59, 62, 65, 53], "^B,B,^^CEE,"),
        (MAJOR["C"], [0, 12, 48, 59, 72, 83, 84, 96], "C,,,,,C,,,,C,B,cbc'c''"),
    ],
)
def test_spelling(key, pitches, written):
    key = keys.from_signature(Modes(key=key[0], mode=key[1]))
    # Each pitch in a bar of its own.
    spelled = [keys.Accidentals(key).sound([pitch], False) for pitch in pitches]
    assert spelled == [[name] for name in re.findall(r"[_=^]*\w[,']*", written)]


@pytest.mark.parametrize("pitch", range(128))
def test_every_pitch_in_every_key(pitch):
    for number in range(12):
        for mode in (Modes.MAJOR, Modes.MINOR, Modes.LOCRIAN, Modes.LYDIAN):
            key = keys.from_signature(Modes(key=number, mode=mode))
            letter, octave, alteration = key.spell(pitch)
            natural = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}[letter]
            assert 60 + 12 * octave + natural + alteration == pitch
            assert key.holds(pitch) == (alteration == key.alteration(letter))


@pytest.mark.parametrize(
    ("name", "fifths"),
    [("D", 2), ("Eb", -3), ("F#", 6), ("Am", 0), ("Ador", 1), ("Gmix", 0), ("Bm", 2), ("Cm", -3)],
)
def test_keys_and_their_signatures_by_our_reader(name, fifths):
    (text,) = tunebook.tunes(f"X:1\nK:{name}\nc4|")
    (signature,) = reader.read(text).key_signatures
    assert keys.from_signature(signature) == keys.Key(name, fifths)


@pytest.mark.parametrize("tonic", range(12))
@pytest.mark.parametrize(
    "scale, mode",
    [
        ((0, 2, 4, 5, 7, 9, 11, 7, 4, 0, 0), Modes.MAJOR),
        ((0, 2, 3, 5, 7, 8, 10, 7, 3, 0, 0), Modes.MINOR),
        ((0, 2, 3, 5, 7, 9, 10, 7, 3, 0, 0), Modes.DORIAN),
        ((0, 4, 7, 4, 0, 10, 2, 4, 5, 7, 9, 10, 7, 4, 10, 0, 0), Modes.MIXOLYDIAN),
    ],
)
def test_the_tonic_and_the_mode_of_a_scale_are_guessed_in_every_key(tonic, scale, mode):
    weights = keys.weigh((60 + tonic + step, 1.0) for step in scale)
    assert keys.guess_tonic(weights, 60 + tonic) == (tonic, mode)
    guessed = keys.guess(weights, 60 + tonic)
    assert guessed == keys.from_signature(Modes(key=tonic, mode=mode))
    assert keys.fits(guessed, weights)
    # A tritone away, five of the seven notes need accidentals.
    assert not keys.fits(keys.from_signature(Modes(key=(tonic + 6) % 12, mode=mode)), weights)


def test_how_long_each_pitch_class_sounds():
    weights = keys.weigh([(60, 1.5), (72, 0.5), (59, 2.0)])
    assert weights == [2.0, *[0.0] * 10, 2.0]
