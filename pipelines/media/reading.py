"""Reads the music that a user names: MIDI, ABC notation or MusicXML."""

import errno
import os
import pathlib

from pipelines.music import formats, note_sequence
from pipelines.music.limits import Rejected
from pipelines.music.note_sequence import NoteSequence
from pipelines.runtime.app import UserError, say


def read_pieces(path: str | os.PathLike) -> list[NoteSequence]:
    """Reads all pieces of a file: one of a MIDI file or a score, each tune of a tunebook.

    What the file is shows in its bytes, whatever it is called. Tunes that cannot be read are named
    and left out.

    Args:
      path: the file.

    Returns:
      The pieces in their order, at least one; each `filename` is the path. The `id` of a tune is
      its number, with the line after it where that was there before; of no number, "line7".

    Raises:
      UserError: where there is no music in it, or it is a folder.
    """
    path = os.fspath(path)
    require_file(path)
    data = pathlib.Path(path).read_bytes()
    try:
        pieces = formats.scores(path, data)
    except Rejected as error:
        raise UserError(f"{path}: {error.detail}; give another file") from error
    if pieces is None:
        pieces = _tunes(path, data)
    for piece in pieces:
        piece.filename = path.encode("utf-8", "backslashreplace").decode("utf-8")
    return pieces


def require_file(path: str) -> None:
    """Raises an error where nothing can be read at a path; what is there is not opened.

    Raises:
      UserError: where a folder is there.
      FileNotFoundError: where nothing is.
    """
    if os.path.isdir(path):
        raise UserError(f"{path} is a folder; name a .mid, .abc or .musicxml file in it")
    if not os.path.exists(path):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)


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
    pieces: list[NoteSequence] = []
    unread: list[formats.Unread] = []
    try:
        for tune in formats.tunes(data):
            if isinstance(tune, formats.Unread):
                unread.append(tune)
            else:
                pieces.append(tune)
    except Rejected as error:
        raise UserError(
            f"{path} is neither MIDI nor MusicXML nor text ({error.detail}); give a .mid, an .abc "
            "or a .musicxml file"
        ) from error
    if not pieces:
        first = f"line {unread[0].line}: {unread[0].reason}" if unread else ""
        why = f" that can be read ({first})" if unread else ""
        raise UserError(f"{path} has no tune in it{why}; give a .mid, an .abc or a .musicxml file")
    for line, reason in unread:
        say(f"{path}, line {line}: left out: {reason}")
    return pieces
