"""Reads the tunes of a file as texts in ABC notation, whatever the file is."""

import os
import pathlib
from typing import NamedTuple

from pipelines.media import reading
from pipelines.music import formats
from pipelines.music.abc import tunebook, writer
from pipelines.music.abc.tunebook import TuneText
from pipelines.music.limits import Rejected
from pipelines.music.note_sequence import NoteSequence
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
    data = pathlib.Path(path).read_bytes()
    if formats.has_score(path, data[: formats.LOOKED_AT]):
        return Texts([_made_of(path, each) for each in reading.read_pieces(path)], False)
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


def _made_of(path: str, sequence: NoteSequence) -> TuneText:
    try:
        notation = writer.write(sequence)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error
    return next(tunebook.tunes(notation))
