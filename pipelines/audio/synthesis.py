"""NoteSequences to samples, by TinySoundFont and a sound font of General MIDI.

What was compared, on ten minutes of drums at eight hits a second, one core of a server, 44.1 kHz,
all with the sound font below (times real time, without loading):

    tinysoundfont 0.3.7  MIT, 2025-06; float samples, bit by bit: 220 (a melody: 1,110). Wheels
                         for Python 3.11 and 3.12 on Linux x86-64 and macOS arm64, of 0.2 MB
    midirenderer 0.1.3   MIT, 2024-07; 93. Wheels for every Python, but whole files of 16 bits only:
                         it clips by itself, and three hours of music are in memory at once
    symusic 0.6.0        MIT, 2026-04; wheels for every Python, but `render` raises a TypeError here
                         with NumPy 2.4 and gives no samples
    pyfluidsynth 1.4.0   LGPL-2.1, 2026-05; needs the system's FluidSynth library

tinysoundfont has the samples that are wanted and nothing to install beside it. It also asks for
PyAudio, which plays on a sound card, and imports it only there; so it is left out. The sound font
is TimGM6mb.sf2 (6 MB, GPL-2), which pretty_midi brings, and so note-seq. No smaller package on PyPI
was found that brings a better one; `sound_font` names another.

Equal input gives equal samples. The gain is fixed, so that a quiet piece stays quieter than a loud
one; samples beyond 0.7 are bent towards 0.89 by a smooth curve, and so none is clipped.
"""

import collections
import importlib.util
import math
import os
import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from pipelines.audio import instruments
from pipelines.music.note_sequence import NoteSequence
from pipelines.runtime.app import UserError

RATE = 44_100  # Frames a second.
_BLOCK = 1 << 16  # Frames.
_GAIN_DB = 0.0
# Controller 7 of the drums: with it they are 6 dB softer than the rest, in which a single voice
# would be hard to hear at the level that suits drums.
_VOLUME, _DRUM_VOLUME = 7, 101
_KNEE, _CEILING = 0.7, 0.89  # The ceiling is -1 dB: MP3 overshoots a little.
_SILENCE = 1e-4  # -80 dB.
_MOST_TAIL = 10 * RATE  # Frames.
_MOST_SECONDS = 24 * 3600
_DRUM_CHANNEL = 9
_DRUM_BANK = 128
# Drums sound until they have died away, however short their notes are.
_DRUM_SECONDS = 1.0
# The edges of hi-hats on Roland's drums, which the Groove MIDI Dataset was played on: General MIDI
# has no sound for them, and so they sound as a closed and an open hi-hat.
_HI_HAT_EDGES = {22: 42, 26: 46}
_VOICES = 1024


class _Event(NamedTuple):
    """The begin or the end of a note; at one frame ends come first."""

    frame: int
    on: bool
    channel: int
    pitch: int
    velocity: int


def render(
    sequence: NoteSequence, instrument: str | None = None, sound_font: str | None = None
) -> tuple[np.ndarray, int]:
    """Plays a piece.

    Args:
      sequence: its notes are played until they have died away.
      instrument: a name of `instruments.PROGRAMS` for all notes that are not drums. By default
        each note's own program, and a fiddle for those of program 0, which say nothing.
      sound_font: the path of a sound font (.sf2, .sf3) of General MIDI.

    Returns:
      Samples, float32 shaped [frames, 2] and between -0.89 and 0.89, and the frames a second.

    Raises:
      UserError: where the synthesiser or the sound font is missing, or cannot be used.
      ValueError: for a note that MIDI cannot represent, and for more than a day of music.
    """
    return np.concatenate(list(blocks(sequence, instrument, sound_font))), RATE


def blocks(
    sequence: NoteSequence, instrument: str | None = None, sound_font: str | None = None
) -> Iterator[np.ndarray]:
    """As `render`, in blocks of at most a second and a half, at `RATE`: for pieces of any length.

    There is at least one block; the last one may have no frames.
    """
    programs, events = _events(sequence, instrument)
    times = [max(note.start_time, note.end_time) for note in sequence.notes]
    end = round(max([sequence.total_time, *times]) * RATE)
    synth = _synthesizer(find_sound_font(sound_font), programs)
    return _blocks(synth, events, end) if events else _silence(end)


def find_sound_font(path: str | None = None) -> str:
    """The sound font at a path, or by default the one that pretty_midi brings.

    Raises:
      UserError: where there is none.
    """
    if path is not None:
        if not os.path.isfile(path):
            raise UserError(f"{path}: no such sound font; --sound_font names a file (.sf2, .sf3)")
        return path
    package = importlib.util.find_spec("pretty_midi")
    found = package and package.origin and pathlib.Path(package.origin).with_name("TimGM6mb.sf2")
    if not found or not found.is_file():
        raise UserError(
            "the sound font of the package pretty_midi is missing; name another with --sound_font"
        )
    return os.fspath(found)


def require(instrument: str | None = None, sound_font: str | None = None) -> None:
    """Raises UserError where nothing can be played with this instrument and this sound font."""
    next(blocks(NoteSequence(), instrument, sound_font))


def is_installed() -> bool:
    """Whether the synthesiser is there; it has no wheels for some systems."""
    return importlib.util.find_spec("tinysoundfont") is not None


def _synthesizer(path: str, programs: dict[int, tuple[int, int]]) -> Any:
    """A synthesiser that plays a (bank, program) on each channel."""
    try:
        import tinysoundfont
    except ImportError as error:
        raise UserError(
            "the synthesiser is missing: ./.venv/bin/python -m pip install --no-deps "
            f"tinysoundfont==0.3.7 (needs a C++ compiler where PyPI has no wheel), or --audio=none "
            f"({error})"
        ) from error
    synth = tinysoundfont.Synth(gain=_GAIN_DB, samplerate=RATE)
    try:
        font = synth.sfload(path, max_voices=_VOICES)
    except (tinysoundfont.SoundFontException, RuntimeError, ValueError, OSError) as error:
        raise UserError(
            f"{path}: not a sound font (.sf2, .sf3); name another with --sound_font ({error})"
        ) from error
    for channel, (bank, program) in programs.items():
        try:
            synth.program_select(channel, font, bank, program, bank == _DRUM_BANK)
        except (tinysoundfont.SoundFontException, RuntimeError) as error:
            what = "drums" if bank == _DRUM_BANK else f"program {program} of General MIDI"
            raise UserError(
                f"{path}: has no {what}; name another with --sound_font, or give --instrument"
            ) from error
        if bank == _DRUM_BANK:
            synth.control_change(channel, _VOLUME, _DRUM_VOLUME)
    return synth


def _events(
    sequence: NoteSequence, instrument: str | None
) -> tuple[dict[int, tuple[int, int]], collections.deque[_Event]]:
    """What each channel plays, (bank, program), and the events in order."""
    if instrument is not None and instrument not in instruments.PROGRAMS:
        names = ", ".join(instruments.PROGRAMS)
        raise UserError(f"--instrument={instrument}: no such instrument; there are {names}")
    channels: dict[tuple[int, int], int] = {}
    events = []
    for note in sequence.notes:
        _require_playable(note)
        if not note.velocity:
            continue
        key = (_DRUM_BANK, 0) if note.is_drum else (0, _program(note.program, instrument))
        channel = channels.setdefault(key, _channel(key, len(channels)))
        start = max(round(note.start_time * RATE), 0)
        held = (
            max(note.end_time, note.start_time + _DRUM_SECONDS) if note.is_drum else note.end_time
        )
        end = max(round(held * RATE), start + 1)
        pitch = _HI_HAT_EDGES.get(note.pitch, note.pitch) if note.is_drum else note.pitch
        events.append(_Event(start, True, channel, pitch, note.velocity))
        events.append(_Event(end, False, channel, pitch, 0))
    if sequence.total_time > _MOST_SECONDS or not math.isfinite(sequence.total_time):
        raise ValueError(f"a piece of {sequence.total_time:g} seconds is longer than a day")
    return {channel: key for key, channel in channels.items()}, collections.deque(sorted(events))


def _require_playable(note: Any) -> None:
    """Raises ValueError for a note that MIDI cannot represent."""
    if not (0 <= note.pitch < 128 and 0 <= note.velocity < 128 and 0 <= note.program < 128):
        raise ValueError("a note's pitch, velocity or program is not from 0 to 127")
    times = (note.start_time, note.end_time)
    if not (all(map(math.isfinite, times)) and max(times) <= _MOST_SECONDS):
        raise ValueError("a note's time is not finite, or later than a day")


def _program(program: int, instrument: str | None) -> int:
    if instrument is None and program:
        return program
    return instruments.PROGRAMS[instrument or instruments.DEFAULT]


def _channel(key: tuple[int, int], number: int) -> int:
    """Drums are on channel 10 of MIDI, which is 9 from 0; what else there is takes the others."""
    if key[0] == _DRUM_BANK:
        return _DRUM_CHANNEL
    return number if number < _DRUM_CHANNEL else number + 1


def _blocks(synth: Any, events: collections.deque[_Event], end: int) -> Iterator[np.ndarray]:
    """Plays events; ends at the frame `end`, or later when the last note has died away."""
    start = 0
    while True:
        block = _block(synth, events, start)
        after = max(end - start, 0)
        # A tenth of a second of silence after the end is the end.
        audible = after + np.flatnonzero(np.abs(block[after:]).max(axis=1, initial=0) > _SILENCE)
        last = int(audible[-1]) + 1 if audible.size else after
        start += len(block)
        if last < len(block) - RATE // 10 or start > end + _MOST_TAIL:
            yield _limited(block[:last])
            return
        yield _limited(block)


def _silence(frames: int) -> Iterator[np.ndarray]:
    """Blocks without a sound."""
    for start in range(0, max(frames, 1), _BLOCK):
        yield np.zeros((min(frames - start, _BLOCK), 2), np.float32)


def _block(synth: Any, events: collections.deque[_Event], start: int) -> np.ndarray:
    """The frames of a block before they are limited; takes out of `events` those in it."""
    block = np.empty((_BLOCK, 2), np.float32)
    at = 0
    while at < _BLOCK:
        while events and events[0].frame <= start + at:
            event = events.popleft()
            if event.on:
                synth.noteon(event.channel, event.pitch, event.velocity)
            else:
                synth.noteoff(event.channel, event.pitch)
        until = min(events[0].frame - start, _BLOCK) if events else _BLOCK
        samples = np.frombuffer(synth.generate(until - at), np.float32)
        block[at:until] = samples.reshape(-1, 2)
        at = until
    return block


def _limited(samples: np.ndarray) -> np.ndarray:
    """Bends what is beyond the knee towards the ceiling, without a corner."""
    room = _CEILING - _KNEE
    size = np.abs(samples)
    bent = _KNEE + room * np.tanh((size - _KNEE) / room)
    return np.where(size > _KNEE, np.copysign(bent, samples), samples).astype(np.float32)
