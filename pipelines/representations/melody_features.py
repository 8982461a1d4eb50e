"""Musical features of melody windows: density, range, scale, rhythm, repetition.

Each function measures every window by itself. All take

  windows: array shaped [n, steps, depth], one-hot, as `MelodyConverter.to_tensors` gives it: 0 is
    no event, 1 the end of a note, and from 2 on a note begins, with its pitch.
  steps_per_bar: steps in a bar; it divides the steps of a window. A quarter note has four steps.

They return a float64 array shaped [n], NaN where a window has nothing to measure, or counts shaped
[n, bins], as `contract.Feature` says.
"""

from collections.abc import Mapping

import numpy as np

from pipelines.representations.contract import Feature
from pipelines.representations.melody_converter import FIRST_PITCH, NO_EVENT, STEPS_PER_QUARTER

# Semitones above the first degree of a major scale. The other modes have the same notes.
_DIATONIC = (0, 2, 4, 5, 7, 9, 11)
_MAX_INTERVAL = 12
_MAX_DURATION = 4 * STEPS_PER_QUARTER


def _events(windows: np.ndarray) -> np.ndarray:
    """The index of each step's event, shaped [n, steps]."""
    return np.argmax(windows, axis=-1)


def _onsets(windows: np.ndarray) -> np.ndarray:
    """Whether a note begins, shaped [n, steps]."""
    return _events(windows) >= FIRST_PITCH


def _divide(numerators: np.ndarray, denominators: np.ndarray) -> np.ndarray:
    """Quotients as float64; NaN where the denominator is 0."""
    quotients = np.full(np.shape(numerators), np.nan)
    return np.divide(numerators, denominators, out=quotients, where=denominators != 0)


def density(windows: np.ndarray, steps_per_bar: int) -> np.ndarray:
    """Notes a bar."""
    onsets = _onsets(windows)
    return onsets.mean(axis=1) * steps_per_bar


def empty_bars(windows: np.ndarray, steps_per_bar: int) -> np.ndarray:
    """The share of bars in which no note begins."""
    bars = _onsets(windows).reshape(len(windows), -1, steps_per_bar)
    return (~bars.any(axis=2)).mean(axis=1)


def diatonic(windows: np.ndarray, steps_per_bar: int) -> np.ndarray:
    """The share of the notes that are in the major scale that has most of them."""
    events = _events(windows)
    scales = np.zeros((12, 12))
    for tonic in range(12):
        scales[np.add(_DIATONIC, tonic) % 12, tonic] = 1
    # Pitch classes are counted from the lowest pitch, which makes no difference to the best scale.
    pitch_classes = (events - FIRST_PITCH) % 12
    counts = np.stack(
        [((pitch_classes == i) & (events >= FIRST_PITCH)).sum(axis=1) for i in range(12)], axis=1
    )
    return _divide((counts @ scales).max(axis=1), counts.sum(axis=1))


def pitch_range(windows: np.ndarray, steps_per_bar: int) -> np.ndarray:
    """Semitones from the lowest to the highest note."""
    events = _events(windows)
    onsets = events >= FIRST_PITCH
    lowest = np.where(onsets, events, np.iinfo(events.dtype).max).min(axis=1)
    highest = np.where(onsets, events, 0).max(axis=1)
    return np.where(onsets.any(axis=1), (highest - lowest).astype(np.float64), np.nan)


def on_eighths(windows: np.ndarray, steps_per_bar: int) -> np.ndarray:
    """The share of the notes that begin on an eighth."""
    onsets = _onsets(windows)
    return _divide(onsets[:, :: STEPS_PER_QUARTER // 2].sum(axis=1), onsets.sum(axis=1))


def rests(windows: np.ndarray, steps_per_bar: int) -> np.ndarray:
    """The share of the steps, from the first note on, that are between notes."""
    events = _events(windows)
    steps = np.arange(events.shape[1])
    # The last step, up to each one, with an event: a note sounds until it.
    last = np.maximum.accumulate(np.where(events != NO_EVENT, steps, 0), axis=1)
    sounding = np.take_along_axis(events, last, axis=1) >= FIRST_PITCH
    begun = np.logical_or.accumulate(events >= FIRST_PITCH, axis=1)
    return _divide((begun & ~sounding).sum(axis=1), begun.sum(axis=1))


def self_similarity(windows: np.ndarray, steps_per_bar: int) -> np.ndarray:
    """The mean F1 of the notes of each bar and the next; NaN in windows of one bar.

    A note is the same where it begins on the same step of the bar with the same pitch. Two bars
    without a note have no F1 and are passed over.
    """
    events = _events(windows).reshape(len(windows), -1, steps_per_bar)
    notes = events >= FIRST_PITCH
    same = (notes[:, :-1] & (events[:, :-1] == events[:, 1:])).sum(axis=2)
    f1 = _divide(2 * same, notes[:, :-1].sum(axis=2) + notes[:, 1:].sum(axis=2))
    return _divide(np.nansum(f1, axis=1), np.isfinite(f1).sum(axis=1))


def pitch_histogram(windows: np.ndarray, steps_per_bar: int) -> np.ndarray:
    """Notes by pitch, from the lowest of the range: counts shaped [n, pitches]."""
    return (np.asarray(windows)[..., FIRST_PITCH:] > 0.5).sum(axis=1)


def interval_histogram(windows: np.ndarray, steps_per_bar: int) -> np.ndarray:
    """Intervals from note to note, in semitones from an octave down to one up: [n, 25] counts.

    Greater ones are counted as octaves.
    """
    events = _events(windows)
    rows, steps = np.nonzero(events >= FIRST_PITCH)
    intervals = np.clip(np.diff(events[rows, steps]), -_MAX_INTERVAL, _MAX_INTERVAL) + _MAX_INTERVAL
    same = rows[1:] == rows[:-1]
    return _counts(rows[1:][same], intervals[same], len(windows), 2 * _MAX_INTERVAL + 1)


def duration_histogram(windows: np.ndarray, steps_per_bar: int) -> np.ndarray:
    """Durations of notes in steps, from 1 to those of a whole note and more: [n, 16] counts.

    A note ends with the next event, or with the window.
    """
    events = _events(windows)
    rows, steps = np.nonzero(events != NO_EVENT)
    ends = np.append(steps[1:], 0)
    last = np.append(rows[1:] != rows[:-1], True)
    ends[last] = events.shape[1]
    notes = events[rows, steps] >= FIRST_PITCH
    durations = np.minimum(ends - steps, _MAX_DURATION) - 1
    return _counts(rows[notes], durations[notes], len(events), _MAX_DURATION)


def onset_profile(windows: np.ndarray, steps_per_bar: int) -> np.ndarray:
    """Notes by the step of the bar that they begin on: counts shaped [n, steps_per_bar]."""
    return _onsets(windows).reshape(len(windows), -1, steps_per_bar).sum(axis=1)


def _counts(rows: np.ndarray, bins: np.ndarray, n: int, number: int) -> np.ndarray:
    return np.bincount(rows * number + bins, minlength=n * number).reshape(n, number)


# The last bin of these has the windows in which all notes are so.
_SHARES = (*np.linspace(0, 1, 21), 1.01)

FEATURES: Mapping[str, Feature] = {
    "density": Feature(density, tuple(np.arange(0, 25, 1))),
    # None of the bars; up to a quarter of them, a half, three quarters; more.
    "empty_bars": Feature(empty_bars, (0, 0.01, 0.26, 0.51, 0.76, 1.01)),
    "diatonic": Feature(diatonic, _SHARES),
    "pitch_range": Feature(pitch_range, tuple(np.arange(0, 37, 1))),
    "on_eighths": Feature(on_eighths, _SHARES),
    "rests": Feature(rests, (0, *np.linspace(0.001, 1, 21))),
    "self_similarity": Feature(self_similarity, _SHARES),
    "pitch_histogram": Feature(pitch_histogram),
    "interval_histogram": Feature(interval_histogram),
    "duration_histogram": Feature(duration_histogram),
    "onset_profile": Feature(onset_profile),
}
