"""Seconds to quarter notes."""

from collections.abc import Iterable

import numpy as np


class TempoMap:
    """Seconds to quarter notes, through all tempo changes; 120 a minute where nothing is said.

    Args:
      tempos: a NoteSequence's.
    """

    def __init__(self, tempos: Iterable):
        known = sorted((tempo.time, tempo.qpm) for tempo in tempos if tempo.qpm > 0)
        self.first_qpm = known[0][1] if known else 120.0
        # What holds at the first change has held since the start.
        known = [(0.0, self.first_qpm)] + known[1:]
        self._times = np.array([time for time, _ in known])
        self._rates = np.array([qpm / 60 for _, qpm in known])
        self._quarters = np.concatenate([[0.0], np.cumsum(np.diff(self._times) * self._rates[:-1])])

    def __call__(self, seconds: np.ndarray) -> np.ndarray:
        """Quarter notes since the start, for each of `seconds`."""
        at = np.maximum(np.searchsorted(self._times, seconds, "right") - 1, 0)
        return self._quarters[at] + (seconds - self._times[at]) * self._rates[at]
