"""Writes the sound of a piece beside its MIDI file."""

import functools
import os
import pathlib
from collections.abc import Callable

from pipelines.audio import files, synthesis
from pipelines.music.note_sequence import NoteSequence
from pipelines.runtime.app import say

CHOICES = ("auto", "none", *files.ENDINGS)
MOST_BY_ITSELF = 100


def choose(
    audio: str,
    number: int,
    instrument: str | None = None,
    sound_font: str | None = None,
    synthesizer: str | None = None,
) -> str | None:
    """The ending of the sound files of some pieces: "mp3", "wav", "flac", or None for none.

    Args:
      audio: one of `CHOICES`; "auto" is MP3 for up to `MOST_BY_ITSELF` pieces.
      number: how many pieces there are.
      instrument, sound_font, synthesizer: as `synthesis.render` takes them.

    Raises:
      UserError: where sound is wanted and cannot be made. With "auto" a missing synthesiser gives
        a line and no sound.
    """
    if audio == "none" or (audio == "auto" and number > MOST_BY_ITSELF):
        return None
    if audio == "auto" and synthesizer is None and not synthesis.is_installed():
        say("no sound: neither tinysoundfont nor FluidSynth is installed (docs/sound.md)")
        return None
    synthesis.require(instrument, sound_font, synthesizer)
    return "mp3" if audio == "auto" else audio


def write(
    sequence: NoteSequence,
    midi_path: str | os.PathLike,
    ending: str,
    instrument: str | None = None,
    sound_font: str | None = None,
    synthesizer: str | None = None,
) -> str:
    """Writes the sound of a piece beside its MIDI file, with the same name but for the ending.

    Args:
      sequence: the piece.
      midi_path: where its MIDI file is.
      ending: "wav", "flac" or "mp3".
      instrument, sound_font, synthesizer: as `synthesis.render` takes them.

    Returns:
      The path of the sound file.

    Raises:
      UserError: where the synthesiser or the sound font cannot be used.
      OSError: where the file cannot be written.
    """
    path = pathlib.Path(midi_path).with_suffix(f".{ending}")
    blocks = synthesis.blocks(sequence, instrument, sound_font, synthesizer)
    files.write(path, blocks, synthesis.RATE)
    return os.fspath(path)


def writer(
    ending: str | None,
    instrument: str | None = None,
    sound_font: str | None = None,
    synthesizer: str | None = None,
) -> Callable[[NoteSequence, str], str] | None:
    """`write` for many pieces, each with the path of its MIDI file; None where `ending` is."""
    if not ending:
        return None
    return functools.partial(
        write,
        ending=ending,
        instrument=instrument,
        sound_font=sound_font,
        synthesizer=synthesizer,
    )


def remove(midi_path: str | os.PathLike, kept: str | None = None) -> None:
    """Removes sound that lies beside a MIDI file, but for one ending: it is of earlier music."""
    for ending in files.ENDINGS:
        if ending != kept:
            pathlib.Path(midi_path).with_suffix(f".{ending}").unlink(missing_ok=True)
