"""Titles by the tunes that are similar: what `match` and `search` add to the towers' cosine.

A title fits a tune as well as it is spelt like the titles of the training tunes with the most
similar notes. Nothing of this is learnt. An index of tunes keeps what it needs in its entries:

  near    of every tune: the nearest training tunes, [[row in the run's index, cosine], ...]
  melody  of training tunes: a byte a note in hexadecimal, its pitch class above the tonic times 16
          and its length, as `Melody.degrees` has them

Indexes of versions before 0.2 have neither; there the towers' cosine stands alone.
"""

import collections
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import scipy.sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from pipelines.runtime.app import UserError
from pipelines.systems.titles.tunes import Tune
from pipelines.tunes import similarity, title_text

# Ten neighbours, weighted by the squares of their similarities, titles compared by spelling, have
# an MRR of 0.073 and 0.068 on validation tunes of five collections, tune to title and title to
# tune. Five neighbours: 0.064 and 0.060; twenty: 0.067 and 0.070; one: 0.047 and 0.047. With titles
# compared by the encoder `builtin`, ten: 0.061 and 0.055; one: 0.046 and 0.046.
COUNT, POWER = 10, 2
# How much a score of the neighbours counts beside a cosine of the towers. On books that training
# had not seen, all weights from 7.5 to 15 are equally good (experiments/titles).
WEIGHT = 10.0
# The lengths of the n-grams of characters, within words.
_SPELLING = (3, 5)
# A cosine may be above one by rounding.
_HIGHEST = 1.0001
# How many similarities are looked at together.
_BLOCK = 1 << 22


class Scorer(Protocol):
    """What says how well titles fit tunes: trained towers, each baseline, and `Together`."""

    def scores(self, tunes: Sequence[Tune], texts: Sequence[str]) -> np.ndarray:
        """Scores [tunes, texts], finite; the higher, the better the text fits the tune.

        Args:
          tunes: whose titles must not be looked at.
          texts: `Title.text` of titles, or what `title_text.without_rhythm` leaves of them.
        """


class Near(NamedTuple):
    """The nearest training tunes of some tunes.

    Attributes:
      rows: int array shaped [tunes, neighbours].
      cosines: float array shaped [tunes, neighbours], from 0 to 1; 0 where a tune has fewer.
    """

    rows: np.ndarray
    cosines: np.ndarray


class Titles:
    """The titles of training tunes, to compare others with.

    Args:
      titles: the `Title.text`s of each training tune, at least one each.
      embed: the text encoder: n texts to vectors [n, d]; None compares titles by n-grams of their
        characters (TF-IDF) instead, which needs no encoder.
      power: to which the similarities of neighbours are raised.
    """

    def __init__(
        self,
        titles: Sequence[Sequence[str]],
        embed: Callable[[Sequence[str]], np.ndarray] | None = None,
        power: float = POWER,
    ):
        texts = sorted({text for own in titles for text in own})
        places = {text: place for place, text in enumerate(texts)}
        if embed is None:
            by_spelling = TfidfVectorizer(analyzer="char_wb", ngram_range=_SPELLING)
            embed = by_spelling.fit(texts).transform
        self._embed = embed
        self._power = power
        self._titles = normalize(embed(texts))
        # The titles of all tunes, tune after tune, and where those of each start.
        self._own = np.array([places[text] for own in titles for text in own])
        self._begins = np.cumsum([0, *map(len, titles)])[:-1]

    def vectors(self, texts: Sequence[str]) -> Any:
        """Texts as `scores` compares them: a matrix, often a sparse one, with a row for each."""
        return normalize(self._embed(texts))

    def scores(self, near: Near, vectors: Any) -> np.ndarray:
        """The neighbours' cosines with a text, those of their best titles, averaged by nearness.

        Args:
          near: the neighbours of some tunes.
          vectors: what `vectors` gives of some texts.

        Returns:
          [tunes, texts], from 0 to 1; 0 where a tune has no n-gram in common with a training tune.
        """
        weights = near.cosines**self._power
        weights /= np.maximum(weights.sum(axis=1, keepdims=True), np.finfo(float).tiny)
        tunes, neighbours = near.rows.shape
        of_tunes = np.repeat(np.arange(tunes), neighbours)
        taken = scipy.sparse.csr_array(
            (weights.ravel(), (of_tunes, near.rows.ravel())), shape=(tunes, len(self._begins))
        )
        texts = vectors.shape[0]
        scores = np.zeros((tunes, texts))
        if not scores.size:
            return scores
        step = max(1, _BLOCK // len(self._own))
        for start in range(0, texts, step):
            alike = self._titles @ vectors[start : start + step].T
            alike = alike.toarray() if scipy.sparse.issparse(alike) else alike
            best = np.maximum.reduceat(alike[self._own], self._begins, axis=0)
            scores[:, start : start + step] = taken @ best
        return scores


class Neighbours:
    """The training tunes of a run, to find those that are similar to others.

    Args:
      ids: of the tunes.
      melodies: their `Melody.degrees`.
    """

    def __init__(self, ids: Sequence[str], melodies: Sequence[np.ndarray]):
        self._rows: dict[str, list[int]] = collections.defaultdict(list)
        for row, name in enumerate(ids):
            self._rows[name].append(row)
        self._melodies = similarity.Melodies(melodies)

    def nearest(self, melodies: Sequence[np.ndarray], ids: Sequence[str] = ()) -> Near:
        """The nearest training tunes.

        Args:
          melodies: `Melody.degrees` of some tunes.
          ids: of the same tunes, where a tune is not to be its own neighbour.
        """
        # A tune that is left out makes room for one more.
        left_out = [self._rows.get(name, []) for name in ids] or [[]] * len(melodies)
        most = max(map(len, left_out), default=0)
        rows, cosines = self._melodies.nearest(melodies, COUNT + most)
        for own, found, near in zip(left_out, rows, cosines, strict=True):
            kept = ~np.isin(found, own)
            found[: kept.sum()], near[: kept.sum()] = found[kept], near[kept]
            near[kept.sum() :] = 0
        return Near(rows[:, :COUNT], cosines[:, :COUNT])


class Together:
    """What `match` and `search` rank by: the towers' cosine and the neighbours' titles.

    Args:
      towers, neighbours: what gives their scores.
    """

    def __init__(self, towers: Scorer, neighbours: Scorer):
        self._towers = towers
        self._neighbours = neighbours

    def scores(self, tunes: Sequence[Tune], texts: Sequence[str]) -> np.ndarray:
        """Scores [tunes, texts]."""
        added = self._neighbours.scores(tunes, texts)
        return self._towers.scores(tunes, texts) + WEIGHT * added


def near_fields(near: Near) -> list[dict[str, Any]]:
    """What an index of tunes keeps of the neighbours of each."""
    return [
        {"near": [[int(row), round(float(cosine), 6)] for row, cosine in zip(*of) if cosine]}
        for of in zip(*near)
    ]


def melody_field(degrees: np.ndarray) -> dict[str, str]:
    """What the index of a run keeps of a training tune's melody."""
    return {"melody": bytes(((degrees[:, 0] << 4) | degrees[:, 1]).tolist()).hex()}


def read_titles(entries: Sequence[Mapping[str, Any]]) -> Titles | None:
    """The titles that the index of a run has; None where an earlier version made it.

    Raises:
      UserError: where an entry is damaged.
    """
    if not all("melody" in entry for entry in entries):
        return None
    with _sound():
        texts = [
            [title.text for shown in entry["titles"] for title in title_text.parse(shown)]
            for entry in entries
        ]
        if not all(texts):
            raise ValueError("a training tune without a title")
    return Titles(texts)


def read_neighbours(entries: Sequence[Mapping[str, Any]]) -> Neighbours | None:
    """The training tunes that the index of a run has; None where an earlier version made it.

    Raises:
      UserError: where an entry is damaged.
    """
    if not all("melody" in entry for entry in entries):
        return None
    with _sound():
        notes = [np.frombuffer(bytes.fromhex(entry["melody"]), np.uint8) for entry in entries]
        melodies = [np.stack([each >> 4, each & 15], axis=1) for each in notes]
        return Neighbours([entry["id"] for entry in entries], melodies)


def read_near(entries: Sequence[Mapping[str, Any]], training: int) -> Near | None:
    """The neighbours that an index of tunes keeps; None where an earlier version made it.

    Args:
      entries: of the tunes.
      training: how many training tunes there are.

    Raises:
      UserError: where an entry is damaged.
    """
    if not all("near" in entry for entry in entries):
        return None
    pairs = np.zeros((len(entries), COUNT, 2))
    with _sound():
        for row, entry in enumerate(entries):
            own = np.array(entry["near"][:COUNT], float).reshape(-1, 2)
            pairs[row, : len(own)] = own
        # Comparing with NaN is false.
        if not ((pairs >= 0) & (pairs <= [training - 1, _HIGHEST])).all():
            raise ValueError("no such tune, or no cosine")
    return Near(pairs[..., 0].astype(int), pairs[..., 1])


@contextlib.contextmanager
def _sound() -> Iterator[None]:
    """Turns what damaged entries raise into UserError."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError):
        raise UserError(
            "the index of tunes is damaged: an entry has no titles, melody or neighbours as "
            "`titles train` writes them; remove it, and make it again"
        ) from None
