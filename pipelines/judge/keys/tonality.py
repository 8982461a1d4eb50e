"""What is heard of keys in a tune: that of the whole, those of its strains, notes outside them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipelines.judge.keys import key_finder
from pipelines.judge.keys.key_finder import MODES, SCALES, Found, KeyFinder, Passage
from pipelines.representations.abc_tokens import strains
from pipelines.representations.abc_tokens.written import Key, Tune

# A strain is in another key where the tune's key is no likelier than this, and the other is so
# likely at least.
_HOME_AT_MOST = 0.02
_OTHER_AT_LEAST = 0.8
_FEWEST_BARS = 4
_LEAST = 1e-6
# To and from a note: the same pitch, a semitone, a tone, a leap; none at the ends of a tune.
STEPS = 5
_LEAP, _NONE = 3, 4
# Classes of how many other notes have a note's pitch class: none, one, two, three or four, more.
_OTHERS = (1, 2, 3, 5)
OTHERS = len(_OTHERS) + 1
INSIDE = np.array([[degree in SCALES[mode] for degree in range(12)] for mode in MODES])
# The sharps that a mode has more than the major mode on its tonic.
_SHARPS = {
    "MAJOR": 0, "MINOR": -3, "DORIAN": -2, "MIXOLYDIAN": -1, "PHRYGIAN": -4, "LYDIAN": 1,
    "LOCRIAN": -5,
}  # fmt: skip


class Notes(NamedTuple):
    """The notes of a tune relative to the keys of their strains.

    Attributes:
      mode: int array shaped [notes]: the index in `MODES` of the key.
      degree: int array shaped [notes]: semitones above its tonic.
      context: int array shaped [notes, 3]: the steps to and from a note, below `STEPS`, and the
        class of how many others have its pitch class, below `OTHERS`.
    """

    mode: np.ndarray
    degree: np.ndarray
    context: np.ndarray

    @property
    def outside(self) -> np.ndarray:
        """Whether each note is outside its mode."""
        return ~INSIDE[self.mode, self.degree]


class Departure(NamedTuple):
    """How far a strain departs from the key of its tune.

    Attributes:
      gap: how much likelier its own key is there than that of the tune, in nats.
      near: whether the signatures of the two differ by one sharp or flat at most.
    """

    gap: float
    near: bool


class Heard(NamedTuple):
    """What is heard in a tune.

    Attributes:
      sounds: int array shaped [notes, 4], as of `Passage`.
      found: the key of the whole tune.
      starts: the first bar of each strain.
      keys: the key of each strain.
      changes: by the number of a strain from 0, its key where that is not the tune's.
      departures: of the strains that are long enough for a key of their own.
      notes: the notes relative to these keys.
    """

    sounds: np.ndarray
    found: Found
    starts: list[int]
    keys: list[Key]
    changes: dict[int, Found]
    departures: list[Departure]
    notes: Notes

    def key_at(self, note: int | np.integer) -> Key:
        """The key of the strain that a note is in."""
        return self.keys[int(np.searchsorted(self.starts, self.sounds[note, 2], "right")) - 1]

    def name_of(self, note: int | np.integer) -> str:
        """The name of a note in that key, such as "C natural"."""
        return key_finder.note_name(int(self.sounds[note, 0]), self.key_at(note))


def hear(tune: Tune, finder: KeyFinder) -> Heard:
    """Finds the keys of a tune; raises `CannotBeJudged` where it has too few notes."""
    whole, *own = key_finder.passages(tune)
    key_finder.require_notes(whole)
    parts = strains.parts(tune)
    starts = np.cumsum([0, *map(len, parts[:-1])])
    strain = np.searchsorted(starts, whole.sounds[:, 2], "right") - 1
    if len(parts) == 1:
        own = []
    own = list(filter(_is_long, own))
    found, *others = finder.find_in([whole, *own])
    keys = [found.key] * len(parts)
    changes: dict[int, Found] = {}
    for passage, other in zip(own, others, strict=True):
        if other.of(found.key) <= _HOME_AT_MOST and other.probability >= _OTHER_AT_LEAST:
            number = int(np.searchsorted(starts, passage.sounds[0, 2], "right")) - 1
            changes[number] = other
            keys[number] = other.key
    departures = [_departure(other, found) for other in others]
    notes = _notes(whole.sounds, [keys[i] for i in strain])
    return Heard(whole.sounds, found, starts.tolist(), keys, changes, departures, notes)


def _is_long(strain: Passage) -> bool:
    """Whether a strain is long enough to have a key of its own."""
    bars = strain.sounds[-1, 2] - strain.sounds[0, 2] + 1
    return bars >= _FEWEST_BARS and len(strain.sounds) >= 2 * key_finder.FEWEST_NOTES


def _departure(own: Found, home: Found) -> Departure:
    gap = np.log(own.probability) - np.log(max(own.of(home.key), _LEAST))
    return Departure(float(gap), abs(signature(own.key) - signature(home.key)) <= 1)


def _notes(sounds: np.ndarray, keys: Sequence[Key]) -> Notes:
    pitch = sounds[:, 0]
    tonics = np.array([key.tonic for key in keys])
    modes = np.array([MODES.index(key.mode) for key in keys])
    steps = np.minimum(np.abs(np.diff(pitch)), _LEAP)
    counts = np.bincount(pitch % 12, minlength=12)
    others = np.searchsorted(_OTHERS, counts[pitch % 12] - 1, "right")
    context = np.stack([np.append(_NONE, steps), np.append(steps, _NONE), others], axis=1)
    return Notes(modes, (pitch - tonics) % 12, context)


def signature(key: Key) -> int:
    """The sharps of a key's signature, from -5 to 6, flats below 0: D major and B minor have 2."""
    return (7 * key.tonic + _SHARPS[key.mode] + 5) % 12 - 5


def signatures(found: Found) -> np.ndarray:
    """How likely each signature is: [12], from no sharp to 6 sharps, then 5 flats to one flat."""
    return np.bincount(_SIGNATURES, found.probabilities.ravel(), 12)


_SIGNATURES = np.array([signature(Key(t, mode)) % 12 for t in range(12) for mode in MODES])
