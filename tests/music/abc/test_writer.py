"""NoteSequences to ABC: what a person would write, and that readers take the same notes back."""

import random
import re
import shutil
import subprocess

import pytest

from pipelines.media import pieces as music
from pipelines.music import melody, midi_reader
from pipelines.music.abc import reader, tunebook, writer
from pipelines.music.limits import Rejected
from pipelines.music.note_sequence import NoteSequence
from pipelines.runtime.app import UserError
from tests.support.pieces import drums

Modes = NoteSequence.KeySignature
CHORD = NoteSequence.TextAnnotation.CHORD_SYMBOL
C, D, E, F, G, A, B = 60, 62, 64, 65, 67, 69, 71
c, d, e, f, g, a, b = (pitch + 12 for pitch in (C, D, E, F, G, A, B))


def tune(notes, meter=(4, 4), key=None, begin=0.0, qpm=120.0) -> NoteSequence:
    """A sequence of pitches (None is a rest) with lengths in eighths, one after another."""
    sequence = NoteSequence()
    sequence.tempos.add(qpm=qpm)
    if meter:
        sequence.time_signatures.add(numerator=meter[0], denominator=meter[1])
    else:
        sequence.source_info.encoding_type = NoteSequence.SourceInfo.ABC
    if key:
        sequence.key_signatures.add(key=key[0], mode=key[1])
    eighth = 30 / qpm
    time = begin
    for pitches, length in notes:
        for pitch in [pitches] if isinstance(pitches, int) else pitches or ():
            sequence.notes.add(
                pitch=pitch,
                velocity=90,
                start_time=time * eighth,
                end_time=(time + length) * eighth,
            )
        time += length
    sequence.total_time = time * eighth
    return sequence


def body(sequence: NoteSequence) -> list[str]:
    """The lines after the header."""
    lines = writer.write(sequence).splitlines()
    return lines[next(i for i, line in enumerate(lines) if line.startswith("K:")) + 1 :]


def field(text: str, letter: str) -> list[str]:
    return re.findall(rf"^{letter}:(.*)$", text, re.MULTILINE)


def again(sequence: NoteSequence) -> NoteSequence:
    """The sequence written, and read by this project."""
    (text,) = tunebook.tunes(writer.write(sequence))
    return reader.read(text)


def heard(sequence: NoteSequence, late: float = 0.0) -> list[tuple]:
    return sorted(
        (note.pitch, round(note.start_time - late, 6), round(note.end_time - late, 6))
        for note in sequence.notes
    )


MAJOR = {name: (pitch % 12, Modes.MAJOR) for name, pitch in zip("CDEFGAB", (C, D, E, F, G, A, B))}


# What a person would write


def test_a_reel():
    pitches = [G, A, B, c, d, e, d, B, c, e, c, B, None, d, B]
    notes = [(pitch, 1) for pitch in pitches]
    # The long note begins an eighth before the bar line.
    text = writer.write(tune([*notes, (G, 8), (G, 1)], key=MAJOR["G"]), "The Test")
    assert text == "X:1\nT:The Test\nM:4/4\nL:1/8\nQ:1/4=120\nK:G\nGABc dedB|cecB zdBG-|G7 G|]\n"


def test_a_jig_with_a_pickup():
    notes = [(d, 1), (c, 2), (A, 1), (G, 3), (F + 1, 1), (G, 1), (A, 1), (G, 2), (d, 1)]
    sequence = tune([*notes, (d, 5)], (6, 8), MAJOR["G"], begin=5, qpm=180)
    assert field(writer.write(sequence), "Q") == ["3/8=120"]
    assert body(sequence) == ["d|c2A G3|FGA G2d|d3- d2|]"]
    assert heard(again(sequence)) == heard(sequence)


def test_a_short_tune_keeps_the_rest_that_leads_in():
    # No full bar follows that would tell a reader where the first note belongs.
    sequence = tune([(d, 2), (c, 4)], begin=6, key=MAJOR["C"])
    assert body(sequence) == ["z6 d2|c4 z4|]"]
    assert heard(again(sequence)) == heard(sequence)


def test_rests_of_whole_bars_stay():
    sequence = tune([(c, 8), (c, 8)], begin=17, key=MAJOR["C"])
    assert body(sequence) == ["z8|z8|z c7-|c c7-|", "c z7|]"]
    assert heard(again(sequence)) == heard(sequence)


@pytest.mark.parametrize(
    ("meter", "notes", "written"),
    [
        # Split on the beat where no single note is as long.
        ((4, 4), [(c, 5), (d, 3)], "c4-c d3|]"),
        ((4, 4), [(c, 3), (d, 5)], "c3 d3- d2|]"),
        ((9, 8), [(c, 9)], "c6-c3|]"),
        ((6, 8), [(c, 5), (d, 1)], "c3-c2d|]"),
        ((4, 4), [(c, 8.5), (d, 7.5)], "c8-|c/2 d7/2- d4|]"),
        ((4, 4), [(c, 7), (d, 0.25), (d, 0.75)], "c7 d/4d3/4|]"),
        ((4, 4), [(c, 20), (d, 4)], "c8-|c8-|c4 d4|]"),
        # Beams.
        ((2, 4), [(c, 1)] * 4, "cc cc|]"),
        ((3, 4), [(c, 1)] * 6, "cc cc cc|]"),
        ((2, 2), [(c, 1)] * 8, "cccc cccc|]"),
        ((4, 4), [(c, 1)] * 4 + [(d, 0.5)] * 2 + [(c, 1)] * 3, "cccc d/2d/2c cc|]"),
        ((9, 8), [(c, 1)] * 9, "ccc ccc ccc|]"),
        ((3, 8), [(c, 1)] * 3, "ccc|]"),
        ((4, 4), [(c, 1), (d, 3), (c, 2), (d, 1), (d, 1)], "c d3 c2 dd|]"),
    ],
)
def test_lengths_and_beams(meter, notes, written):
    sequence = tune(notes, meter, MAJOR["C"])
    (line,) = body(sequence)
    assert line.replace(" ", "") == written.replace(" ", "")
    if "-" not in written:
        assert line == written
    assert heard(again(sequence)) == heard(sequence)


@pytest.mark.parametrize(
    ("notes", "written"),
    [
        ([(c, 2 / 3), (d, 2 / 3), (e, 2 / 3), (c, 6)], "(3cde c6|]"),
        ([(c, 4 / 3), (d, 2 / 3), (c, 6)], "(3:2:2c2d c6|]"),
        ([(c, 4 / 3), (None, 4 / 3), (e, 4 / 3), (c, 4)], "(3c2 z2 e2 c4|]"),
        ([(c, 2 / 5)] * 5 + [(c, 6)], "(5:4:5ccccc c12|]"),
        ([(c, 4 / 7)] * 7 + [(c, 4)], "(7:4:7c2c2c2c2c2c2c2 c8|]"),
        ([(c, 8 / 9)] * 9, "(9:8:9ccccccccc|]"),
        ([(c, 2 / 3), (d, 8 / 3 + 2 / 3), (e, 4)], "(3cd4-d e4|]"),
        # Nothing that a tuplet makes: the fraction itself.
        ([(c, 2 / 15), (d, 28 / 15), (e, 6)], "c2/15d28/15 e6|]"),
    ],
)
def test_tuplets(notes, written):
    sequence = tune(notes, key=MAJOR["C"])
    (line,) = body(sequence)
    assert line.replace(" ", "") == written.replace(" ", "")
    assert heard(again(sequence)) == heard(sequence)


def test_four_bars_a_line():
    sequence = tune([(c, 2)] + [(d, 8)] * 9, begin=6, key=MAJOR["C"])
    assert body(sequence) == ["c2|d8|d8|d8|d8|", "d8|d8|d8|d8|", "d8|]"]


def test_sixteenths_are_the_unit_of_quick_music():
    sequence = tune([(c, 0.5), (d, 0.5), (e, 1)] * 2, (2, 4), MAJOR["C"])
    text = writer.write(sequence)
    assert field(text, "L") == ["1/16"]
    assert text.endswith("cde2 cde2|]\n")


# Pitches


# Four bars that leave no doubt about the key of C.
IN_C = [(C, 8), (E, 8), (G, 8), (c, 8)]


def test_accidentals_last_for_the_bar():
    pitches = [c + 1, c + 1, c, c, c + 1, c, d, F + 1] + [c, d, c + 1, C + 1, C, C, c, G]
    sequence = tune([*IN_C, *((pitch, 1) for pitch in pitches)], key=MAJOR["C"])
    # C after ^c, and c after =C: programs disagree whether accidentals hold for other octaves.
    assert body(sequence)[1] == "^cc=cc ^c=cd^F|cd^c^C =CC=cG|]"
    assert heard(again(sequence)) == heard(sequence)


def test_accidentals_of_tied_notes_are_repeated():
    notes = [*IN_C, (c + 1, 12), (c + 1, 2), (c, 2), (c + 1, 5), (c, 3)]
    sequence = tune(notes, key=MAJOR["C"])
    assert body(sequence)[1] == "^c8-|^c4 c2 =c2|^c4- ^c =c3|]"
    assert heard(again(sequence)) == heard(sequence)


@pytest.mark.parametrize(
    ("pitches", "name"),
    [
        ([D, F + 1, A, d, c + 1, B, A, G, F + 1, E, D], "D"),
        ([E, G, B, e, d, B, A, G, F + 1, E, E], "Em"),
        ([A, B, c, d, e, e, F + 1, G, A, A], "Ador"),
        ([A, c + 1, e, A, G, A, B, c + 1, d, e, G, A], "Amix"),
        ([C, E, G, c, B, A, G, F, E, D, C], "C"),
        # The same notes, by where they end.
        ([A, C, E, G, A, C, E, G, A, C], "C"),
        ([C, A, C, E, G, A, C, E, G, A], "Am"),
        ([63, 67, 70, 75, 74, 72, 70, 68, 67, 65, 63], "Eb"),
        ([B, B, B], "B"),
    ],
)
def test_guessed_keys(pitches, name):
    assert field(writer.write(tune([(pitch, 1) for pitch in pitches])), "K") == [name]


def test_a_key_that_does_not_fit_gives_way():
    scale = [D, E, F + 1, G, A, B, c + 1, d]
    assert field(writer.write(tune([(p, 1) for p in scale], key=MAJOR["F"])), "K") == ["D"]
    assert field(writer.write(tune([(p, 1) for p in scale], key=MAJOR["G"])), "K") == ["G"]


def test_music_without_a_key():
    sequence = tune(IN_C, key=(0, Modes.NOT_SPECIFIED))
    assert field(writer.write(sequence), "K") == ["none"]
    [key] = again(sequence).key_signatures
    assert key.mode == Modes.NOT_SPECIFIED


# Changes


def test_a_tempo_in_the_rest_that_leads_in_keeps_the_rest():
    sequence = tune([], key=MAJOR["C"])
    sequence.tempos.add(time=1.0, qpm=60)
    # Half a bar at 120 is silent; three eighths more at 60, then a pickup and two bars.
    for pitch, start, end in ((c, 2.5, 3.0), (d, 3.0, 7.0), (e, 7.0, 11.0)):
        sequence.notes.add(pitch=pitch, velocity=90, start_time=start, end_time=end)
    assert body(sequence) == ["z4 [Q:1/4=60]z3 c|d8|e8|]"]
    assert heard(again(sequence)) == heard(sequence)


def test_the_meter_changes():
    sequence = tune([(c, 8), (d, 8), (e, 6), (f, 6)], key=MAJOR["C"])
    sequence.time_signatures.add(time=4.0, numerator=3, denominator=4)
    assert body(sequence) == ["c8|d8|[M:3/4]e6|f6|]"]
    assert heard(again(sequence)) == heard(sequence)


def test_a_bar_that_another_meter_cuts_short_gets_its_own():
    sequence = tune([(c, 8), (d, 2), (e, 6), (f, 6)], key=MAJOR["C"])
    sequence.time_signatures.add(time=2.5, numerator=3, denominator=4)
    assert body(sequence) == ["c8|[M:1/4]d2|[M:3/4]e6|f6|]"]
    assert heard(again(sequence)) == heard(sequence)


def test_free_meter():
    sequence = tune([(c, 3), (d, 8), (None, 2), (e, 5), (f, 9)], None, MAJOR["C"])
    assert field(writer.write(sequence), "M") == ["none"]
    assert body(sequence) == ["c3 d8 z2 e4- e|", "f8- f|]"]
    read = again(sequence)
    assert heard(read) == heard(sequence) and not read.time_signatures


def test_the_key_changes_inside_a_bar():
    notes = [*IN_C, (c + 1, 2), (c, 2), (c, 2), (c + 1, 2), (d, 8), (F + 1, 8)]
    sequence = tune(notes, key=MAJOR["C"])
    sequence.key_signatures.add(time=9.0, key=2, mode=Modes.MAJOR)
    assert body(sequence)[1] == "^c2 =c2 [K:D]=c2 ^c2|d8|F8|]"
    read = again(sequence)
    assert heard(read) == heard(sequence)
    assert [(key.time, key.key) for key in read.key_signatures] == [(0.0, 0), (9.0, 2)]


def test_the_tempo_changes_inside_a_note():
    sequence = NoteSequence()
    sequence.tempos.add(qpm=120)
    sequence.tempos.add(time=1.0, qpm=60)
    sequence.time_signatures.add(numerator=4, denominator=4)
    # Two quarters at 120 take a second, the next two at 60 two more.
    sequence.notes.add(pitch=c, velocity=90, start_time=0.0, end_time=3.0)
    sequence.notes.add(pitch=d, velocity=90, start_time=3.0, end_time=7.0)
    assert body(sequence) == ["c4- [Q:1/4=60]c4|d8|]"]
    assert heard(again(sequence)) == heard(sequence)


@pytest.mark.parametrize("qpm", [97.3, 100.0, 66.6667, 300.0, 40.5])
def test_tempos(qpm):
    sequence = tune([(c, 8), (d, 8)], qpm=qpm)
    assert again(sequence).tempos[0].qpm == pytest.approx(qpm, abs=1e-4)


# Several notes at once


def test_chords():
    sequence = tune([((c, e, g), 2), ((D, A), 6), ((c, e), 8), ((c, e), 4)], key=MAJOR["C"])
    assert body(sequence) == ["[ceg]2 [DA]6|[ce]8|[ce]4 z4|]"]
    assert heard(again(sequence)) == heard(sequence)


def test_two_notes_in_unison_over_a_bar_line_come_back_as_two():
    sequence = NoteSequence()
    for _ in range(2):
        sequence.notes.add(pitch=69, start_time=0, end_time=4, velocity=90)
    (tune,) = tunebook.tunes(writer.write(sequence))
    assert [(n.pitch, n.start_time, n.end_time) for n in reader.read(tune).notes] == [
        (69, 0, 4)
    ] * 2


def test_the_program_of_a_single_voice():
    sequence = tune([(c, 8)], key=MAJOR["C"])
    sequence.notes[0].program = 73
    assert [note.program for note in again(sequence).notes] == [73]


def test_several_voices():
    sequence = tune([(c, 8), (d, 8)], key=MAJOR["C"])
    for start, end, pitch, instrument in ((0, 4, C, 3), (2, 4, E, 3), (0, 2, G, 1)):
        sequence.notes.add(
            pitch=pitch,
            velocity=90,
            start_time=start,
            end_time=end,
            instrument=instrument,
            program=40 if instrument == 3 else 0,
        )
    sequence.instrument_infos.add(instrument=3, name='The "Fiddle"')
    text = writer.write(sequence)
    assert text.endswith(
        "V:1\nV:2\nV:3 name=\"The 'Fiddle'\"\nV:4 name=\"The 'Fiddle'\"\nK:C\n"
        "V:1\nc8|d8|]\nV:2\nG8|z8|]\n"
        "V:3\n%%MIDI program 40\nC8-|C8|]\nV:4\n%%MIDI program 40\nz8|E8|]\n"
    )
    read = again(sequence)
    assert heard(read) == heard(sequence)
    assert {note.pitch: note.program for note in read.notes if note.pitch in (C, E, G)} == {
        C: 40,
        E: 40,
        G: 0,
    }


def test_chord_symbols():
    sequence = tune([(c, 8), (d, 4)], key=MAJOR["C"])
    for time, text in ((0.0, "C"), (1.0, "G7"), (2.0, "D/F#"), (2.5, "Am")):
        sequence.text_annotations.add(time=time, text=text, annotation_type=CHORD)
    (line,) = body(sequence)
    assert line.replace(" ", "") == '"C"c4-"G7"c4|"D/F#"d2-"Am"d2z4|]'
    read = again(sequence)
    assert heard(read) == heard(sequence)
    chords = [(one.time, one.text) for one in read.text_annotations if one.annotation_type == CHORD]
    assert chords == [(0.0, "C"), (1.0, "G7"), (2.0, "D/F#"), (2.5, "Am")]


def test_chord_symbols_that_are_no_chords():
    sequence = tune([(c, 8), (d, 8)], key=MAJOR["C"])
    for time, text in ((1.0, ""), (1.0, "^"), (1.0, " \n"), (2.0, '^say "hey"\nyou')):
        sequence.text_annotations.add(time=time, text=text, annotation_type=CHORD)
    # A sign before it would make it a remark on the page; what has no text is left out.
    assert body(sequence) == ["c8|\"say 'hey' you\"d8|]"]


def test_what_changes_before_a_pickup_stands_before_it():
    sequence = tune([(c, 1), (d, 8), (e, 8)], begin=7, key=MAJOR["C"])
    sequence.key_signatures.add(time=0.5, key=7, mode=Modes.MAJOR)
    sequence.text_annotations.add(time=0.5, text="G", annotation_type=CHORD)
    assert body(sequence) == ['[K:G]"G"c|d8|e8|]']
    assert heard(again(sequence)) == heard(sequence)


# The header


def test_header_of_a_tune_that_was_read():
    head = "X:12\nT:One\nT:Other, The\nC:Somebody\nR:reel\nS:here\nM:2/2\nL:1/8\nQ:1/2=80\nK:Ador\n"
    (text,) = tunebook.tunes(head + "A8|G8|A8|]")
    assert writer.write(reader.read(text)).startswith(head)


def test_titles_are_one_line_and_no_comment():
    sequence = tune([(c, 8)])
    sequence.sequence_metadata.title = "100% \r\nX:2\u2028 sure "
    sequence.sequence_metadata.composers.append("A\nB")
    text = writer.write(sequence, "not this")
    assert text.startswith("X:1\nT:100\\% X:2 sure\nC:A B\nM:4/4\n")
    assert len(list(tunebook.tunes(text))) == 1


def test_titles_come_first():
    sequence = tune([(c, 8)])
    for text in ("C:Somebody", "T:One", "Z:no field", "T:Other, The"):
        sequence.text_annotations.add(text=text)
    assert writer.write(sequence).startswith(
        "X:1\nT:One\nT:Other, The\nC:Somebody\nZ:no field\nM:4/4\n"
    )


def test_an_untitled_tune_has_a_title():
    assert field(writer.write(tune([(c, 8)])), "T") == ["Untitled"]
    blank = tune([(c, 8)])
    blank.sequence_metadata.title = " \t"
    assert field(writer.write(blank), "T") == ["Untitled"]
    assert field(writer.write(tune([(c, 8)]), "given"), "T") == ["given"]


# What cannot be written


def test_a_performance_off_the_grid_is_refused():
    with pytest.raises(ValueError, match="0.50001 s is on no grid"):
        writer.write(tune([(c, 2.00004), (d, 2)]))


def test_nearly_on_the_grid_is_on_it():
    assert body(tune([(c, 2.000001), (d, 2)], key=MAJOR["C"])) == ["c2 d2 z4|]"]


def test_no_notes_or_drums():
    for sequence in (NoteSequence(), drums([(0.0, 36, 90)])):
        assert not melody.is_pitched(sequence)
        with pytest.raises(ValueError, match="without drums"):
            writer.write(sequence)


def test_a_note_without_length():
    with pytest.raises(ValueError, match="no length"):
        writer.write(tune([(c, 0)]))


def test_a_tune_far_too_long():
    with pytest.raises(ValueError, match="100000 bars"):
        writer.write(tune([(c, 1)], begin=1e7))


@pytest.mark.parametrize("meter", [(0, 4), (4, 3), (1000, 4)])
def test_no_meter(meter):
    with pytest.raises(ValueError, match="is no meter"):
        writer.write(tune([(c, 8)], meter))


# Any music


def random_music(rng: random.Random) -> NoteSequence:
    """Voices, chords, overlaps, tuplets, rests, meters, keys, tempos and chord symbols."""
    sequence = NoteSequence()
    meters = [(4, 4), (3, 4), (6, 8), (9, 8), (2, 2), (5, 8), (12, 8), (3, 2), (7, 8)]
    # Seconds of a whole note.
    whole = rng.choice([2.0, 2.4, 1.5, 240 / 97])
    sequence.tempos.add(qpm=240 / whole)
    time = 0.0
    if rng.random() < 0.2:
        sequence.source_info.encoding_type = NoteSequence.SourceInfo.ABC
    for _ in range(rng.choice([0, 1, 1, 3])):
        numerator, denominator = rng.choice(meters)
        sequence.time_signatures.add(time=time, numerator=numerator, denominator=denominator)
        time += whole * numerator / denominator * rng.randint(1, 4)
        time += rng.choice([0.0, 0.0, whole / 8])
    for _ in range(rng.choice([0, 1, 3])):
        sequence.key_signatures.add(
            time=rng.randint(0, 20) * whole / 8, key=rng.randrange(12), mode=rng.randrange(8)
        )
    for instrument in range(rng.choice([1, 1, 1, 3])):
        at = rng.choice([0, 0, 1, 3, 7, 12]) / 8
        for _ in range(rng.randint(1, 30)):
            parts, length = rng.choice(
                [(1, 1 / 8)] * 6 + [(3, 1 / 12), (5, 1 / 20), (1, 1.0), (1, 9 / 8), (2, 1 / 32)]
            )
            length *= rng.choice([1, 1, 1, 2, 3])
            for _ in range(parts):
                pitches = rng.sample(range(40, 100), rng.choice([0, 1, 1, 1, 1, 2, 3]))
                for pitch in pitches:
                    longer = rng.choice([1, 1, 1, 1, 2]) if instrument else 1
                    sequence.notes.add(
                        pitch=pitch,
                        velocity=90,
                        start_time=at * whole,
                        end_time=(at + length * longer) * whole,
                        instrument=instrument,
                    )
                at += length
    if not sequence.notes:
        sequence.notes.add(pitch=60, velocity=90, start_time=0.0, end_time=whole)
    for _ in range(rng.choice([0, 0, 4])):
        sequence.text_annotations.add(
            time=rng.randint(0, 30) * whole / 8, text="Am7", annotation_type=CHORD
        )
    return sequence


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_any_music_comes_back(seed):
    rng = random.Random(seed)
    for _ in range(150):
        sequence = random_music(rng)
        assert heard(again(sequence)) == heard(sequence), writer.write(sequence)


# Real tunes


def shared_tunes(corpora) -> list[tunebook.TuneText]:
    return [
        tune
        for path in sorted((corpora / "abc").rglob("*.abc"))
        for tune in tunebook.tunes(tunebook.decode(path.read_bytes()))
    ]


@pytest.mark.slow
def test_shared_tunes_come_back(corpora):
    """Every note of at least 99% of them: pitch, start and end."""
    kept = lost = 0
    wrong = []
    for text in shared_tunes(corpora):
        try:
            sequence = reader.read(text)
        except Rejected:
            lost += 1
            continue
        if heard(again(sequence)) == heard(sequence):
            kept += 1
        else:
            wrong.append((text.reference, text.lines[:3]))
    assert kept + len(wrong) + lost == 5397 and lost < 54
    assert kept >= 0.99 * (kept + len(wrong)), wrong


@pytest.mark.slow
def test_abc2midi_plays_the_same(corpora, tmp_path):
    if not shutil.which("abc2midi"):
        pytest.skip("abc2midi is not installed: no independent program to compare with")
    sample = random.Random(3).sample(shared_tunes(corpora), 200)
    wrong = []
    for text in sample:
        sequence = reader.read(text)
        played = by_abc2midi(writer.write(sequence), tmp_path)
        # It plays a pickup at time 0.
        ours, theirs = (
            heard(music, min(note.start_time for note in music.notes))
            for music in (sequence, played)
        )
        # It begins the notes of a chord up to 20 of its 480 ticks a quarter one after another.
        late = 30 / 480 * 60 / sequence.tempos[0].qpm
        same = len(ours) == len(theirs) and all(
            one[0] == other[0] and abs(one[1] - other[1]) < late and abs(one[2] - other[2]) < late
            for one, other in zip(ours, theirs)
        )
        if not same:
            wrong.append((text.reference, text.lines[:3]))
    assert len(wrong) <= 2, wrong


def by_abc2midi(text: str, folder) -> NoteSequence:
    # It would swing hornpipes and play the chord symbols.
    text = re.sub(r"^R:.*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^(K:.*\n)", r"\1%%MIDI gchordoff\n", text, count=1, flags=re.MULTILINE)
    (folder / "tune.abc").write_text(text, encoding="utf-8")
    subprocess.run(
        ["abc2midi", "tune.abc", "-o", "tune.mid"], cwd=folder, check=True, capture_output=True
    )
    return midi_reader.midi_to_note_sequence((folder / "tune.mid").read_bytes())


# Beside generated MIDI


def test_abc_lies_beside_the_midi_of_a_melody(tmp_path):
    sequence = tune([(d, 1), (c, 2), (A, 1)] * 3, (6, 8))
    music.write(sequence, str(tmp_path / "a.b_000.mid"), draw=False)
    assert {path.name for path in tmp_path.iterdir()} == {"a.b_000.mid", "a.b_000.abc"}
    text = (tmp_path / "a.b_000.abc").read_text("utf-8")
    assert field(text, "T") == ["a.b_000"] and field(text, "M") == ["6/8"]
    (text,) = tunebook.tunes(text)
    assert heard(reader.read(text)) == heard(sequence)


def test_no_abc_for_drums_or_silence(tmp_path):
    music.write(drums([(0.0, 36, 90)]), str(tmp_path / "drums.mid"), draw=False)
    silence = NoteSequence()
    silence.tempos.add(qpm=120)
    music.write(silence, str(tmp_path / "silence.mid"), draw=False)
    assert {path.name for path in tmp_path.iterdir()} == {"drums.mid", "silence.mid"}


def test_no_abc_off_the_grid_and_why(tmp_path, capsys):
    music.write(tune([(c, 2.00004)]), str(tmp_path / "free.mid"), draw=False)
    assert {path.name for path in tmp_path.iterdir()} == {"free.mid"}
    assert "free: no ABC: 0.50001 s is on no grid" in capsys.readouterr().err


def test_other_music_is_not_replaced(tmp_path):
    path, notation = str(tmp_path / "x.mid"), tmp_path / "x.abc"
    music.write(tune([(c, 8)]), path, draw=False, overwrite=False)
    music.write(tune([(c, 8)]), path, draw=False, overwrite=False)
    notation.write_text("X:1\nT:My own\n")
    with pytest.raises(UserError, match=r"x\.abc exists and holds other music"):
        music.write(tune([(c, 8)]), path, draw=False, overwrite=False)
    assert notation.read_text() == "X:1\nT:My own\n"
    music.write(tune([(c, 8)]), path, draw=False, overwrite=True)
    assert notation.read_text().startswith("X:1\nT:x\n")
