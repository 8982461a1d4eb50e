"""What is counted in written tunes: keys, notes, and features to compare them by.

None of it knows the grammar: it looks at what is written alone, in tunes of people and of models
alike.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from pipelines.music import keys
from pipelines.music.abc.grid import WHOLE
from pipelines.representations.abc_tokens.strains import sounds
from pipelines.representations.abc_tokens.written import Tune

# Semitones above the tonic in each mode.
_MAJOR = (0, 2, 4, 5, 7, 9, 11)
_DEGREES = {"MAJOR": 0, "DORIAN": 1, "PHRYGIAN": 2, "LYDIAN": 3, "MIXOLYDIAN": 4, "MINOR": 5,
            "LOCRIAN": 6}  # fmt: skip
_GRAM = 16
_MAX_INTERVAL = 12
# Places in a bar are counted in sixteenths, and lengths by these bounds.
_PLACES = 48
_LENGTH_BOUNDS = tuple(WHOLE * n // 96 for n in (4, 6, 8, 12, 18, 24, 36, 48))


def guessed_tonic(tune: Tune) -> int:
    """The pitch class of the tonic that a key finder hears in the notes (`music.keys`)."""
    heard = sounds(tune)
    weights = keys.weigh((sound.pitch, sound.length) for sound in heard)
    return keys.guess_tonic(weights, heard[-1].pitch)[0]


def grams(tune: Tune) -> list[bytes]:
    """Each run of 16 intervals between successive notes, in their order."""
    pitches = np.array([sound.pitch for sound in sounds(tune)])
    intervals = np.diff(pitches).astype(np.int8).tobytes()
    return [intervals[at : at + _GRAM] for at in range(len(intervals) - _GRAM + 1)]


def melody(tune: Tune) -> np.ndarray:
    """The melody as `tunes.similarity` compares it, shaped [notes, 2]."""
    heard = sounds(tune)
    tonic = tune.bars[0].key.tonic
    found = [((s.pitch - tonic) % 12, min(s.length * 24 // WHOLE, 15)) for s in heard]
    return np.array(found, np.int64).reshape(-1, 2)


# Features of a tune: numbers to be put into bins, or counts in bins of their own.


def _notes_a_bar(tune: Tune) -> float:
    return len(sounds(tune)) / len(tune.bars)


def _range(tune: Tune) -> float:
    pitches = [sound.pitch for sound in sounds(tune)]
    return max(pitches) - min(pitches)


def _in_scale(tune: Tune) -> float:
    """The share of the notes that are in the scale of the key that holds there."""
    heard = sounds(tune)
    inside = 0
    for sound in heard:
        key = tune.bars[sound.bar].key
        degree = _MAJOR[_DEGREES.get(key.mode, 0)]
        inside += (sound.pitch - key.tonic + degree) % 12 in _MAJOR
    return inside / len(heard)


def _rests(tune: Tune) -> float:
    """The share of the time without a note."""
    notes = [note for bar in tune.bars for note in bar.notes]
    silent = sum(note.length for note in notes if note.pitch is None)
    return silent / sum(note.length for note in notes)


def _bars_again(tune: Tune) -> float:
    """The share of the bars whose notes an earlier bar has."""
    return 1 - len({bar.notes for bar in tune.bars}) / len(tune.bars)


def _rhythms_again(tune: Tune) -> float:
    """The share of the bars whose rhythm an earlier bar has."""
    rhythms = {tuple((note.length, note.pitch is None) for note in bar.notes) for bar in tune.bars}
    return 1 - len(rhythms) / len(tune.bars)


def _degrees(tune: Tune) -> np.ndarray:
    found = [(sound.pitch - tune.bars[sound.bar].key.tonic) % 12 for sound in sounds(tune)]
    return np.bincount(found, minlength=12)


def _intervals(tune: Tune) -> np.ndarray:
    steps = np.diff([sound.pitch for sound in sounds(tune)]).astype(int)
    clipped = np.clip(steps, -_MAX_INTERVAL, _MAX_INTERVAL) + _MAX_INTERVAL
    return np.bincount(clipped, minlength=2 * _MAX_INTERVAL + 1)


def _lengths(tune: Tune) -> np.ndarray:
    found = np.searchsorted(_LENGTH_BOUNDS, [sound.length for sound in sounds(tune)], "right")
    return np.bincount(found, minlength=len(_LENGTH_BOUNDS) + 1)


def _onsets(tune: Tune) -> np.ndarray:
    found = [min(sound.place * 16 // WHOLE, _PLACES - 1) for sound in sounds(tune)]
    return np.bincount(found, minlength=_PLACES)


_SHARES = tuple(np.linspace(0, 1, 21))[1:]
# Each with the bounds of its bins.
VALUES: Mapping[str, tuple[Callable[[Tune], float], Sequence[float]]] = {
    "notes_a_bar": (_notes_a_bar, tuple(np.arange(1, 17))),
    "range": (_range, tuple(np.arange(5, 30))),
    "in_scale": (_in_scale, _SHARES),
    "rests": (_rests, (1e-6, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)),
    "bars_again": (_bars_again, _SHARES),
    "rhythms_again": (_rhythms_again, _SHARES),
}
COUNTS: Mapping[str, Callable[[Tune], np.ndarray]] = {
    "degrees": _degrees, "intervals": _intervals, "lengths": _lengths, "onsets": _onsets,
}  # fmt: skip


def histograms(tunes: Sequence[Tune]) -> dict[str, np.ndarray]:
    """The counts of each feature over some tunes; of counts, each tune weighs the same."""
    found = {}
    for name, (value, bounds) in VALUES.items():
        bins = np.searchsorted(bounds, [value(tune) for tune in tunes], "right")
        found[name] = np.bincount(bins, minlength=len(bounds) + 1).astype(float)
    for name, counted in COUNTS.items():
        rows = (counted(tune) for tune in tunes)
        found[name] = np.sum([row / row.sum() for row in rows if row.sum()], axis=0)
    return found


def means(tunes: Sequence[Tune]) -> dict[str, float]:
    """The means of the features that are numbers."""
    return {name: float(np.mean([value(t) for t in tunes])) for name, (value, _) in VALUES.items()}
