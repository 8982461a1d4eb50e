"""Tunes whose key nobody doubts: two strains on the triad of the tonic, which both end on it."""

import functools
import random
from collections.abc import Sequence

from pipelines.judge.criteria import mode
from pipelines.judge.finding import Arrays, Known
from pipelines.music.abc.grid import WHOLE
from pipelines.representations.abc_tokens.written import Bar, Key, Note, Tune

SCALES = {
    "MAJOR": (0, 2, 4, 5, 7, 9, 11), "MINOR": (0, 2, 3, 5, 7, 8, 10),
    "DORIAN": (0, 2, 3, 5, 7, 9, 10), "MIXOLYDIAN": (0, 2, 4, 5, 7, 9, 10),
}  # fmt: skip
_EIGHTH = WHOLE // 8
METER = (4, 4)


def keyed_tune(rng: random.Random, key: Key, bars_a_strain: int = 8, strains: int = 2) -> Tune:
    """A tune of strains that repeat; its notes are all in the scale of the key."""
    pitches = [60 + key.tonic + octave + step for octave in (0, 12) for step in SCALES[key.mode]]
    bars: list[Bar] = []
    for _ in range(strains):
        for number in range(bars_a_strain):
            if number == bars_a_strain - 1:
                notes = [*_run(rng, pitches, 4), Note(60 + key.tonic, 4 * _EIGHTH)]
            else:
                notes = _run(rng, pitches, 8)
            bars.append(
                Bar(
                    tuple(notes),
                    METER,
                    key,
                    opens=number == 0,
                    closes=number == bars_a_strain - 1,
                )
            )
    return Tune(tuple(bars))


def _run(rng: random.Random, pitches: Sequence[int], count: int) -> list[Note]:
    """Steps along a scale from a note of the triad on its first note."""
    at = rng.choice((0, 2, 4, 7))
    notes = []
    for _ in range(count):
        notes.append(Note(pitches[at], _EIGHTH))
        at = min(max(at + rng.choice((-1, 1, 1, 2, -2)), 0), len(pitches) - 1)
    return notes


def keyed_tunes(seed: int, count: int) -> list[Known]:
    """Tunes in keys of all tonics and of four modes, by turns."""
    rng = random.Random(seed)
    modes = tuple(SCALES)
    return [
        Known(str(i), "", i, keyed_tune(rng, Key(rng.randrange(12), modes[i % len(modes)])))
        for i in range(count)
    ]


@functools.cache
def learned_mode() -> Arrays:
    """What the criterion of mode learns of such tunes; a key finder is made of the same arrays."""
    return mode.CRITERION.learn(keyed_tunes(1, 64), keyed_tunes(2, 24))
