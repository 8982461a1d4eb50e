"""MIDI files in; MIDI files, ABC notation and pictures out."""

import dataclasses
import os
import pathlib

import numpy as np
from magenta.models.music_vae import data
from note_seq import sequences_lib
from note_seq.protobuf import music_pb2

from pipelines.examples import reading
from pipelines.media import pianoroll
from pipelines.music import midi_reader, midi_writer
from pipelines.music.abc import writer
from pipelines.music.limits import Rejected
from pipelines.representations.melody import MelodyConverter
from pipelines.runtime.app import UserError, say

# What a converter's from_tensors writes, whatever tempo it was given.
_DECODED_QPM = 120.0


@dataclasses.dataclass
class Windows:
    """What a config makes of one MIDI file, window after window without overlap.

    Attributes:
      inputs, controls, lengths: the converter's tensors, one entry a window.
      starts: where each window begins in the file, in seconds.
      qpm: the file's tempo in quarters a minute.
    """

    inputs: list[np.ndarray]
    controls: list[np.ndarray]
    lengths: list
    starts: list[float]
    qpm: float

    def first(self) -> "Windows":
        """The first window alone."""
        return Windows(*(values[:1] for values in self._lists()), self.qpm)

    def _lists(self):
        return self.inputs, self.controls, self.lengths, self.starts


def read_windows(config, name: str, path: str) -> Windows:
    """Reads a MIDI file as windows of a config.

    Args:
      config: a Magenta Config.
      name: the config's name, for messages.
      path: the MIDI file.

    Raises:
      UserError: where the file is no MIDI file, or gives no example: what the config needs and
        what the file has.
    """
    try:
        piece = midi_reader.midi_to_note_sequence(pathlib.Path(path).read_bytes())
    except Rejected as error:
        raise UserError(f"{path}: {error.detail}; give another MIDI file") from error
    converter = config.data_converter
    converter.set_mode("infer")
    windows = Windows([], [], [], [], piece.tempos[0].qpm if piece.tempos else _DECODED_QPM)
    seconds = window_seconds(config, windows.qpm)
    if len(sequences_lib.split_note_sequence_on_time_changes(piece)) > 1:
        raise UserError(
            f"{path}: the tempo or the meter changes; windows need one of each. "
            "Give another MIDI file"
        )
    reason = ""
    for start, part in _parts(converter, piece, seconds, config.hparams.max_seq_len):
        tensors, why_not = reading.to_tensors(converter, part)
        reason = reason or why_not
        for i, (tensor, _, control, length) in enumerate(zip(*tensors)):
            windows.inputs.append(tensor)
            windows.controls.append(control)
            windows.lengths.append(length)
            windows.starts.append(start + i * (seconds or 0))
    if not windows.inputs:
        raise UserError(
            f"{path}: no example for {name}: {reason}. The file has {describe(piece)}; "
            "give another MIDI file"
        )
    return windows


def window_seconds(config, qpm: float) -> float | None:
    """How long a window of a config lasts, or None where its steps are no parts of a quarter."""
    steps_per_quarter = getattr(config.data_converter, "_steps_per_quarter", None)
    if not steps_per_quarter:
        return None
    return config.hparams.max_seq_len / steps_per_quarter * 60.0 / qpm


def _parts(converter, piece: music_pb2.NoteSequence, seconds: float | None, max_seq_len: int):
    """Yields what to convert at once, with its start in seconds.

    Magenta's melody and drum converters slide their windows by a bar, so they are given the
    stretches of one window each. Ours, told to infer, does not.
    """
    if seconds is None or isinstance(converter, (data.GrooveConverter, MelodyConverter)):
        yield 0.0, piece
        return
    half_step = seconds / (2 * max_seq_len)
    last = max((note.start_time for note in piece.notes), default=0.0)
    for i in range(int((last + half_step) / seconds) + 1):
        part = _stretch(piece, i * seconds, seconds, half_step)
        if part.notes:
            yield i * seconds, part


def _stretch(
    piece: music_pb2.NoteSequence, start: float, seconds: float, half_step: float
) -> music_pb2.NoteSequence:
    """The notes that the grid puts between two times, with the times counted from the first."""
    part = music_pb2.NoteSequence(ticks_per_quarter=piece.ticks_per_quarter)
    part.tempos.extend(piece.tempos)
    part.time_signatures.extend(piece.time_signatures)
    for note in piece.notes:
        # A note that is a little early belongs to the step that it is nearest to.
        if start - half_step <= note.start_time < start + seconds - half_step:
            copied = part.notes.add()
            copied.CopyFrom(note)
            copied.start_time = max(note.start_time - start, 0.0)
            copied.end_time = min(note.end_time - start, seconds)
    part.total_time = min(piece.total_time - start, seconds)
    return part


def describe(piece: music_pb2.NoteSequence) -> str:
    """What is in a NoteSequence, in a few words."""
    drums = sum(note.is_drum for note in piece.notes)
    meters = [f"{meter.numerator}/{meter.denominator}" for meter in piece.time_signatures]
    tempos = [f"{tempo.qpm:g}" for tempo in piece.tempos]
    return (
        f"{len(piece.notes)} notes ({drums} drums), {piece.total_time:.1f} s, "
        f"meter {', '.join(meters[:4]) or 'unknown'}, {', '.join(tempos[:4]) or 'unknown'} qpm"
    )


def at_tempo(sequence: music_pb2.NoteSequence, qpm: float) -> music_pb2.NoteSequence:
    """Returns a decoded sequence played at another tempo than the 120 it was written at."""
    return sequences_lib.stretch_note_sequence(sequence, _DECODED_QPM / qpm)


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


def write(sequence: music_pb2.NoteSequence, path: str, draw: bool, overwrite: bool = True) -> None:
    """Writes a MIDI file and, beside it with the same name, what else shows the music.

    That is a piano roll, .png, if `draw`; and for notes that are no drums ABC notation, .abc.

    Raises:
      UserError: where other music lies at one of these places and `overwrite` is off.
    """
    file = pathlib.Path(path)
    contents = {file: midi_writer.note_sequence_to_midi(sequence)}
    notation = _abc(sequence, file.stem)
    if notation:
        contents[file.with_suffix(".abc")] = notation
    for place, content in contents.items():
        if not overwrite and place.exists() and place.read_bytes() != content:
            raise UserError(
                f"{place} exists and holds other music; give another --output_dir, or --overwrite"
            )
    for place, content in contents.items():
        temporary = file.with_suffix(".tmp")
        temporary.write_bytes(content)
        os.replace(temporary, place)
    if draw:
        pianoroll.draw(sequence, file.with_suffix(".png"), file.name)


def _abc(sequence: music_pb2.NoteSequence, title: str) -> bytes | None:
    """The sequence in ABC notation, or None where that is not for it."""
    if not writer.is_melody(sequence):
        return None
    try:
        return writer.write(sequence, title).encode("utf-8")
    except ValueError as error:
        say(f"{title}: no ABC: {error}")
        return None
