"""MIDI read: against note_seq, by hand, and on bytes that are no MIDI."""

import io
import random
import struct
import subprocess
import sys
import zipfile

import mido
import note_seq
import pytest
from mido.midifiles.meta import KeySignatureError

from pipelines.music import midi_reader
from pipelines.music.limits import Rejected
from tests.support.groove_release import hits, midi_bytes


def on(pitch, velocity, delta=0, channel=9):
    return mido.Message("note_on", channel=channel, note=pitch, velocity=velocity, time=delta)


def off(pitch, delta=0, channel=9):
    return mido.Message("note_off", channel=channel, note=pitch, time=delta)


def notes_of(*messages):
    sequence = midi_reader.midi_to_note_sequence(midi_bytes(messages))
    return [(note.pitch, note.velocity, note.start_time, note.end_time) for note in sequence.notes]


# 480 ticks a quarter at 120 quarters a minute: 960 ticks a second.


def test_one_note_off_ends_all_open_notes_of_its_pitch():
    assert notes_of(on(38, 10), on(38, 20, 480), off(38, 480), on(38, 30, 0), off(38, 960)) == [
        (38, 10, 0.0, 1.0),
        (38, 20, 0.5, 1.0),
        (38, 30, 1.0, 2.0),
    ]


def test_a_note_that_begins_at_the_tick_of_a_note_off_stays_open():
    assert notes_of(on(38, 10), on(38, 20, 960), off(38), off(38, 960)) == [
        (38, 10, 0.0, 1.0),
        (38, 20, 1.0, 2.0),
    ]


def test_notes_without_length_and_without_end_are_left_out():
    messages = [on(36, 9), off(36), on(40, 9), on(42, 9, 96), off(42, 96)]
    assert notes_of(*messages) == [(42, 9, 0.1, 0.2)]


def test_note_on_with_velocity_zero_is_a_note_off():
    assert notes_of(on(36, 9), on(36, 0, 960)) == [(36, 9, 0.0, 1.0)]


def test_times_follow_the_tempo_map():
    # 960 ticks at 120 take 1 s; then 60 quarters a minute: 480 ticks take 1 s.
    tempo = mido.MetaMessage("set_tempo", tempo=1_000_000, time=960)
    data = midi_bytes([tempo], [on(36, 9, 480), off(36, 960), on(36, 9, 480), off(36, 240)])
    sequence = midi_reader.midi_to_note_sequence(data)
    assert [(n.start_time, n.end_time) for n in sequence.notes] == [(0.5, 2.0), (3.0, 3.5)]
    assert [(t.time, t.qpm) for t in sequence.tempos] == [(0.0, 120.0), (1.0, 60.0)]
    assert sequence.total_time == 3.5


def test_labels_of_the_whole_file():
    data = midi_bytes(
        [
            mido.MetaMessage("track_name", name="Dr\xfcms"),
            mido.MetaMessage("time_signature", numerator=6, denominator=8),
            mido.MetaMessage("key_signature", key="F#m", time=480),
            mido.Message("control_change", channel=9, control=4, value=90),
            on(36, 9),
            off(36, 480),
            mido.Message("pitchwheel", channel=9, pitch=-8192),
        ]
    )
    sequence = midi_reader.midi_to_note_sequence(data)
    assert sequence.ticks_per_quarter == 480
    assert sequence.instrument_infos[0].name == "Drüms"
    meter = sequence.time_signatures[0]
    assert (meter.numerator, meter.denominator) == (6, 8)
    key = sequence.key_signatures[0]
    assert (key.time, key.key, key.mode) == (0.5, key.F_SHARP, key.MINOR)
    change = sequence.control_changes[0]
    assert (change.time, change.control_number, change.control_value) == (0.5, 4, 90)
    assert (sequence.pitch_bends[0].time, sequence.pitch_bends[0].bend) == (1.0, -8192)
    assert sequence.notes[0].is_drum and sequence.control_changes[0].is_drum


def random_midi(chance: random.Random) -> bytes:
    """A file with all that confuses readers: overlaps, stragglers, programs, tempos, sysex."""

    def event(delta):
        channel = chance.choice([0, 0, 9, 9, 3])
        pitch = chance.choice([36, 38, 38, 42])
        other = [
            lambda: mido.Message(
                "control_change",
                channel=channel,
                control=chance.choice([4, 64]),
                value=chance.randrange(128),
            ),
            lambda: mido.Message(
                "pitchwheel", channel=channel, pitch=chance.randrange(-8192, 8192)
            ),
            lambda: mido.Message(
                "program_change", channel=channel, program=chance.choice([0, 5, 127])
            ),
            lambda: mido.Message("aftertouch", channel=channel, value=3),
            lambda: mido.Message("polytouch", channel=channel, note=pitch, value=3),
            lambda: mido.MetaMessage("set_tempo", tempo=chance.choice([500_000, 654_321, 1])),
            lambda: mido.MetaMessage("set_tempo", tempo=2**24 - 1),
            lambda: mido.MetaMessage(
                "time_signature",
                numerator=chance.choice([3, 255]),
                denominator=chance.choice([2, 8]),
            ),
            lambda: mido.MetaMessage("key_signature", key=chance.choice(["C", "Gb", "A#m", "Cb"])),
            lambda: mido.MetaMessage("track_name", name=chance.choice(["one", "tw\xf6", ""])),
            lambda: mido.MetaMessage("text", text="words " * chance.choice([1, 40])),
            lambda: mido.Message("sysex", data=[1, 2, 3]),
        ]
        notes = [
            lambda: on(pitch, chance.choice([0, 1, 64, 127]), channel=channel),
            lambda: off(pitch, channel=channel),
        ]
        return chance.choice(notes * 6 + other)().copy(time=delta)

    tracks = [
        [
            event(chance.choice([0, 0, 0, 1, 2, 10, 480, 5000]))
            for _ in range(chance.randrange(5, 120))
        ]
        for _ in range(chance.choice([1, 1, 2, 3]))
    ]
    return midi_bytes(*tracks, ticks_per_beat=chance.choice([24, 220, 480, 960]))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Tempo, Key or Time signature")
def test_random_files_give_what_note_seq_gives():
    compared = 0
    for seed in range(400):
        data = random_midi(random.Random(seed))
        theirs = note_seq.midi_to_note_sequence(data)
        if theirs.notes:
            assert midi_reader.midi_to_note_sequence(data, max_seconds=1e12) == theirs, seed
            compared += 1
        else:
            with pytest.raises(Rejected, match="no_notes"):
                midi_reader.midi_to_note_sequence(data)
    assert compared > 300


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Tempo, Key or Time signature")
def test_damaged_files_are_refused_or_read_as_note_seq_reads_them():
    outcomes = {"refused": 0, "read": 0}
    for seed in range(600):
        chance = random.Random(seed)
        data = bytearray(random_midi(chance))
        place = chance.randrange(30, len(data))
        if chance.random() < 0.5:
            data[place] = chance.randrange(0xF8)
        else:
            del data[place:]
        try:
            ours = midi_reader.midi_to_note_sequence(bytes(data), max_seconds=1e12)
        except Rejected:
            outcomes["refused"] += 1
            continue
        if note_seq_may_read(bytes(data)):
            assert ours == note_seq.midi_to_note_sequence(bytes(data)), seed
            outcomes["read"] += 1
    assert min(outcomes.values()) > 50, outcomes


def note_seq_may_read(data: bytes) -> bool:
    """Whether mido reads the file, knows its meta events, and note_seq has the memory for it."""
    try:
        tracks = mido.MidiFile(file=io.BytesIO(data)).tracks
    except (OSError, ValueError, EOFError, KeySignatureError):
        return False
    ticks = max(sum(message.time for message in track) for track in tracks)
    return ticks < 1e6 and not any(
        message.type == "unknown_meta" for track in tracks for message in track
    )


def test_a_nameless_meta_event_takes_its_time():
    data = one_track(b"\x00\x99\x24\x40\x83\x60\xff\x60\x00\x83\x60\x89\x24\x40")
    assert midi_reader.midi_to_note_sequence(data).total_time == 1.0


def test_running_status_also_after_a_meta_event():
    data = one_track(b"\x00\x99\x24\x40\x00\x26\x41\x00\xff\x01\x01a\x83\x60\x24\x00\x00\x26\x00")
    sequence = midi_reader.midi_to_note_sequence(data)
    assert sequence == note_seq.midi_to_note_sequence(data)
    assert [(n.pitch, n.velocity, n.end_time) for n in sequence.notes] == [
        (36, 64, 0.5),
        (38, 65, 0.5),
    ]


GOOD = midi_bytes(hits((36, 100, 0), (38, 90, 420), (36, 80, 420)))


def one_track(body: bytes, division: int = 480) -> bytes:
    return (
        b"MThd"
        + struct.pack(">LHHH", 6, 0, 1, division & 0xFFFF)
        + b"MTrk"
        + struct.pack(">L", len(body))
        + body
    )


@pytest.mark.parametrize(
    "data, reason, detail",
    [
        (b"", "malformed", "not a MIDI file"),
        (random.Random(1).randbytes(4000), "malformed", "not a MIDI file"),
        (b"MThd" + random.Random(2).randbytes(4000), "malformed", "header|ends inside"),
        (GOOD[:-7], "malformed", "ends inside an event"),
        (GOOD[:16], "malformed", "ends inside an event"),
        (GOOD[:10], "malformed", "ends inside an event"),
        (GOOD[:14] + b"XXXX" + GOOD[18:], "malformed", "no track at byte 14"),
        (midi_bytes([]), "no_notes", "no note"),
        (midi_bytes([on(36, 9), off(36, 0)]), "no_notes", "no note"),
        (b"MThd" + struct.pack(">LHHH", 6, 1, 0, 480), "no_notes", "no tracks"),
        (one_track(b"\x00\x24\x40"), "malformed", "no event ends at byte"),
        (one_track(b"\x00\x99\x24\x90"), "malformed", "no event ends at byte"),
        (one_track(b"\x00\xf4\x01\x00"), "malformed", "0xf4"),
        (one_track(b"\x00\xff\x01\xff\xff\xff\xff\x7f"), "malformed", "four bytes at byte 25"),
        (one_track(GOOD[22:], division=-30 * 256 + 80), "malformed", "ticks per quarter"),
        (one_track(GOOD[22:], division=0), "malformed", "ticks per quarter"),
        (one_track(b"\x00\xff\x51\x03\x00\x00\x00" + GOOD[22:]), "malformed", "tempo"),
        (one_track(b"\x00\xff\x58\x04\x00\x02\x18\x08" + GOOD[22:]), "malformed", "meter"),
        (one_track(b"\x00\xff\x58\x04\x04\x1f\x18\x08" + GOOD[22:]), "malformed", "meter"),
        (one_track(b"\x00\xff\x59\x02\x08\x00" + GOOD[22:]), "malformed", "key"),
        (midi_bytes([on(36, 9), off(36, 2**31 - 1)]), "too_long", "2236962 s"),
        (one_track(b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x99\x24\x40"), "too_long", "ticks"),
        (one_track(b"\x00" * midi_reader.byte_limit()), "too_large", "the limit is"),
    ],
)
def test_what_cannot_be_used_is_rejected_with_its_reason(data, reason, detail, capfd):
    with pytest.raises(Rejected, match=detail) as caught:
        midi_reader.midi_to_note_sequence(data)
    assert caught.value.reason == reason
    assert caught.value.detail and "\n" not in caught.value.detail
    assert capfd.readouterr() == ("", "")


def test_limits_are_inclusive():
    data = midi_bytes(hits(*[(36, 100, 0)] * 10, length=96))  # 10 notes of 0.1 s
    assert len(midi_reader.midi_to_note_sequence(data, max_seconds=1.0, max_notes=10).notes) == 10
    with pytest.raises(Rejected, match="too_many_notes.*9"):
        midi_reader.midi_to_note_sequence(data, max_notes=9)
    with pytest.raises(Rejected, match="too_long.*0.9"):
        midi_reader.midi_to_note_sequence(data, max_seconds=0.9)


def test_a_late_controller_makes_a_file_too_long():
    late = mido.Message("control_change", channel=9, control=4, value=1, time=2**28 - 1)
    with pytest.raises(Rejected, match="too_long"):
        midi_reader.midi_to_note_sequence(midi_bytes([*hits((36, 100, 0)), late]))


def test_controllers_that_many_instruments_share_do_not_explode():
    # A megabyte of control changes before the first note belongs to each of 128 programs after it.
    body = b"\x00\xb9\x04\x01" + b"\x00\x04\x01" * 300_000
    for program in range(128):
        body += bytes([0, 0xC9, program, 0, 0x99, 36, 9, 1, 36, 0])
    with pytest.raises(Rejected, match="too_large: 38400128 control changes"):
        midi_reader.midi_to_note_sequence(one_track(body))


def test_memory_does_not_follow_a_files_length_in_ticks():
    # note_seq would allocate 16 GiB for this file; a fresh process measures ours alone.
    script = (
        "import mido, resource, sys\n"
        "from tests.support.groove_release import midi_bytes\n"
        "from pipelines.music import midi_reader\n"
        "data = midi_bytes([mido.Message('note_on', note=36), mido.Message('note_on', note=38),"
        " mido.Message('note_off', note=38, time=2**31 - 1)])\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print(midi_reader.midi_to_note_sequence(data, max_seconds=1e9).total_time)\n"
        "assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx((2**31 - 1) / 960)


def test_random_bytes_after_a_good_header_never_raise_anything_else():
    chance = random.Random(5)
    for _ in range(300):
        body = chance.randbytes(chance.randrange(200))
        try:
            midi_reader.midi_to_note_sequence(one_track(body))
        except Rejected:
            pass


@pytest.mark.slow
def test_the_groove_midi_dataset_gives_what_note_seq_gives(corpora):
    with zipfile.ZipFile(corpora / "groove-v1.0.0-midionly.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".mid")]
        assert len(names) == 1150
        notes = 0
        for name in names:
            data = archive.read(name)
            ours = midi_reader.midi_to_note_sequence(data)
            # Equality of messages: every field, and times to the last bit.
            assert ours == note_seq.midi_to_note_sequence(data), name
            notes += len(ours.notes)
    assert notes == 445_494
