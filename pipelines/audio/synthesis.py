"""NoteSequences to samples, by a synthesiser and a sound font of General MIDI.

The sound font is TimGM6mb.sf2 (6 MB, GPL-2), which pretty_midi brings, and so note-seq. No smaller
package on PyPI was found that brings a better one; `sound_font` names another. The synthesisers are
those of `audio.synthesizers`.

Equal input gives equal samples. The gain is fixed, so that a quiet piece stays quieter than a loud
one; samples beyond 0.7 are bent towards 0.89 by a smooth curve, and so none is clipped.
"""

import collections
import importlib.util
import os
import pathlib
from collections.abc import Iterator

import numpy as np

from pipelines.audio import events, sound_fonts, synthesizers
from pipelines.audio.events import RATE, Event
from pipelines.audio.presets import Preset
from pipelines.audio.synthesizers import Synthesizer
from pipelines.music.note_sequence import NoteSequence
from pipelines.runtime.app import UserError

_BLOCK = 1 << 16  # Frames.
_KNEE, _CEILING = 0.7, 0.89  # The ceiling is -1 dB: MP3 overshoots a little.
_SILENCE = 1e-4  # -80 dB.
_MOST_TAIL = 10 * RATE  # Frames.


def render(
    sequence: NoteSequence,
    instrument: str | None = None,
    sound_font: str | None = None,
    synthesizer: str | None = None,
) -> tuple[np.ndarray, int]:
    """Plays a piece.

    Args:
      sequence: its notes are played until they have died away.
      instrument: a name of `instruments.PROGRAMS` for all notes that are not drums. By default
        each note's own program, and a fiddle for those of program 0, which say nothing.
      sound_font: the path of a sound font (.sf2, .sf3) of General MIDI.
      synthesizer: one of `synthesizers.NAMES`; by default the first that is installed.

    Returns:
      Samples, float32 shaped [frames, 2] and between -0.89 and 0.89, and the frames a second.

    Raises:
      UserError: where the synthesiser or the sound font is missing, or cannot be used.
      ValueError: for a note that MIDI cannot represent, and for more than a day of music.
    """
    return np.concatenate(list(blocks(sequence, instrument, sound_font, synthesizer))), RATE


def blocks(
    sequence: NoteSequence,
    instrument: str | None = None,
    sound_font: str | None = None,
    synthesizer: str | None = None,
    preset: Preset | None = None,
) -> Iterator[np.ndarray]:
    """As `render`, in blocks of at most a second and a half, at `RATE`: for pieces of any length.

    There is at least one block; the last one may have no frames. With a preset, that alone plays,
    as `events.of` says.
    """
    part = events.of(sequence, instrument, preset)
    font = find_sound_font(sound_font)
    if sound_font and (synthesizer or synthesizers.default()) == "tinysoundfont":
        sound_fonts.require_harmless(os.path.abspath(font))
    with synthesizers.opened(synthesizer, font, part.programs) as synth:
        yield from (
            _blocks(synth, part.events, part.frames) if part.events else _silence(part.frames)
        )


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


def require(
    instrument: str | None = None, sound_font: str | None = None, synthesizer: str | None = None
) -> None:
    """Raises UserError where nothing can be played with these."""
    list(blocks(NoteSequence(), instrument, sound_font, synthesizer))


def is_installed() -> bool:
    """Whether there is a synthesiser; the one that comes with us has no wheels for some systems."""
    return synthesizers.default() is not None


def _blocks(synth: Synthesizer, events: collections.deque[Event], end: int) -> Iterator[np.ndarray]:
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


def _block(synth: Synthesizer, events: collections.deque[Event], start: int) -> np.ndarray:
    """The frames of a block before they are limited; takes out of `events` those in it."""
    block = np.empty((_BLOCK, 2), np.float32)
    at = 0
    while at < _BLOCK:
        while events and events[0].frame <= start + at:
            event = events.popleft()
            if event.on:
                synth.note_on(event.channel, event.pitch, event.velocity)
            else:
                synth.note_off(event.channel, event.pitch)
        until = min(events[0].frame - start, _BLOCK) if events else _BLOCK
        block[at:until] = synth.generate(until - at)
        at = until
    return block


def _limited(samples: np.ndarray) -> np.ndarray:
    """Bends what is beyond the knee towards the ceiling, without a corner."""
    size = np.abs(samples)
    if size.max(initial=0) <= _KNEE:
        return samples
    room = _CEILING - _KNEE
    bent = _KNEE + room * np.tanh((size - _KNEE) / room)
    return np.where(size > _KNEE, np.copysign(bent, samples), samples).astype(np.float32)
