"""Plants faults in tunes, to see whether a judge finds them.

Each function takes a tune and a generator of random numbers, and returns the tune with the fault,
and the bars that it is in. They raise `NoPlace` where the tune has no place for such a fault.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pipelines.representations.abc_tokens import strains
from pipelines.representations.abc_tokens.written import Bar, Tune

# In semitones: a wrong note is no further from the right one.
_FURTHEST = 5


class NoPlace(Exception):
    """A tune in which this fault cannot be planted."""


class Faulty(NamedTuple):
    """A tune with a fault, and the places in `Tune.bars` that it is in."""

    tune: Tune
    bars: tuple[int, ...]


def wrong_note(tune: Tune, rng: np.random.Generator) -> Faulty:
    """Gives one note another pitch, up to a fourth above or below, in the key or not."""
    places = [
        (number, place)
        for number, bar in enumerate(tune.bars)
        for place, note in enumerate(bar.notes)
        if note.pitch is not None and not note.tied and not _is_tied_to(tune.bars, number, place)
    ]
    if not places:
        raise NoPlace("no note that is not tied")
    number, place = places[rng.integers(len(places))]
    bar = tune.bars[number]
    note = bar.notes[place]
    assert note.pitch is not None
    by = int(rng.choice([step for step in range(-_FURTHEST, _FURTHEST + 1) if step]))
    changed = note._replace(pitch=note.pitch + by)
    notes = (*bar.notes[:place], changed, *bar.notes[place + 1 :])
    return Faulty(_with_bar(tune, number, bar._replace(notes=notes)), (number,))


def _is_tied_to(bars: Sequence[Bar], number: int, place: int) -> bool:
    """Whether the note before a note is tied, so that the two may sound as one."""
    if place:
        return bars[number].notes[place - 1].tied
    return number > 0 and bars[number - 1].notes[-1].tied


def bars_shuffled(tune: Tune, rng: np.random.Generator) -> Faulty:
    """Puts the notes of the bars that are as long as most into another order.

    Bar lines, repeats and endings stay where they are, so all strains are as long as before.
    """
    lengths = [bar.length for bar in tune.bars]
    usual = max(set(lengths), key=lambda length: (lengths.count(length), length))
    places = [number for number, length in enumerate(lengths) if length == usual]
    contents = [tune.bars[number].notes for number in places]
    if len(set(contents)) < 2:
        raise NoPlace("no two bars that differ")
    order = rng.permutation(len(places))
    while all(contents[a] == contents[b] for a, b in enumerate(order)):
        order = rng.permutation(len(places))
    bars = list(tune.bars)
    for number, a in zip(places, order, strict=True):
        notes = contents[a]
        last = notes[-1]._replace(tied=False)
        bars[number] = bars[number]._replace(notes=(*notes[:-1], last))
    return Faulty(tune._replace(bars=tuple(bars)), tuple(places))


def strains_swapped(tune: Tune, rng: np.random.Generator) -> Faulty:
    """Puts the last strain first."""
    del rng  # There is one way to do it.
    parts = strains.parts(tune)
    if len(parts) < 2:
        raise NoPlace("one strain")
    return _joined(tune, [parts[-1], *parts[:-1]], changed=range(len(parts)))


def strain_dropped(tune: Tune, rng: np.random.Generator) -> Faulty:
    """Leaves out one of the strains."""
    parts = strains.parts(tune)
    if len(parts) < 2:
        raise NoPlace("one strain")
    dropped = int(rng.integers(len(parts)))
    return _joined(tune, parts[:dropped] + parts[dropped + 1 :], changed=())


def other_strain(tune: Tune, other: Tune) -> Faulty:
    """Puts the last strain of another tune in the place of the last one, in the same key.

    Args:
      tune: the tune.
      other: a tune of the same meter.
    """
    parts, others = strains.parts(tune), strains.parts(other)
    if len(parts) < 2 or len(others) < 2 or tune.bars[0].meter != other.bars[0].meter:
        raise NoPlace("one strain, or another meter")
    by = (tune.bars[0].key.tonic - other.bars[0].key.tonic + 6) % 12 - 6
    taken = [_transposed(bar, by) for bar in others[-1]]
    return _joined(tune, [*parts[:-1], taken], changed=(len(parts) - 1,))


def random_walk(tune: Tune, rng: np.random.Generator) -> Faulty:
    """Gives the notes of a tune the pitches of a random walk in its scale; its rhythm stays."""
    heard = sorted({sound.pitch for sound in strains.sounds(tune)})
    if len(heard) < 3:
        raise NoPlace("fewer than three pitches")
    at = int(rng.integers(len(heard)))
    bars = []
    for bar in tune.bars:
        notes = []
        for note in bar.notes:
            if note.pitch is not None:
                at = int(np.clip(at + rng.integers(-2, 3), 0, len(heard) - 1))
                note = note._replace(pitch=heard[at], tied=False)
            notes.append(note)
        bars.append(bar._replace(notes=tuple(notes)))
    return Faulty(tune._replace(bars=tuple(bars)), tuple(range(len(bars))))


# Those that need the tune alone, by name.
FAULTS: Mapping[str, Callable[[Tune, np.random.Generator], Faulty]] = {
    "wrong note": wrong_note,
    "bars shuffled": bars_shuffled,
    "strains swapped": strains_swapped,
    "strain dropped": strain_dropped,
    "random walk": random_walk,
}


def _joined(tune: Tune, parts: Sequence[Sequence[Bar]], changed: Sequence[int] | range) -> Faulty:
    """The tune of these strains; a tie that led out of a strain is taken away."""
    bars: list[Bar] = []
    touched: list[int] = []
    for number, part in enumerate(parts):
        last = part[-1]
        ended = last._replace(
            notes=(*last.notes[:-1], last.notes[-1]._replace(tied=False)),
            ends_section=last.ends_section or not last.closes,
        )
        if number in changed:
            touched.extend(range(len(bars), len(bars) + len(part)))
        bars.extend([*part[:-1], ended])
    return Faulty(tune._replace(bars=tuple(bars)), tuple(touched))


def _transposed(bar: Bar, by: int) -> Bar:
    notes = tuple(
        note if note.pitch is None else note._replace(pitch=note.pitch + by) for note in bar.notes
    )
    return bar._replace(notes=notes, key=bar.key._replace(tonic=(bar.key.tonic + by) % 12))


def _with_bar(tune: Tune, number: int, bar: Bar) -> Tune:
    return tune._replace(bars=(*tune.bars[:number], bar, *tune.bars[number + 1 :]))
