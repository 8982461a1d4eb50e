"""Tunes with titles, and scorers of which the result is known, for the tests of titles."""

import collections
import zlib

import numpy as np

from pipelines.representations.scale_degrees import Melody
from pipelines.systems.titles.tunes import Tune, Tunes
from pipelines.tunes import splits
from pipelines.tunes.title_text import parse


def melody_of(name):
    """Notes that follow from a name; those of other names have next to nothing in common."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return rng.integers(1, (50, 50, 15, 73), (12, 4)).astype(np.uint8)


def with_notes(tunes, **notes):
    """Other notes for some tunes by their names' ends, each letter a semitone of one length."""
    found = []
    for tune in tunes.tunes:
        letters = notes.get(tune.id.partition("/")[2])
        if letters:
            columns = np.array([(25 + ord(x) - ord("A"), 0, 6, 1) for x in letters], np.uint8)
            tune = tune._replace(melody=tune.melody._replace(notes=columns))
        found.append(tune)
    return tunes._replace(tunes=found)


def book(*tunes):
    """Tunes of (name, group, title, ...)."""
    made = []
    for name, group, *titles in tunes:
        found = tuple(parsed for title in titles for parsed in parse(title))
        assert len(found) == len(titles)
        keys = tuple(splits.hash_keys([f"melody:{group}"]).tolist())
        melody = Melody(melody_of(name), 2, 1, 0)
        made.append(Tune(name, found, melody, None, keys, "", "", "", ""))
    groups = np.array([["ABCDEFGH".find(group)] for _, group, *_ in tunes], int).reshape(-1)
    return Tunes(made, groups, collections.Counter(), collections.Counter())


def many(count, versions=1):
    letters = [f"{a}{b}" for a in "bcdfghklmnp" for b in "aeiou"]
    names = [f"{a}{b} {c} reel" for a in letters for b in letters[:3] for c in ("lake", "hill")]
    tunes = book(*[(f"{'xy'[i % 2]}/{i}", "A", names[i // versions]) for i in range(count)])
    # More groups than letters.
    groups = np.arange(count) // versions
    found = [
        tune._replace(keys=tuple(splits.hash_keys([f"melody:{group}"]).tolist()))
        for tune, group in zip(tunes.tunes, groups)
    ]
    return tunes._replace(tunes=found, groups=groups)


class Known:
    """Scores of pairs of a tune's name and a text; 0 for others. Keeps what was asked."""

    def __init__(self, scores=(), other=0.0):
        self._known, self._other = dict(scores), other
        self.asked = []

    def scores(self, tunes, texts):
        self.asked.append(([tune.id for tune in tunes], list(texts)))
        return np.array(
            [[self._known.get((tune.id, text), self._other) for text in texts] for tune in tunes]
        )


class Perfect:
    """Knows the titles, with or without rhythm words."""

    def __init__(self, change=lambda text: text):
        self._change = change

    def scores(self, tunes, texts):
        own = [{self._change(title.text) for title in tune.titles} for tune in tunes]
        return np.array([[float(text in titles) for text in texts] for titles in own])


class Noise:
    """Random scores."""

    def __init__(self, seed):
        self._rng = np.random.default_rng(seed)

    def scores(self, tunes, texts):
        return self._rng.random((len(tunes), len(texts)))


class Hashed:
    """Scores that follow from the tune and the text alone. Keeps what was asked."""

    def __init__(self):
        self.asked = []

    def scores(self, tunes, texts):
        self.asked.append(([tune.id for tune in tunes], list(texts)))
        return np.array(
            [[zlib.crc32(f"{tune.id} {text}".encode()) for text in texts] for tune in tunes]
        )


NOTHING = book()
HELD_OUT = book(
    ("one/1", "A", "Silver Lake"),
    ("one/2", "B", "Golden Bell", "The Old Bell"),
    # Another version of the first, under another title.
    ("two/1", "A", "Swan's Lake"),
    # Another tune of the same title, spelt in another way.
    ("two/2", "C", "The Silverlake"),
    # No title: a candidate only.
    ("two/3", "D"),
)


def value(result, section, direction, name="towers", what="MRR"):
    """A number of what `evaluation.evaluate` gives."""
    return result["sections"][section][direction]["scorers"][name][what]["value"]
