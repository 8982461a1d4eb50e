"""Reads the music that a user names: MIDI, ABC notation or MusicXML."""

import os
import pathlib

from pipelines.music import midi_reader, musicxml, note_sequence
from pipelines.music.abc import reader, tunebook
from pipelines.music.limits import Rejected
from pipelines.music.note_sequence import NoteSequence
from pipelines.runtime.app import UserError, say

_MIDI = (".mid", ".midi", ".smf", ".kar")
_MUSICXML = (".musicxml", ".mxl")


def read_pieces(path: str | os.PathLike) -> list[NoteSequence]:
    """Reads all pieces of a file: one of a MIDI file or a score, each tune of a tunebook.

    What the file is shows in its bytes, whatever it is called. Tunes that cannot be read are named
    and left out.

    Args:
      path: the file.

    Returns:
      The pieces in their order, at least one; each `filename` is the path, and a tune's `id` is
      its number.

    Raises:
      UserError: where there is no music in it, or it is a folder.
    """
    path = os.fspath(path)
    if os.path.isdir(path):
        raise UserError(f"{path} is a folder; name a .mid, .abc or .musicxml file in it")
    data = pathlib.Path(path).read_bytes()
    try:
        if data.startswith(b"MThd") or path.lower().endswith(_MIDI):
            pieces = [midi_reader.midi_to_note_sequence(data)]
        elif musicxml.is_musicxml(data) or path.lower().endswith(_MUSICXML):
            pieces = [musicxml.read(data)]
        else:
            pieces = _tunes(path, data)
    except Rejected as error:
        raise UserError(f"{path}: {error.detail}; give another file") from error
    for piece in pieces:
        piece.filename = path.encode("utf-8", "backslashreplace").decode("utf-8")
    return pieces


def read_piece(path: str | os.PathLike) -> NoteSequence:
    """Reads one piece; of a tunebook with several tunes, the first one, and says so.

    Arguments and errors are those of `read_pieces`.
    """
    first, *others = read_pieces(path)
    if others:
        name = "".join(note_sequence.titles(first)[:1]) or first.id
        say(f"{path}: {1 + len(others)} tunes; the first, {name!r}, is taken")
    return first


def _tunes(path: str, data: bytes) -> list[NoteSequence]:
    """The tunes of a tunebook that can be read."""
    try:
        text = tunebook.decode(data)
    except Rejected as error:
        raise UserError(
            f"{path} is neither MIDI nor MusicXML nor text ({error.detail}); give a .mid, an .abc "
            "or a .musicxml file"
        ) from error
    pieces, reasons = [], []
    for tune in tunebook.tunes(text):
        try:
            pieces.append(reader.read(tune))
        except Rejected as error:
            reasons.append(f"line {tune.line}: {error.detail}")
            continue
        pieces[-1].id = tune.reference or f"line{tune.line}"
    if not pieces:
        why = f" that can be read ({reasons[0]})" if reasons else ""
        raise UserError(f"{path} has no tune in it{why}; give a .mid, an .abc or a .musicxml file")
    for reason in reasons:
        say(f"{path}, {reason}; the tune is left out")
    return pieces
