"""Pieces as windows of a config, to encode them."""

import dataclasses

import numpy as np
from note_seq import sequences_lib
from note_seq.protobuf import music_pb2

from pipelines import representations
from pipelines.music.timing import first_qpm
from pipelines.representations.contract import INFER
from pipelines.runtime.app import UserError


@dataclasses.dataclass
class Windows:
    """What a config makes of one piece, window after window without overlap.

    Attributes:
      inputs, controls, lengths: the converter's tensors, one entry a window.
      starts: where each window begins in the piece, in seconds.
      qpm: the piece's tempo in quarters a minute.
    """

    inputs: list[np.ndarray]
    controls: list[np.ndarray]
    lengths: list
    starts: list[float]
    qpm: float

    def first(self) -> "Windows":
        """The first window alone."""
        return Windows(
            self.inputs[:1], self.controls[:1], self.lengths[:1], self.starts[:1], self.qpm
        )


def of_piece(config, name: str, piece: music_pb2.NoteSequence, source: str) -> Windows:
    """Divides a piece into windows of a config.

    Args:
      config: a Magenta Config.
      name: the config's name, for messages.
      piece: an unquantized NoteSequence.
      source: where the piece is from, for messages; a path if it is from a file.

    Raises:
      UserError: where the piece gives no example; the message says what the config needs and what
        the piece has.
    """
    representation = representations.of(config.data_converter)
    representation.set_mode(INFER)
    windows = Windows([], [], [], [], first_qpm(piece))
    steps = config.hparams.max_seq_len
    seconds = representation.window_seconds(steps, windows.qpm) or 0
    if len(sequences_lib.split_note_sequence_on_time_changes(piece)) > 1:
        raise UserError(
            f"{source}: the tempo or the meter changes; windows need one of each. "
            "Give another piece"
        )
    reason = ""
    for start, part in representation.stretches(piece, steps, windows.qpm):
        encoded = representation.encode(part)
        reason = reason or encoded.reason
        for i, example in enumerate(encoded.examples):
            windows.inputs.append(example.inputs)
            windows.controls.append(example.controls)
            windows.lengths.append(example.length)
            windows.starts.append(start + i * seconds)
    if not windows.inputs:
        raise UserError(
            f"{source}: no example for {name}: {reason}. It has {describe(piece)}; "
            "give another piece"
        )
    return windows


def describe(piece: music_pb2.NoteSequence) -> str:
    """Describes what a NoteSequence contains, in a few words."""
    drums = sum(note.is_drum for note in piece.notes)
    meters = [f"{meter.numerator}/{meter.denominator}" for meter in piece.time_signatures]
    tempos = [f"{tempo.qpm:g}" for tempo in piece.tempos]
    return (
        f"{len(piece.notes)} notes ({drums} drums), {piece.total_time:.1f} s, "
        f"meter {', '.join(meters[:4]) or 'unknown'}, {', '.join(tempos[:4]) or 'unknown'} qpm"
    )
