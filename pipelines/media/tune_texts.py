"""Reads the tunes of a file as texts in ABC notation, whatever the file is."""

import os
from typing import NamedTuple

from pipelines.media import reading
from pipelines.music import formats, note_sequence
from pipelines.music.abc import tunebook, writer
from pipelines.music.abc.tunebook import TuneText
from pipelines.music.limits import Limits, Rejected
from pipelines.music.note_sequence import NoteSequence
from pipelines.runtime import files
from pipelines.runtime.app import UserError


class Texts(NamedTuple):
    """The tunes of a file.

    Attributes:
      tunes: their texts, at least one.
      as_written: whether the file has them; else they were made of the notes of MIDI or MusicXML,
        by which bars, pickups and keys are found.
    """

    tunes: list[TuneText]
    as_written: bool


def read(path: str) -> Texts:
    """Reads the tunes of a file in ABC notation, MIDI or MusicXML.

    Raises:
      UserError: where it has no tune, or cannot be read.
    """
    if os.path.isdir(path):
        raise UserError(f"{path} is a folder; name a .mid, .abc or .musicxml file in it")
    try:
        data = files.read_regular(path, formats.max_bytes(Limits()))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; give another file") from error
    if formats.has_score(path, data[: formats.LOOKED_AT]):
        return Texts([_of_piece(path, each) for each in reading.read_pieces(path)], False)
    try:
        found = list(tunebook.tunes(tunebook.decode(data)))
    except Rejected as error:
        raise UserError(
            f"{path} is neither MIDI nor MusicXML nor text ({error.detail}); give a .mid, an .abc "
            "or a .musicxml file"
        ) from error
    if not found:
        raise UserError(f"{path} has no tune in it; give a .mid, an .abc or a .musicxml file")
    return Texts(found, True)


def of_music(sequence: NoteSequence) -> TuneText:
    """The notation of a piece of music; drums beside other notes are left out.

    Raises:
      ValueError: where it has nothing but drums, or its times are not on the grid.
    """
    if any(note.is_drum for note in sequence.notes) and not all(
        note.is_drum for note in sequence.notes
    ):
        pitched = [note for note in sequence.notes if not note.is_drum]
        sequence = note_sequence.parse(sequence.SerializeToString())
        del sequence.notes[:]
        sequence.notes.extend(pitched)
    return next(tunebook.tunes(writer.write(sequence)))


def _of_piece(path: str, sequence: NoteSequence) -> TuneText:
    try:
        return of_music(sequence)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error
