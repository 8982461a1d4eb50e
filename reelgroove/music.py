"""Music in and out: files, pictures, and what counts as a piece."""

import contextlib
import os
import pathlib
import warnings
from collections.abc import Iterable, Iterator

import numpy as np

from pipelines.audio import files as sound_files
from pipelines.audio import synthesis
from pipelines.media import reading
from pipelines.music.note_sequence import NoteSequence
from pipelines.runtime import files
from pipelines.runtime.app import UserError

Path = str | os.PathLike[str]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Imports note_seq without the remarks of pydub, which misses ffmpeg; nothing here uses it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Couldn't find ffmpeg or avconv")
        warnings.filterwarnings("ignore", "invalid escape sequence")
        yield


class Picture:
    """A picture that notebooks show; `bytes(picture)` is the PNG file."""

    def __init__(self, png: bytes):
        self._png = png

    def __bytes__(self) -> bytes:
        return self._png

    def __repr__(self) -> str:
        return f"<Picture: PNG, {len(self._png)} bytes>"

    def _repr_png_(self) -> bytes:
        return self._png


def read(path: Path) -> list[NoteSequence]:
    """Reads the pieces of a file: MIDI, ABC notation (each tune of a tunebook) or MusicXML.

    Raises:
      Error: where there is no music in it.
    """
    with quiet():
        return reading.read_pieces(os.path.expanduser(path))


def save(piece: NoteSequence | Path, path: Path) -> str:
    """Writes a piece as what the path ends with.

    Args:
      piece: a NoteSequence, or the path of a file.
      path: the file to write: .mid, .abc, .png (a piano roll), .mp3, .flac or .wav.

    Returns:
      The path.

    Raises:
      Error: for another ending, and for what the notation cannot write.
    """
    piece = piece_of(piece)
    path = os.path.expanduser(path)
    ending = pathlib.Path(path).suffix.lower()
    title = pathlib.Path(path).stem
    try:
        if ending in (".mid", ".midi"):
            with quiet():
                from pipelines.music import midi_writer
            data = midi_writer.note_sequence_to_midi(piece)
        elif ending == ".abc":
            from pipelines.music.abc import writer

            data = writer.write(piece, title).encode("utf-8")
        elif ending == ".png":
            data = bytes(show(piece, title))
        elif ending[1:] in sound_files.ENDINGS:
            sound_files.write(path, synthesis.blocks(piece), synthesis.RATE)
            return path
        else:
            endings = ".mid, .abc, .png, .mp3, .flac or .wav"
            raise UserError(f"{path}: ends in {ending!r}; save as {endings}")
    except ValueError as error:
        advice = "; save as .mid or .png" if ending == ".abc" else ""
        raise UserError(f"{path}: {error}{advice}") from error
    with files.replacing(path) as file:
        file.write(data)
    return path


def render(
    piece: NoteSequence | Path,
    instrument: str | None = None,
    sound_font: Path | None = None,
    synthesizer: str | None = None,
) -> tuple[np.ndarray, int]:
    """Plays a piece; `IPython.display.Audio(samples.T, rate=rate)` lets one hear it in a notebook.

    Args:
      piece: a NoteSequence, or the path of a file.
      instrument: what plays the notes that are not drums, such as "flute"; docs/sound.md has all.
      sound_font: the path of another sound font (.sf2, .sf3).
      synthesizer: "tinysoundfont" or "fluidsynth"; by default the first that is installed.

    Returns:
      Samples, float32 shaped [frames, 2] and between -1 and 1, and the frames a second.

    Raises:
      Error: where the synthesiser or the sound font cannot be used.
    """
    font = None if sound_font is None else os.path.expanduser(sound_font)
    try:
        return synthesis.render(piece_of(piece), instrument, font, synthesizer)
    except ValueError as error:
        raise UserError(f"the piece cannot be played: {error}") from error


def show(piece: NoteSequence | Path, title: str = "") -> Picture:
    """Draws a piece as a piano roll; a notebook shows it if it is a cell's last value."""
    from pipelines.media import pianoroll

    return Picture(pianoroll.png(piece_of(piece), title))


def piece_of(piece: NoteSequence | Path) -> NoteSequence:
    """A piece that is given as it is or as the path of a file; of a tunebook its first tune.

    Raises:
      Error: for anything else.
    """
    if isinstance(piece, str | os.PathLike):
        with quiet():
            return reading.read_piece(os.path.expanduser(piece))
    if not isinstance(piece, NoteSequence):
        raise UserError(
            f"a piece is a NoteSequence or a path, not {type(piece).__name__}; "
            "reelgroove.read gives those of a file"
        )
    return piece


def pieces_of(pieces: NoteSequence | Path | Iterable[NoteSequence | Path]) -> list[NoteSequence]:
    """One or several pieces as a list; the path of a tunebook is all of its tunes."""
    if isinstance(pieces, NoteSequence | str | os.PathLike):
        pieces = [pieces]
    found: list[NoteSequence] = []
    for piece in pieces:
        is_path = isinstance(piece, str | os.PathLike)
        found += read(piece) if is_path else [piece_of(piece)]
    return found
