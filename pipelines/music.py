"""MIDI files in, MIDI files and pictures out."""

import dataclasses
import os
import pathlib

import note_seq
import numpy as np
from note_seq import sequences_lib
from note_seq.protobuf import music_pb2

from pipelines import examples, midi, pianoroll, records
from pipelines.app import UserError

# What a converter's from_tensors writes, whatever tempo it was given.
_DECODED_QPM = 120.0


@dataclasses.dataclass
class Windows:
    """What a config makes of one MIDI file.

    Attributes:
      inputs, controls, lengths: the converter's tensors, one entry a window.
      qpm: the file's tempo in quarters a minute.
    """

    inputs: list[np.ndarray]
    controls: list[np.ndarray]
    lengths: list
    qpm: float

    def first(self) -> "Windows":
        """The first window alone."""
        return Windows(self.inputs[:1], self.controls[:1], self.lengths[:1], self.qpm)


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
        piece = midi.midi_to_note_sequence(pathlib.Path(path).read_bytes())
    except records.Rejected as error:
        raise UserError(f"{path}: {error}; give another MIDI file") from error
    converter = config.data_converter
    converter.set_mode("infer")
    tensors = converter.to_tensors(piece)
    if not tensors.inputs:
        raise UserError(
            f"{path}: no example for {name}: {examples.why_not(converter, piece)}. The file has "
            f"{describe(piece)}; give another MIDI file"
        )
    qpm = piece.tempos[0].qpm if piece.tempos else _DECODED_QPM
    return Windows(list(tensors.inputs), list(tensors.controls), list(tensors.lengths), qpm)


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


def join(windows: list[music_pb2.NoteSequence], config, qpm: float) -> music_pb2.NoteSequence:
    """Returns decoded windows one after another, each as long as the config's windows are."""
    steps_per_quarter = getattr(config.data_converter, "_steps_per_quarter", None)
    if not steps_per_quarter:
        return sequences_lib.concatenate_sequences(windows)
    seconds = config.hparams.max_seq_len / steps_per_quarter * 60.0 / qpm
    return sequences_lib.concatenate_sequences(windows, [seconds] * len(windows))


def write(sequence: music_pb2.NoteSequence, path: str, draw: bool) -> None:
    """Writes a MIDI file and, if `draw`, a piano roll beside it with the same name and .png."""
    temporary = f"{path}.tmp"
    with open(temporary, "wb") as file:
        note_seq.sequence_proto_to_pretty_midi(sequence).write(file)
    os.replace(temporary, path)
    if draw:
        picture = os.path.splitext(path)[0] + ".png"
        pianoroll.draw(sequence, picture, os.path.basename(path))
