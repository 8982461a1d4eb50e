"""MusicXML: what is in a score, upbeats, keys, compressed scores, and what cannot be read."""

import collections
import io
import random
import re
import zipfile

import pytest

from pipelines.music import musicxml
from pipelines.music.abc import reader, tunebook
from pipelines.music.limits import Rejected

HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 3.1 Partwise//EN"'
    ' "http://www.musicxml.org/dtds/partwise.dtd">\n'
    '<score-partwise version="3.1"><part-list><score-part id="P1"><part-name>Fiddle</part-name>'
    '</score-part></part-list><part id="P1">'
)
TAIL = "</part></score-partwise>"


def note(step, quarters=1, octave=4, divisions=2, extra="", ties=(), voice=1):
    pitch = f"<pitch><step>{step}</step><octave>{octave}</octave></pitch>"
    length = f"<duration>{quarters * divisions}</duration>"
    tie = "".join(f'<tie type="{each}"/>' for each in ties)
    return f"<note>{extra}{pitch}{length}{tie}<voice>{voice}</voice></note>"


def attributes(beats=4, unit=4, fifths=0, mode="major", divisions=2):
    return (
        f"<attributes><divisions>{divisions}</divisions><key><fifths>{fifths}</fifths>"
        f"<mode>{mode}</mode></key><time><beats>{beats}</beats><beat-type>{unit}</beat-type></time>"
        "</attributes>"
    )


def score(*measures, tempo=120, **kwargs):
    """A score of one part; what is in its measures comes after the attributes of the first."""
    first = attributes(**kwargs) + f'<direction><sound tempo="{tempo}"/></direction>'
    begun = [f'<measure number="{i}">' for i in range(len(measures))]
    inside = [first + measures[0], *measures[1:]]
    return (HEAD + "".join(f"{b}{m}</measure>" for b, m in zip(begun, inside)) + TAIL).encode()


SCALE = "".join(note(step) for step in "CDEF")


def test_a_score_is_read_as_written():
    read = musicxml.read(score(SCALE, note("G", 2) + note("A", 2), tempo=100))
    found = [(n.pitch, round(n.start_time, 6), round(n.end_time, 6)) for n in read.notes]
    # At 100 quarters a minute, a quarter takes 0.6 s.
    assert found == [
        (60, 0.0, 0.6),
        (62, 0.6, 1.2),
        (64, 1.2, 1.8),
        (65, 1.8, 2.4),
        (67, 2.4, 3.6),
        (69, 3.6, 4.8),
    ]
    assert [(s.time, s.numerator, s.denominator) for s in read.time_signatures] == [(0, 4, 4)]
    assert [tempo.qpm for tempo in read.tempos] == [100] and read.total_time == pytest.approx(4.8)


def test_an_upbeat_stands_at_the_end_of_the_bar_before_the_first():
    read = musicxml.read(score(note("G"), SCALE, note("C", 3)))
    # Three quarters of silence, at half a second each; the last bar is short, as upbeats ask for.
    assert [round(n.start_time, 6) for n in read.notes] == [1.5, 2.0, 2.5, 3.0, 3.5, 4.0]
    assert [(s.time, s.numerator, s.denominator) for s in read.time_signatures] == [(0, 4, 4)]
    assert [tempo.time for tempo in read.tempos] == [0]
    assert read.total_time == pytest.approx(5.5)


@pytest.mark.parametrize("divisions", [1, 2, 4, 96])
def test_other_meters_are_not_taken_apart(divisions):
    bar = note("C", 3, divisions=divisions)
    read = musicxml.read(score(bar, bar, bar, beats=6, unit=8, divisions=divisions))
    assert [(s.numerator, s.denominator) for s in read.time_signatures] == [(6, 8)]
    assert [n.start_time for n in read.notes] == [0.0, 1.5, 3.0]


@pytest.mark.parametrize(
    "fifths, mode, key", [(0, "major", 0), (2, "major", 2), (-3, "major", 3), (0, "minor", 9)]
)
def test_keys_and_their_modes(fifths, mode, key):
    [signature] = musicxml.read(score(SCALE, fifths=fifths, mode=mode)).key_signatures
    assert (signature.key, signature.mode) == (key, int(mode == "minor"))


def test_a_change_of_meter_is_kept():
    other = "<attributes><time><beats>3</beats><beat-type>4</beat-type></time></attributes>"
    read = musicxml.read(score(SCALE, other + note("C", 3)))
    assert [(s.time, s.numerator) for s in read.time_signatures] == [(0.0, 4), (2.0, 3)]


@pytest.mark.parametrize(
    "time",
    [
        "<time><senza-misura/></time>",
        "<time><beats>3+1</beats><beat-type>4</beat-type></time>",
        "<time><beats>3</beats><beat-type>8</beat-type><beats>5</beats><beat-type>8</beat-type></time>",
    ],
)
def test_meters_that_are_not_one_fraction_are_left_out(time):
    plain = score(SCALE, SCALE)
    odd = plain.replace(b"<time><beats>4</beats><beat-type>4</beat-type></time>", time.encode())
    assert odd != plain
    read = musicxml.read(odd)
    assert read.notes == musicxml.read(plain).notes and not read.time_signatures
    # A meter that follows makes no upbeat of the first bar.
    other = "<attributes><time><beats>6</beats><beat-type>4</beat-type></time></attributes>"
    bar = SCALE + note("G", 2)
    later = score(SCALE, other + bar, bar).replace(
        b"<time><beats>4</beats><beat-type>4</beat-type></time>", time.encode()
    )
    read = musicxml.read(later)
    assert [(s.time, s.numerator) for s in read.time_signatures] == [(2.0, 6)]
    assert read.notes[0].start_time == 0.0 and read.total_time == 8.0


@pytest.mark.parametrize("beats", ["99999999999", "0", "-4", "²", "", "4/4"])
def test_a_meter_that_is_none_is_left_out_or_refused(beats):
    try:
        read = musicxml.read(score(SCALE, beats=beats))
    except Rejected as rejected:
        assert rejected.reason == "malformed"
    else:
        assert not read.time_signatures and len(read.notes) == 4


def test_damaged_scores_are_read_or_rejected():
    """Numbers are replaced, and bytes changed and removed; nothing else than Rejected is raised."""
    outcomes = collections.Counter()
    whole = score(note("G"), SCALE, note("C", 3), beats=3)
    for seed in range(300):
        chance = random.Random(seed)
        data = bytearray(whole)
        numbers = list(re.finditer(rb"(?<=[>\"])\d+(?=[<\"])", whole))
        number = chance.choice(numbers)
        odd = chance.choice([b"0", b"-1", b"99999999999", b"1e400", b"nan", b"", b"x"])
        data[number.start() : number.end()] = odd
        if chance.random() < 0.3:
            at = chance.randrange(len(data))
            del data[at : at + chance.randrange(40)]
        try:
            musicxml.read(bytes(data))
            outcomes["read"] += 1
        except Rejected as rejected:
            outcomes[rejected.reason] += 1
    assert outcomes["read"] > 20 and outcomes["malformed"] > 20 and outcomes.total() == 300


def played(sequence):
    return [(n.pitch, n.start_time, n.end_time) for n in sequence.notes]


@pytest.mark.parametrize(
    "measures, abc, expected",
    [
        ([note("C", 4, ties=["start"]), note("C", 4, ties=["stop"])], "C4-|C4|", [(60, 0, 4)]),
        (
            [
                note("C", 4, ties=["start"]),
                note("C", 4, ties=["stop", "start"]),
                note("C", 1, ties=["stop"]) + note("C", 3),
            ],
            "C4-|C4-|CC3|",
            [(60, 0, 4.5), (60, 4.5, 6)],
        ),
        # Of a chord one note is held, and the other one is struck again.
        (
            [
                note("C", 4, ties=["start"]) + note("E", 4, extra="<chord/>"),
                note("C", 4, ties=["stop"]) + note("E", 4, extra="<chord/>"),
            ],
            "[C4-E4]|[C4E4]|",
            [(60, 0, 4), (64, 0, 2), (64, 2, 4)],
        ),
    ],
)
def test_ties_join_notes_as_in_abc(measures, abc, expected):
    [tune] = tunebook.tunes(f"X:1\nM:4/4\nL:1/4\nQ:1/4=120\nK:C\n{abc}\n")
    assert played(musicxml.read(score(*measures))) == played(reader.read(tune)) == expected


@pytest.mark.parametrize(
    "second",
    [
        note("D", 2, ties=["stop"]),
        note("C", 2, ties=["stop"], voice=2),
        note("C", 2),
        # After a rest, as where the first ending of a repeat comes between.
        "<note><rest/><duration>2</duration></note>" + note("C", 1, ties=["stop"]),
    ],
    ids=["pitch", "voice", "no stop", "gap"],
)
def test_what_no_tie_ends_at_is_struck(second):
    read = musicxml.read(score(note("C", 2, ties=["start"]) + second))
    assert len(read.notes) == 2 and read.notes[0].end_time == 1.0
    # Neither is a tie that has no beginning.
    read = musicxml.read(score(note("C", 2) + note("C", 2, ties=["stop"])))
    assert played(read) == [(60, 0, 1), (60, 1, 2)]


def test_ties_are_those_of_a_voice_and_a_part():
    backup = "<backup><duration>8</duration></backup>"
    bar = note("C", 4, ties=["start"]) + backup + note("C", 2, voice=2) + note("C", 2, voice=2)
    end = note("C", 4, ties=["stop"]) + backup + note("G", 4, voice=2)
    both = score(bar, end)
    part = both[both.index(b'<part id="P1">') : both.index(b"</part></score")]
    two = both.replace(
        b"</part></score", b"</part>" + part.replace(b"P1", b"P2") + b"</part></score"
    )
    once = [(60, 0, 1), (60, 0, 4), (60, 1, 2), (67, 2, 4)]
    assert sorted(played(musicxml.read(both))) == once
    assert sorted(played(musicxml.read(two))) == sorted(once + once)


def test_grace_notes_take_no_time():
    read = musicxml.read(
        score(note("B", 0, extra="<grace/>").replace("<duration>0</duration>", "") + SCALE)
    )
    assert [n.pitch for n in read.notes] == [60, 62, 64, 65]


def packed(data, name="score.xml", container=True):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        if container:
            root = f'<rootfiles><rootfile full-path="{name}"/></rootfiles>'
            archive.writestr("META-INF/container.xml", f"<container>{root}</container>")
        archive.writestr(name, data)
    return buffer.getvalue()


def test_a_compressed_score_is_the_score():
    plain = score(SCALE)
    assert musicxml.read(packed(plain)) == musicxml.read(plain)


def test_scores_are_known_by_what_is_in_them():
    assert musicxml.is_musicxml(score(SCALE)) and musicxml.is_musicxml(packed(score(SCALE)))
    text = score(SCALE).decode().replace("UTF-8", "UTF-16")
    assert musicxml.is_musicxml(text.encode("utf-16"))
    assert len(musicxml.read(text.encode("utf-16")).notes) == 4
    for other in (b"", b"X:1\nK:C\nCDEF|", b"MThd", b"<html><pre>X:1</pre></html>", b"PK\x03\x04"):
        assert not musicxml.is_musicxml(other)
    assert not musicxml.is_musicxml(packed(b"X:1", "book.abc", container=False))


BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha">'
    + b"".join(
        b'<!ENTITY a%d "%s">' % (i, b"&a%d;" % (i - 1) * 60 if i else b"&a;" * 60) for i in range(9)
    )
    + b"]><score-partwise><part>&a8;</part></score-partwise>"
)


@pytest.mark.parametrize(
    "data, reason, detail",
    [
        (score(SCALE)[:-60], "malformed", "not readable as MusicXML"),
        (BOMB, "malformed", "not readable as MusicXML"),
        (score(SCALE).replace(b"<step>E</step>", b"<step>Q</step>"), "malformed", "not readable"),
        (score(SCALE).replace(b"<duration>2<", b"<duration>x<"), "malformed", "not readable"),
        (packed(score(SCALE))[:-9], "malformed", "compressed"),
        (packed(b" " * (65 << 20)), "too_large", "bytes; the limit"),
        (score("<note><rest/><duration>8</duration></note>"), "no_notes", "no note"),
        (
            score(SCALE.replace("pitch>", "unpitched>").replace("step>", "display-step>")),
            "malformed",
            "drums.*export it as MIDI",
        ),
        (score(SCALE, tempo=0.01), "too_long", "lasts"),
    ],
)
def test_what_cannot_be_read_is_said(data, reason, detail):
    with pytest.raises(Rejected, match=detail) as caught:
        musicxml.read(data)
    assert caught.value.reason == reason


def test_more_notes_than_are_allowed():
    with pytest.raises(Rejected, match="4 notes; the limit is 3"):
        musicxml.read(score(SCALE), max_notes=3)
