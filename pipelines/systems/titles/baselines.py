"""Baselines that trained towers have to beat: scorers that are made of training tunes.

Where a baseline could be made in several ways, the one with the highest MRR on validation tunes of
five collections (409 tunes, 353 titles) was taken, for a weak baseline would flatter the towers. So
beside the title of the nearest tune there are those of the ten nearest. The figures in the comments
are MRRs, tune to title and title to tune, the mean of several orders of ties.
"""

import collections
import math
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import scipy.sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from pipelines.systems.titles.tunes import Tune
from pipelines.tunes import similarity

# Pseudo-counts: so many words are added to those of a meter, in the proportions of all titles, and
# so many to those of a meter and mode, in the proportions of the meter. With the sum over a title's
# words the MRR is 0.047 and 0.028. With their mean, or with 100 and 300 pseudo-counts, it was
# lower, measured before near-duplicates were left out.
_OF_ANY_METER, _OF_ANY_MODE = 1000, 10000

# Ten neighbours, weighted by the squares of their similarities, titles compared by spelling: 0.073
# and 0.068. Five neighbours: 0.064 and 0.060; twenty: 0.067 and 0.070; one: 0.047 and 0.047. With
# titles compared by the encoder `builtin`, ten: 0.061 and 0.055; one: 0.046 and 0.046.
_NEIGHBOURS, _POWER = 10, 2
# The lengths of the n-grams of characters, within words.
_SPELLING = (3, 5)
# How many similarities are looked at together.
_BLOCK = 1 << 22


class Scorer(Protocol):
    """What says how well titles fit tunes: trained towers, and each baseline."""

    def scores(self, tunes: Sequence[Tune], texts: Sequence[str]) -> np.ndarray:
        """Scores [tunes, texts], finite; the higher, the better the text fits the tune.

        Args:
          tunes: whose titles must not be looked at.
          texts: `Title.text` of titles, or what `title_text.without_rhythm` leaves of them.
        """


def of(training: Sequence[Tune], seed: int = 0) -> dict[str, Scorer]:
    """The baselines by name.

    Args:
      training: tunes with a title, and others, which are not looked at.
      seed: of the random one.

    Raises:
      ValueError: if no training tune has a title.
    """
    return {
        "random": Random(seed),
        "most_frequent_words": MostFrequentWords(training),
        "meter_and_mode": MeterAndMode(training),
        "nearest_neighbour": NearestNeighbour(training, neighbours=1),
        "ten_nearest_neighbours": NearestNeighbour(training, neighbours=_NEIGHBOURS),
    }


class Random:
    """Any order is as good as any other.

    Args:
      seed: the same scores for the same seed and numbers of tunes and texts.
    """

    def __init__(self, seed: int = 0):
        self._seed = seed

    def scores(self, tunes: Sequence[Tune], texts: Sequence[str]) -> np.ndarray:
        """Scores [tunes, texts] between 0 and 1."""
        return np.random.default_rng(self._seed).random((len(tunes), len(texts)))


class MostFrequentWords:
    """A title fits every tune as well as its words are frequent in training titles.

    Args:
      training: tunes with a title, and others, which are not looked at.
    """

    def __init__(self, training: Sequence[Tune]):
        self._counts = collections.Counter(
            word for tune in _titled(training) for word in _words(tune)
        )

    def scores(self, tunes: Sequence[Tune], texts: Sequence[str]) -> np.ndarray:
        """The mean over a text's words of log(1 + the number of titles with it), [tunes, texts]."""
        row = [self._score(text.split()) for text in texts]
        return np.tile(np.array(row, float), (len(tunes), 1))

    def _score(self, words: Sequence[str]) -> float:
        return sum(math.log1p(self._counts[word]) for word in words) / max(len(words), 1)


class MeterAndMode:
    """Naive Bayes: how much likelier a title's words are in tunes of the same meter and mode.

    Args:
      training: tunes with a title, and others, which are not looked at.
      of_any_meter, of_any_mode: pseudo-counts; the higher, the less few examples count for.
    """

    def __init__(
        self,
        training: Sequence[Tune],
        of_any_meter: float = _OF_ANY_METER,
        of_any_mode: float = _OF_ANY_MODE,
    ):
        self._pseudo = of_any_meter, of_any_mode
        self._all: collections.Counter[str] = collections.Counter()
        # The keys are meters, and pairs of meter and mode.
        self._of: dict[object, collections.Counter[str]] = collections.defaultdict(
            collections.Counter
        )
        for tune in _titled(training):
            words = _words(tune)
            for counts in (
                self._all,
                self._of[tune.melody.meter],
                self._of[tune.melody.meter, tune.melody.mode],
            ):
                counts.update(words)

    def scores(self, tunes: Sequence[Tune], texts: Sequence[str]) -> np.ndarray:
        """The sum over a text's words of log P(word | meter, mode) / P(word), [tunes, texts].

        Words that are in no training title count for nothing.
        """
        of_tunes = [(tune.melody.meter, tune.melody.mode) for tune in tunes]
        cells = sorted(set(of_tunes))
        words = sorted({word for text in texts for word in text.split()})
        gains = {cell: {word: self._gain(word, *cell) for word in words} for cell in cells}
        rows = [
            [sum(gains[cell][word] for word in text.split()) for text in texts] for cell in cells
        ]
        at = {cell: place for place, cell in enumerate(cells)}
        places = [at[cell] for cell in of_tunes]
        return np.array(rows, float).reshape(len(cells), len(texts))[places]

    def _gain(self, word: str, meter: int, mode: int) -> float:
        if not self._all[word]:
            return 0.0
        p = p_any = self._all[word] / self._all.total()
        for cell, pseudo in zip((meter, (meter, mode)), self._pseudo):
            counts = self._of.get(cell, collections.Counter())
            p = (counts[word] + pseudo * p) / (counts.total() + pseudo)
        return math.log(p / p_any)


class NearestNeighbour:
    """A title fits a tune as well as it is similar to the titles of similar training tunes.

    Tunes are compared by n-grams of notes, each a pitch class above the tonic and a length, as
    documents are by their words (TF-IDF, 1 + log tf, cosine): nothing is learnt from titles.

    Args:
      training: tunes with a title, and others, which are not looked at.
      embed: the text encoder: n texts to vectors [n, d]; None compares titles by n-grams of their
        characters (TF-IDF) instead, which needs no encoder.
      neighbours: how many of the nearest tunes count, each by its similarity.
      power: to which their similarities are raised.
    """

    def __init__(
        self,
        training: Sequence[Tune],
        embed: Callable[[Sequence[str]], np.ndarray] | None = None,
        neighbours: int = _NEIGHBOURS,
        power: float = _POWER,
    ):
        titled = _titled(training)
        self._neighbours = min(neighbours, len(titled))
        self._power = power
        self._melodies = similarity.Melodies([tune.melody.degrees() for tune in titled])
        texts = sorted({title.text for tune in titled for title in tune.titles})
        places = {text: place for place, text in enumerate(texts)}
        if embed is None:
            by_spelling = TfidfVectorizer(analyzer="char_wb", ngram_range=_SPELLING)
            embed = by_spelling.fit(texts).transform
        self._embed = embed
        self._titles = normalize(embed(texts))
        # The titles of all tunes, tune after tune, and where those of each start.
        self._own = np.array([places[title.text] for tune in titled for title in tune.titles])
        self._begins = np.cumsum([0, *(len(tune.titles) for tune in titled)])[:-1]

    def scores(self, tunes: Sequence[Tune], texts: Sequence[str]) -> np.ndarray:
        """The neighbours' cosines with a text, those of their best titles, averaged by nearness.

        Returns:
          [tunes, texts]; 0 where a tune has no n-gram in common with a training tune.
        """
        found, near = self._melodies.nearest(
            [tune.melody.degrees() for tune in tunes], self._neighbours
        )
        weights = near**self._power
        weights /= np.maximum(weights.sum(axis=1, keepdims=True), np.finfo(float).tiny)
        rows = np.repeat(np.arange(len(tunes)), self._neighbours)
        shape = (len(tunes), len(self._begins))
        taken = scipy.sparse.csr_array((weights.ravel(), (rows, found.ravel())), shape=shape)
        scores = np.zeros((len(tunes), len(texts)))
        if not scores.size:
            return scores
        vectors = normalize(self._embed(texts))
        step = max(1, _BLOCK // len(self._own))
        for start in range(0, len(texts), step):
            alike = self._titles @ vectors[start : start + step].T
            alike = alike.toarray() if scipy.sparse.issparse(alike) else alike
            best = np.maximum.reduceat(alike[self._own], self._begins, axis=0)
            scores[:, start : start + step] = taken @ best
        return scores


def _titled(training: Sequence[Tune]) -> list[Tune]:
    titled = [tune for tune in training if tune.titles]
    if not titled:
        raise ValueError("no training tune has a title")
    return titled


def _words(tune: Tune) -> list[str]:
    """The words of a tune's titles, each once in a title."""
    return [word for title in tune.titles for word in sorted(set(title.text.split()))]
