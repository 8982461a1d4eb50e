"""Melody NoteSequences as one-hot events, for a meter that is given, with every window kept.

The events are those of Magenta's OneHotMelodyConverter (note_seq.MelodyOneHotEncoding): 0 is no
event, 1 the end of a note, and from 2 on a note begins. Where Magenta's result is defined for the
same input, ours is equal to it (tests/representations/test_melody_converter.py).
"""

import collections
import re
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from magenta.models.music_vae import data
from note_seq.protobuf import music_pb2

from pipelines.music import melody, note_sequence, timing
from pipelines.representations.contract import DECODED_QPM, NoExamplesError

NO_EVENT = 0
NOTE_OFF = 1
FIRST_PITCH = 2  # Stands for the lowest pitch of the range.

STEPS_PER_QUARTER = 4  # A step is a sixteenth note.

# The fiddle's range in first position and above: G3, its lowest string, to E7.
MIN_PITCH, MAX_PITCH = 55, 100
_VIOLIN = 40  # General MIDI's program, counted from 0.

# A corrupt file can put a note anywhere: 10,000 bars are hours of music.
_MAX_BARS = 10_000
# Times are rounded to doubles, so a note halfway between two steps may be off by a little.
_EPSILON = 1e-6


class MelodyConverter(data.BaseNoteSequenceConverter):
    """Windows of a whole number of bars of one melody (see the events at the top).

    How it differs from Magenta's OneHotMelodyConverter:
      - the meters are named, and exact: 6/8 is not 3/4, although both have twelve sixteenths. A
        tune without a meter, or that begins without one, gives no example, except from MIDI files,
        where 4/4 is the default;
      - the melody is the first voice: the lowest instrument that has notes, drums aside, whatever
        its program. In tunebooks it is the tune; what follows are second parts, basses and chords.
        `counts` says how many notes were in other voices;
      - a tune in which the first voice sounds two notes at once gives no example, where Magenta
        takes its highest notes. Notes that share a step without sounding together are not
        polyphony: in a triplet of sixteenths, two notes begin nearest to the same step. The longest
        stays, among equally long ones the first; the others are counted as "merged";
      - a tune with a note outside the range gives no example, where Magenta drops the note;
      - bars are counted from time 0, so that a pickup is in a bar of its own, and a silent bar
        does not end a melody. Windows in which no note begins are left out, and counted;
      - every window is kept, repeated ones too: how often music repeats itself is part of what a
        model should learn;
      - times go through the tempo map, so a tune may change its tempo. A tune that changes between
        meters that are not all the converter's gives no example;
      - when training, each window is transposed by its own draw, uniform among the
        transpositions in `transpose` that keep it in the range. Magenta's augmenter draws one for
        the whole tune and deletes the notes that it has pushed out of range.

    Windows hop by `hop_bars` when training and evaluating: with one bar, a window begins with each
    bar of the tune, so no place of a phrase is preferred and no bar is left out. All lie within the
    tune: a tune that is shorter than a window gives no example, since padded windows would teach
    that tunes fall silent. When inferring, windows follow each other without overlap, silent ones
    too, and the last is padded with silence.

    Args:
      meters: (numerator, denominator) of the meters that it takes; all have equally long bars.
      bars: length of a window in bars.
      hop_bars: distance between the starts of windows in bars.
      min_pitch, max_pitch: the range, MIDI pitches, both included.
      transpose: the least and the greatest transposition in semitones.
      program: the General MIDI program of what `from_tensors` writes, from 0.
      hparams: where it has a `rhythm` that is not empty, only tunes whose R: header (`genre` in
        their metadata) has these words, or one that begins with them, give examples: "reel" takes
        "Reel", "Scottish reels" and "strathspey/reel". Several are joined by "+", as in "slip
        jig+slipjig". Ignored when inferring.

    Attributes:
      counts: a Counter of "merged" and "in_other_voices", notes seen by `to_tensors` so far, and
        "silent_windows", the windows that it left out.
    """

    def __init__(
        self,
        meters: Sequence[tuple[int, int]],
        bars: int,
        *,
        hop_bars: int = 1,
        min_pitch: int = MIN_PITCH,
        max_pitch: int = MAX_PITCH,
        transpose: tuple[int, int] = (0, 0),
        program: int = _VIOLIN,
        hparams=None,
    ):
        # A whole note has four quarters.
        lengths = {4 * STEPS_PER_QUARTER * above / below for above, below in meters}
        if len(lengths) != 1 or not (length := lengths.pop()).is_integer():
            raise ValueError(f"{meters}: a bar must be the same number of sixteenths in each meter")
        if not 0 <= min_pitch <= max_pitch <= 127 or not transpose[0] <= 0 <= transpose[1]:
            raise ValueError("the range must be in 0 to 127, and transpose must include 0")
        depth = FIRST_PITCH + max_pitch - min_pitch + 1
        super().__init__(
            input_depth=depth,
            input_dtype=np.bool_,
            output_depth=depth,
            output_dtype=np.bool_,
            control_dtype=np.bool_,
            presplit_on_time_changes=False,
        )
        # The attributes have the names that they have in Magenta's converters.
        self._steps_per_quarter = STEPS_PER_QUARTER
        self._steps_per_bar = int(length)
        self._meters = tuple(meters)
        self._bars = bars
        self._hop_bars = hop_bars
        self._min_pitch = min_pitch
        self._max_pitch = max_pitch
        self._transpose = transpose
        self._program = program
        self._hparams = hparams
        self.counts = collections.Counter()

    # The name of this class in tensors that were made before version 0.2.0.
    settings_name = "models.melody_converter.MelodyConverter"

    @property
    def steps_per_bar(self) -> int:
        """Steps in a bar of the converter's meters."""
        return self._steps_per_bar

    @property
    def window_steps(self) -> int:
        """Steps in one window."""
        return self._steps_per_bar * self._bars

    def to_tensors(self, item: music_pb2.NoteSequence) -> data.ConverterTensors:
        """Cuts a tune into windows.

        Args:
          item: an unquantized NoteSequence.

        Returns:
          ConverterTensors whose inputs and outputs are the same list of bool arrays shaped
          [window_steps, 2 + pitches in the range], one-hot. Empty where `explain` says why.
        """
        try:
            events, counts = self._melody(item)
        except NoExamplesError:
            return data.ConverterTensors()
        self.counts.update(counts)
        hop = self.window_steps if self.is_inferring else self._hop_bars * self._steps_per_bar
        starts = range(0, len(events) - self.window_steps + 1, hop)
        windows = np.stack([events[i : i + self.window_steps] for i in starts])
        begins = windows >= FIRST_PITCH
        # As in Magenta's melodies, nothing ends before something has begun.
        windows[(windows == NOTE_OFF) & (begins.cumsum(axis=1) == 0)] = NO_EVENT
        if not self.is_inferring:
            sounding = begins.any(axis=1)
            self.counts["silent_windows"] += int((~sounding).sum())
            windows, begins = windows[sounding], begins[sounding]
        if self.is_training:
            windows += self._draw_transpositions(windows, begins)[:, None] * begins
        one_hot = list(np.eye(self.output_depth, dtype=np.bool_)[windows])
        return data.ConverterTensors(inputs=one_hot, outputs=one_hot)

    def transpose_tokens(self, tokens: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Transposes windows as `to_tensors` does when training, in TensorFlow.

        Args:
          tokens: int32 tensor of events shaped [batch, steps], with all pitches in the range.
          seed: int32 tensor shaped [2] that is drawn from, a different one for each batch.

        Returns:
          An int32 tensor of the same shape: each window moved by its own draw, uniform among the
          transpositions in `transpose` that keep it in the range. A window without notes stays.
        """
        begins = tokens >= FIRST_PITCH
        lowest = tf.reduce_min(tf.where(begins, tokens, self.output_depth - 1), axis=1)
        least, greatest = self._transpositions(tf, lowest, tf.reduce_max(tokens, axis=1))
        # tf.random.stateless_uniform has one range for all rows, so it draws from all integers of
        # 32 bits, and the remainder is taken. Each of n remainders has 2^32 / n of them, rounded
        # up or down: no transposition is likelier than another by more than 2^-32.
        integers = tf.random.stateless_uniform(tf.shape(least), seed, None, None, tf.int32)
        shifts = least + integers % (greatest - least + 1)
        return tf.where(begins, tokens + shifts[:, None], tokens)

    def from_tensors(self, samples, controls=None) -> list[music_pb2.NoteSequence]:
        """Writes decoded windows as NoteSequences at 120 quarters a minute, in the first meter.

        Args:
          samples: arrays shaped [steps, depth], as `to_tensors` gives them; the largest value of
            a step is its event.
          controls: None; this converter has no controls.

        Returns:
          A NoteSequence for each; a note lasts until the next one, a note-off or the end.
        """
        return [self._sequence(np.argmax(sample, axis=-1)) for sample in samples]

    def explain(self, item: music_pb2.NoteSequence) -> str | None:
        """Says why a tune gives no window, or None where it gives one.

        It is one of "no notes", "filtered by rhythm", "wrong meter", "polyphony", "out of range",
        "too short", "too long" and "broken times", mostly with details after a colon.
        """
        try:
            self._melody(item)
        except NoExamplesError as error:
            return str(error)
        return None

    def _melody(self, item: music_pb2.NoteSequence) -> tuple[np.ndarray, dict[str, int]]:
        """Puts the melody of a tune on the grid.

        Returns:
          An int array of events shaped [steps], and what there is to count. The events go to the
          end of the bar in which the last note ends or, when inferring, to the end of a window.

        Raises:
          NoExamplesError: where the tune gives no example.
        """
        notes = melody.first_voice(item)
        if not notes:
            raise NoExamplesError("no notes")
        self._check_rhythm(item)
        self._check_meter(item)
        others = sum(not note.is_drum for note in item.notes) - len(notes)

        times = np.array([(note.start_time, note.end_time) for note in notes])
        if not (np.isfinite(times).all() and times.min() >= 0):
            raise NoExamplesError("broken times: a note before the start")
        if not timing.all_valid(item.tempos):
            raise NoExamplesError("broken times: a tempo that is no positive number")
        times = timing.TempoMap(item.tempos)(times) * STEPS_PER_QUARTER
        if times.max() > _MAX_BARS * self._steps_per_bar:
            raise NoExamplesError(f"too long: over {_MAX_BARS} bars")
        pitches = np.array([note.pitch for note in notes])
        # Sorted by start; among notes that start together the longest comes first.
        order = np.lexsort((-times[:, 1], times[:, 0]))
        pitches, starts, ends = pitches[order], times[order, 0], times[order, 1]
        if melody.is_polyphonic(starts, ends, least=0.5):
            raise NoExamplesError("polyphony")
        if pitches.min() < self._min_pitch or pitches.max() > self._max_pitch:
            raise NoExamplesError(
                f"out of range: a note below {self._min_pitch} or above {self._max_pitch}"
            )

        # Rounds to the nearest step, halves upwards, and to one step at least, as note_seq does.
        starting, ending = np.floor(np.stack([starts, ends]) + 0.5 + _EPSILON).astype(np.int64)
        ending = np.maximum(ending, starting + 1)
        steps, first = np.unique(starting, return_index=True)
        ending = np.maximum.reduceat(ending, first)
        # Among the notes of a step the longest comes first, among equally long ones the first.
        longest = np.lexsort((np.round(starts - ends, 6), starting))

        bars = -(-int(ending.max()) // self._steps_per_bar)
        if self.is_inferring:
            bars += -bars % self._bars
        elif bars < self._bars:
            raise NoExamplesError(f"too short: under {self._bars} bars")
        events = np.full(bars * self._steps_per_bar, NO_EVENT, np.int64)
        # A note that ends where the next one begins, or with the last bar, needs no note-off.
        events[ending[ending < np.append(steps[1:], len(events))]] = NOTE_OFF
        events[steps] = pitches[longest][first] - self._min_pitch + FIRST_PITCH
        return events, {"merged": len(notes) - len(steps), "in_other_voices": others}

    def _check_rhythm(self, item: music_pb2.NoteSequence) -> None:
        rhythms = getattr(self._hparams, "rhythm", "").casefold().split("+")
        wanted = [rhythm.strip() for rhythm in rhythms if rhythm.strip()]
        if not wanted or self.is_inferring:
            return
        given = note_sequence.rhythm(item)
        if not any(re.search(rf"\b{re.escape(rhythm)}", given) for rhythm in wanted):
            raise NoExamplesError(f"filtered by rhythm: its R: is no {' or '.join(wanted)}")

    def _check_meter(self, item: music_pb2.NoteSequence) -> None:
        meters: set[tuple[int, int] | None] = {
            (meter.numerator, meter.denominator) for meter in item.time_signatures
        }
        from_midi = item.source_info.encoding_type == music_pb2.NoteSequence.SourceInfo.MIDI
        if not any(meter.time <= 0 for meter in item.time_signatures):
            # What is before the first time signature is in 4/4, as the MIDI file format has it,
            # and in a tunebook in free meter.
            meters.add((4, 4) if from_midi else None)
        if meters <= set(self._meters):
            return
        if len(meters) > 1:
            found = "it changes"
        else:
            found = "none" if meters == {None} else _written(meters)
        raise NoExamplesError(f"wrong meter: {found}; needs {_written(self._meters)}")

    def _draw_transpositions(self, windows: np.ndarray, begins: np.ndarray) -> np.ndarray:
        """Draws a transposition for each window, shaped [n]."""
        lowest = np.where(begins, windows, self.output_depth - 1).min(axis=1)
        least, greatest = self._transpositions(np, lowest, windows.max(axis=1))
        # Drawn from the generator that `training_dataset` seeds, as all that Magenta draws.
        return np.random.randint(least, greatest + 1)

    def _transpositions(self, xp, lowest, highest):
        """Returns the least and the greatest transposition that keep windows in the range.

        Args:
          xp: numpy or tensorflow.
          lowest, highest: the events of the lowest and the highest pitches of windows, shaped [n].
        """
        least = xp.maximum(self._transpose[0], FIRST_PITCH - lowest)
        greatest = xp.minimum(self._transpose[1], self.output_depth - 1 - highest)
        return least, greatest

    def _sequence(self, events: np.ndarray) -> music_pb2.NoteSequence:
        sequence = music_pb2.NoteSequence(ticks_per_quarter=220)
        sequence.tempos.add(qpm=DECODED_QPM)
        numerator, denominator = self._meters[0]
        sequence.time_signatures.add(numerator=numerator, denominator=denominator)
        step_seconds = 60.0 / DECODED_QPM / self._steps_per_quarter
        sequence.total_time = len(events) * step_seconds
        changes = np.flatnonzero(events != NO_EVENT)
        for step, until in zip(changes, np.append(changes[1:], len(events))):
            if events[step] >= FIRST_PITCH:
                sequence.notes.add(
                    pitch=int(events[step]) - FIRST_PITCH + self._min_pitch,
                    velocity=data.OUTPUT_VELOCITY,
                    start_time=step * step_seconds,
                    end_time=until * step_seconds,
                    program=self._program,
                )
        return sequence


def _written(meters) -> str:
    return " or ".join(f"{above}/{below}" for above, below in meters)
