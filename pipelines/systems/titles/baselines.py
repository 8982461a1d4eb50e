"""Baselines that trained towers have to beat: scorers that are made of training tunes.

Where a baseline could be made in several ways, the one with the highest MRR on validation tunes of
five collections (409 tunes, 353 titles) was taken, for a weak baseline would flatter the towers. So
beside the title of the nearest tune there are those of the ten nearest. The figures in the comments
are MRRs, tune to title and title to tune, the mean of several orders of ties.
"""

import collections
import math
from collections.abc import Callable, Sequence

import numpy as np

from pipelines.systems.titles.neighbours import COUNT, POWER, Near, Scorer, Titles
from pipelines.systems.titles.tunes import Tune
from pipelines.tunes import similarity

# Pseudo-counts: so many words are added to those of a meter, in the proportions of all titles, and
# so many to those of a meter and mode, in the proportions of the meter. With the sum over a title's
# words the MRR is 0.047 and 0.028. With their mean, or with 100 and 300 pseudo-counts, it was
# lower, measured before near-duplicates were left out.
_OF_ANY_METER, _OF_ANY_MODE = 1000, 10000


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
        "ten_nearest_neighbours": NearestNeighbour(training, neighbours=COUNT),
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
        neighbours: int = COUNT,
        power: float = POWER,
    ):
        titled = _titled(training)
        self._neighbours = min(neighbours, len(titled))
        self._melodies = similarity.Melodies([tune.melody.degrees() for tune in titled])
        texts = [[title.text for title in tune.titles] for tune in titled]
        self._titles = Titles(texts, embed, power)

    def scores(self, tunes: Sequence[Tune], texts: Sequence[str]) -> np.ndarray:
        """Scores [tunes, texts], as `neighbours.Titles.scores` gives them."""
        melodies = [tune.melody.degrees() for tune in tunes]
        near = Near(*self._melodies.nearest(melodies, self._neighbours))
        if not len(tunes) or not len(texts):
            return np.zeros((len(tunes), len(texts)))
        return self._titles.scores(near, self._titles.vectors(texts))


def _titled(training: Sequence[Tune]) -> list[Tune]:
    titled = [tune for tune in training if tune.titles]
    if not titled:
        raise ValueError("no training tune has a title")
    return titled


def _words(tune: Tune) -> list[str]:
    """The words of a tune's titles, each once in a title."""
    return [word for title in tune.titles for word in sorted(set(title.text.split()))]
