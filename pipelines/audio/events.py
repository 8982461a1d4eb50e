"""What a synthesiser plays of a NoteSequence: a program for each channel, and notes by frames."""

import collections
import math
import re
from typing import Any, NamedTuple

from pipelines.audio import instruments
from pipelines.audio.presets import DRUM_BANK, Preset
from pipelines.music.note_sequence import NoteSequence
from pipelines.runtime.app import UserError

RATE = 44_100  # Frames a second.
DRUM_CHANNEL = 9
_MOST_SECONDS = 24 * 3600
# Drums sound until they have died away, however short their notes are.
_DRUM_SECONDS = 1.0
# Pitches of Roland's drums, which the Groove MIDI Dataset was played on, and what they sound as.
# General MIDI has no sound for the edges of hi-hats (22, 26). For the rim of the third tom (58) it
# has a vibraslap, which rattles for three seconds; representations of drums read it as this tom.
_ROLAND = {22: 42, 26: 46, 58: 43}
# All pitches of that dataset whose instrument is another one in General MIDI: also the rim of the
# snare (40, there an electric snare), and the edges of both crashes (52 and 55, there a china and a
# splash cymbal). In other music these four pitches mean what General MIDI says.
_GROOVE = {**_ROLAND, 40: 38, 52: 57, 55: 49}
_GROOVE_COLLECTION = "groove"
# What a track with a piano is called. note-seq and pretty_midi call every track of program 0, but
# the first, by the name that General MIDI has for it, which so says nothing.
_PIANO = re.compile(r"piano|klavier|keyboard", re.IGNORECASE)
_SAYS_NOTHING = "Acoustic Grand Piano"


class Event(NamedTuple):
    """The begin or the end of a note; at one frame ends come first."""

    frame: int
    on: bool
    channel: int
    pitch: int
    velocity: int


class Part(NamedTuple):
    """What is to be played.

    Attributes:
      programs: what each channel plays, (bank, program).
      events: in order.
      frames: how long the piece is.
    """

    programs: dict[int, tuple[int, int]]
    events: collections.deque[Event]
    frames: int


def of(sequence: NoteSequence, instrument: str | None = None, preset: Preset | None = None) -> Part:
    """The events of a piece.

    Args:
      sequence: its notes.
      instrument: a name of `instruments.PROGRAMS` for all notes that are not drums, or None for
        what the notes say. Program 0 is a piano where the piece says so: where its track is called
        one, or where other notes have other programs. Elsewhere it is what a MIDI file and a
        NoteSequence have that say nothing, and so a fiddle.
      preset: plays all drums, if it is a drum kit, or else all other notes; what it does not play
        is left out. In place of `instrument`. The pitches of the Groove MIDI Dataset's records
        become those that General MIDI has for the same drums.

    Raises:
      UserError: for another instrument.
      ValueError: for a note that MIDI cannot represent, and for more than a day of music.
    """
    if instrument is not None and instrument not in instruments.PROGRAMS:
        names = ", ".join(instruments.PROGRAMS)
        raise UserError(f"--instrument={instrument}: no such instrument; there are {names}")
    pianos = _pianos(sequence)
    is_groove = preset is not None and sequence.collection_name == _GROOVE_COLLECTION
    drum_map = _GROOVE if is_groove else _ROLAND
    channels: dict[tuple[int, int], int] = {}
    events = []
    end = sequence.total_time
    for note in sequence.notes:
        _require_playable(note)
        end = max(end, note.start_time, note.end_time)
        if not note.velocity or (preset and note.is_drum != preset.is_drums):
            continue
        if preset:
            key = (preset.bank, preset.program)
        else:
            key = (DRUM_BANK, 0) if note.is_drum else (0, _program(note, instrument, pianos))
        channel = channels.setdefault(key, _channel(note.is_drum, len(channels)))
        start = max(round(note.start_time * RATE), 0)
        held = (
            max(note.end_time, note.start_time + _DRUM_SECONDS) if note.is_drum else note.end_time
        )
        until = max(round(held * RATE), start + 1)
        pitch = drum_map.get(note.pitch, note.pitch) if note.is_drum else note.pitch
        events.append(Event(start, True, channel, pitch, note.velocity))
        events.append(Event(until, False, channel, pitch, 0))
    if end > _MOST_SECONDS or not math.isfinite(end):
        raise ValueError(f"a piece of {end:g} seconds is longer than a day")
    programs = {channel: key for key, channel in channels.items()}
    return Part(programs, collections.deque(sorted(events)), round(end * RATE))


def _require_playable(note: Any) -> None:
    """Raises ValueError for a note that MIDI cannot represent."""
    if not (0 <= note.pitch < 128 and 0 <= note.velocity < 128 and 0 <= note.program < 128):
        raise ValueError("a note's pitch, velocity or program is not from 0 to 127")
    times = (note.start_time, note.end_time)
    if not (all(map(math.isfinite, times)) and max(times) <= _MOST_SECONDS):
        raise ValueError("a note's time is not finite, or later than a day")


def _pianos(sequence: NoteSequence) -> set[int]:
    """The instruments of a NoteSequence (tracks) whose notes of program 0 are a piano's."""
    if any(note.program and not note.is_drum for note in sequence.notes):
        return {note.instrument for note in sequence.notes}
    return {
        info.instrument
        for info in sequence.instrument_infos
        if _PIANO.search(info.name) and info.name != _SAYS_NOTHING
    }


def _program(note: Any, instrument: str | None, pianos: set[int]) -> int:
    if instrument is not None:
        return instruments.PROGRAMS[instrument]
    if note.program or note.instrument in pianos:
        return note.program
    return instruments.PROGRAMS[instruments.DEFAULT]


def _channel(is_drum: bool, number: int) -> int:
    """Drums are on channel 10 of MIDI, which is 9 from 0; what else there is takes the others."""
    if is_drum:
        return DRUM_CHANNEL
    return number if number < DRUM_CHANNEL else number + 1
