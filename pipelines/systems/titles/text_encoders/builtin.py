"""Exports an encoder made of a list of titles: latent semantic analysis of character n-grams.

A title is folded (compatibility decomposition, no accents, lower case) and cut into words. Its
features are the n-grams of 3 to 5 characters of each "<word>", and "<word>" as a whole where it is
longer. A feature that a title has c times weighs (1 + ln c) * idf, where
idf = 1 + ln((1 + titles) / (1 + titles with the feature)). The matrix of titles by features, its
rows of length 1, is decomposed by a truncated SVD (Deerwester et al., 1990); a title's vector is
its row times the right singular vectors, at length 1. A title without a known feature gives zeros.

All of it is a SavedModel of TensorFlow's core ops, so loading it needs no download and no other
package.
"""

import os
import unicodedata
from collections import Counter
from collections.abc import Sequence

import numpy as np
import scipy.sparse
import scipy.sparse.linalg
import tensorflow as tf

from pipelines.runtime import files
from pipelines.runtime.app import UserError
from pipelines.systems.titles.text_encoders.code_points import CodePointMap

DIMENSIONS = 256
_SHORTEST, _LONGEST = 3, 5
# So many of the most frequent features are kept: 32 MB of numbers for 256 dimensions.
_FEATURES = 2**15
# From more titles than this, every k-th is taken: more make fitting slow and vectors no better.
_TITLES = 20_000
# Up to this size a dense decomposition is fast, and gives all dimensions that there are.
_DENSE = 600
# Letters that Unicode does not decompose.
_LETTERS = {
    "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "ł": "l", "ħ": "h", "ı": "i",
}  # fmt: skip
# "O'Neill's" is one word.
_APOSTROPHES = frozenset("'’‘`´ʼ")


def folded(character: str) -> str:
    """What a character becomes: letters and digits, a space, or nothing (marks, apostrophes).

    Symbols such as emoji are words of their own.
    """
    if character in _APOSTROPHES:
        return ""
    if character.isascii():
        return character.lower() if character.isalnum() else " "
    out = ""
    for part in unicodedata.normalize("NFKD", character).casefold():
        category = unicodedata.category(part)
        if category[0] in "LN":
            out += _LETTERS.get(part, part)
        elif category[0] == "S":
            out += f" {part} "
        elif category[0] in "PZ":
            out += " "
        elif category == "Mc":  # vowels of Indic scripts
            out += part
    return out


class Builtin(tf.Module):
    """The encoder as a TensorFlow module; `fit` gives it its numbers."""

    def __init__(self):
        super().__init__(name="builtin")
        self._map = CodePointMap(folded)

    def features(self, texts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The features of each text, as often as it has them.

        Returns:
          the number of the text, int64 [m], and the feature, string [m].
        """
        words = tf.strings.split(tf.strings.unicode_encode(self._map(texts), "UTF-8"))
        rows, flat = words.value_rowids(), tf.strings.join(["<", words.flat_values, ">"])
        # A ragged [words, (characters)]: n-grams stay within a word.
        characters = tf.strings.unicode_split(flat, "UTF-8")
        sizes = tuple(range(_SHORTEST, _LONGEST + 1))
        grams = tf.strings.ngrams(characters, ngram_width=sizes, separator="")
        longer = characters.row_lengths() > _LONGEST
        return (
            tf.concat([tf.gather(rows, grams.value_rowids()), tf.boolean_mask(rows, longer)], 0),
            tf.concat([grams.flat_values, tf.boolean_mask(flat, longer)], 0),
        )

    def fit(self, titles: Sequence[str], dimensions: int) -> None:
        """Takes vocabulary, weights and directions from titles, each of which counts once.

        Raises:
          UserError: if no title has a letter or a digit.
        """
        distinct = list(dict.fromkeys(title.encode("utf-8", errors="replace") for title in titles))
        distinct = distinct[:: -(-len(distinct) // _TITLES) or 1]
        counts = [row for row in self._counts(distinct) if row]
        if not counts:
            raise UserError(
                "--text_encoder=builtin is made from training titles, and none of "
                f"{len(titles)} has a letter or a digit; convert a corpus that has titles"
            )
        frequency = Counter(feature for row in counts for feature in row)
        # A feature of one title alone says nothing about another title.
        shared = {feature: n for feature, n in frequency.items() if n > 1} or frequency
        kept = sorted(shared, key=lambda feature: (-shared[feature], feature))[:_FEATURES]
        column = {feature: index for index, feature in enumerate(kept)}
        known = np.array([shared[feature] for feature in kept], np.float64)
        idf = 1 + np.log((1 + len(counts)) / (1 + known))
        matrix = _matrix(counts, column, idf)
        directions = _right_singular_vectors(matrix, dimensions)

        self._idf = tf.Variable(idf.astype(np.float32), trainable=False)
        self._directions = tf.Variable(directions.astype(np.float32), trainable=False)
        self._columns = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(
                tf.constant(kept), tf.range(len(kept), dtype=tf.int64)
            ),
            default_value=-1,
        )

    def _counts(self, texts: list[bytes]) -> list[Counter]:
        """How often each text has each of its features; a thousand texts at a time."""
        counts = [Counter() for _ in texts]
        for start in range(0, len(texts), 1000):
            batch = tf.constant(texts[start : start + 1000], tf.string)
            for row, feature in zip(*(part.numpy().tolist() for part in self.features(batch))):
                counts[start + row][feature] += 1
        return counts

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def __call__(self, texts: tf.Tensor) -> tf.Tensor:
        """Vectors [n, dimensions] of length 1 or 0 for strings [n]."""
        rows, features = self.features(texts)
        columns = self._columns.lookup(features)
        known = columns >= 0
        count = tf.size(self._idf, tf.int64)
        # One number for a title and a feature, so that equal ones can be counted.
        cells = rows * count + columns
        cells, _, counts = tf.unique_with_counts(tf.boolean_mask(cells, known))
        rows, columns = cells // count, cells % count
        weights = (1 + tf.math.log(tf.cast(counts, tf.float32))) * tf.gather(self._idf, columns)
        matrix = tf.SparseTensor(
            tf.stack([rows, columns], 1), weights, tf.stack([tf.size(texts, tf.int64), count])
        )
        vectors = tf.sparse.sparse_dense_matmul(matrix, self._directions)
        lengths = tf.norm(vectors, axis=1, keepdims=True)
        whole = tf.math.unsorted_segment_sum(weights**2, rows, tf.size(texts, tf.int64))
        # Only rounding errors are left of a text whose features lie outside all directions.
        inside = lengths > 1e-5 * tf.sqrt(whole)[:, None]
        return tf.where(inside, tf.math.divide_no_nan(vectors, lengths), 0.0)


def export(titles: Sequence[str], folder: str | os.PathLike, dimensions: int = DIMENSIONS) -> None:
    """Makes an encoder from titles and writes it as a SavedModel.

    The same titles in the same order give the same vectors.

    Args:
      titles: the training titles.
      folder: where; it must not be there yet, or be empty.
      dimensions: of the vectors, at most; fewer where there are fewer titles.

    Raises:
      UserError: if no title has a letter or a digit, or `folder` has something in it.
    """
    module = Builtin()
    module.fit(titles, dimensions)
    with files.new_folder(folder) as unfinished:
        tf.saved_model.save(module, os.fspath(unfinished))


def _matrix(
    counts: list[Counter], column: dict[bytes, int], idf: np.ndarray
) -> scipy.sparse.csr_array:
    """Titles by features, rows of length 1 (or 0)."""
    values, columns, starts = [], [], [0]
    for row in counts:
        known = {column[feature]: n for feature, n in row.items() if feature in column}
        columns += known.keys()
        values += known.values()
        starts.append(len(columns))
    where = np.array(columns, np.int64)
    weights = (1 + np.log(np.array(values, np.float64))) * idf[where]
    matrix = scipy.sparse.csr_array((weights, where, starts), (len(counts), len(idf)))
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(1)))
    scale = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return scipy.sparse.diags_array(scale).tocsr() @ matrix


def _right_singular_vectors(matrix: scipy.sparse.csr_array, dimensions: int) -> np.ndarray:
    """The first right singular vectors [features, dimensions or fewer], of a fixed sign."""
    if min(matrix.shape) <= max(_DENSE, dimensions):
        # The smaller of the two Gram matrices has the same singular values.
        wide = matrix.shape[0] <= matrix.shape[1]
        gram = (matrix @ matrix.T if wide else matrix.T @ matrix).toarray()
        squares, vectors = np.linalg.eigh(gram)
        keep = [i for i in range(len(squares) - 1, -1, -1) if squares[i] > 1e-10 * squares[-1]]
        keep = keep[:dimensions]
        vectors = vectors[:, keep]
        if wide:
            vectors = matrix.T @ vectors / np.sqrt(squares[keep])
    else:
        # The iteration starts from fixed numbers, so that the result is always the same.
        start = np.random.Generator(np.random.PCG64(0)).standard_normal(min(matrix.shape))
        _, values, rows = scipy.sparse.linalg.svds(
            matrix, dimensions, v0=start, return_singular_vectors="vh"
        )
        order = np.argsort(-values)
        vectors = rows[order[values[order] > 1e-5 * values.max()]].T
    largest = vectors[np.abs(vectors).argmax(0), np.arange(vectors.shape[1])]
    return vectors * np.where(largest < 0, -1.0, 1.0)
