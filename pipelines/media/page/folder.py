"""Finds and reads the pieces of a folder for the page."""

import dataclasses
import hashlib
import os
import pathlib
from collections.abc import Iterator

from pipelines.media import description
from pipelines.music import formats, note_sequence
from pipelines.music.abc import reader, tunebook
from pipelines.music.limits import MAX_NOTES, Limits, Rejected
from pipelines.music.note_sequence import NoteSequence
from pipelines.runtime import files
from pipelines.runtime.app import UserError, say
from pipelines.runtime.progress import Progress

# A page is read by people: a piece may last a day.
LIMITS = Limits(max_seconds=86_400.0, max_notes=MAX_NOTES)
MAX_PIECES = 5_000
ABC = (".abc",)
# Notation beside a MIDI file: a tune has a few hundred bytes.
_MAX_NOTATION = 1 << 20
SOUNDS = (".mp3", ".flac", ".wav", ".ogg", ".opus", ".m4a")
# Here `generate` keeps what it was given; these are parts of its pieces, and no pieces.
INPUTS = "inputs"


@dataclasses.dataclass
class Piece:
    """A piece of the page.

    Attributes:
      file: the path of its file from the folder.
      sequence: its music; None where it cannot be read.
      problem: what is wrong with it, "" if nothing.
      title: its own title, or "".
      abc: its notation, or "".
      notation: the path of the file with its notation from the folder, or "".
      sound: that of the file with its sound, or "".
      number: which tune of a tunebook of several it is, from 1; 0 for the only piece of its file.
    """

    file: str
    sequence: NoteSequence | None = None
    problem: str = ""
    title: str = ""
    abc: str = ""
    notation: str = ""
    sound: str = ""
    number: int = 0

    @property
    def sound_stem(self) -> str:
        """Where its sound lies, by the path from the folder without the ending.

        That of a tune in a tunebook is named by a hash of its notation: a tune that is put into the
        book, or changed, gives no other tune its sound.
        """
        stem = _stem(self.file)
        if not self.number:
            return stem
        return os.path.join(f"{stem}-sound", notation_hash(self.abc))

    @property
    def is_midi(self) -> bool:
        """Whether the piece's file is MIDI, rather than notation."""
        return self.file.lower().endswith(formats.MIDI)


def notation_hash(abc: str) -> str:
    """What tells the notation of a tune, as of `notation_of`, from that of others."""
    return hashlib.sha256(abc.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def read(folder: str, deep: bool) -> list[Piece]:
    """Reads the pieces of a folder: MIDI files, MusicXML, and tunes in ABC notation.

    A tune beside a MIDI file of the same name is its notation. A file that cannot be read is a
    piece with a problem.

    Args:
      folder: its path.
      deep: whether pieces in the folders in it are read too.

    Raises:
      UserError: where it is no folder, or has no music.
    """
    if not os.path.isdir(folder):
        what = "is not a folder" if os.path.exists(folder) else "does not exist"
        raise UserError(f"{folder} {what}; name a folder with MIDI, ABC or MusicXML files")
    names = list(_names(folder, deep))
    present = set(names)
    pieces: list[Piece] = []
    with Progress("files read", len(names)) as progress:
        for number, name in enumerate(names, start=1):
            progress.update(number)
            if not name.lower().endswith((*formats.MIDI, *formats.MUSICXML, *ABC)):
                continue
            if name.lower().endswith(ABC) and _is_notation(name, present):
                continue
            if len(pieces) >= MAX_PIECES:
                say(f"warning: {folder}: the page has the first {MAX_PIECES:,} pieces")
                break
            pieces += _read_file(folder, name, present)
    if not pieces:
        raise UserError(f"{folder} has no MIDI, ABC or MusicXML file in it; name another folder")
    return pieces[:MAX_PIECES]


def read_input(folder: str, name: str) -> Piece | None:
    """Reads a piece that `generate` kept; None where it is gone or lies outside the folder."""
    root = os.path.realpath(folder)
    try:
        path = os.path.realpath(os.path.join(root, name))
    except ValueError:  # A name that no file can have.
        return None
    if os.path.commonpath([root, path]) != root or not os.path.isfile(path):
        return None
    inside = os.path.relpath(os.path.dirname(path), root)
    present = {os.path.join(inside, each) for each in _names(os.path.join(root, inside), False)}
    return next(iter(_read_file(root, os.path.relpath(path, root), present)), None)


def _names(folder: str, deep: bool) -> Iterator[str]:
    """The files of a folder by paths from it, sorted; none that is hidden."""
    for place, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = sorted(
            each
            for each in folders
            if deep
            and not each.startswith(".")
            and not (each == INPUTS and description.FILE in names)
        )
        inside = os.path.relpath(place, folder)
        for name in sorted(names):
            if not name.startswith("."):
                yield name if inside == "." else os.path.join(inside, name)


def _raise(error: OSError) -> None:
    raise error


def _stem(name: str) -> str:
    return os.path.splitext(name)[0]


def _with_ending(stem: str, endings: tuple[str, ...], present: set[str]) -> str:
    """The first file that is there of this name with one of these endings, or ""."""
    return next((stem + end for end in endings if stem + end in present), "")


def _is_notation(name: str, present: set[str]) -> bool:
    """Whether a file of ABC notation lies beside a MIDI file of the same name."""
    return any(_stem(name) + end in present for end in formats.MIDI)


def _read_file(folder: str, name: str, present: set[str]) -> list[Piece]:
    """The pieces of a file; none where it is neither called music nor is any."""
    path = pathlib.Path(folder, name)
    try:
        data = files.read_regular(path, formats.max_bytes(LIMITS))
        if name.lower().endswith(ABC):
            pieces = _tunes(name, data)
        else:
            pieces = [
                Piece(name, sequence, title="".join(note_sequence.titles(sequence)[:1]))
                for sequence in formats.scores(name, data, LIMITS) or ()
            ]
    except Rejected as error:
        pieces = [Piece(name, problem=f"It cannot be read: {error.detail}.")]
    except OSError as error:
        pieces = [Piece(name, problem=f"It cannot be read: {error.strerror}.")]
    if len(pieces) == 1:
        if pieces[0].is_midi and (notation := _with_ending(_stem(name), ABC, present)):
            tune = _first_tune(folder, notation)
            pieces[0].notation = notation
            # Music that has no title of its own is called by the name of its file there.
            if tune and tune.title != os.path.basename(_stem(name)):
                pieces[0].title = tune.title
            pieces[0].abc = tune.abc if tune else ""
    for number, piece in enumerate(pieces, 1):
        piece.number = number if len(pieces) > 1 else 0
        piece.sound = _with_ending(piece.sound_stem, SOUNDS, present)
        if piece.sequence is not None and not piece.sequence.notes:
            piece.problem = "It has no notes."
    return pieces


def _tunes(name: str, data: bytes) -> list[Piece]:
    """The tunes of a tunebook."""
    pieces = [_tune(name, tune) for tune in tunebook.tunes(tunebook.decode(data))]
    if not pieces:
        raise Rejected("no_tunes", "it has no tune in it")
    return pieces


def _tune(name: str, tune: tunebook.TuneText) -> Piece:
    """A tune of a tunebook."""
    piece = Piece(name, abc=notation_of(tune), notation=name)
    try:
        piece.sequence = reader.read(tune)
        piece.title = "".join(note_sequence.titles(piece.sequence)[:1])
    except Rejected as error:
        piece.problem = f"Line {tune.line} and on: {error.detail}."
    return piece


def _first_tune(folder: str, name: str) -> Piece | None:
    """The first tune of a file; None where it has none or cannot be read."""
    try:
        data = files.read_regular(pathlib.Path(folder, name), _MAX_NOTATION)
        tune = next(tunebook.tunes(tunebook.decode(data)), None)
    except (OSError, Rejected):
        return None
    return tune and _tune(name, tune)


def notation_of(tune: tunebook.TuneText) -> str:
    """A tune as text that stands by itself; a blank line would end it."""
    return "\n".join(line for line in (*tune.file_header, *tune.lines) if line.strip()) + "\n"
