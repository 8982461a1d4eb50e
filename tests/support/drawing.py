"""Draws tunes from all that a grammar allows, as a model that knows nothing would."""

import numpy as np

from pipelines.representations.abc_tokens import vocabulary
from pipelines.systems.tune_lm import grammar


def tunes(of: grammar.Grammar, programs, seed: int, most: int = 5000) -> list[list[tuple]]:
    """Kinds and pitches of the tokens of a tune for each of some programs.

    Every kind that may come is as likely as another, and so is every pitch. A dead end, or a tune
    that does not end, is an AssertionError.
    """
    rng = np.random.default_rng(seed)
    place = of.begin(np.asarray(programs))
    rows: list[list[tuple]] = [[] for _ in programs]
    for _ in range(most):
        kinds = _one_of(of.kinds(np, place), rng)
        pitches = _one_of(of.pitches_of(np, place, kinds), rng)
        pitches = np.where(kinds >= vocabulary.FIRST_NOTE, pitches, vocabulary.NO_PITCH)
        place = of.step(np, place, kinds, pitches)
        for row, kind, pitch in zip(rows, kinds.tolist(), pitches.tolist(), strict=True):
            if not row or row[-1][0] != vocabulary.END:
                row.append((kind, pitch))
        if all(row[-1][0] == vocabulary.END for row in rows):
            return rows
    raise AssertionError("a tune does not end")


def _one_of(allowed: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    assert allowed.any(axis=1).all(), "a dead end"
    return np.argmax(np.where(allowed, rng.random(allowed.shape), -1.0), axis=1)


def tokens(pairs) -> list[vocabulary.Token]:
    """The tokens of kinds and pitches."""
    return [vocabulary.of_kind_and_pitch(*pair) for pair in pairs]
