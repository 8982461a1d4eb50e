"""Are its bars full, and do they move as those of its dance?"""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from pipelines.judge import shapes
from pipelines.judge.bars import bar_lengths, dances
from pipelines.judge.bars.bar_lengths import LINE, NO_LINE, Fault, Habits
from pipelines.judge.finding import Arrays, CannotBeJudged, Criterion, Finding, Judge, Known, Mark
from pipelines.music.abc.grid import WHOLE
from pipelines.representations.abc_tokens.written import Tune

# What the measure loses by faulty bars: at once, and by their share of all bars. No dance, however
# unlike, costs as much.
_ANY_FAULT, _ALL_FAULTY = 10.0, 90.0
# A wrong bar line counts as half a wrong bar.
_LINE_WEIGHT = 0.5
_LEAST_SHARE = 0.01
# About so many of people's tunes have a bar that is not full; they are rejected.
_REJECTS = 0.07
_MOST_NAMED = 3
_NOTES = {
    Fraction(1): "whole", Fraction(1, 2): "half", Fraction(1, 4): "quarter",
    Fraction(1, 8): "eighth", Fraction(1, 16): "sixteenth",
}  # fmt: skip


def _learn(train: Sequence[Known], validation: Sequence[Known]) -> dict[str, np.ndarray]:
    """Learns how long bars are at the edges of strains, and how dances move."""
    tunes = [known.tune for known in train]
    habits = Habits.learn(tunes).arrays()
    classifier = dances.learn(tunes, [known.tune for known in validation])
    return {
        **{f"habits_{name}": array for name, array in habits.items()},
        **{f"dances_{name}": array for name, array in classifier.items()},
    }


def _open(arrays: Arrays) -> Judge:
    """Makes the judge of what `_learn` gave."""
    shapes.require(arrays, {"habits_contexts": ("n",), "habits_outcomes": ("n",)}, shapes.WORDS)
    shapes.require(arrays, {"habits_counts": arrays["habits_outcomes"].shape}, shapes.NUMBERS)
    features, names = arrays["dances_means"].shape, arrays["dances_bias"].shape
    shapes.require(arrays, {"dances_names": features, "dances_dances": names}, shapes.WORDS)
    shapes.require(
        arrays,
        {"dances_means": ("n",), "dances_bias": ("dances",), "dances_weights": ("n", "dances")},
    )
    habits = Habits.of_arrays(_with_prefix(arrays, "habits_"))
    classifier = dances.Classifier(**_with_prefix(arrays, "dances_"))

    def judge(tune: Tune) -> Finding:
        """Judges a tune; raises CannotBeJudged in free meter, and without a full bar."""
        if all(bar.meter is None for bar in tune.bars):
            raise CannotBeJudged("it is in free meter, where bars have no length to keep")
        faults = bar_lengths.faults(tune, habits)
        likely = classifier(tune)
        if not likely and not faults:
            raise CannotBeJudged("none of its bars is full, so it has no rhythm to tell")
        return _finding(tune, faults, likely)

    return judge


def _with_prefix(arrays: Arrays, prefix: str) -> dict[str, np.ndarray]:
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def _finding(tune: Tune, faults: Sequence[Fault], likely: Mapping[str, float]) -> Finding:
    stated = dances.stated(tune)
    named = stated if stated in likely else next(iter(likely), "")
    share = likely.get(named, _LEAST_SHARE)
    measure = math.log(max(share, _LEAST_SHARE))
    if faults:
        weights = [_LINE_WEIGHT if one.kind in (LINE, NO_LINE) else 1.0 for one in faults]
        measure -= _ANY_FAULT * max(weights) + _ALL_FAULTY * sum(weights) / len(tune.bars)
    evidence: dict[str, Any] = {
        "bars": len(tune.bars),
        "faulty_bars": [_as_json(one, tune) for one in faults],
        "stated_dance": stated or None,
        "dances": {name: round(value, 4) for name, value in likely.items()},
    }
    marks = tuple(Mark(one.bar, _text(one, tune)) for one in sorted(faults))
    return Finding(measure, f"{_says_bars(marks)}; {_says_dance(likely, stated)}", evidence, marks)


def _as_json(fault: Fault, tune: Tune) -> dict[str, Any]:
    """The fault; `bar` counts from 1."""
    found: dict[str, Any] = {"bar": fault.bar + 1, "kind": fault.kind}
    if fault.by:
        beat = bar_lengths.beat(tune.bars[fault.bar].meter)
        found |= {"beats": round(fault.by / beat, 4), "note_value": str(Fraction(fault.by, WHOLE))}
    return found


def _text(fault: Fault, tune: Tune) -> str:
    if fault.kind == LINE:
        return "a bar line too many after it"
    if fault.kind == NO_LINE:
        return "a bar line is missing in it"
    beats = Fraction(fault.by, bar_lengths.beat(tune.bars[fault.bar].meter))
    return f"{_beats(beats)} ({_note(Fraction(fault.by, WHOLE))}) too {fault.kind}"


def _beats(count: Fraction) -> str:
    """Such as "a beat", "1/3 of a beat", "2 1/2 beats"."""
    if count == 1:
        return "a beat"
    whole, part = divmod(count, 1)
    if not whole:
        return f"{part} of a beat"
    return f"{whole} {part} beats" if part else f"{whole} beats"


def _note(length: Fraction) -> str:
    """Such as "a dotted quarter note", "5/8 of a whole note"."""
    for dotted, value in (("", length), ("dotted ", length * 2 / 3)):
        if name := _NOTES.get(value):
            return f"{'an' if name == 'eighth' and not dotted else 'a'} {dotted}{name} note"
    return f"{length} of a whole note"


def _says_bars(marks: Sequence[Mark]) -> str:
    """Such as "bar 7: a beat (a quarter note) too short"; bars count from 1."""
    if not marks:
        return "all bars are full"
    named = [f"bar {mark.bar + 1}: {mark.text}" for mark in marks[:_MOST_NAMED]]
    more = len(marks) - len(named)
    return ", ".join(named) + (f", and {more} more" if more else "")


def _says_dance(likely: Mapping[str, float], stated: str) -> str:
    if not likely:
        return "no full bar to tell a dance by"
    best, share = next(iter(likely.items()))
    if stated and stated in likely and stated != best:
        return f"{stated} {likely[stated]:.0%}, rather {best} {share:.0%}"
    return f"{best} {share:.0%}"


CRITERION = Criterion(
    "rhythm",
    "Is it in rhythm? Whether its bars are full, and move as those of its dance do.",
    1,
    _learn,
    _open,
    rejects=_REJECTS,
)
