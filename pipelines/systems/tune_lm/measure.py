"""Bits a written note: what a model pays for a tune, divided by how many notes are written in it.

A model pays for all tokens: bar lines, repeats, endings and the end are part of the price. Meter,
key, rhythm and tempo of the first bar are given. Models with other tokens can be compared, since a
note stays a note; probabilities must be those of the full vocabulary, without a grammar.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pipelines.representations.abc_tokens import vocabulary
from pipelines.representations.abc_tokens.steps import Steps

RESAMPLES = 2000
_INTERVAL = (2.5, 97.5)
_LAST_STRAIN = 3
# The written bars that a continuation has, where the eight before them are given.
_CONTINUED = range(8, 16)


class Priced(NamedTuple):
    """Tunes with what a model pays for their tokens.

    Attributes:
      bits: for each tune a float array shaped [tokens].
      steps: the tunes.
      groups: int array shaped [tunes], the same for versions of one tune.
      corpora: the name of each tune's corpus.
    """

    bits: Sequence[np.ndarray]
    steps: Sequence[Steps]
    groups: np.ndarray
    corpora: Sequence[str]


def bits(probabilities: np.ndarray) -> np.ndarray:
    """The bits that tokens of these probabilities cost."""
    return -np.log2(probabilities)


def report(priced: Priced, seed: int = 1) -> dict[str, Any]:
    """What a model pays: for all tunes, by corpus, by strain, by whether a bar repeats another one.

    Returns:
      For each selection of tokens, `bits_per_note`, the `interval` in which 95% of resamplings of
      groups lie, `notes`, and `share`, that of all bits. "bars" is by whether a bar has the same
      notes as an earlier one of the tune, and those that continue eight given ones; "tokens" is by
      kinds, all of them per written note.
    """
    cost = np.concatenate(list(priced.bits))
    notes = np.concatenate([steps.is_note for steps in priced.steps])
    sizes = [len(steps.tokens) for steps in priced.steps]
    group = np.repeat(priced.groups, sizes)
    corpus = np.repeat(np.array(priced.corpora), sizes)
    strain = np.minimum(np.concatenate([steps.strain for steps in priced.steps]), _LAST_STRAIN)
    again = np.concatenate([repeats(steps) for steps in priced.steps])
    continued = np.isin(np.concatenate([bars(steps) for steps in priced.steps]), _CONTINUED)
    what = np.concatenate([steps.what for steps in priced.steps])

    def of(chosen: np.ndarray, noted: np.ndarray | None = None) -> dict[str, Any]:
        return _ratio(
            np.where(chosen, cost, 0.0), chosen & notes if noted is None else noted, group, seed,
            cost.sum(),
        )  # fmt: skip

    names = [*(f"{number + 1}" for number in range(_LAST_STRAIN)), "later"]
    kinds = {
        "notes": vocabulary.is_note(what),
        "rests": what == vocabulary.REST,
        "signs": what < vocabulary.SIGNS,
    }
    # A selection without a note has no bits a note.
    return {
        "tunes": len(priced.steps),
        "groups": len(set(priced.groups.tolist())),
        "all": of(np.ones(len(cost), bool)),
        "corpora": {name: of(corpus == name) for name in sorted(set(priced.corpora))},
        "strains": {
            name: of(strain == i) for i, name in enumerate(names) if notes[strain == i].any()
        },
        "bars": {
            name: of(chosen)
            for name, chosen in (
                ("first time", ~again),
                ("repeated", again),
                ("9 to 16", continued),
            )
            if notes[chosen].any()
        },
        "tokens": {name: of(chosen, notes) for name, chosen in kinds.items()},
    }


def gain(first: Priced, second: Priced, seed: int = 1) -> dict[str, Any]:
    """How many bits a note the second model saves on the same tunes, by a paired bootstrap."""
    notes = np.concatenate([steps.is_note for steps in first.steps])
    group = np.repeat(first.groups, [len(steps.tokens) for steps in first.steps])
    saved = np.concatenate(list(first.bits)) - np.concatenate(list(second.bits))
    return _ratio(saved, notes, group, seed, saved.sum())


def bars(steps: Steps) -> np.ndarray:
    """How many written bars are over before each token; a pickup is not one: int array [tokens]."""
    is_sign = steps.what < vocabulary.SIGNS
    is_line = np.isin(steps.what, list(vocabulary.LINES.values()))
    after_notes = np.concatenate([[False], ~is_sign[:-1]])
    ends = is_line & after_notes
    # `left` is what the bar lacks, so a first bar that lacks some is a pickup.
    first = np.flatnonzero(ends)[:1]
    if len(first) and steps.left[first[0]]:
        ends[first[0]] = False
    return np.concatenate([[0], np.cumsum(ends)[:-1]])


def repeats(steps: Steps) -> np.ndarray:
    """Bool array shaped [tokens]: whether a token is in a bar that the tune has had before.

    The signs between two bars belong to the bar before them.
    """
    is_sign = steps.what < vocabulary.SIGNS
    begins = np.flatnonzero(~is_sign & np.concatenate([[True], is_sign[:-1]]))
    number = np.cumsum(np.isin(np.arange(len(is_sign)), begins)) - 1
    seen: set[bytes] = set()
    again = np.zeros(max(len(begins), 1), bool)
    for i in range(len(begins)):
        bar = steps.tokens[(number == i) & ~is_sign].tobytes()
        again[i] = bar in seen
        seen.add(bar)
    return again[np.maximum(number, 0)]


def _ratio(
    cost: np.ndarray, notes: np.ndarray, group: np.ndarray, seed: int, total: float
) -> dict[str, Any]:
    """Bits a note with the interval of a bootstrap over groups (Efron and Tibshirani, 1993)."""
    _, group = np.unique(group, return_inverse=True)
    costs, counts = np.bincount(group, cost), np.bincount(group, notes)
    # Groups without any such note, as of the other corpora, are not drawn.
    there = (costs != 0) | (counts != 0)
    costs, counts = costs[there], counts[there]
    rng = np.random.default_rng(seed)
    resampled = []
    for _ in range(RESAMPLES):
        drawn = rng.integers(len(costs), size=len(costs))
        if counts[drawn].sum():
            resampled.append(costs[drawn].sum() / counts[drawn].sum())
    low, high = np.percentile(resampled, _INTERVAL)
    return {
        "bits_per_note": round(float(costs.sum() / counts.sum()), 4),
        "interval": [round(float(low), 4), round(float(high), 4)],
        "notes": int(counts.sum()),
        "share": round(float(costs.sum() / total), 4) if total else 0.0,
    }


def line(name: str, found: Mapping[str, Any]) -> str:
    """A line of a table in Markdown."""
    low, high = found["interval"]
    return (
        f"| {name} | {found['notes']} | {found['bits_per_note']:.3f} | {low:.3f} to {high:.3f} | "
        f"{found['share']:.1%} |"
    )
