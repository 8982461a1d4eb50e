"""Headless Chromium, and folders of music with sound for it."""

import os
import pathlib
import shutil
import wave

import numpy as np
import pytest

from pipelines.music import midi_writer
from pipelines.music.note_sequence import NoteSequence

# Debian's Chromium, or another that the variable CHROMIUM names.
NAMES = ("chromium", "chromium-browser", "google-chrome")
_RATE = 8_000


def chromium():
    """Starts Chromium under Playwright; skips the tests, by name, where one of them is missing."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="no playwright: pip install -r requirements-dev.txt"
    )
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("no chromium: apt-get install chromium, or name one in CHROMIUM")
    with playwright.sync_playwright() as started:
        # In a container, root cannot have Chromium's own sandbox. The pages are those of the tests.
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


def write_piece(path: pathlib.Path, sequence: NoteSequence, sound: bool = True) -> None:
    """Writes a MIDI file, and beside it a WAV file with a short tone at each onset."""
    path.write_bytes(midi_writer.note_sequence_to_midi(sequence))
    if sound:
        write_sound(path.with_suffix(".wav"), sequence)


def write_sound(path: pathlib.Path, sequence: NoteSequence) -> None:
    """Writes a WAV file with a short tone at each onset."""
    samples = np.zeros(int(_RATE * (sequence.total_time + 0.3)))
    tone = 0.3 * np.sin(np.arange(_RATE // 10) / _RATE * 2 * np.pi * 440)
    for note in sequence.notes:
        start = int(_RATE * note.start_time)
        samples[start : start + len(tone)] += tone
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
