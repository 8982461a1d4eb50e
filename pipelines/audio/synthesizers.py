"""The synthesisers that play sound fonts: TinySoundFont, and FluidSynth where it is installed.

What was compared, on ten minutes of drums at eight hits a second, one core of a server, 44.1 kHz,
all with TimGM6mb.sf2 (times real time, without loading):

    tinysoundfont 0.3.7  MIT, 2025-06; float samples, bit by bit: 220 (a melody: 1,110). Wheels
                         for Python 3.11 and 3.12 on Linux x86-64 and macOS arm64, of 0.2 MB
    midirenderer 0.1.3   MIT, 2024-07; 93. Wheels for every Python, but whole files of 16 bits only:
                         it clips by itself, and three hours of music are in memory at once
    symusic 0.6.0        MIT, 2026-04; wheels for every Python, but `render` raises a TypeError here
                         with NumPy 2.4 and gives no samples
    pyfluidsynth 1.4.0   LGPL-2.1, 2026-05; needs the system's FluidSynth library

tinysoundfont has the samples that are wanted and nothing to install beside it. It also asks for
PyAudio, which plays on a sound card, and imports it only there; so it is left out. pyfluidsynth is
pure Python, and so comes with every installation: FluidSynth is used where it is named, and where
tinysoundfont has no wheel.
"""

import contextlib
import importlib
import importlib.util
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from pipelines.audio.events import DRUM_CHANNEL, RATE
from pipelines.audio.presets import DRUM_BANK
from pipelines.runtime.app import UserError

# Controller 7 of the drums: with it they are 6 dB softer than the rest, in which a single voice
# would be hard to hear at the level that suits drums.
_VOLUME, _FULL, _DRUM_VOLUME = 7, 127, 101
_VOICES = 1024
_CHANNELS = 256  # FluidSynth's: more than there are programs.
# With this, and without its reverb and chorus, FluidSynth is about as loud as TinySoundFont.
_FLUID_GAIN = 1.0


class Synthesizer(Protocol):
    """A synthesiser with a sound font."""

    def select(self, channel: int, bank: int, program: int, volume: int) -> bool:
        """Chooses what a channel plays, and how loud; False where the sound font has none."""

    def note_on(self, channel: int, pitch: int, velocity: int) -> None:
        """Begins a note."""

    def note_off(self, channel: int, pitch: int) -> None:
        """Ends a note, which may go on to sound for a while."""

    def generate(self, frames: int) -> np.ndarray:
        """The next samples, shaped [frames, 2]."""

    def finish(self) -> bool:
        """Ends all sound; whether what is played next is what a new synthesiser would play."""


class _TinySoundFont:
    def __init__(self, path: str) -> None:
        import tinysoundfont

        self._errors = (tinysoundfont.SoundFontException, RuntimeError)
        self._synth = tinysoundfont.Synth(gain=0.0, samplerate=RATE)
        try:
            self._font = self._synth.sfload(path, max_voices=_VOICES)
        except (*self._errors, ValueError, OSError) as error:
            raise ValueError(str(error)) from error

    def select(self, channel: int, bank: int, program: int, volume: int) -> bool:
        try:
            self._synth.program_select(channel, self._font, bank, program, bank == DRUM_BANK)
        except self._errors:
            return False
        self._synth.control_change(channel, _VOLUME, volume)
        return True

    def note_on(self, channel: int, pitch: int, velocity: int) -> None:
        self._synth.noteon(channel, pitch, velocity)

    def note_off(self, channel: int, pitch: int) -> None:
        self._synth.noteoff(channel, pitch)

    def generate(self, frames: int) -> np.ndarray:
        return np.frombuffer(self._synth.generate(frames), np.float32).reshape(-1, 2)

    def finish(self) -> bool:
        self._synth.soundfonts[self._font].reset()
        self._synth.generate(RATE // 10)  # What sounds is faded within 10 ms.
        return True


class _FluidSynth:
    def __init__(self, path: str) -> None:
        import ctypes

        import fluidsynth

        settings = {
            "synth.polyphony": _VOICES,
            "synth.reverb.active": 0,
            "synth.chorus.active": 0,
            "synth.dynamic-sample-loading": 1,
        }
        self._synth = fluidsynth.Synth(
            gain=_FLUID_GAIN, samplerate=RATE, channels=_CHANNELS, **settings
        )
        # pyfluidsynth itself gives samples of 16 bits, which clip.
        integer, pointer = (ctypes.c_int, 1), (ctypes.c_void_p, 1)
        self._write: Callable[..., int] = fluidsynth.cfunc(
            "fluid_synth_write_float",
            ctypes.c_int,
            *(
                (name, *kind)
                for name, kind in (
                    ("synth", pointer),
                    ("len", integer),
                    ("lout", pointer),
                    ("loff", integer),
                    ("lincr", integer),
                    ("rout", pointer),
                    ("roff", integer),
                    ("rincr", integer),
                )
            ),
        )
        self._font = self._synth.sfload(path)
        if self._font < 0:
            self._synth.delete()
            raise ValueError("FluidSynth cannot load it")

    def select(self, channel: int, bank: int, program: int, volume: int) -> bool:
        if self._synth.program_select(channel, self._font, bank, program):
            return False
        self._synth.cc(channel, _VOLUME, volume)
        return True

    def note_on(self, channel: int, pitch: int, velocity: int) -> None:
        self._synth.noteon(channel, pitch, velocity)

    def note_off(self, channel: int, pitch: int) -> None:
        self._synth.noteoff(channel, pitch)

    def generate(self, frames: int) -> np.ndarray:
        samples = np.empty((frames, 2), np.float32)
        at = samples.ctypes.data
        self._write(self._synth.synth, frames, at, 0, 2, at, 1, 2)
        return samples

    def finish(self) -> bool:
        # What it plays after a reset differs: voices keep the states of their filters.
        self._synth.delete()
        return False


class _Kind(NamedTuple):
    """How a synthesiser is opened; the module that it needs; what to do where that is missing."""

    open: Callable[[str], Synthesizer]
    module: str
    fix: str


_KINDS = {
    "tinysoundfont": _Kind(
        _TinySoundFont,
        "tinysoundfont",
        "./.venv/bin/python -m pip install --no-deps tinysoundfont==0.3.7 (needs a C++ compiler "
        "where PyPI has no wheel)",
    ),
    "fluidsynth": _Kind(
        _FluidSynth,
        "fluidsynth",
        "apt install libfluidsynth3 (macOS: brew install fluid-synth)",
    ),
}
NAMES = tuple(_KINDS)
# A synthesiser that is not in use, with what it was opened for: sound fonts take a while to read.
_idle: dict[tuple[Any, ...], Synthesizer] = {}


def is_installed(name: str) -> bool:
    """Whether a synthesiser of `NAMES` can be used here."""
    module = _KINDS[name].module
    if importlib.util.find_spec(module) is None:
        return False
    if name == "tinysoundfont":
        return True
    try:
        importlib.import_module(module)  # It looks for the library.
    except (ImportError, OSError):
        return False
    return True


def default() -> str | None:
    """The first of `NAMES` that is installed; None where none is."""
    return next(filter(is_installed, NAMES), None)


@contextlib.contextmanager
def opened(
    name: str | None, path: str, programs: Mapping[int, tuple[int, int]]
) -> Iterator[Synthesizer]:
    """A synthesiser that plays a (bank, program) on each channel.

    TinySoundFont is kept for the next piece with the same sound font. Two in use at once are two.

    Raises:
      UserError: where it is missing, or the sound font cannot be read or lacks a program.
    """
    name = name or default()
    if name is None:
        fixes = ", or ".join(kind.fix for kind in _KINDS.values())
        raise UserError(f"there is no synthesiser: {fixes}, or --audio=none")
    if not is_installed(name):
        raise UserError(f"the synthesiser {name} is missing: {_KINDS[name].fix}")
    status = os.stat(path)
    key = (name, path, status.st_mtime_ns, status.st_size)
    synth = _idle.pop(key, None) or _open(name, path)
    _select(synth, path, programs)
    try:
        yield synth
    finally:
        if synth.finish():
            _idle.clear()
            _idle[key] = synth


def _open(name: str, path: str) -> Synthesizer:
    try:
        return _KINDS[name].open(path)
    except ValueError as error:
        raise UserError(
            f"{path}: not a sound font (.sf2, .sf3); name another with --sound_font ({error})"
        ) from error


def _select(synth: Synthesizer, path: str, programs: Mapping[int, tuple[int, int]]) -> None:
    for channel, (bank, program) in programs.items():
        volume = _DRUM_VOLUME if channel == DRUM_CHANNEL else _FULL
        if not synth.select(channel, bank, program, volume):
            what = "drums" if bank == DRUM_BANK else f"program {program} of General MIDI"
            raise UserError(
                f"{path}: has no {what}; name another with --sound_font, or give --instrument"
            )
