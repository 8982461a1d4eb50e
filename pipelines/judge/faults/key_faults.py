"""Plants faults of key and mode in tunes, as `faults` does with others."""

from collections.abc import Callable, Mapping

import numpy as np

from pipelines.judge.faults.tune_faults import Faulty, NoPlace, wrong_note
from pipelines.representations.abc_tokens import strains
from pipelines.representations.abc_tokens.written import Tune


def strain_transposed(tune: Tune, rng: np.random.Generator) -> Faulty:
    """Transposes a strain by up to a tritone, against the others."""
    parts = strains.parts(tune)
    if len(parts) < 2:
        raise NoPlace("one strain")
    which = int(rng.integers(len(parts)))
    by = int(rng.choice([step for step in range(-5, 7) if step]))
    first = sum(map(len, parts[:which]))
    changed = range(first, first + len(parts[which]))
    bars = list(tune.bars)
    for number in changed:
        notes = tuple(
            note if note.pitch is None else note._replace(pitch=note.pitch + by)
            for note in bars[number].notes
        )
        bars[number] = bars[number]._replace(notes=notes)
    return Faulty(tune._replace(bars=tuple(bars)), tuple(changed))


def other_field(tune: Tune, rng: np.random.Generator) -> Faulty:
    """Gives the `K:` field another tonic; the notes stay."""
    by = int(rng.integers(1, 12))
    bars = tuple(
        bar._replace(key=bar.key._replace(tonic=(bar.key.tonic + by) % 12)) for bar in tune.bars
    )
    return Faulty(tune._replace(bars=bars), (0,))


FAULTS: Mapping[str, Callable[[Tune, np.random.Generator], Faulty]] = {
    "wrong note": wrong_note,
    "strain transposed": strain_transposed,
    "another key in K:": other_field,
}
