"""Melodies of NoteSequences: the same in every key and at every tempo, and bad input."""

import random

import numpy as np
import pytest

from pipelines.music import midi_reader
from pipelines.music.abc import reader, tunebook
from pipelines.music.note_sequence import NoteSequence
from pipelines.representations import scale_degrees
from pipelines.representations.scale_degrees import (
    MAX_NOTES,
    METERS,
    MODES,
    NOTE_SIZES,
    NoMelodyError,
)

Mode = NoteSequence.KeySignature
MIDI = NoteSequence.SourceInfo.MIDI
# The numbers of some lengths: their place among 1.5, 2, 3, 4, 6, 8, 9, 12, ... ticks, from 1.
THIRTY_SECOND, SIXTEENTH, EIGHTH, QUARTER = 1, 3, 5, 8
MAJOR, MINOR, DORIAN = 1, 2, 3
# No meter, a rare one, then 2/2, 2/4, 3/4, 4/4, 3/8, 6/8.
FREE, RARE, THREE_FOUR, FOUR_FOUR, SIX_EIGHT = 0, 1, 4, 5, 7


def tune(notes, qpm=120.0, key=None, meter=(4, 4), start=0.0):
    """A NoteSequence.

    Args:
      notes: (pitch, length in quarters), one after the other; no pitch is a rest.
      key: tonic and mode.
    """
    sequence = NoteSequence()
    sequence.tempos.add(qpm=qpm)
    if meter:
        sequence.time_signatures.add(numerator=meter[0], denominator=meter[1])
    if key:
        sequence.key_signatures.add(key=key[0], mode=key[1])
    at = start
    for pitch, length in notes:
        if pitch is not None:
            times = dict(start_time=at * 60 / qpm, end_time=(at + length) * 60 / qpm)
            sequence.notes.add(pitch=pitch, velocity=90, **times)
        at += length
    return sequence


def abc(text):
    """The NoteSequence of a tune of ABC notation."""
    [found] = tunebook.tunes(text)
    return reader.read(found)


def same(first, second):
    np.testing.assert_array_equal(first.notes, second.notes)
    assert first[1:] == second[1:]


def column(read, name):
    return read.notes[:, list(NOTE_SIZES).index(name)].tolist()


def transposed(sequence, by, signature=True):
    moved = NoteSequence()
    moved.CopyFrom(sequence)
    for note in moved.notes:
        note.pitch += by
    for key in moved.key_signatures if signature else ():
        key.key = (key.key + by) % 12
    return moved


def random_tune(rng, with_key):
    """A tune that leaves room for two octaves, with chords, rests and odd lengths."""
    sequence = NoteSequence()
    sequence.tempos.add(qpm=rng.uniform(40, 240))
    if rng.random() < 0.8:
        meter = rng.choice([(2, 4), (3, 4), (4, 4), (6, 8), (9, 8), (5, 4), (7, 8)])
        sequence.time_signatures.add(numerator=meter[0], denominator=meter[1])
    if with_key:
        sequence.key_signatures.add(key=rng.randrange(12), mode=rng.choice(range(10)))
    at = rng.random()
    scale = rng.choice([(0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), range(12)])
    low = rng.randrange(28, 60)
    for _ in range(rng.randrange(6, 60)):
        length = rng.choice([0.1, 0.25, 1 / 3, 0.5, 1, rng.random()])
        for _ in range(1 + (rng.random() < 0.1)):
            pitch = low + 12 * rng.randrange(3) + rng.choice(scale)
            sequence.notes.add(pitch=pitch, velocity=1, start_time=at, end_time=at + length)
        at += length + rng.choice([0, 0, 0.5])
    return sequence


def test_a_tune_by_hand():
    # Bars of 4/4 are 48 ticks. In D: d(62) for 12 ticks, f#(66) 6, a(69) 6, d'(74) 24; d 12.
    # The mean pitch, (62*12 + 66*6 + 69*6 + 74*24 + 62*12) / 60 = 4074 / 60 = 67.9, is nearest to
    # the tonic 62 (5.9 away, and 6.1 from 74), and pitch 25 of the column is the tonic itself.
    read = scale_degrees.read(
        tune([(62, 1), (66, 0.5), (69, 0.5), (74, 2), (62, 1)], key=(2, Mode.MAJOR))
    )
    assert column(read, "pitch") == [25, 29, 32, 37, 25]
    assert column(read, "interval") == [0, 29, 28, 30, 13]
    # A half note, 24 ticks, is the eleventh length.
    assert column(read, "length") == [QUARTER, EIGHTH, EIGHTH, 11, QUARTER]
    assert column(read, "position") == [1, 13, 19, 25, 1]
    assert read[1:] == (FOUR_FOUR, MAJOR, 0)
    assert read.notes.dtype == np.uint8


def test_degrees_are_free_of_octave_meter_and_mode():
    notes = [(62, 1), (66, 0.5), (69, 0.5), (73, 2), (61, 1)]
    read = scale_degrees.read(tune(notes, key=(2, Mode.MAJOR)))
    # In D: d f# a c#' c#, from 0 to 11; the lengths as they are.
    expected = [[0, QUARTER], [4, EIGHTH], [7, EIGHTH], [11, 11], [11, QUARTER]]
    assert read.degrees().tolist() == expected
    lower = [(pitch - 24, length) for pitch, length in notes]
    other = scale_degrees.read(tune(lower, key=(2, Mode.MAJOR), meter=(3, 4)))
    assert other.degrees().tolist() == expected
    # Two octaves around the tonic, clipped to it: each is a degree of its own octave.
    notes = np.array([[pitch, 0, 1, 1] for pitch in range(1, 50)], np.uint8)
    degrees = scale_degrees.Melody(notes, 0, 1, 0).degrees()[:, 0]
    assert degrees.tolist() == [(pitch - 25) % 12 for pitch in range(1, 50)]


def test_of_two_tonics_as_near_the_higher():
    # Notes on f# alone are six semitones from c below and above.
    read = scale_degrees.read(tune([(65, 1), (67, 1)] * 3, key=(0, Mode.MAJOR)))
    assert column(read, "pitch") == [25 - 7, 25 - 5] * 3


def test_a_pickup_ends_a_bar():
    read = scale_degrees.read(abc("X:1\nM:6/8\nL:1/8\nK:G\nD|GAB c2d|e3 d3|\n"))
    # Bars of 36 ticks; the pickup is their last eighth. g a b: an eighth each, c a quarter.
    assert column(read, "position") == [31, 1, 7, 13, 19, 31, 1, 19]
    assert (read.meter, read.mode) == (SIX_EIGHT, MAJOR)


def test_meters_of_the_same_bar_are_told_apart():
    notes = [(67, 0.5)] * 6 + [(62, 1.5)] * 2
    three, six = (scale_degrees.read(tune(notes, meter=meter)) for meter in ((3, 4), (6, 8)))
    assert (three.meter, six.meter) == (THREE_FOUR, SIX_EIGHT)
    np.testing.assert_array_equal(three.notes, six.notes)
    assert column(six, "position") == [1, 7, 13, 19, 25, 31, 1, 19]


def test_free_and_rare_meters():
    notes = [(67, 0.5)] * 6
    free, rare = (scale_degrees.read(tune(notes, meter=meter)) for meter in (None, (7, 8)))
    assert free.meter == FREE and column(free, "position") == [0] * 6
    # Bars of 42 ticks.
    assert rare.meter == RARE and column(rare, "position") == [1, 7, 13, 19, 25, 31]


def test_a_change_of_meter_starts_a_bar():
    sequence = tune([(67, 1)] * 8, meter=(4, 4))
    sequence.time_signatures.add(time=2.5, numerator=3, denominator=4)
    # After five quarters, three to a bar; given out of order, it is the same.
    read = scale_degrees.read(sequence)
    assert column(read, "position") == [1, 13, 25, 37, 1, 1, 13, 25]
    assert read.meter == FOUR_FOUR
    sequence.time_signatures.reverse()
    same(scale_degrees.read(sequence), read)


@pytest.mark.parametrize("first", [(2, 4), (9, 8)])
def test_of_several_meters_at_one_time_the_last_holds(first):
    """In the file's order, whichever number is larger; for the meter and the positions."""
    sequence = tune([(67, 1)] * 6, meter=first)
    sequence.time_signatures.add(numerator=3, denominator=4)
    same(scale_degrees.read(sequence), scale_degrees.read(tune([(67, 1)] * 6, meter=(3, 4))))


def test_the_meter_is_that_of_the_first_note():
    """A bar of another meter to count in."""
    sequence = tune([(None, 1), *[(67, 1)] * 6], meter=(1, 4))
    sequence.time_signatures.add(time=0.5, numerator=3, denominator=4)
    assert scale_degrees.read(sequence).meter == THREE_FOUR


def test_impossible_meters_are_passed_over():
    notes = [(67, 1)] * 6
    expected = scale_degrees.read(tune(notes, meter=(3, 4)))
    for time, numerator, denominator in (
        (0, 0, 4), (0, 3, 0), (0, -3, 4), (float("nan"), 2, 4), (float("inf"), 2, 4), (1e300, 2, 4),
    ):  # fmt: skip
        sequence = tune(notes, meter=(3, 4))
        sequence.time_signatures.add(time=time, numerator=numerator, denominator=denominator)
        same(scale_degrees.read(sequence), expected)


def test_midi_without_a_meter_is_in_four():
    sequence = tune([(67, 1)] * 6, meter=None)
    sequence.source_info.encoding_type = MIDI
    assert scale_degrees.read(sequence).meter == FOUR_FOUR


def test_a_key_that_fits_is_believed_and_another_is_not():
    scale = [(60 + step, 1) for step in (0, 2, 4, 5, 7, 9, 11, 12)]
    # The notes of C major: in D dorian, they begin two below the tonic.
    dorian = scale_degrees.read(tune(scale, key=(2, Mode.DORIAN)))
    assert dorian.mode == DORIAN and column(dorian, "pitch")[0] == 25 - 2
    # F# major has two of these notes.
    for key in ((6, Mode.MAJOR), None, (0, Mode.NOT_SPECIFIED)):
        guessed = scale_degrees.read(tune(scale, key=key))
        assert guessed.mode == MAJOR and set(column(guessed, "pitch")) >= {25 - 12 + 7, 25}
    same(guessed, scale_degrees.read(tune(scale, key=(2, Mode.DORIAN)), guess_key=True))


def test_in_midi_the_key_is_guessed():
    """A minor scale under C major, as most programs write it."""
    notes = [(57 + step, 1) for step in (0, 2, 3, 5, 7, 8, 7, 5, 3, 2, 0, 0)]
    sequence = tune(notes, key=(0, Mode.MAJOR))
    assert scale_degrees.read(sequence).mode == MAJOR
    sequence.source_info.encoding_type = MIDI
    read = scale_degrees.read(sequence)
    assert read.mode == MINOR and column(read, "pitch")[-1] == 25


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(60))
def test_transposing_makes_no_difference(seed):
    rng = random.Random(seed)
    with_key = seed % 3 > 0
    sequence = random_tune(rng, with_key)
    if seed % 4 == 0:
        sequence.source_info.encoding_type = MIDI
    for guess in (False, True):
        read = scale_degrees.read(sequence, guess)
        for by in range(-28, 29):
            same(scale_degrees.read(transposed(sequence, by), guess), read)
        if not with_key or guess or seed % 4 == 0:
            same(scale_degrees.read(transposed(sequence, 5, signature=False), guess), read)


@pytest.mark.parametrize("seed", range(20))
def test_a_midi_file_transposed(seed):
    rng = random.Random(seed)

    def write(by):
        again = random.Random(seed)
        events = b"\x00\xff\x59\x02\x01\x00" + b"\x00\xff\x58\x04\x03\x02\x18\x08"
        for _ in range(30):
            pitch, length = 48 + again.randrange(24) + by, again.choice([24, 48, 72, 96])
            events += bytes([0, 0x90, pitch, 80, length, 0x80, pitch, 0])
        events += b"\x00\xff\x2f\x00"
        head = b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x00\x60"
        data = head + b"MTrk" + len(events).to_bytes(4, "big") + events
        return scale_degrees.read(midi_reader.midi_to_note_sequence(data))

    for by in (-48, -12, 12, 55, rng.randrange(-48, 55)):
        same(write(by), write(0))
    assert write(0).meter == THREE_FOUR and len(write(0).notes) == 30


@pytest.mark.parametrize("seed", range(60))
def test_tempo_makes_no_difference(seed):
    """Note values down to sixty-fourths, which lie between ticks, at many tempos, with changes."""
    rng = random.Random(seed)
    lengths = [rng.choice([1 / 16, 1 / 8, 0.25, 1 / 3, 0.5, 1, 1.5]) for _ in range(80)]
    pitches = [rng.randrange(55, 80) for _ in lengths]
    expected = scale_degrees.read(tune(zip(pitches, lengths), qpm=60.0, meter=(6, 8)))
    other = tune(zip(pitches, lengths), qpm=rng.uniform(30, 300), meter=(6, 8))
    same(scale_degrees.read(other), expected)
    changing = NoteSequence()
    changing.time_signatures.add(numerator=6, denominator=8)
    seconds = 0.0
    for at, (pitch, length) in enumerate(zip(pitches, lengths)):
        if at % 9 == 0:
            qpm = rng.uniform(30, 300)
            changing.tempos.add(time=seconds, qpm=qpm)
        end = seconds + length * 60 / qpm
        changing.notes.add(pitch=pitch, velocity=1, start_time=seconds, end_time=end)
        seconds = end
    same(scale_degrees.read(changing), expected)


def test_thirty_second_notes_are_all_of_one_length():
    """They begin on ticks and between them."""
    read = scale_degrees.read(tune([(60, 0.125)] * 8 + [(60, 0.25)] * 4, qpm=97.0))
    assert column(read, "length") == [THIRTY_SECOND] * 8 + [SIXTEENTH] * 4
    # Between two ticks, the later: 0, 1.5, 3, 4.5, ...
    assert column(read, "position")[:5] == [1, 3, 4, 6, 7]


def test_starting_bars_later_makes_no_difference():
    notes = [(60, 0.125), (64, 1), (67, 0.5), (60, 2)] * 3
    same(scale_degrees.read(tune(notes, qpm=71, start=8)), scale_degrees.read(tune(notes, qpm=71)))


def test_chords_drums_and_other_voices():
    expected = scale_degrees.read(tune([(60, 1), (64, 1), (67, 1), (72, 1)]))
    sequence = tune([(60, 1), (64, 1), (67, 1), (72, 1)])
    sequence.notes.add(pitch=48, start_time=0, end_time=2)
    sequence.notes.add(pitch=55, start_time=0.5, end_time=0.6)
    sequence.notes.add(pitch=100, start_time=0, end_time=1, is_drum=True)
    sequence.notes.add(pitch=100, start_time=0, end_time=1, instrument=1)
    sequence.notes.sort(key=lambda note: note.pitch)
    read = scale_degrees.read(sequence)
    assert read.chords == 2
    sequence.notes.reverse()
    same(scale_degrees.read(sequence), read)
    same(read._replace(chords=0), expected)
    # Voices count from the lowest that has notes.
    for note in sequence.notes:
        note.instrument += 3
    same(scale_degrees.read(sequence), read)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_too_few_notes(count):
    with pytest.raises(NoMelodyError, match=f"too few notes: {count} in") as error:
        scale_degrees.read(tune([(60, 1)] * count))
    assert error.value.reason == "too few notes"
    assert len(scale_degrees.read(tune([(60, 1)] * 4)).notes) == 4


def test_one_chord_or_drums_alone_are_no_melody():
    chord = NoteSequence()
    for pitch in (60, 64, 67, 72):
        chord.notes.add(pitch=pitch, start_time=1, end_time=2)
    with pytest.raises(NoMelodyError, match="1 that do not begin together"):
        scale_degrees.read(chord)
    for note in chord.notes:
        note.is_drum = True
    with pytest.raises(NoMelodyError, match="0 in its first voice, drums aside"):
        scale_degrees.read(chord)


@pytest.mark.parametrize("time", [float("nan"), float("inf"), -float("inf"), 1e300, -1e300, 1e15])
@pytest.mark.parametrize("field", ["start_time", "end_time"])
def test_broken_times(time, field):
    sequence = tune([(60, 1)] * 5)
    setattr(sequence.notes[2], field, time)
    with pytest.raises(NoMelodyError, match="broken times") as error:
        scale_degrees.read(sequence)
    assert error.value.reason == "broken times"


@pytest.mark.parametrize(
    "time, qpm",
    [(0, float("inf")), (float("nan"), 90), (float("inf"), 90), (1, float("nan")), (1, 0), (1, -1)],
)
def test_broken_tempos_are_passed_over(time, qpm):
    sequence = tune([(60, 1)] * 5)
    sequence.tempos.add(time=time, qpm=qpm)
    same(scale_degrees.read(sequence), scale_degrees.read(tune([(60, 1)] * 5)))


def test_a_tempo_too_fast_to_count():
    sequence = tune([(60, 1)] * 5)
    sequence.tempos[0].qpm = 1e305
    with pytest.raises(NoMelodyError, match="broken times"):
        scale_degrees.read(sequence)


def test_very_long_and_very_short_notes():
    notes = [(60, 1)] * 4
    longest, shortest = len(scale_degrees._LENGTHS), 1
    read = scale_degrees.read(tune([*notes, (62, 1e6), (64, 0.0), (64, 1)]))
    # Two notes of one pitch begin together: the longer one counts.
    assert column(read, "length") == [QUARTER] * 4 + [longest, QUARTER]
    assert read.chords == 1
    sequence = tune(notes + [(64, 1)])
    sequence.notes[1].end_time = sequence.notes[1].start_time
    sequence.notes[2].end_time = 0
    assert column(scale_degrees.read(sequence), "length")[1:3] == [shortest] * 2


def test_more_notes_than_are_looked_at():
    rng = random.Random(0)
    notes = [(rng.randrange(55, 80), rng.choice([0.5, 1])) for _ in range(MAX_NOTES + 100)]
    read = scale_degrees.read(tune(notes, key=(0, Mode.NOT_SPECIFIED)))
    assert read.notes.shape == (MAX_NOTES, 4)
    # What comes after counts for the key only.
    assert column(read, "length") == [EIGHTH if x == 0.5 else QUARTER for _, x in notes[:MAX_NOTES]]
    assert len(scale_degrees.read(tune(notes[:MAX_NOTES])).notes) == MAX_NOTES


def test_the_lowest_and_the_highest_pitch():
    read = scale_degrees.read(tune([(0, 1), (127, 1)] * 3, key=(0, Mode.MAJOR)))
    # The mean, 63.5, is nearest to 60: 60 below and 67 above are clipped to two octaves, and so
    # are the leaps.
    assert column(read, "pitch") == [1, 49] * 3
    assert column(read, "interval") == [0, 49, 1, 49, 1, 49]


@pytest.mark.parametrize("seed", range(200))
def test_all_numbers_are_in_range(seed):
    rng = random.Random(seed)
    sequence = NoteSequence()
    sequence.source_info.encoding_type = rng.choice([0, MIDI])
    for _ in range(rng.randrange(4)):
        sequence.tempos.add(time=rng.uniform(0, 10), qpm=rng.choice([1, 90, 1e3, 0]))
        sequence.time_signatures.add(
            time=rng.uniform(-1, 10),
            numerator=rng.choice([0, 1, 5, 12, 2**31 - 1]),
            denominator=rng.choice([0, 1, 4, 64, 2**30]),
        )
        sequence.key_signatures.add(
            time=rng.uniform(0, 9), key=rng.randrange(12), mode=rng.randrange(10)
        )
    for _ in range(rng.choice([4, 30, 400])):
        start = rng.choice([rng.uniform(-2, 100), rng.uniform(0, 1e6), float(rng.randrange(9))])
        sequence.notes.add(
            pitch=rng.choice([rng.randrange(128), 0, 127, 2**31 - 1, -(2**31)]),
            start_time=start,
            end_time=start + rng.choice([-1, 0, 1e-9, rng.random(), 1e6]),
            instrument=int(rng.random() < 0.05),
        )
    try:
        read = scale_degrees.read(sequence, rng.random() < 0.5)
    except NoMelodyError as error:
        assert error.reason == "too few notes"
        return
    assert scale_degrees.MIN_NOTES <= len(read.notes) <= MAX_NOTES
    least = dict(pitch=1, interval=1, length=1, position=0)
    for name, size in NOTE_SIZES.items():
        values = column(read, name)
        assert max(values) < size
        assert min(values[1:]) >= least[name]
    assert 0 <= read.meter < METERS and 1 <= read.mode < MODES and read.chords >= 0
