"""Drum NoteSequences as hit, velocity and offset tensors, with every window kept.

Magenta's GrooveConverter, with the differences that training on whole pieces needs. Where its
result is defined for the same input, ours is equal to it (tests/test_groove_converter.py).
"""

import collections

import numpy as np
from magenta.models.music_vae import data
from note_seq import sequences_lib
from note_seq.protobuf import music_pb2

from models.no_examples import NoExamplesError

# Names of Magenta's nine drum classes, in the order of its ROLAND_DRUM_PITCH_CLASSES.
CLASS_NAMES = (
    "kick",
    "snare",
    "closed_hihat",
    "open_hihat",
    "low_tom",
    "mid_tom",
    "high_tom",
    "crash",
    "ride",
)

# Roland's kit decides, since the Groove MIDI Dataset was played on one; General MIDI's other
# percussion goes to the class that Magenta's reduced map puts it in. One map for reading and for
# writing: Magenta infers with the reduced map, in which a tom written as pitch 45 is read back as
# another class than it was written from.
_PITCH_TO_CLASS = {
    pitch: index
    for classes in (data.REDUCED_DRUM_PITCH_CLASSES, data.ROLAND_DRUM_PITCH_CLASSES)
    for index, pitches in enumerate(classes)
    for pitch in pitches
}
_ROLAND_PITCHES = {pitch for pitches in data.ROLAND_DRUM_PITCH_CLASSES for pitch in pitches}

# The grid is allocated up to the last hit, and a corrupt file can put that anywhere: 10,000 bars
# are hours of music and 17 MB.
_MAX_BARS = 10_000


class GrooveConverter(data.GrooveConverter):
    """Magenta's GrooveConverter (`magenta.models.music_vae.data`) for pieces of any length.

    It differs in four ways:
      - windows hop by `hop_bars` when training and evaluating, as the four-bar release of the
        Groove MIDI Dataset in TensorFlow Datasets does; when inferring they follow each other
        without overlap and the last is padded with silence, so that no bar is left out;
      - there is no cap on the windows of a piece;
      - a pitch outside Roland's kit counts as its nearest class and, where there is none, is left
        out; Magenta raises KeyError. `counts` says how often either happened;
      - notes that are not drums are ignored.

    Args:
      split_bars: length of a window in bars.
      hop_bars: distance between the starts of windows in bars.
      steps_per_quarter: steps of the grid in a quarter note.
      quarters_per_bar: quarter notes in a bar; pieces in another meter give no examples.

    Attributes:
      counts: a Counter with "mapped" and "left_out", notes seen by `to_tensors` so far.
    """

    def __init__(self, split_bars, hop_bars=1, steps_per_quarter=4, quarters_per_bar=4):
        super().__init__(
            split_bars=split_bars,
            hop_size=hop_bars * steps_per_quarter * quarters_per_bar,
            steps_per_quarter=steps_per_quarter,
            quarters_per_bar=quarters_per_bar,
            max_tensors_per_notesequence=None,
            pitch_classes=data.ROLAND_DRUM_PITCH_CLASSES,
        )
        self.counts = collections.Counter()

    @property
    def window_steps(self) -> int:
        """Steps in one window."""
        return self._steps_per_bar * self._split_bars

    def to_tensors(self, item: music_pb2.NoteSequence) -> data.ConverterTensors:
        """Cuts a piece into windows.

        Args:
          item: an unquantized NoteSequence.

        Returns:
          ConverterTensors whose inputs and outputs are the same list of float32 arrays shaped
          [window_steps, 27]: 9 hits in {0, 1}, 9 velocities in [0, 1], 9 offsets in [-1, 1] of
          half a step. Empty where `grid` would raise or the piece is shorter than a window.
        """
        try:
            grid = self.grid(item)
        except NoExamplesError:
            return data.ConverterTensors()
        unusual = [n.pitch for n in item.notes if n.is_drum and n.pitch not in _ROLAND_PITCHES]
        mapped = sum(pitch in _PITCH_TO_CLASS for pitch in unusual)
        self.counts.update(mapped=mapped, left_out=len(unusual) - mapped)
        window = self.window_steps
        hop = self._hop_size
        if self.is_inferring:
            grid = np.pad(grid, [(0, -len(grid) % window), (0, 0)])
            hop = window
        windows = [grid[i : i + window] for i in range(0, len(grid) - window + 1, hop)]
        return data.ConverterTensors(inputs=windows, outputs=windows)

    def from_tensors(self, samples, controls=None) -> list[music_pb2.NoteSequence]:
        """Writes decoded windows as NoteSequences at 120 quarters a minute.

        Magenta's, made playable: a hit that was decoded is heard (velocity at least 1, which MIDI
        needs to tell it from a note-off), none starts before time 0, a note ends where the next
        of its pitch starts, and the meter and the total time of the window are written.

        Args:
          samples: arrays shaped [steps, 27], as `to_tensors` gives them.
          controls: None; there are none.

        Returns:
          A NoteSequence for each.
        """
        sequences = super().from_tensors(samples, controls)
        step_seconds = 60.0 / 120.0 / self._steps_per_quarter
        for sequence, sample in zip(sequences, samples):
            following = {}
            for note in sorted(sequence.notes, key=lambda n: n.start_time, reverse=True):
                note.velocity = max(note.velocity, 1)
                note.start_time = max(note.start_time, 0.0)
                note.end_time = min(note.end_time, following.get(note.pitch, note.end_time))
                following[note.pitch] = note.start_time
            sequence.time_signatures.add(
                numerator=self._steps_per_bar // self._steps_per_quarter, denominator=4
            )
            sequence.total_time = len(sample) * step_seconds
        return sequences

    def explain(self, item: music_pb2.NoteSequence) -> str | None:
        """Says why a piece gives no window, or None where it gives one."""
        try:
            bars = len(self.grid(item)) // self._steps_per_bar
        except NoExamplesError as error:
            return str(error)
        if bars < self._split_bars and not self.is_inferring:
            return f"shorter than {self._split_bars} bars"
        return None

    def grid(self, item: music_pb2.NoteSequence) -> np.ndarray:
        """Puts the drum hits of a piece on the grid, the loudest of a class in each step.

        Returns:
          A float32 array shaped [steps, 27], padded to the end of the last bar that has a hit.

        Raises:
          NoExamplesError: where the piece has no drum in the map, changes tempo or meter, has a
            note before its start, or is in another meter than the converter's.
        """
        qpm = self._check_grid(item)
        drums = [note for note in item.notes if note.is_drum]
        classes = np.array([_PITCH_TO_CLASS.get(note.pitch, -1) for note in drums], np.int64)
        known = classes >= 0
        if not known.any():
            raise NoExamplesError("no drum notes (MIDI channel 10) in the drum map")
        classes = classes[known]
        starts = np.array([note.start_time for note in drums])[known]
        velocities = np.array([note.velocity for note in drums])[known]

        steps_per_second = sequences_lib.steps_per_quarter_to_steps_per_second(
            self._steps_per_quarter, qpm
        )
        # As sequences_lib.quantize_to_step: to the nearest step, halves upwards.
        steps = (starts * steps_per_second + 0.5).astype(np.int64)
        step_length = 60.0 / qpm / self._steps_per_quarter
        offsets = (step_length * steps - starts) / step_length

        bars = int(steps.max()) // self._steps_per_bar + 1
        if bars > _MAX_BARS:
            raise NoExamplesError(f"longer than {_MAX_BARS} bars")
        grid = np.zeros((3, bars * self._steps_per_bar, self._num_drums), np.float32)
        # Where several hits share a cell the last assignment stays, so the loudest comes last,
        # and of equally loud ones the first, as Magenta's max() picks it.
        order = np.lexsort((-np.arange(len(steps)), velocities))
        cells = steps[order], classes[order]
        grid[0][cells] = 1
        grid[1][cells] = velocities[order] / 127.0
        grid[2][cells] = offsets[order] * 2
        return np.concatenate(grid, axis=1)

    def _check_grid(self, item: music_pb2.NoteSequence) -> float:
        """Returns the one tempo of a piece in quarters a minute; raises NoExamplesError."""
        tempos = {tempo.qpm for tempo in item.tempos}
        if len(tempos) > 1 or (tempos and item.tempos[0].time > 0 and tempos != {120.0}):
            raise NoExamplesError("the tempo changes")
        meters = {(meter.numerator, meter.denominator) for meter in item.time_signatures}
        # Before the first time signature the meter is 4/4, as MIDI has it.
        if meters and min(meter.time for meter in item.time_signatures) > 0:
            meters.add((4, 4))
        if len(meters) > 1:
            raise NoExamplesError("the meter changes")
        numerator, denominator = meters.pop() if meters else (4, 4)
        if not denominator or (
            self._steps_per_quarter * 4 * numerator != self._steps_per_bar * denominator
        ):
            raise NoExamplesError(
                f"in {numerator}/{denominator}; needs "
                f"{self._steps_per_bar // self._steps_per_quarter} quarter notes a bar"
            )
        if not all(note.start_time >= 0 for note in item.notes):
            raise NoExamplesError("a note before the start")
        qpm = tempos.pop() if tempos else 120.0
        if not 0 < qpm < float("inf"):
            raise NoExamplesError(f"a tempo of {qpm} quarters a minute")
        return qpm
