"""Musical time: seconds to quarter notes, through the tempos of a piece.

This is the one rule for it, after the MIDI file format, which NoteSequences come from and go to:

- Until the first tempo, and in a piece without any, there are 120 quarter notes a minute.
- A tempo holds from its time on, until the next one; of several at one time the last one given.
- A tempo that no program could follow is passed over: one at a time that is not finite, or whose
  quarter notes a minute are not positive and finite. Whoever would rather refuse such a piece asks
  `all_valid`.
"""

import math
from collections.abc import Iterable

import numpy as np

from pipelines.music.note_sequence import NoteSequence

# Quarter notes a minute where nothing else is said.
DEFAULT_QPM = 120.0


def first_qpm(sequence: NoteSequence) -> float:
    """The tempo of a piece that keeps to one: its first in quarter notes a minute, or 120.

    The value is not checked: a piece from elsewhere may say 0.
    """
    return sequence.tempos[0].qpm if sequence.tempos else DEFAULT_QPM


def all_valid(tempos: Iterable[NoteSequence.Tempo]) -> bool:
    """Whether a `TempoMap` passes over none of these tempos."""
    return all(map(_is_valid, tempos))


class TempoMap:
    """Seconds to quarter notes.

    Args:
      tempos: a NoteSequence's, in any order.

    Attributes:
      changes: pairs of seconds and quarter notes a minute in order: one at 0, and one for each
        later time that has a tempo, whether it differs from the one before or not.
    """

    def __init__(self, tempos: Iterable[NoteSequence.Tempo]):
        known = sorted(filter(_is_valid, tempos), key=lambda tempo: tempo.time)
        # What is given for a time before the piece begins holds at its begin.
        given = {max(tempo.time, 0.0): tempo.qpm for tempo in known}
        self.changes = list({0.0: DEFAULT_QPM, **given}.items())
        self._times = np.array([time for time, _ in self.changes])
        self._rates = np.array([qpm / 60 for _, qpm in self.changes])
        self._quarters = np.concatenate([[0.0], np.cumsum(np.diff(self._times) * self._rates[:-1])])

    def __call__(self, seconds: np.ndarray) -> np.ndarray:
        """Quarter notes since the begin of the piece.

        Args:
          seconds: times, of any shape; those before the begin are at the first tempo.

        Returns:
          A float64 array of the same shape.
        """
        at = np.maximum(np.searchsorted(self._times, seconds, "right") - 1, 0)
        return self._quarters[at] + (seconds - self._times[at]) * self._rates[at]

    def seconds(self, quarters: np.ndarray) -> np.ndarray:
        """Seconds since the begin of the piece: the inverse of calling the map.

        Args:
          quarters: quarter notes since the begin, of any shape.

        Returns:
          A float64 array of the same shape.
        """
        at = np.maximum(np.searchsorted(self._quarters, quarters, "right") - 1, 0)
        return self._times[at] + (quarters - self._quarters[at]) / self._rates[at]


def _is_valid(tempo: NoteSequence.Tempo) -> bool:
    return math.isfinite(tempo.time) and 0 < tempo.qpm < math.inf
