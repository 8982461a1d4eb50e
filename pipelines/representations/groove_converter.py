"""Drum NoteSequences as hit, velocity and offset tensors, with every window kept.

The converter is Magenta's GrooveConverter with the differences that training on whole pieces needs.
Where Magenta's result is defined for the same input, ours is equal to it
(tests/representations/test_groove_converter.py).
"""

import collections

import numpy as np
import tensorflow as tf
from magenta.models.music_vae import data
from note_seq import sequences_lib
from note_seq.protobuf import music_pb2

from pipelines.music.timing import DEFAULT_QPM
from pipelines.representations.contract import DECODED_QPM, NoExamplesError

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
# percussion goes to the class that Magenta's reduced map puts it in. The same map serves reading
# and writing: Magenta infers with the reduced map, in which a tom written as pitch 45 is read back
# as another class than it was written from.
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

# The class that Magenta puts taps on.
_OPEN_HIHAT = np.array(CLASS_NAMES) == "open_hihat"

# Magenta's note dropout spares loud hits, but the weight of no hit is less than this.
_LEAST_DROPOUT_WEIGHT = 0.2


class GrooveConverter(data.GrooveConverter):
    """Magenta's GrooveConverter (`magenta.models.music_vae.data`) for pieces of any length.

    The outputs are performances. The inputs are the same, or what a task of GrooVAE
    (arXiv:1905.06118) leaves of them, so that a model learns to play the rest: note dropout,
    `tapify`, `humanize` and `fixed_velocities`, applied in this order.

    It differs in six ways:
      - windows hop by `hop_bars` when training and evaluating, as the four-bar release of the
        Groove MIDI Dataset in TensorFlow Datasets does; when inferring they follow each other
        without overlap and the last is padded with silence, so that no bar is left out;
      - there is no cap on the windows of a piece;
      - a pitch outside Roland's kit counts as its nearest class and, where there is none, is left
        out; Magenta raises KeyError. `counts` says how often either happened;
      - notes that are not drums are ignored;
      - notes are dropped when training alone, so that an evaluation measures what `generate` does
        with a piece. Each window draws its probability; Magenta draws one for a whole piece, and
        drops notes when evaluating and inferring too;
      - a note that was dropped is gone. Magenta's `tapify` finds the loudest hit of a step among
        those that are left but takes it from the performance, and where none is left it finds
        class 0: a kick that was dropped comes back as a tap.

    Args:
      split_bars: length of a window in bars.
      hop_bars: distance between the starts of windows in bars.
      steps_per_quarter: steps of the grid in a quarter note.
      quarters_per_bar: quarter notes in a bar; pieces in another meter give no examples.
      humanize: the inputs have no velocities and no offsets: the score.
      tapify: the inputs have the loudest hit of each step alone, on the open hi-hat: the rhythm.
      fixed_velocities: the inputs have no velocities.
      max_note_dropout_probability: each window draws a probability p, uniform between 0 and this,
        and loses each hit of its inputs, of velocity v in [0, 1], with probability
        p max(0.2, 1 - v). None drops none.

    Attributes:
      counts: a Counter with "mapped" and "left_out", notes seen by `to_tensors` so far.

    Raises:
      ValueError: where `max_note_dropout_probability` is not between 0 and 1.
    """

    def __init__(
        self,
        split_bars,
        hop_bars=1,
        steps_per_quarter=4,
        quarters_per_bar=4,
        *,
        humanize=False,
        tapify=False,
        fixed_velocities=False,
        max_note_dropout_probability=None,
    ):
        if not 0 <= (max_note_dropout_probability or 0) <= 1:
            raise ValueError(
                f"max_note_dropout_probability={max_note_dropout_probability} is not in 0 to 1"
            )
        super().__init__(
            split_bars=split_bars,
            hop_size=hop_bars * steps_per_quarter * quarters_per_bar,
            steps_per_quarter=steps_per_quarter,
            quarters_per_bar=quarters_per_bar,
            max_tensors_per_notesequence=None,
            pitch_classes=data.ROLAND_DRUM_PITCH_CLASSES,
            humanize=humanize,
            tapify=tapify,
            fixed_velocities=fixed_velocities,
            max_note_dropout_probability=max_note_dropout_probability,
        )
        # Whether there is no task, so that the inputs are the outputs.
        self._plain = not (humanize or tapify or fixed_velocities or self._note_dropout)
        self.counts = collections.Counter()

    # The name of this class in tensors that were made before version 0.2.0.
    settings_name = "models.groove_converter.GrooveConverter"

    @property
    def window_steps(self) -> int:
        """Steps in one window."""
        return self._steps_per_bar * self._split_bars

    def to_tensors(self, item: music_pb2.NoteSequence) -> data.ConverterTensors:
        """Cuts a piece into windows.

        Args:
          item: an unquantized NoteSequence.

        Returns:
          ConverterTensors whose inputs and outputs are lists of float32 arrays shaped
          [window_steps, 27]: 9 hits in {0, 1}, 9 velocities in [0, 1], 9 offsets in [-1, 1] of
          half a step; without a task, the same list. Empty where `grid` would raise or the piece
          is shorter than a window.
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
        if self._plain:
            return data.ConverterTensors(inputs=windows, outputs=windows)
        inputs = [self._inputs(np, window, self._dropout(window)) for window in windows]
        return data.ConverterTensors(inputs=inputs, outputs=windows)

    def draw_inputs(self, outputs: tf.Tensor, seed: tf.Tensor | None) -> tf.Tensor:
        """Makes the inputs of windows as `to_tensors` does, in TensorFlow.

        Args:
          outputs: float32 tensor shaped [batch, steps, 27], as `to_tensors` gives it.
          seed: int32 tensor shaped [2] that note dropout is drawn from, a different one for each
            batch. None drops nothing, as `to_tensors` outside training.

        Returns:
          A float32 tensor of the same shape.
        """
        if self._plain:
            return outputs
        dropout = None
        if self._note_dropout and seed is not None:
            hits = outputs[..., : self._num_drums]
            of_windows, of_hits = tf.unstack(tf.random.split(seed))
            probability = tf.random.stateless_uniform(
                tf.shape(hits[:, :1, :1]), of_windows, maxval=self._max_note_dropout_probability
            )
            dropout = probability, tf.random.stateless_uniform(tf.shape(hits), of_hits)
        return self._inputs(tf, outputs, dropout)

    def _dropout(self, window: np.ndarray):
        """Draws what `_inputs` takes for a window shaped [steps, 27]; None drops nothing."""
        if not (self._note_dropout and self.is_training):
            return None
        # Drawn from the generator that `training_dataset` seeds, as all that Magenta draws.
        probability = np.random.uniform(0, self._max_note_dropout_probability)
        return probability, np.random.uniform(size=(len(window), self._num_drums))

    def _inputs(self, xp, outputs, dropout=None):
        """Applies the task to performances, by the same code for NumPy and for TensorFlow.

        Args:
          xp: numpy or tensorflow; the functions used have the same name and meaning in both.
          outputs: array or tensor shaped [..., 27].
          dropout: the probability p of each window, broadcastable to [..., 9], and for each hit a
            draw from [0, 1), shaped [..., 9].
        """
        hits, velocities, offsets = xp.split(outputs, 3, axis=-1)
        if dropout is not None:
            probability, drawn = dropout
            dropped = drawn < probability * xp.maximum(_LEAST_DROPOUT_WEIGHT, 1 - velocities)
            hits, velocities, offsets = (
                xp.where(dropped, 0.0, third) for third in (hits, velocities, offsets)
            )
        if self._tapify:
            hits, velocities, offsets = _tap(xp, hits, velocities, offsets)
        if self._humanize or self._fixed_velocities:
            velocities = xp.zeros_like(velocities)
        if self._humanize:
            offsets = xp.zeros_like(offsets)
        return xp.concat([hits, velocities, offsets], axis=-1)

    def from_tensors(self, samples, controls=None) -> list[music_pb2.NoteSequence]:
        """Writes decoded windows as NoteSequences at 120 quarters a minute.

        They are Magenta's, made playable: a hit that was decoded is heard (velocity at least 1,
        which MIDI needs to tell it from a note-off), none starts before time 0, a note ends where
        the next of its pitch starts, and the meter and the total time of the window are written.

        Args:
          samples: arrays shaped [steps, 27], as `to_tensors` gives them.
          controls: None; this converter has no controls.

        Returns:
          A NoteSequence for each.
        """
        return [self._performance(np.asarray(sample)) for sample in samples]

    def _performance(self, sample: np.ndarray) -> music_pb2.NoteSequence:
        step_seconds = 60.0 / DECODED_QPM / self._steps_per_quarter
        sequence = music_pb2.NoteSequence(total_time=len(sample) * step_seconds)
        sequence.tempos.add(qpm=DECODED_QPM)
        sequence.time_signatures.add(
            numerator=self._steps_per_bar // self._steps_per_quarter, denominator=4
        )
        hits, velocities, offsets = np.split(sample, 3, axis=1)
        # Sorted by class, and then by step, which sorts the starts within a class too.
        classes, steps = np.nonzero(hits.T > 0.5)
        velocities = np.clip(np.round(velocities[steps, classes] * 127), 1, 127)
        offsets = np.clip(offsets[steps, classes] / 2, -0.5, 0.5)
        # Rounded as Magenta rounds them.
        starts = ((steps.astype(offsets.dtype) - offsets) * step_seconds).astype(np.float64)
        ends = starts + step_seconds
        starts = np.maximum(starts, 0.0)
        same = classes[1:] == classes[:-1]
        ends[:-1][same] = np.minimum(ends[:-1], starts[1:])[same]
        # Written step by step, as Magenta does.
        order = np.lexsort((classes, steps))
        columns = (array[order].tolist() for array in (classes, velocities, starts, ends))
        for drum, velocity, start, end in zip(*columns):
            sequence.notes.add(
                pitch=self.pitch_classes[drum][0],
                velocity=int(velocity),
                start_time=start,
                end_time=end,
                instrument=9,
                is_drum=True,
            )
        return sequence

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
        # Rounds to the nearest step, halves upwards, as sequences_lib.quantize_to_step does.
        steps = (starts * steps_per_second + 0.5).astype(np.int64)
        step_length = 60.0 / qpm / self._steps_per_quarter
        offsets = (step_length * steps - starts) / step_length

        bars = int(steps.max()) // self._steps_per_bar + 1
        if bars > _MAX_BARS:
            raise NoExamplesError(f"longer than {_MAX_BARS} bars")
        grid = np.zeros((3, bars * self._steps_per_bar, self._num_drums), np.float32)
        # Where several hits share a cell the last assignment stays, so the loudest comes last;
        # among equally loud ones that is the first, which Magenta's max() takes.
        order = np.lexsort((-np.arange(len(steps)), velocities))
        cells = steps[order], classes[order]
        grid[0][cells] = 1
        grid[1][cells] = velocities[order] / 127.0
        grid[2][cells] = offsets[order] * 2
        return np.concatenate(grid, axis=1)

    def _check_grid(self, item: music_pb2.NoteSequence) -> float:
        """Returns the one tempo of a piece in quarters a minute; raises NoExamplesError."""
        tempos = {tempo.qpm for tempo in item.tempos}
        if len(tempos) > 1 or (tempos and item.tempos[0].time > 0 and tempos != {DEFAULT_QPM}):
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
        qpm = tempos.pop() if tempos else DEFAULT_QPM
        if not 0 < qpm < float("inf"):
            raise NoExamplesError(f"a tempo of {qpm} quarters a minute")
        return qpm


def _tap(xp, hits, velocities, offsets):
    """Puts the loudest hit of each step on the open hi-hat and drops the others.

    Among equally loud hits it takes that of the first class, as Magenta does; `tf.argmax` does not
    promise which one it takes.

    Args:
      xp: numpy or tensorflow.
      hits, velocities, offsets: arrays or tensors shaped [..., 9].
    """
    thirds = (xp.split(third, len(CLASS_NAMES), axis=-1) for third in (hits, velocities, offsets))
    first, *others = zip(*thirds)
    loudest = list(first)
    for drum in others:
        louder = drum[1] > loudest[1]
        loudest = [xp.where(louder, new, old) for new, old in zip(drum, loudest)]
    return [xp.where(_OPEN_HIHAT, third, 0.0) for third in loudest]
