"""Writes pieces as MIDI files, ABC notation and pictures."""

import pathlib

from note_seq import sequences_lib
from note_seq.protobuf import music_pb2

from pipelines.media import pianoroll
from pipelines.music import melody, midi_writer
from pipelines.music.abc import writer
from pipelines.representations.contract import DECODED_QPM
from pipelines.runtime import files
from pipelines.runtime.app import UserError, say


def at_tempo(sequence: music_pb2.NoteSequence, qpm: float) -> music_pb2.NoteSequence:
    """Returns a decoded sequence played at another tempo than the 120 it was written at."""
    return sequences_lib.stretch_note_sequence(sequence, DECODED_QPM / qpm)


def join(
    decoded: list[music_pb2.NoteSequence], starts: list[float], seconds: float | None
) -> music_pb2.NoteSequence:
    """Puts decoded windows in their places in one sequence.

    Args:
      decoded: the windows, at their final tempo.
      starts: where each begins, in seconds at that tempo.
      seconds: how long a window lasts, or None to put one after another.
    """
    if seconds is None:
        return sequences_lib.concatenate_sequences(decoded)
    joined = music_pb2.NoteSequence()
    joined.CopyFrom(decoded[0])
    del joined.notes[:]
    for start, window in zip(starts, decoded):
        for note in window.notes:
            copied = joined.notes.add()
            copied.CopyFrom(note)
            copied.start_time += start
            copied.end_time += start
    joined.total_time = starts[-1] + seconds
    return joined


def end_at(sequence: music_pb2.NoteSequence, seconds: float | None) -> music_pb2.NoteSequence:
    """Ends a sequence after so many seconds, its notes too; None leaves it as it is.

    A program that repeats the MIDI file then does so at the last bar, and not after the last hit.
    """
    if seconds is not None:
        sequence.total_time = seconds
        for note in sequence.notes:
            note.end_time = min(note.end_time, seconds)
    return sequence


def write(
    sequence: music_pb2.NoteSequence,
    path: str,
    draw: bool,
    overwrite: bool = True,
    notation: str | None = None,
) -> None:
    """Writes a MIDI file and, beside it with the same name, what else shows the music.

    That is a piano roll, .png, if `draw`; and ABC notation, .abc, for notes that are not drums.

    Args:
      sequence: the piece.
      path: where its MIDI file goes.
      draw: whether to draw a piano roll.
      overwrite: whether other music is replaced.
      notation: the piece in ABC notation; by default it is made of the notes.

    Raises:
      UserError: where other music lies at one of these places and `overwrite` is off.
    """
    file = pathlib.Path(path)
    contents = {file: midi_writer.note_sequence_to_midi(sequence)}
    in_abc = notation.encode("utf-8") if notation else _abc(sequence, file.stem)
    if in_abc:
        contents[file.with_suffix(".abc")] = in_abc
    for place, content in contents.items():
        if not overwrite and place.exists() and place.read_bytes() != content:
            raise UserError(
                f"{place} exists and holds other music; give another --output_dir, or --overwrite"
            )
    for place, content in contents.items():
        with files.replacing(place) as unfinished:
            unfinished.write(content)
    if draw:
        pianoroll.draw(sequence, file.with_suffix(".png"), file.name)


def _abc(sequence: music_pb2.NoteSequence, title: str) -> bytes | None:
    """The sequence in ABC notation, or None where it cannot be written so."""
    if not melody.is_pitched(sequence):
        return None
    try:
        return writer.write(sequence, title).encode("utf-8")
    except ValueError as error:
        say(f"{title}: no ABC: {error}")
        return None
