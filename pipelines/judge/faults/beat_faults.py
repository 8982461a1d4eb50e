"""Plants a beat too many or too few in a bar of a tune, as `faults` does with other faults.

A beat is what the meter counts: a dotted quarter in 6/8, 9/8 and 12/8, else the note that the
meter's lower number names: a quarter in 4/4, a half in 2/2, an eighth in 3/8.
"""

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from pipelines.judge.bars.bar_lengths import beat
from pipelines.judge.faults.tune_faults import Faulty, NoPlace
from pipelines.representations.abc_tokens.written import Bar, Note, Tune


def beat_added(tune: Tune, rng: np.random.Generator) -> Faulty:
    """Adds a beat to a random bar.

    Each bar with a meter is as likely, the first and the last one too. In half of the cases one
    of its notes or rests is lengthened by a beat; in the other half a note of a beat is inserted
    at a random place, at the pitch of one of the bar's notes.

    Raises:
      NoPlace: where all of the tune is in free meter.
    """
    places = [i for i, bar in enumerate(tune.bars) if beat(bar.meter)]
    if not places:
        raise NoPlace("no bar has a meter")
    place = int(rng.choice(places))
    bar = tune.bars[place]
    notes = list(bar.notes)
    more = beat(bar.meter)
    at = int(rng.integers(len(notes)))
    if rng.random() < 0.5:
        notes[at] = notes[at]._replace(length=notes[at].length + more)
    else:
        notes.insert(int(rng.integers(len(notes))), Note(notes[at].pitch, more))
    return _with_notes(tune, place, notes)


def beat_missing(tune: Tune, rng: np.random.Generator) -> Faulty:
    """Takes a beat from a random bar.

    Each bar that allows it is as likely, the first and the last one too. Each way to do it is as
    likely: to remove notes or rests that stand side by side and make up a beat, such as a quarter
    or two eighths, or to shorten a longer one by a beat. Something is left in the bar.

    Raises:
      NoPlace: where no bar allows it.
    """
    ways = {i: found for i, bar in enumerate(tune.bars) if (found := list(_without_a_beat(bar)))}
    if not ways:
        raise NoPlace("no bar has a beat that can be taken from it")
    place = int(rng.choice(list(ways)))
    return _with_notes(tune, place, ways[place][int(rng.integers(len(ways[place])))])


def _without_a_beat(bar: Bar) -> Iterator[list[Note]]:
    less = beat(bar.meter)
    if not less:
        return
    for start, note in enumerate(bar.notes):
        if note.length > less:
            shorter = note._replace(length=note.length - less)
            yield [*bar.notes[:start], shorter, *bar.notes[start + 1 :]]
        length = 0
        for end in range(start, len(bar.notes)):
            length += bar.notes[end].length
            if length >= less:
                left = [*bar.notes[:start], *bar.notes[end + 1 :]]
                if length == less and left:
                    yield left
                break


def _with_notes(tune: Tune, place: int, notes: list[Note]) -> Faulty:
    """The tune with other notes in a bar, without ties that lead to no note of their pitch."""
    bars = list(tune.bars)
    ties = bars[place].notes[-1].tied
    notes = [note._replace(tied=False) for note in notes]
    notes[-1] = notes[-1]._replace(tied=ties and notes[-1].pitch == bars[place].notes[-1].pitch)
    bars[place] = bars[place]._replace(notes=tuple(notes))
    if place and bars[place - 1].notes[-1].pitch != notes[0].pitch:
        *others, last = bars[place - 1].notes
        bars[place - 1] = bars[place - 1]._replace(notes=(*others, last._replace(tied=False)))
    return Faulty(tune._replace(bars=tuple(bars)), (place,))


FAULTS: Mapping[str, Callable[[Tune, np.random.Generator], Faulty]] = {
    "beat added": beat_added,
    "beat missing": beat_missing,
}
