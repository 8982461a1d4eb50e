"""Which tunes and titles are ranked for which query.

Tune to title: each tune that has a title is a query; the candidates are all held-out titles.
Title to tune: each of these titles is a query; the candidates are all held-out tunes. Titles are
the same where their folds are, so the spellings of one title are one candidate. Titles of other
versions of a query's tune are neither right nor wrong, and are not ranked; likewise tunes. A tune
or title for which nothing wrong would be ranked is not a query.

What could be found by knowing training by heart is left out, each tune and title for the first
reason that holds:

  A tune of which training has a version, by `splits.join`; then a tune whose melody is nearly one
  of training, where the cosine of `similarity.Melodies` is at least `_MELODIES_ALIKE`. Such a tune
  is not a candidate either.

  A title that training has, by its fold (where rhythm words are removed, they are removed from the
  titles of training too); then a title of which a spelling is nearly one of training, where
  `similarity.title_similarity`, which never looks at rhythm words, is at least `_TITLES_ALIKE`. Its
  tune stays a candidate, and is still a query if it has another title.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from pipelines.systems.titles import tunes as titled_tunes
from pipelines.systems.titles.tunes import Tune, Tunes
from pipelines.tunes import similarity, title_text

DIRECTIONS = ("tune_to_title", "title_to_tune")
AS_THEY_ARE, WITHOUT_RHYTHM = "titles_as_they_are", "without_rhythm_words"
# Books have manners of their own, in titles and in music, so candidates of the query's source are
# ranked alone too.
SAME_SOURCE = {
    AS_THEY_ARE: "same_source",
    WITHOUT_RHYTHM: "same_source_without_rhythm_words",
}
# How the titles of a section are changed before they are compared.
CHANGES: dict[str, Callable[[str], str]] = {
    AS_THEY_ARE: str,
    WITHOUT_RHYTHM: title_text.without_rhythm,
}
# The thresholds from which a title or a melody is taken for the one of training that it is similar
# to. Among 482 validation tunes of five collections they find versions that `identity` does not
# ("Katie's Rambles" for "Kitty's Rambles", "Blackthorne Stick" for "Billy Patterson's Favorite"),
# and some tunes that are not versions ("Far from Home" for "Home from Holm"). Leaving these out
# costs little.
_TITLES_ALIKE, _MELODIES_ALIKE = 0.8, 0.3


class HeldOut(NamedTuple):
    """The held-out tunes that are left once those of training are left out.

    Attributes:
      tunes: the tunes that are left.
      groups: int array shaped [tunes], the same number for versions of one tune.
      sources: int array shaped [tunes], the same number for tunes of one source, which is the part
        of their ids before the first "/".
      dropped: how many tunes are left out, by reason.
    """

    tunes: Sequence[Tune]
    groups: np.ndarray
    sources: np.ndarray
    dropped: dict[str, int]


class Titles(NamedTuple):
    """The titles that are ranked, and how they belong to the tunes.

    Attributes:
      texts: one spelling of each, in the order of their folds.
      right: bool array shaped [tunes, titles]: the tune has this title.
      related: bool array shaped [tunes, titles]: the tune or a version of it has this title.
      near: bool array shaped [tunes, titles]: a tune of the same source has this title.
      dropped: how many different titles are left out, by reason.
    """

    texts: list[str]
    right: np.ndarray
    related: np.ndarray
    near: np.ndarray
    dropped: dict[str, int]


class Task(NamedTuple):
    """The queries in one direction.

    Attributes:
      transposed: whether the queries are the titles.
      queries: places of the queries among the tunes or the titles.
      right, left_out: bool arrays shaped [queries, candidates].
      groups: int array shaped [queries]: of the tune, or of a tune that has the title.
      trivial: how many are not queries because nothing wrong would be ranked.
    """

    transposed: bool
    queries: np.ndarray
    right: np.ndarray
    left_out: np.ndarray
    groups: np.ndarray
    trivial: int


def without_known(tunes: Tunes, training: Tunes, near_duplicates: bool = False) -> HeldOut:
    """Leaves out the tunes that training has.

    Args:
      tunes: those that are held out.
      training: those that a model was trained on.
      near_duplicates: whether to keep the tunes with nearly the melody of one in training.
    """
    joined = titled_tunes.groups_of([*tunes.tunes, *training.tunes])
    count = len(tunes.tunes)
    versions = np.isin(joined[:count], joined[count:])
    alike = np.zeros(count, bool)
    if training.tunes and not near_duplicates:
        melodies = [tune.melody.degrees() for tune in tunes.tunes]
        trained = [tune.melody.degrees() for tune in training.tunes]
        _, cosines = similarity.Melodies(trained, melodies).nearest(melodies, 1)
        alike = cosines[:, 0] >= _MELODIES_ALIKE
        # All versions of such a tune are left out with it.
        alike = np.isin(tunes.groups, tunes.groups[alike]) & ~versions
    kept, groups, *_ = tunes.those(~(versions | alike))
    sources = np.unique([tune.id.partition("/")[0] for tune in kept], return_inverse=True)[1]
    dropped = {
        # "Settings" are versions: the name is kept for the programs that read the JSON.
        "settings of tunes in training": int(versions.sum()),
        "tunes with nearly the melody of one in training": int(alike.sum()),
    }
    return HeldOut(kept, groups, sources, dropped)


def titles_of(
    held_out: HeldOut,
    training: Sequence[Tune],
    change: Callable[[str], str],
    near_duplicates: bool = False,
) -> Titles:
    """The titles of tunes, without those that training has.

    Args:
      held_out: the tunes.
      training: those that a model was trained on.
      change: what is done to the text of each title first, e.g. `title_text.without_rhythm`.
      near_duplicates: whether to keep titles that are spelt nearly as one in training.
    """
    spellings: dict[str, set[str]] = {}
    members: list[tuple[int, str]] = []
    empty = set()
    for at, tune in enumerate(held_out.tunes):
        for title in tune.titles:
            changed = _changed(title.text, change)
            if not changed:
                empty.add(title.fold)
            for fold, text in changed:
                spellings.setdefault(fold, set()).add(text)
                members.append((at, fold))
    in_training = {
        fold for tune in training for t in tune.titles for fold, _ in _changed(t.text, change)
    }
    fresh = sorted(spellings.keys() - in_training)
    near = set() if near_duplicates else _spelt_nearly(fresh, spellings, training)
    folds = [fold for fold in fresh if fold not in near]
    places = {fold: place for place, fold in enumerate(folds)}
    right = np.zeros((len(held_out.tunes), len(folds)), bool)
    for at, fold in members:
        if fold in places:
            right[at, places[fold]] = True
    return Titles(
        [min(spellings[fold]) for fold in folds],
        right,
        _any_of(right, held_out.groups),
        _any_of(right, held_out.sources),
        {
            "titles in training": len(spellings) - len(fresh),
            "titles spelt nearly as one in training": len(near),
            "titles of nothing but rhythm words": len(empty),
        },
    )


def tasks(titles: Titles, groups: np.ndarray, same_source: bool = False) -> list[Task]:
    """The queries in both directions, in the order of DIRECTIONS.

    Args:
      titles: as `titles_of` gives them.
      groups: int array shaped [tunes], the same number for versions of one tune.
      same_source: whether only candidates of the query's source are ranked.
    """
    left_out = titles.related & ~titles.right
    if same_source:
        left_out |= ~titles.near
    # The first of a title's tunes stands for it in the bootstrap.
    of_titles = groups[titles.right.argmax(axis=0)] if len(groups) else groups
    return [
        _task(titles.right, left_out, groups, False),
        _task(titles.right.T, left_out.T, of_titles, True),
    ]


def too_few(titles: Titles, held_out: HeldOut) -> str:
    """Says why there is nothing to rank, and what to do."""
    different = len(set(held_out.groups[titles.right.any(axis=1)].tolist()))
    known = sum(held_out.dropped.values())
    return (
        f"{different} different tunes with {len(titles.texts)} different titles are not enough to "
        f"rank one above another: of {len(held_out.tunes) + known} tunes read, training has "
        f"{known}, and {sum(titles.dropped.values())} titles of the others, or nearly so, and "
        "these do not count. Evaluate on more tunes that the model was not trained on"
    )


def _task(right: np.ndarray, left_out: np.ndarray, groups: np.ndarray, transposed: bool) -> Task:
    some = right.any(axis=1)
    wrong = (~right & ~left_out).any(axis=1)
    queries = np.flatnonzero(some & wrong)
    trivial = int((some & ~wrong).sum())
    return Task(transposed, queries, right[queries], left_out[queries], groups[queries], trivial)


def _spelt_nearly(
    folds: Sequence[str], spellings: dict[str, set[str]], training: Sequence[Tune]
) -> set[str]:
    """Which of the titles have a spelling that is similar to a title of training."""
    pairs = [(fold, text) for fold in folds for text in sorted(spellings[fold])]
    of_training = sorted({title.text for tune in training for title in tune.titles})
    alike = similarity.title_similarity([text for _, text in pairs], of_training)
    return {fold for (fold, _), by in zip(pairs, alike, strict=True) if by >= _TITLES_ALIKE}


def _changed(text: str, change: Callable[[str], str]) -> list[tuple[str, str]]:
    """Fold and text of a title that was changed; nothing where what is left names no tune."""
    return [(title.fold, title.text) for title in title_text.parse(change(text))]


def _any_of(right: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Whether any of the rows with the same label is right, [rows, columns]."""
    names, numbered = np.unique(labels, return_inverse=True)
    some = np.zeros((len(names), right.shape[1]), bool)
    for at, row in zip(numbered, right, strict=True):
        some[at] |= row
    return some[numbered]
