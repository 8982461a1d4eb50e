"""NoteSequences to MIDI bytes: the same bytes that note_seq writes, twenty times faster.

note_seq writes through pretty_midi and mido, which make, check and compare an object for each
event. Here the events of a track are integers, which sort in the order of the file.
"""

import io
import struct
from collections.abc import Iterable

import note_seq
import numpy as np
import pretty_midi
from note_seq.protobuf import music_pb2

from pipelines.music.timing import first_qpm

_RESOLUTION = note_seq.STANDARD_PPQ
_DRUM_CHANNEL = 9
_MELODIC_CHANNELS = [channel for channel in range(16) if channel != _DRUM_CHANNEL]
_NOTE_ON, _PROGRAM_CHANGE, _META = 0x90, 0xC0, 0xFF
_TRACK_NAME, _END_OF_TRACK, _SET_TEMPO, _TIME_SIGNATURE = 0x03, 0x2F, 0x51, 0x58
# No decoder of this project makes these, or changes of tempo, so note_seq writes them.
_RARE = ("key_signatures", "pitch_bends", "control_changes", "instrument_infos")


def note_sequence_to_midi(sequence: music_pb2.NoteSequence) -> bytes:
    """Writes a standard MIDI file, as `note_seq.sequence_proto_to_pretty_midi(...).write` does.

    There are two differences: all notes of instrument 0 are written, where note_seq keeps only
    those of the last program; and the tracks last until `sequence.total_time`, where note_seq ends
    each a tick after its last event, so that a program repeats a loop at its last bar.

    Args:
      sequence: its notes, meters, tempos, key signatures, bends and controllers are written. One
        with key signatures, bends, controllers or changes of tempo ends as note_seq ends it.

    Raises:
      ValueError: for a note, a tempo or a meter that MIDI cannot represent.
    """
    changes_tempo = len(sequence.tempos) > 1 or any(tempo.time for tempo in sequence.tempos)
    if changes_tempo or any(getattr(sequence, field) for field in _RARE):
        buffer = io.BytesIO()
        note_seq.sequence_proto_to_pretty_midi(sequence).write(buffer)
        return buffer.getvalue()

    resolution = sequence.ticks_per_quarter or _RESOLUTION
    qpm = first_qpm(sequence)
    if not qpm > 0:
        raise ValueError(f"MIDI has no tempo of {qpm} quarters a minute")
    seconds_per_tick = 60.0 / (qpm * resolution)
    [end] = _ticks([sequence.total_time], seconds_per_tick).tolist()
    tracks = [_timing(sequence, seconds_per_tick, resolution, end)]
    of_instrument: dict[tuple[int, int, bool], list] = {}
    for note in sequence.notes:
        key = note.instrument, note.program, note.is_drum
        of_instrument.setdefault(key, []).append(note)
    keys = sorted(of_instrument)
    if not keys or keys[0][0] > 0:
        # note_seq always writes an instrument 0.
        keys.insert(0, (0, 0, False))
    for index, key in enumerate(keys):
        channel = _MELODIC_CHANNELS[index % len(_MELODIC_CHANNELS)]
        notes = of_instrument.get(key, ())
        tracks.append(_track(channel, *key, notes, seconds_per_tick, end))
    header = b"MThd" + struct.pack(">LHHH", 6, 1, len(tracks), resolution)
    return header + b"".join(b"MTrk" + struct.pack(">L", len(track)) + track for track in tracks)


def _timing(
    sequence: music_pb2.NoteSequence, seconds_per_tick: float, resolution: int, end: int
) -> bytes:
    """The first track: the tempo and the meters."""
    microseconds = int(6e7 / (60.0 / (seconds_per_tick * resolution)))
    if not 0 < microseconds < 1 << 24:
        raise ValueError(f"MIDI has no tempo of {microseconds} microseconds a quarter")
    meters = [
        (meter.time, meter.numerator, meter.denominator) for meter in sequence.time_signatures
    ]
    if min((time for time, *_ in meters), default=1.0) > 0:
        meters.insert(0, (0.0, 4, 4))
    times = _ticks([time for time, *_ in meters], seconds_per_tick).tolist()
    events = [(0, _meta(_SET_TEMPO, microseconds.to_bytes(3, "big")))]
    for tick, (_, numerator, denominator) in sorted(zip(times, meters), key=lambda of: of[0]):
        power = max(denominator, 1).bit_length() - 1
        if not 0 < numerator < 256 or denominator != 1 << power:
            raise ValueError(f"MIDI has no meter {numerator}/{denominator}")
        events.append((tick, _meta(_TIME_SIGNATURE, bytes([numerator, power, 24, 8]))))
    return _events(events, end)


def _track(
    channel: int,
    instrument: int,
    program: int,
    is_drum: bool,
    notes,
    seconds_per_tick: float,
    end: int,
) -> bytes:
    """The track of one instrument."""
    if is_drum:
        channel = _DRUM_CHANNEL
    events = []
    if instrument:
        name = "Drums" if is_drum else pretty_midi.program_to_instrument_name(program)
        events.append((0, _meta(_TRACK_NAME, name.encode("latin1"))))
    events.append((0, bytes([_PROGRAM_CHANGE | channel, program])))
    status = bytes([_NOTE_ON | channel])
    for i, event in enumerate(_note_events(notes, seconds_per_tick)):
        # The status is written once and holds for all events that follow ("running status").
        body = bytes([event >> 7 & 0x7F, event & 0x7F])
        events.append((event >> 14, body if i else status + body))
    return _events(events, end)


def _note_events(notes, seconds_per_tick: float) -> list[int]:
    """The begins and ends of notes in order, each as tick << 14 | pitch << 7 | velocity.

    An end is a note-on of velocity 0, so at one tick it comes before the next note of its pitch.
    """
    values = np.array([(note.pitch, note.velocity) for note in notes], np.int64).reshape(-1, 2)
    if values.size and (values.min() < 0 or values.max() > 127):
        raise ValueError("a note's pitch or velocity is not from 0 to 127")
    pitches, velocities = values[:, 0] << 7, values[:, 1]
    starts = _ticks([note.start_time for note in notes], seconds_per_tick) << 14
    ends = _ticks([note.end_time for note in notes], seconds_per_tick) << 14
    return np.sort(np.concatenate([starts | pitches | velocities, ends | pitches])).tolist()


def _ticks(seconds: Iterable[float], seconds_per_tick: float) -> np.ndarray:
    ticks = np.rint(np.array(seconds, np.float64) / seconds_per_tick)
    return np.maximum(ticks, 0).astype(np.int64)


def _events(events: list[tuple[int, bytes]], end: int) -> bytes:
    """A track's bytes: its events in order, each after the number of ticks since the last one.

    The track ends at the tick `end`; if it has events later than that, a tick after the last one.
    """
    data = bytearray()
    last = 0
    for tick, event in events:
        data += _length(tick - last)
        data += event
        last = tick
    rest = end - last if end and end >= last else 1
    return bytes(data + _length(rest) + _meta(_END_OF_TRACK, b""))


def _meta(kind: int, payload: bytes) -> bytes:
    return bytes([_META, kind]) + _length(len(payload)) + payload


def _length(number: int) -> bytes:
    """A number as MIDI writes lengths and times: 7 bits a byte; the last byte has no top bit."""
    if number < 128:
        return bytes([number])
    parts = [number & 0x7F]
    while number := number >> 7:
        parts.append(number & 0x7F | 0x80)
    return bytes(reversed(parts))
