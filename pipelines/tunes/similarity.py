"""How alike tunes are by their notes, and titles by their letters: by counting, nothing learnt.

Settings of a tune that went far apart, under titles spelt in other ways, are not always recognised
as one tune (`pipelines.tunes.identity` has to be exact enough for splits of any size). Here they are
found by comparing with every tune of training.
"""

from collections.abc import Sequence

import numpy as np
import scipy.sparse
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

from pipelines.representations.melody_features import NOTE_SIZES
from pipelines.systems.titles.tunes import Tune
from pipelines.tunes import title_text

_LENGTHS = (2, 3, 4, 5)
# A note's pitch class and length as one number.
_NOTE_BITS, _LENGTH_BITS = 8, 4
_OCTAVE = 12
# Similarities that are looked at together.
_BLOCK = 1 << 22


class Melodies:
    """Tunes to compare others with, by n-grams of notes, each a degree of the scale and a length.

    As documents are compared by their words: TF-IDF, 1 + log tf, cosine.

    Args:
      tunes: at least one.
      others: tunes whose n-grams count too, although none of `tunes` has them: what is compared
        is then no more alike for what it does not share.
    """

    def __init__(self, tunes: Sequence[Tune], others: Sequence[Tune] = ()):
        grams = [_grams(tune) for tune in (*tunes, *others)]
        self._vocabulary = np.unique(np.concatenate(grams))
        counts = self._counts(tunes)
        self._tfidf = TfidfTransformer(sublinear_tf=True).fit(counts)
        self._tunes = self._tfidf.transform(counts).T.tocsc()

    def nearest(self, tunes: Sequence[Tune], count: int) -> tuple[np.ndarray, np.ndarray]:
        """The nearest of them to each of some tunes.

        Returns:
          Places among them, int [tunes, count], the nearest first, of equals the first; and
          cosines from 0 to 1, float [tunes, count].
        """
        count = min(count, self._tunes.shape[1])
        found, near = [np.zeros((0, count), int)], [np.zeros((0, count))]
        counts = self._counts(tunes)
        step = max(1, _BLOCK // self._tunes.shape[1])
        for start in range(0, len(tunes), step):
            some = self._tfidf.transform(counts[start : start + step])
            alike = (some @ self._tunes).toarray()
            order = np.argsort(-alike, axis=1, kind="stable")[:, :count]
            found.append(order)
            near.append(np.take_along_axis(alike, order, axis=1))
        return np.concatenate(found), np.concatenate(near)

    def _counts(self, tunes: Sequence[Tune]) -> scipy.sparse.csr_array:
        """How often each n-gram that is known is in each tune."""
        grams = [_grams(tune) for tune in tunes]
        rows = np.repeat(np.arange(len(tunes)), [len(some) for some in grams])
        flat = np.concatenate([np.zeros(0, np.int64), *grams])
        columns = np.searchsorted(self._vocabulary, flat)
        known = self._vocabulary[np.minimum(columns, len(self._vocabulary) - 1)] == flat
        shape = (len(tunes), len(self._vocabulary))
        ones = np.ones(int(known.sum()))
        return scipy.sparse.csr_array((ones, (rows[known], columns[known])), shape=shape)


def titles_alike(texts: Sequence[str], others: Sequence[str]) -> np.ndarray:
    """How like each text is to the one of the others that is most like it.

    Args:
      texts, others: of titles, as `Title.text`.

    Returns:
      Float [texts], from 0 to 1: the Dice coefficient of the sets of pairs of letters, begins and
      ends of words counted as letters. Rhythm words, articles and possessives are not looked at.
    """
    cores = [[_core(text) for text in some] for some in (texts, others)]
    if not all(map(any, cores)):
        return np.zeros(len(texts), np.float32)
    pairs = CountVectorizer(analyzer="char_wb", ngram_range=(2, 2), binary=True, dtype=np.float32)
    pairs.fit([*cores[0], *cores[1]])
    ours, theirs = (pairs.transform(some) for some in cores)
    sizes = np.asarray(theirs.sum(axis=1)).ravel()
    alike = []
    step = max(1, _BLOCK // len(others))
    for start in range(0, len(texts), step):
        some = ours[start : start + step]
        common = (some @ theirs.T).toarray()
        own = np.asarray(some.sum(axis=1)).reshape(-1, 1)
        alike.append((2 * common / np.maximum(own + sizes, 1)).max(axis=1))
    return np.concatenate(alike)


def _core(text: str) -> str:
    """A title without what comes and goes."""
    kept = title_text.without_rhythm(text) or text
    return " ".join(title_text.significant(kept)) or kept


def _grams(tune: Tune) -> np.ndarray:
    """The n-grams of a tune's notes, each a whole number, int64 [n-grams]."""
    notes = tune.melody.notes.astype(np.int64)
    reach = (NOTE_SIZES["pitch"] - 2) // 2
    codes = (((notes[:, 0] - 1 - reach) % _OCTAVE) << _LENGTH_BITS) | notes[:, 2]
    found = []
    for length in _LENGTHS:
        # The one in front tells n-grams of different lengths apart.
        grams = np.ones(max(len(codes) - length + 1, 0), np.int64)
        for first in range(length):
            grams = (grams << _NOTE_BITS) | codes[first : first + len(grams)]
        found.append(grams)
    return np.concatenate(found)
