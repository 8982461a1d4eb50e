"""How similar tunes are by their notes, and titles by their letters; counted, not learnt.

Versions of a tune that differ a lot, under titles that are spelt differently, are not always
recognised as one tune: `pipelines.tunes.identity` has to be exact enough for splits of any size.
Here they are found by comparing with every tune of training.
"""

from collections.abc import Sequence

import numpy as np
import scipy.sparse
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

from pipelines.tunes import title_text

_LENGTHS = (2, 3, 4, 5)
# A note's pitch class and length as one number.
_NOTE_BITS, _LENGTH_BITS = 8, 4
# How many similarities are computed at once.
_BLOCK = 1 << 22


class Melodies:
    """Melodies to compare others with, by n-grams of notes as documents by words: TF-IDF, cosine.

    A melody is an integer array shaped [notes, 2]: each note's pitch class above the tonic, from 0
    to 11, and a number of its length from 0 to 15.

    Args:
      tunes: melodies, at least one.
      others: melodies whose n-grams count too, although none of `tunes` has them. A melody that is
        compared then has no higher similarity because of n-grams that it shares with none.
    """

    def __init__(self, tunes: Sequence[np.ndarray], others: Sequence[np.ndarray] = ()):
        grams = [_grams(tune) for tune in (*tunes, *others)]
        self._vocabulary = np.unique(np.concatenate(grams))
        counts = self._counts(tunes)
        self._tfidf = TfidfTransformer(sublinear_tf=True).fit(counts)
        self._tunes = self._tfidf.transform(counts).T.tocsc()

    def nearest(self, tunes: Sequence[np.ndarray], count: int) -> tuple[np.ndarray, np.ndarray]:
        """The nearest melodies to each of some others.

        Returns:
          Their indices, int [tunes, count], the nearest first and of equally near ones the first;
          and their cosines from 0 to 1, float [tunes, count].
        """
        count = min(count, self._tunes.shape[1])
        found, near = [np.zeros((0, count), int)], [np.zeros((0, count))]
        counts = self._counts(tunes)
        step = max(1, _BLOCK // self._tunes.shape[1])
        for start in range(0, len(tunes), step):
            some = self._tfidf.transform(counts[start : start + step])
            similarity = (some @ self._tunes).toarray()
            order = np.argsort(-similarity, axis=1, kind="stable")[:, :count]
            found.append(order)
            near.append(np.take_along_axis(similarity, order, axis=1))
        return np.concatenate(found), np.concatenate(near)

    def _counts(self, tunes: Sequence[np.ndarray]) -> scipy.sparse.csr_array:
        """How often each known n-gram occurs in each tune."""
        grams = [_grams(tune) for tune in tunes]
        rows = np.repeat(np.arange(len(tunes)), [len(some) for some in grams])
        flat = np.concatenate([np.zeros(0, np.int64), *grams])
        columns = np.searchsorted(self._vocabulary, flat)
        known = self._vocabulary[np.minimum(columns, len(self._vocabulary) - 1)] == flat
        shape = (len(tunes), len(self._vocabulary))
        ones = np.ones(int(known.sum()))
        return scipy.sparse.csr_array((ones, (rows[known], columns[known])), shape=shape)


def title_similarity(texts: Sequence[str], others: Sequence[str]) -> np.ndarray:
    """How similar each title is to the most similar one of some others.

    Args:
      texts, others: titles as `Title.text`.

    Returns:
      Float [texts], from 0 to 1: the Dice coefficient of the sets of pairs of letters, where the
      begin and the end of a word count as letters. Rhythm words, articles and possessives are
      ignored.
    """
    cores = [[_core(text) for text in some] for some in (texts, others)]
    if not all(map(any, cores)):
        return np.zeros(len(texts), np.float32)
    pairs = CountVectorizer(analyzer="char_wb", ngram_range=(2, 2), binary=True, dtype=np.float32)
    pairs.fit([*cores[0], *cores[1]])
    ours, theirs = (pairs.transform(some) for some in cores)
    sizes = np.asarray(theirs.sum(axis=1)).ravel()
    highest = []
    step = max(1, _BLOCK // len(others))
    for start in range(0, len(texts), step):
        some = ours[start : start + step]
        common = (some @ theirs.T).toarray()
        own = np.asarray(some.sum(axis=1)).reshape(-1, 1)
        highest.append((2 * common / np.maximum(own + sizes, 1)).max(axis=1))
    return np.concatenate(highest)


def _core(text: str) -> str:
    """A title without the words that some write and others leave out."""
    kept = title_text.without_rhythm(text) or text
    return " ".join(title_text.significant(kept)) or kept


def _grams(tune: np.ndarray) -> np.ndarray:
    """The n-grams of a melody's notes, each an integer, int64 [n-grams]."""
    notes = tune.astype(np.int64)
    codes = (notes[:, 0] << _LENGTH_BITS) | notes[:, 1]
    found = []
    for length in _LENGTHS:
        # A leading 1 tells n-grams of different lengths apart.
        grams = np.ones(max(len(codes) - length + 1, 0), np.int64)
        for first in range(length):
            grams = (grams << _NOTE_BITS) | codes[first : first + len(grams)]
        found.append(grams)
    return np.concatenate(found)
