"""ABC to NoteSequences: each expectation is worked out by hand from the standard."""

import itertools
import random
import time
from fractions import Fraction

import pytest

from pipelines.music.abc import fields, score
from pipelines.music.abc.notation import notate
from pipelines.music.abc.reader import read, written
from pipelines.music.abc.tunebook import decode, tunes
from pipelines.music.limits import Rejected
from pipelines.music.note_sequence import NoteSequence
from tests.support.abc_reading import (
    HEADER,
    A,
    B,
    C,
    D,
    E,
    F,
    G,
    c,
    heard,
    lengths,
    pitches,
    starts,
    tune_of,
    warnings,
)


def key_header(key: str) -> str:
    return f"X:1\nM:4/4\nL:1/8\nK:{key}\n"


# Notes


@pytest.mark.parametrize(
    "text, expected",
    [
        ("C,, C, C c c' c''", [36, 48, 60, 72, 84, 96]),
        ("^C _D =E ^^F __G", [61, 61, 64, 67, 65]),
        ("c'' c,", [96, 60]),
        # Accidentals hold until the bar line, for all octaves; those of grace notes too.
        ("^F F f | F", [66, 66, 78, 65]),
        ("{^f}F F | F", [66, 66, 65]),
        ("^F F|^F\nF", [66, 66, 66, 66]),
        ("%\n%%MIDI nobarlines\n^F F", [66, 65]),
        ("%\n[I:propagate-accidentals octave]^F F f | F", [66, 66, 77, 65]),
        ("%\n[I:propagate-accidentals not]^F F f | F", [66, 65, 77, 65]),
        ("^F =F F", [66, 65, 65]),
    ],
)
def test_pitches(text, expected):
    assert pitches(text) == expected


@pytest.mark.parametrize(
    "text, expected",
    [
        ("C C2 C3 C/ C/2 C// C/4 C3/2 C8", [1, 2, 3, 0.5, 0.5, 0.25, 0.25, 1.5, 8]),
        ("C>D C<D C>>D C<<<D", [1.5, 0.5, 0.5, 1.5, 1.75, 0.25, 0.125, 1.875]),
        ("C2>D2 C > D", [3, 1, 1.5, 0.5]),
        ("C>{g}D", [1.5, 0.5]),
        ("z>C", [0.5]),
        # Where the second note is written short already, it is not shortened again.
        ("C>D/ C2>D", [1.5, 0.5, 3, 1]),
    ],
)
def test_lengths(text, expected):
    assert lengths(text) == expected


@pytest.mark.parametrize(
    "meter, text, expected",
    [
        ("4/4", "(3CDE F", [Fraction(2, 3)] * 3 + [1]),
        ("4/4", "(2CD", [Fraction(3, 2)] * 2),
        ("4/4", "(4CDEF", [Fraction(3, 4)] * 4),
        # Five in the time of two, but of three in a compound meter.
        ("4/4", "(5CDEFG", [Fraction(2, 5)] * 5),
        ("6/8", "(5CDEFG", [Fraction(3, 5)] * 5),
        ("4/4", "(6CDEFGA", [Fraction(1, 3)] * 6),
        ("4/4", "(3:2:2 C2D E", [Fraction(4, 3), Fraction(2, 3), 1]),
        ("4/4", "(3::2 C2D E", [Fraction(4, 3), Fraction(2, 3), 1]),
        ("4/4", "(7:8:7CDEFGAB", [Fraction(8, 7)] * 7),
        ("4/4", "(3 C/D/E/ F", [Fraction(1, 3)] * 3 + [1]),
        ("4/4", "((3CDE)", [Fraction(2, 3)] * 3),
        ("4/4", "(3zCD", [Fraction(2, 3)] * 2),
    ],
)
def test_tuplets(meter, text, expected):
    (voice,) = written(tune_of(f"X:1\nM:{meter}\nL:1/8\nK:C\n{text}|\n"))
    assert [length * 8 for _, length in voice] == expected


def test_ties_join_and_slurs_do_not():
    assert heard("C4-C4 | (C4 C4) |") == [(C, 0, 8), (C, 8, 4), (C, 12, 4)]
    # Over a bar line the accidental is held too, for the tied note alone.
    assert heard("G4 ^F4- | F4 F4") == [(G, 0, 4), (66, 4, 8), (65, 12, 4)]
    # Between different pitches it is a slur.
    assert heard("C4-D4") == [(C, 0, 4), (D, 4, 4)]
    assert heard("[CE]4-[CE]4") == [(C, 0, 8), (E, 0, 8)]
    assert heard("[C-E]4[CE]4") == [(C, 0, 8), (E, 0, 4), (E, 4, 4)]
    # Two in unison are two notes, before the bar line and after it.
    assert heard("[AA]8-|[AA]8|") == [(A, 0, 16), (A, 0, 16)]
    assert heard("[AA]8-|A8|") == [(A, 0, 16), (A, 0, 8)]
    assert [length for _, length in written(tune_of(HEADER + "[AA]8-|[AA]8|"))[0]] == [2, 2]


def test_chords_last_as_their_first_note_and_multiply():
    assert heard("[CEG]2 C2") == [(C, 0, 2), (E, 0, 2), (G, 0, 2), (C, 2, 2)]
    assert heard("[C2E2]2 C2") == [(C, 0, 4), (E, 0, 4), (C, 4, 2)]
    # The first standards wrote chords between plus signs, later ones decorations.
    assert heard("+C2E2+ +ff+C") == [(C, 0, 2), (E, 0, 2), (C, 2, 1)]
    assert heard("[CE2]2 D") == [(C, 0, 2), (E, 0, 2), (D, 2, 1)]
    assert heard("[CE]>D") == [(C, 0, 1.5), (E, 0, 1.5), (D, 1.5, 0.5)]


@pytest.mark.parametrize(
    "sign", ["+slide+", "+f+", "+D.C.+", "!slide!", '"^slide"', "{d}", "~", "T"]
)
def test_decorations_inside_chords_are_no_notes(sign):
    assert heard(f"[{sign}CE]2 [C{sign}E]2") == [(C, 0, 2), (E, 0, 2), (C, 2, 2), (E, 2, 2)]


def test_notes_between_plus_signs_inside_a_chord_are_notes():
    assert pitches("[+CE]2 [+ce+G]2") == [C, E, G, c, 76]


def test_rests_take_time():
    assert starts("C z2 C x C/ z/ C") == [0, 3, 5, 6]
    assert starts("C8 | Z2 | C8") == [0, 24]


def test_grace_notes_take_none_and_are_counted():
    assert heard("{gab}C {/d}D") == [(C, 0, 1), (D, 1, 1)]
    texts = [a.text for a in read(tune_of(HEADER + "{gab}C {/d}D")).text_annotations]
    assert "grace_notes:4" in texts


def test_signs_that_make_no_sound():
    plain = heard("C D E F | G A B c |]")
    decorated = heard('~C .D !trill!E +fermata+F`|"^slow"uG TA!\n vB y ("Am"c) |]')
    assert decorated == plain
    assert heard("C D\\\nE F | % a comment | C\n%%text C C C\nG A B c|]") == plain
    assert heard("C D E F |\nw: these are words\nW: and more\nG A B c|]") == plain


# Keys


@pytest.mark.parametrize(
    "key, tonic, mode, sharps",
    [
        ("C", 0, "MAJOR", ""),
        ("G", 7, "MAJOR", "F"),
        ("F#", 6, "MAJOR", "FCGDAE"),
        ("Bb", 10, "MAJOR", "be"),
        ("Am", 9, "MINOR", ""),
        ("E minor", 4, "MINOR", "F"),
        ("Ador", 9, "DORIAN", "F"),
        ("D Mixolydian", 2, "MIXOLYDIAN", "F"),
        ("Amix", 9, "MIXOLYDIAN", "FC"),
        ("Ephr", 4, "PHRYGIAN", ""),
        ("Flyd", 5, "LYDIAN", ""),
        ("Bloc", 11, "LOCRIAN", ""),
        ("Cm", 0, "MINOR", "bea"),
        ("HP", 9, "MIXOLYDIAN", "FC"),
        ("Hp", 9, "MIXOLYDIAN", "FC"),
        ("none", None, "NOT_SPECIFIED", ""),
        ("", None, "NOT_SPECIFIED", ""),
        ("Dm clef=bass", 2, "MINOR", "b"),
        ("D =c", 2, "MAJOR", "F"),
        ("A exp _b ^f", 9, "MAJOR", "Fb"),
        ("E flat", 3, "MAJOR", "bea"),
        ("F sharp minor", 6, "MINOR", "FCG"),
        ("Bb-major", 10, "MAJOR", "be"),
        ("Es", 3, "MAJOR", "bea"),
        ("As-Dur", 8, "MAJOR", "bead"),
        ("Fis moll", 6, "MINOR", "FCG"),
        ("d-moll", 2, "MINOR", "b"),
        ("H", 11, "MAJOR", "FCGDA"),
        ("Em -8va", 4, "MINOR", "F"),
    ],
)
def test_keys(key, tonic, mode, sharps):
    """`sharps`: capitals are sharp, small letters flat."""
    read_key = fields.key(key)
    signature = {
        letter: sign for letter, sign in zip("CDEFGAB", read_key.accidentals, strict=True) if sign
    }
    expected = {letter.upper(): 1 if letter.isupper() else -1 for letter in sharps}
    assert (read_key.tonic, read_key.mode, signature) == (tonic, mode, expected)


def test_an_unknown_mode_is_major_with_a_warning():
    assert pitches("F C", key_header("Dn")) == [66, 61]
    assert warnings("F C", key_header("Dn")) == ["line 4: K:Dn names no mode; read as major"]


def test_key_changes_inside_the_tune():
    text = "F4 [K:D] F4 | F8\nK:Gm\nB8 |"
    assert pitches(text) == [65, 66, 66, 70]
    keys = read(tune_of(HEADER + text)).key_signatures
    assert [(k.time * 4, k.key) for k in keys] == [(0, 0), (4, 2), (16, 7)]
    assert keys[2].mode == NoteSequence.KeySignature.MINOR


def test_octaves_and_transposition_of_clefs_and_fields():
    assert pitches("C", key_header("C clef=treble-8")) == [48]
    assert pitches("C", key_header("C octave=1")) == [72]
    assert pitches("C", key_header("C transpose=-2")) == [58]
    assert pitches("C", key_header("C clef=bass")) == [60]


# Meters, units, tempos


@pytest.mark.parametrize(
    "value, meter",
    [
        ("C", (4, 4)),
        ("C|", (2, 2)),
        ("6/8", (6, 8)),
        (" 9 / 8 ", (9, 8)),
        ("2+2+3/8", (7, 8)),
        ("(2+3)/8", (5, 8)),
        ("cut", (2, 2)),
        ("varies", None),
        ("none", None),
        ("", None),
    ],
)
def test_meters(value, meter):
    assert fields.meter(value) == meter


def test_the_unit_follows_from_the_meter_where_no_field_says_it():
    # Below 3/4 it is a sixteenth.
    assert lengths("C", "X:1\nM:2/4\nK:C\n") == [0.5]
    assert lengths("C", "X:1\nM:3/4\nK:C\n") == [1]
    assert lengths("C", "X:1\nM:6/8\nK:C\n") == [1]
    assert lengths("C", "X:1\nK:C\n") == [1]
    assert lengths("C\nL:1/4\nC [L:1/16] C", HEADER) == [1, 2, 0.5]


@pytest.mark.parametrize(
    "value, qpm",
    [
        ("1/4=100", 100),
        ("3/8=80", 120),
        ('"Allegro" 1/2=60', 120),
        ("1/4 3/8=40", 100),
        # Older forms count unit note lengths, here eighths.
        ("160", 80),
        ("C3=40", 60),
        ("C=200", 100),
        ("1/4=ca. 80", 80),
        ("Allegro 1/4=100", 100),
    ],
)
def test_tempos(value, qpm):
    assert fields.tempo(value, score.WHOLE // 8) == qpm
    sequence = read(tune_of(f"X:1\nL:1/8\nQ:{value}\nK:C\nC2|"))
    assert sequence.tempos[0].qpm == qpm
    assert sequence.notes[0].end_time == 60 / qpm


@pytest.mark.parametrize("value", ["1/2222" + "/2222" * 40, "1/4 " * 2000, "1" * 5000])
def test_hostile_tempos_take_no_time(value):
    begin = time.process_time()
    notate(tune_of(f"X:1\nQ:{value}\nK:C\nC2|"))
    assert time.process_time() - begin < 1


def test_tempo_changes_inside_the_tune():
    sequence = read(tune_of(HEADER + "C8 | [Q:1/4=60] C4 [Q:1/4=240] C4 |"))
    assert [(t.time, t.qpm) for t in sequence.tempos] == [(0, 120), (2, 60), (4, 240)]
    assert [(n.start_time, n.end_time) for n in sequence.notes] == [(0, 2), (2, 4), (4, 4.5)]


def test_a_tempo_in_words_only_keeps_the_default():
    assert read(tune_of('X:1\nQ:"Lively"\nK:C\nC|')).tempos[0].qpm == 120


def test_meter_changes_inside_the_tune():
    sequence = read(tune_of(HEADER + "C8 | [M:6/8] C6 | D6 |"))
    found = [(s.time * 4, s.numerator, s.denominator) for s in sequence.time_signatures]
    assert found == [(0, 4, 4), (8, 6, 8)]


def test_a_meter_begins_before_the_rest_that_leads_in_to_its_pickup():
    sequence = read(tune_of(HEADER + "C8 | D8 || [M:3/4] G2 | c6 | c6 |]"))
    assert [(s.time * 4, s.numerator) for s in sequence.time_signatures] == [(0, 4), (16, 3)]
    assert [n.start_time * 4 for n in sequence.notes] == [0, 8, 20, 22, 28]
    # The pickup completes the bar before it.
    sequence = read(tune_of(HEADER + "C8 | D6 || [M:C|] G2 | c8 |]"))
    assert [(s.time * 4, s.denominator) for s in sequence.time_signatures] == [(0, 4), (8, 2)]
    assert [n.start_time * 4 for n in sequence.notes] == [0, 8, 14, 16]


def test_free_meter_has_no_time_signature():
    sequence = read(tune_of("X:1\nM:none\nL:1/8\nK:C\nC D E F G | A B c |]"))
    assert not sequence.time_signatures
    assert [n.start_time * 4 for n in sequence.notes] == list(range(8))


def test_times_do_not_drift_over_a_long_tune():
    """A thousand bars of triplets at 7/3 of a quarter a second: each bar starts exactly there."""
    sequence = read(
        tune_of("X:1\nM:4/4\nL:1/8\nQ:1/4=140\nK:C\n" + "(3CDE (3CDE (3CDE (3CDE|" * 999)
    )
    for number, note in enumerate(sequence.notes):
        # A note is a third of a quarter, a quarter 60/140 seconds.
        assert note.start_time == float(Fraction(number, 3) * Fraction(60, 140))
        assert (note.numerator, note.denominator) == (1, 12)


# Repeats


@pytest.mark.parametrize(
    "text, expected",
    [
        ("|:C8|D8:|", "CDCD"),
        ("C8|D8:|", "CDCD"),
        ("|:C8:|:D8:|", "CCDD"),
        ("|:C8::D8:|", "CCDD"),
        ("|:C8:||:D8:|", "CCDD"),
        ("|:C8|1D8:|2E8|]", "CDCE"),
        ("|:C8|[1D8:|[2E8:|", "CDCE"),
        ("|:C8|[1 D8:|[2 E8||F8:|", "CDCEFF"),
        ("|:C8|[1-3D8:|[4E8|]", "CDCDCDCE"),
        ("|:C8|[1,3D8:|[2,4E8:|F8|]", "CDCECDCEF"),
        ("|:C8|1D8:|2E8:|3F8|]", "CDCECF"),
        ("|:C8::|", "CCC"),
        ("|:C8|\n|:D8:|", "CDD"),
        ("C8||D8|:E8:|F8|]", "CDEEF"),
        # A repeat without a begin goes back to the last double bar line (4.8).
        ("C8|D8||E8|F8:|", "CDEFEF"),
        ("C8|D8:|E8|F8:|", "CDCDEFEF"),
        # Repeat signs after the last ending close it, and nothing more.
        ("|:C8|1D8:|2E8:|F8|]", "CDCEF"),
        # An ending that no sign ends is as long as the first.
        ("|:C8|1D8:|2E8|F8|G8:|A8|]", "CDCEFGFGA"),
        ("C8|1D8:|2E8|F8|1G8:|2A8|]", "CDCEFGFA"),
        ("|:C8|1D8|2E8||F8|]", "CDCEF"),
        ("|:C8[|]:|D8|]", "CCD"),
        ("C8|:|||:D8:|", "CDD"),
        ("C8:|||:D8:|E8|]", "CCDDE"),
        ("|:C8|D8|:|", "CDCD"),
        ("|:C8| 1 D8:|\n2 E8|]", "CDCE"),
        ("|:C8|1D8:|2E8|F8|]", "CDCEF"),
        ("|:C8|1D8:|2E8||\n|:F8|1G8:|2A8|]", "CDCEFGFA"),
        # Endings whose numbers make no sense are still played.
        ("[0 C8|D8|]", "CD"),
        ("|:C8|[0 D8:|[2 E8|]", "CDCE"),
        ("|:C8|[2-1 D8:|", "CDCD"),
        ("|:C8|[1-2-3 D8:|", "CDCDCD"),
    ],
)
def test_repeats_and_variant_endings(text, expected):
    names = "CDEFGAB"
    assert pitches(text) == [(C, D, E, F, G, A, B)[names.index(name)] for name in expected]


def test_parts_are_played_in_the_order_that_the_header_asks_for():
    body = "P:A\nC8|\nP:B\nD8:|\n"
    assert pitches(body, "X:1\nM:4/4\nL:1/8\nP:AAB\nK:C\n") == [C, C, D, D]
    assert pitches(body, "X:1\nM:4/4\nL:1/8\nP:(AB)2A\nK:C\n") == [C, D, D, C, D, D, C]
    # Without an order in the header they follow each other.
    assert pitches(body) == [C, D, D]


def test_an_order_of_parts_that_are_not_there_is_told():
    header = "X:1\nM:4/4\nL:1/8\nP:AC\nK:C\n"
    assert pitches("P:A\nC8|\nP:B\nD8|", header) == [C, D]
    assert "asks for part C" in warnings("P:A\nC8|\nP:B\nD8|", header)[0]
    header = "X:1\nM:4/4\nL:1/8\nP:A\nK:C\n"
    assert pitches("P:A\nC8|\nP:B\nD8|", header) == [C]
    assert "never plays part B" in warnings("P:A\nC8|\nP:B\nD8|", header)[0]


def test_endless_repeats_are_rejected():
    nested = "P:" + "(" * 9 + "A99" + ")99" * 9
    with pytest.raises(Rejected, match="too_long|no_notes"):
        read(tune_of(HEADER + "C|[M:4/4]" * 20_000 + "::" + "|:C:|" * 40_000))
    assert "part" in warnings("P:A\nC8|", f"X:1\nL:1/8\n{nested}\nK:C\n")[0]


# The grid


def test_a_pickup_leads_up_to_the_first_bar():
    assert heard("G2 | C8 | D8 |")[:2] == [(G, 6, 2), (C, 8, 8)]


def test_a_pickup_after_a_repeat_completes_the_bar_before_it():
    """6 + 2 eighths: the second pickup fills the short last bar, and no rest is added."""
    found = heard("G2 |: C8 | D6 G2 :| C8 |]")
    assert [start for _, start, _ in found] == [6, 8, 16, 22, 24, 32, 38, 40]
    found = heard("|: G2 | C8 | D6 :| G2 | E8 | F6 |]")
    assert [start for _, start, _ in found] == [6, 8, 16, 22, 24, 32, 38, 40, 48]


def test_a_rest_keeps_the_grid_where_a_short_bar_and_a_pickup_do_not_meet():
    # The first part ends with a full bar, the second begins with a pickup.
    assert starts("C8 | D8 |: G2 | C8 | D6 :|") == [0, 8, 22, 24, 32, 38, 40, 48]
    # The first part ends short, the second begins at once.
    assert starts("C8 | D6 || E8 | F8 |]") == [0, 8, 16, 24]
    assert not warnings("C8 | D6 || E8 | F8 |]")


def test_a_bar_that_is_wrong_is_told_and_keeps_the_grid():
    assert starts("C8 | D7 | E8 | F8 |]") == [0, 8, 16, 24]
    assert warnings("C8 | D7 | E8 | F8 |]") == [
        "line 6: a bar is shorter or longer than the meter says"
    ]


def test_a_rest_never_cuts_a_tied_note():
    assert heard("C8 | D7- | D8 | E8 |]")[1] == (D, 8, 15)


def test_bar_lines_inside_a_bar_change_nothing():
    assert starts("C8 | D4 || E4 | F8 |]") == [0, 8, 12, 16]
    assert not warnings("C8 | D4 || E4 | F8 |]")


def test_bars_that_never_fit_their_meter_are_not_pulled_apart():
    assert starts("C6 | D6 | E6 | F6 |]") == [0, 6, 12, 18]
    assert warnings("C6 | D6 | E6 | F6 |]")


def test_full_bars_start_on_the_grid_whatever_the_tune():
    """Random parts with pickups and short ends: every full bar starts at a multiple of the bar."""
    rng = random.Random(3)
    for _ in range(100):
        text = ""
        for _ in range(rng.randint(1, 4)):
            pickup = rng.randint(0, 3)
            last = 8 - (pickup if rng.random() < 0.7 else rng.randint(0, 3))
            full = "|".join(["c8"] * rng.randint(1, 5))
            text += "|:" + (f"G{pickup}|" if pickup else "") + f"{full}|E{last}:|"
        found = heard(text)
        assert found
        assert all(start % 8 == 0 for pitch, start, _ in found if pitch == c), text


# What goes with the notes


def test_chord_symbols_are_annotations_and_no_notes():
    sequence = read(tune_of(HEADER + '|: "Am"A4 "D7"B2 "^above"c2 | "G/B"G8 :|'))
    assert len(sequence.notes) == 8
    found = [
        (a.text, a.time * 4)
        for a in sequence.text_annotations
        if a.annotation_type == NoteSequence.TextAnnotation.CHORD_SYMBOL
    ]
    assert found == [("Am", 0), ("D7", 4), ("G/B", 8), ("Am", 16), ("D7", 20), ("G/B", 24)]


def test_all_headers_are_kept():
    text = (
        "X:12\nT:The First\nT:Second, The\nC:Trad.\nR:reel\nS:a book\nZ:somebody\nN:one\n"
        "+:and two\nM:C|\nL:1/8\nK:Ador\nA8|\n"
    )
    sequence = read(tune_of(text))
    assert [a.text for a in sequence.text_annotations] == [
        "X:12", "T:The First", "T:Second, The", "C:Trad.", "R:reel", "S:a book", "Z:somebody",
        "N:one and two", "M:C|", "L:1/8", "K:Ador",
    ]  # fmt: skip
    assert sequence.sequence_metadata.title == "The First"
    assert list(sequence.sequence_metadata.composers) == ["Trad."]
    assert list(sequence.sequence_metadata.genre) == ["reel"]
    assert sequence.reference_number == 12
    assert sequence.source_info.encoding_type == NoteSequence.SourceInfo.ABC
    assert (sequence.key_signatures[0].key, sequence.key_signatures[0].mode) == (
        9,
        NoteSequence.KeySignature.DORIAN,
    )


def test_titles_may_have_the_signs_of_music_and_comments():
    sequence = read(tune_of("X:1\nT:|: abc :|\nT:100\\% Pure % a comment\nL:1/8\nK:C\nC8|\n"))
    texts = [a.text for a in sequence.text_annotations]
    assert texts[1:3] == ["T:|: abc :|", "T:100% Pure"]
    # A note before a repeat is no field.
    assert pitches("C2 D6|\nE8\nG:|\n") == [C, D, E, G] * 2
    assert pitches("C2 D6|\nZ:|\n") == [C, D] * 2


def test_sections_are_annotated_each_time_they_are_played():
    sequence = read(tune_of(HEADER + "|:C8|D8:|\n|:E8|1F8:|2G8||A8|]"))
    found = [(s.time * 4, s.section_id) for s in sequence.section_annotations]
    assert found == [(0, 0), (16, 0), (32, 1), (48, 1), (64, 2)]


def test_voices_become_instruments():
    text = 'V:1 name="Tune"\nC8|D8|\nV:2\nE4 F4|G8|\nV:1\nE8|\nV:2\nc8|'
    sequence = read(tune_of('X:1\nM:4/4\nL:1/8\nV:1 name="Tune"\nV:2\nK:C\n' + text))
    by_voice = [
        [(n.pitch, n.start_time * 4) for n in sequence.notes if n.instrument == i] for i in (0, 1)
    ]
    assert by_voice == [[(C, 0), (D, 8), (E, 16)], [(E, 0), (F, 4), (G, 8), (c, 16)]]
    assert [(i.instrument, i.name) for i in sequence.instrument_infos] == [(0, "Tune")]


def test_overlays_become_instruments_of_their_own():
    sequence = read(tune_of(HEADER + "C4 D4 & E8 | F8 |"))
    found = [(n.instrument, n.pitch, n.start_time * 4) for n in sequence.notes]
    assert sorted(found) == [(0, C, 0), (0, D, 4), (0, F, 8), (1, E, 0)]


@pytest.mark.parametrize(
    "text, expected",
    [
        # Two layers of two bars each, and what follows both.
        ("(&C8|D8&E8|F8&)|G8|", [(0, C, 0), (0, D, 8), (0, G, 16), (1, E, 0), (1, F, 8)]),
        # From the middle of a bar, three layers.
        (
            "C4(&D4|E8&F4|G8&A4|B8&)|c8|",
            [
                (0, C, 0), (0, D, 4), (0, E, 8), (0, c, 16),
                (1, F, 4), (1, G, 8), (2, A, 4), (2, B, 8),
            ],
        ),
        # Inside one bar, as a plain & but for what follows.
        ("(&C4&E4&)D4|F8|", [(0, C, 0), (0, D, 4), (0, F, 8), (1, E, 0)]),
    ],
)  # fmt: skip
def test_overlays_of_several_bars(text, expected):
    sequence = read(tune_of(HEADER + text))
    found = [(n.instrument, n.pitch, n.start_time * 4) for n in sequence.notes]
    assert sorted(found) == expected
    assert not warnings(text)


def test_overlays_of_several_bars_that_are_not_whole_are_told():
    assert pitches("(&C8|D8&E8|F8|G8&)|") == [C, E, D, F]
    assert "more bars than its voice" in warnings("(&C8|D8&E8|F8|G8&)|")[0]
    assert pitches("(&C8|D8&E8|F8|") == [C, E, D, F]
    assert "(& has no &) after it" in warnings("(&C8|D8&E8|F8|")[0]
    # Without a begin it is a plain overlay.
    assert heard("C8&)E8|D8|") == [(C, 0, 8), (E, 0, 8), (D, 8, 8)]


def test_what_stands_before_the_first_tune_holds_for_all():
    text = "%%MIDI program 40\nM:6/8\nR:jig\n\nX:1\nL:1/8\nK:C\nC3|\n\nX:2\nK:C\nC3|\n"
    for tune in tunes(text):
        sequence = read(tune)
        assert sequence.notes[0].program == 40
        assert sequence.time_signatures[0].numerator == 6
        assert list(sequence.sequence_metadata.genre) == ["jig"]


def test_midi_programs_are_kept():
    sequence = read(tune_of("X:1\nL:1/8\n%%MIDI program 40\nK:C\nC8|"))
    assert [n.program for n in sequence.notes] == [40]


# Bad input


def test_prose_is_never_notes():
    text = "C8 | D8 |\nThis tune was a great favourite of Denis.\nE8 | F8 |]"
    assert pitches(text) == [C, D, E, F]
    assert warnings(text) == ["line 7: this line is not music; left out"]


@pytest.mark.parametrize("words", ["Regards,", "Bob", "Dave Adams", "Ed Haley."])
def test_a_name_under_a_tune_is_never_notes(words):
    assert pitches(f"C8 | D8 |]\n{words}") == [C, D]
    assert warnings(f"C8 | D8 |]\n{words}") == ["line 7: this line is not music; left out"]


@pytest.mark.parametrize("line", ["TAB.c vd", "ABc", "Ac", "zc", "vAuB", "D.C"])
def test_notes_alone_in_a_line_are_never_words(line):
    assert len(pitches(f"C8|\n{line}\nD8|]")) == 2 + sum(c in "ABCDabcd" for c in line)


@pytest.mark.parametrize(
    "text, word",
    [
        ("C4 C4|D8|| (twice)", "twice"),
        ("C4 C4|D8||D.C.", "D.C."),
        ("C4 C4|D8|Fine", "Fine"),
        ("C4 C4| Coda |D8|", "Coda"),
        ('C4 C4|D8|"Fin" "d.c." Coda', "Coda"),
    ],
)
def test_words_among_the_notes_are_never_notes(text, word):
    assert pitches(text) == [C, C, D]
    (warning,) = warnings(text)
    assert warning in (
        f"line 6: the word {word!r} is left out",
        "line 6: the words at the end of this line are left out",
    )


@pytest.mark.parametrize("text", [".C.D|", "D.C |", '"Fine"C!fine!D|', "iCoD|", "C4 uiD4|"])
def test_decorations_are_no_words(text):
    assert sorted(pitches(text)) == [C, D]
    assert all("fine" in warning for warning in warnings(text))


def test_signs_that_word_processors_put_for_those_of_music():
    assert pitches("c\u2019\xa0C \u2013 D|") == [84, C, D]
    assert not warnings("c\u2019\xa0C \u2013 D|")


@pytest.mark.parametrize("piece", ["[A:", "io", '"i', "{i", "+o", "!i ", "iB", "D. C"])
def test_lines_of_hostile_words_take_linear_time(piece):
    begin = time.process_time()
    notate(tune_of(HEADER + "C8|" + piece * 10_000))
    assert time.process_time() - begin < 5


@pytest.mark.parametrize("rule", ["-----8<-----", "=====", "______", "*****", " - - - "])
def test_lines_drawn_between_tunes_say_nothing(rule):
    assert pitches(f"C8 | D8 |\n{rule}\nE8|]") == [C, D, E]
    assert not warnings(f"C8 | D8 |\n{rule}\nE8|]")


@pytest.mark.parametrize("sign", ["\xb2", "\u2460"])
def test_digits_that_are_no_numbers_are_no_endings(sign):
    assert pitches(f"C8|{sign} D8|]") == [C, D]
    assert warnings(f"C8|{sign} D8|]") == [f"line 6: {sign!r} has no meaning here; left out"]


@pytest.mark.parametrize(
    "text",
    [
        *(f"|:{'abcdefg'[:count]}:|" for count in range(3, 8)),
        *(f"|:{'ABCDEFG'[:count]}:|" for count in range(3, 8)),
        "|: abcd :|",
        "abc",
        "|:ABCD|ABCD:|",
        "|abcd|% soon",
        "abcde|abcdef|",
    ],
)
def test_a_placeholder_is_no_tune(text):
    with pytest.raises(Rejected, match="placeholder"):
        read(tune_of(HEADER + text))


@pytest.mark.parametrize(
    "text", ["CDEF|", "abcd'|", "a2b2c2d2|", "aBcd|", "abcd|abce|", "abcd " * 9]
)
def test_short_tunes_are_no_placeholders(text):
    assert pitches(text)


@pytest.mark.parametrize("between", [" ", "~", "y", "Z", "}"])
def test_a_second_broken_rhythm_before_the_next_note_is_left_out(between):
    text = "A>" + f"{between}>" * 200 + "B"
    assert lengths(text)[0] == 1.5
    assert "line 6: > follows another > or < without a note between them; left out" in warnings(
        text
    )
    # Between the signs may stand rests of whole bars.
    assert lengths(text)[-1] == 0.5


@pytest.mark.parametrize("text", ["", "z8|z8|", "|:|:|", "w: only words"])
def test_a_tune_without_notes_is_rejected(text):
    with pytest.raises(Rejected, match="no_notes"):
        read(tune_of(HEADER + text))


@pytest.mark.parametrize(
    "text, line, words",
    [
        ("C [DEF | C", 6, "'['"),
        ("C ^ D|", 6, "'^'"),
        ("C8|\n>C8|", 7, "no note before it"),
        ("C8|\nC8!D.C.!|", 7, "!D.C.! is not played out"),
        ("(0CDE|", 6, "no tuplet"),
        ("c'''''''''''|C|", 6, "higher or lower"),
        ("[K:Qx]C|", 6, "K:Qx"),
        ("[M:7/0]C|", 6, "M:7/0"),
        ("[L:0/8]C|", 6, "L:0/8"),
        ("[Q:1/4=0]C|", 6, "Q:1/4=0"),
    ],
)
def test_errors_inside_a_tune_leave_a_warning_with_their_line(text, line, words):
    (found,) = warnings(text)[:1]
    assert found.startswith(f"line {line}: ") and words in found


def test_a_tune_whose_notes_are_in_no_part_that_is_played_is_rejected():
    with pytest.raises(Rejected, match="no_notes"):
        read(tune_of("X:1\nM:4/4\nL:1/8\nP:A\nK:C\nP:A\nz8|\nP:B\nC8|\n"))


def test_a_tune_without_a_key_is_read_in_c():
    sequence = read(tune_of("X:1\nT:No key\nM:4/4\nL:1/8\nF8|G8|]\n"))
    assert [n.pitch for n in sequence.notes] == [65, 67]
    assert any("K:" in a.text and a.text.startswith("warning") for a in sequence.text_annotations)


def test_too_long_or_too_many_notes():
    tune = tune_of(HEADER + "C8|" * 100)
    with pytest.raises(Rejected, match="too_long"):
        read(tune, max_seconds=100)
    with pytest.raises(Rejected, match="too_many_notes"):
        read(tune, max_notes=99)
    with pytest.raises(Rejected, match="too_long"):
        read(tune_of(HEADER + "C999999 | D999999/0 |"))


def test_fields_that_lost_their_colon_or_line_are_no_music():
    header = "X:1\nM:4/4\nL:1/8\nI (1) :| (2) || (1) :|\nK:C\n"
    assert lengths("C D", header) == [1, 1]
    text = "C8 | D8 | E8 | F2 B:Wm. Litten MS, 1802"
    assert pitches(text) == [C, D, E, F]
    assert warnings(text) == ["line 6: the words at the end of this line are left out"]


def test_music_before_the_key_is_read():
    text = "X:1\nT:Late key\nM:4/4\nL:1/8\nF8|G8|\nA8|F8|\nK:G\nF8|G8|]\n"
    assert pitches(text, "") == [F, G, A, F, 66, G]


def test_what_multiplies_is_bounded():
    (note, *_) = read(tune_of(HEADER + "c>>>>>>" * 12 + "c|")).notes
    assert note.pitch == c
    macros = "m:c=cccc\n" * 9
    found = read(tune_of(f"X:1\nL:1/64\n{macros}K:C\n" + "c|\n" * 100), max_seconds=1e5)
    assert any("macros" in a.text for a in found.text_annotations)
    with pytest.raises(Rejected, match="too_many_notes"):
        read(tune_of(HEADER + "cccccccc|\n" * 100), max_notes=700)
    assert "more than 999 bars of rests" in warnings("Z500 c|Z500 c|")[0]
    # A number is read to its end, however long it is.
    assert "Z2000 is left out: more than 999 bars of rests" in warnings("Z2000|c|")[0]


def test_what_email_leaves_in_tunes_is_taken_away():
    sequence = read(tune_of("X:1\nT:Off She Goes=20\nQ:1/4=20\nK:C\nC|"))
    assert sequence.sequence_metadata.title == "Off She Goes"
    assert sequence.tempos[0].qpm == 20
    assert pitches("C D E F =\nG =3DF |=20\n") == [C, D, E, F, G, F]


@pytest.mark.slow
def test_pickups_of_real_tunes_lead_up_to_the_first_bar(corpora):
    """What is written before the first full bar ends where a bar does, led in by a rest."""
    pickups = full = 0
    for path in sorted(corpora.glob("abc/*/*.abc")):
        for tune in tunes(decode(path.read_bytes())):
            bars = notate(tune).voices[0].bars
            first = bars[0]
            sequence = read(tune)
            warned = any("warning:" in a.text for a in sequence.text_annotations)
            if not first.measure or not first.notes or warned:
                continue
            # Whole notes a second at the tempo that holds at the begin.
            rate = sequence.tempos[0].qpm / 240
            heard = sequence.notes[0].start_time * rate
            written = float(score.of_whole(min(note[0] for note in first.notes)))
            # A pickup may be several bars, or stand in the first bar, which then is too long.
            short = itertools.takewhile(lambda bar: bar.length % bar.measure, bars)
            missing = -sum(bar.length for bar in short) % first.measure
            led_in = float(score.of_whole(missing))
            assert heard == pytest.approx(led_in + written), (path.name, tune.line)
            pickups += bool(missing)
            full += not missing
    assert pickups > 2500 and full > 1000
