"""Scorers of tunes and titles beside each other: both directions, with and without rhythm words.

Titles are the same where their folds are, so spellings of one are one candidate. What training has
or nearly has is left out, and titles of other settings of a query's tune are neither right nor
wrong.
"""

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from pipelines.runtime.app import UserError
from pipelines.systems.titles import ranks as retrieval
from pipelines.systems.titles import tunes as titled_tunes
from pipelines.systems.titles.tunes import Tune, Tunes
from pipelines.tunes import similarity, title_text

DIRECTIONS = ("tune_to_title", "title_to_tune")
# The two of each: among all candidates, and among those of the query's source.
_AS_THEY_ARE = ("titles_as_they_are", "same_source")
_WITHOUT_RHYTHM = ("without_rhythm_words", "same_source_without_rhythm_words")
_HEADINGS = {
    "titles_as_they_are": "Titles as they are",
    "without_rhythm_words": "Without rhythm words",
    "same_source": "Among candidates of the same source",
    "same_source_without_rhythm_words": (
        "Without rhythm words, among candidates of the same source"
    ),
}
_IN_TRAINING = "titles in training"
# From here on, titles and melodies are taken for those of training that they are like. Among 482
# validation tunes of five collections that finds settings which `same_tune` does not ("Katie's
# Rambles" for "Kitty's Rambles", "Blackthorne Stick" for "Billy Patterson's Favorite"), and some
# that are none ("Far from Home" for "Home from Holm"): leaving these out costs little.
_TITLES_ALIKE, _MELODIES_ALIKE = 0.8, 0.3
_COLUMNS = ("MRR", *(f"R@{cutoff}" for cutoff in retrieval.CUTOFFS), "median rank")


class Scorer(Protocol):
    """What says how well titles fit tunes."""

    def scores(self, tunes: Sequence[Tune], texts: Sequence[str]) -> np.ndarray:
        """Scores [tunes, texts], finite; the higher, the better the text fits the tune.

        Args:
          tunes: whose titles must not be looked at.
          texts: `Title.text` of titles, or what `title_text.without_rhythm` leaves of them.
        """


class Ranked(NamedTuple):
    """The ranks of some queries.

    Attributes:
      ranks: int arrays shaped [queries], by scorer.
      groups: int array shaped [queries], the same for queries of one tune.
    """

    ranks: dict[str, np.ndarray]
    groups: np.ndarray


class _Titles(NamedTuple):
    """The titles that are ranked, and how they belong to the tunes.

    Attributes:
      texts: one spelling of each, in the order of their folds.
      right: bool array shaped [tunes, titles]: the tune has this title.
      related: bool array shaped [tunes, titles]: it or a setting of it has.
      near: bool array shaped [tunes, titles]: a tune of the same source has.
      dropped: how many different titles are left out, by reason.
    """

    texts: list[str]
    right: np.ndarray
    related: np.ndarray
    near: np.ndarray
    dropped: dict[str, int]


class _Task(NamedTuple):
    """Queries in one direction.

    Attributes:
      transposed: whether the queries are the titles.
      queries: places of the queries among the tunes or the titles.
      right, left_out: bool arrays shaped [queries, candidates].
      groups: int array shaped [queries]: of the tune, or of a tune that has the title.
      trivial: how many are no queries because nothing wrong would be ranked.
    """

    transposed: bool
    queries: np.ndarray
    right: np.ndarray
    left_out: np.ndarray
    groups: np.ndarray
    trivial: int


def evaluate(
    scorers: Mapping[str, Scorer],
    held_out: Tunes,
    training: Tunes,
    seed: int = 0,
    resamples: int = 2000,
    keep: MutableMapping[tuple[str, str], Ranked] | None = None,
    near_duplicates: bool = False,
) -> dict:
    """Ranks titles for each tune, and tunes for each title, by every scorer.

    Tune to title: each tune that has a title is a query; the candidates are all held-out titles.
    Title to tune: each of these titles is a query; the candidates are all held-out tunes. Titles
    of other settings of a query's tune are not ranked, and so the other way round. A query for
    which nothing wrong is ranked is none.

    What could be found by knowing training by heart is left out, each tune and title by the first
    reason that holds:

      A tune that training has a setting of, by `splits.join`; then one whose melody is nearly one
      of training, by the cosine of `likeness.Melodies`, from _MELODIES_ALIKE on. Such a tune is no
      candidate either.
      A title that training has, by its fold (where rhythm words are removed, they are removed from
      the titles of training too); then one of which a spelling is nearly one of training, by
      `likeness.titles_alike`, from _TITLES_ALIKE on, which never looks at rhythm words. Its tune
      stays a candidate, and a query where it has another title.

    Scores of all tunes and titles, of one scorer at a time, are in memory.

    Args:
      scorers: by name; the differences are those of the first, such as the trained towers, less
        each other one.
      held_out: the tunes; those without a title are candidates only.
      training: what the scorers were made from.
      seed: of the order of ties and of the bootstrap, the same for all scorers.
      resamples: of the bootstrap.
      keep: gets the ranks behind the numbers, by section and direction, if it is given.
      near_duplicates: whether to keep what is nearly in training, but not the same.

    Returns:
      What JSON can hold:

        {"tunes": ..., "titles": ..., "sources": ..., "dropped": {reason: tunes},
         "sections": {
           "titles_as_they_are": {
             "titles": ..., "dropped": {reason: titles},
             "tune_to_title": {
               "queries": ..., "candidates": ...,
               "ranked": how many candidates are ranked for a query, on average,
               "dropped": {reason: queries},
               "scorers": {name: what `retrieval.summary` gives},
               "differences": {"first - other": what `retrieval.difference` gives}},
             "title_to_tune": {...}},
           "without_rhythm_words": {...},
           "same_source": {...}, "same_source_without_rhythm_words": {...}}}

      The last two rank only candidates of the query's source, since books have manners of their
      own, in titles and in music: a tune's source is the part of its id before the first "/", a
      title's sources are those of its tunes. They are there where there are several sources; and a
      section without a query in one direction is not there.

    Raises:
      UserError: where fewer than two different tunes with two different titles are left, or they
        share all their titles.
      ValueError: for no scorer, or scores that are not finite or of another shape.
    """
    if not scorers:
        raise ValueError("no scorer")
    known = _known(held_out, training, near_duplicates)
    seen = np.logical_or.reduce(list(known.values()))
    tunes, groups, *_ = held_out.those(~seen)
    sources = np.unique([tune.id.partition("/")[0] for tune in tunes], return_inverse=True)[1]
    several = len(set(sources.tolist())) > 1
    sections = {}
    for names, change in (
        (_AS_THEY_ARE, str),
        (_WITHOUT_RHYTHM, title_text.without_rhythm),
    ):
        titles = _titles(tunes, groups, sources, training.tunes, change, near_duplicates)
        both = {names[0]: _tasks(titles, groups, near=False)}
        if several:
            both[names[1]] = _tasks(titles, groups, near=True)
        tasks = {name: two for name, two in both.items() if all(len(task.queries) for task in two)}
        if not sections and names[0] not in tasks:
            raise UserError(_too_few(titles, groups, len(tunes), seen))
        found = _ranks(scorers, tunes, titles.texts, tasks, seed)
        for name, two in tasks.items():
            sections[name] = {"titles": len(titles.texts), "dropped": titles.dropped}
            for at, direction in enumerate(DIRECTIONS):
                ranks = {scorer: found[scorer, name, at] for scorer in scorers}
                sections[name][direction] = _measured(two[at], ranks, seed, resamples)
                if keep is not None:
                    keep[name, direction] = Ranked(ranks, two[at].groups)
    return {
        "tunes": len(tunes),
        "titles": sections[_AS_THEY_ARE[0]]["titles"],
        "sources": len(set(sources.tolist())),
        "dropped": {reason: int(which.sum()) for reason, which in known.items()},
        "sections": {name: sections[name] for name in _HEADINGS if name in sections},
    }


class Monitor:
    """MRR, R@10 and the median rank among all candidates, without intervals: to watch training.

    Args:
      held_out, training: as in `evaluate`, which raises the same.
    """

    def __init__(self, held_out: Tunes, training: Tunes):
        seen = np.logical_or.reduce(list(_known(held_out, training).values()))
        self._tunes, groups, *_ = held_out.those(~seen)
        titles = _titles(self._tunes, groups, groups, training.tunes, str)
        both = _tasks(titles, groups, near=False)
        if not all(len(task.queries) for task in both):
            raise UserError(_too_few(titles, groups, len(self._tunes), seen))
        self._texts = titles.texts
        self._tasks = {"": both}

    def __call__(self, scorer: Scorer) -> dict[str, float]:
        """Measures a scorer; each number by a name such as "tune_to_title/MRR"."""
        ranks = _ranks({"": scorer}, self._tunes, self._texts, self._tasks, seed=0)
        measured = {}
        for at, direction in enumerate(DIRECTIONS):
            found = ranks["", "", at]
            measured[f"{direction}/MRR"] = float(np.mean(1 / found))
            measured[f"{direction}/R@10"] = float(np.mean(found <= 10))
            measured[f"{direction}/median rank"] = float(np.median(found))
        return measured


def table(result: Mapping) -> str:
    """What `evaluate` gives as Markdown: a table for each section and direction.

    Intervals are in brackets; the last column has the first scorer's MRR less each other one's.
    """
    lines = [
        f"{result['tunes']} tunes of {result['sources']} sources, {result['titles']} titles"
        + f"{_but(result['dropped'])}."
    ]
    for name, section in result["sections"].items():
        lines += ["", f"### {_HEADINGS[name]}"]
        lines += ["", f"{section['titles']} titles{_but(section['dropped'])}."]
        for direction in DIRECTIONS:
            lines += ["", *_lines(direction.replace("_", " "), section[direction])]
    return "\n".join(lines)


def _lines(direction: str, measured: Mapping) -> Iterator[str]:
    first = next(iter(measured["scorers"]))
    yield (
        f"{direction.capitalize()}: {measured['queries']} queries{_but(measured['dropped'])}, "
        f"{measured['ranked']:.1f} of {measured['candidates']} candidates ranked on average."
    )
    yield ""
    header = [*_COLUMNS]
    if measured["differences"]:
        header.append(f"MRR of {first} less this")
    yield f"| | {' | '.join(header)} |"
    yield "|---|" + "---|" * len(header)
    for name, values in measured["scorers"].items():
        cells = [name, *(_cell(values[column], column) for column in _COLUMNS)]
        if measured["differences"]:
            less = measured["differences"].get(f"{first} - {name}")
            cells.append(_cell(less, "") if less else "")
        yield f"| {' | '.join(cells)} |"


def _cell(interval: Mapping[str, float], column: str) -> str:
    shape = ".1f" if column == "median rank" else ".3f"
    value, low, high = (format(interval[key], shape) for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def _but(dropped: Mapping[str, int]) -> str:
    parts = [f"{count} {reason}" for reason, count in dropped.items() if count]
    return f" (left out: {', '.join(parts)})" if parts else ""


def _known(
    held_out: Tunes, training: Tunes, near_duplicates: bool = False
) -> dict[str, np.ndarray]:
    """Which held-out tunes are tunes of training, bool [tunes], by how that is seen."""
    joined = titled_tunes.groups_of([*held_out.tunes, *training.tunes])
    count = len(held_out.tunes)
    settings = np.isin(joined[:count], joined[count:])
    if training.tunes and not near_duplicates:
        melodies = [tune.melody.degrees() for tune in held_out.tunes]
        trained = [tune.melody.degrees() for tune in training.tunes]
        _, cosines = similarity.Melodies(trained, melodies).nearest(melodies, 1)
        alike = cosines[:, 0] >= _MELODIES_ALIKE
        # With all their settings.
        alike = np.isin(held_out.groups, held_out.groups[alike]) & ~settings
    else:
        alike = np.zeros(count, bool)
    return {
        "settings of tunes in training": settings,
        "tunes with nearly the melody of one in training": alike,
    }


def _titles(
    tunes: Sequence[Tune],
    groups: np.ndarray,
    sources: np.ndarray,
    training: Sequence[Tune],
    change: Callable[[str], str],
    near_duplicates: bool = False,
) -> _Titles:
    spellings: dict[str, set[str]] = {}
    members: list[tuple[int, str]] = []
    empty = set()
    for at, tune in enumerate(tunes):
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
    near: set[str] = set()
    if not near_duplicates:
        # Any of its spellings may be like one of training.
        pairs = [(fold, text) for fold in fresh for text in sorted(spellings[fold])]
        of_training = sorted({t.text for tune in training for t in tune.titles})
        alike = similarity.titles_alike([text for _, text in pairs], of_training)
        near = {fold for (fold, _), by in zip(pairs, alike, strict=True) if by >= _TITLES_ALIKE}
    folds = [fold for fold in fresh if fold not in near]
    places = {fold: place for place, fold in enumerate(folds)}
    right = np.zeros((len(tunes), len(folds)), bool)
    for at, fold in members:
        if fold in places:
            right[at, places[fold]] = True
    return _Titles(
        [min(spellings[fold]) for fold in folds],
        right,
        _any_of(right, groups),
        _any_of(right, sources),
        {
            _IN_TRAINING: len(spellings) - len(fresh),
            "titles spelt nearly as one in training": len(near),
            "titles of nothing but rhythm words": len(empty),
        },
    )


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


def _too_few(titles: _Titles, groups: np.ndarray, tunes: int, seen: np.ndarray) -> str:
    different = len(set(groups[titles.right.any(axis=1)].tolist()))
    return (
        f"{different} different tunes with {len(titles.texts)} different titles are not enough to "
        f"rank one above another: of {len(seen)} tunes read, training has {len(seen) - tunes}, and "
        f"{sum(titles.dropped.values())} titles of the others, or nearly so, and these do not "
        "count. Evaluate on more tunes that the model was not trained on"
    )


def _tasks(titles: _Titles, groups: np.ndarray, near: bool) -> list[_Task]:
    """Both directions, among all candidates or those of the same source."""
    left_out = titles.related & ~titles.right
    if near:
        left_out |= ~titles.near
    # The first of a title's tunes stands for it in the bootstrap.
    of_titles = groups[titles.right.argmax(axis=0)] if len(groups) else groups
    return [
        _task(titles.right, left_out, groups, False),
        _task(titles.right.T, left_out.T, of_titles, True),
    ]


def _task(right: np.ndarray, left_out: np.ndarray, groups: np.ndarray, transposed: bool) -> _Task:
    some = right.any(axis=1)
    wrong = (~right & ~left_out).any(axis=1)
    queries = np.flatnonzero(some & wrong)
    trivial = int((some & ~wrong).sum())
    return _Task(transposed, queries, right[queries], left_out[queries], groups[queries], trivial)


def _ranks(
    scorers: Mapping[str, Scorer],
    tunes: Sequence[Tune],
    texts: Sequence[str],
    tasks: Mapping[str, Sequence[_Task]],
    seed: int,
) -> dict[tuple[str, str, int], np.ndarray]:
    """Ranks of the queries, by scorer, section and direction."""
    found = {}
    for name, scorer in scorers.items() if tasks else ():
        scores = np.asarray(scorer.scores(tunes, texts))
        if scores.shape != (len(tunes), len(texts)) or not np.isfinite(scores).all():
            raise ValueError(
                f"{name} gave scores of shape {scores.shape}; finite [{len(tunes)}, {len(texts)}] "
                "are needed"
            )
        for section, both in tasks.items():
            for at, task in enumerate(both):
                values = (scores.T if task.transposed else scores)[task.queries]
                rng = np.random.default_rng([seed, 0])
                found[name, section, at] = retrieval.ranks(values, task.right, task.left_out, rng)
    return found


def _measured(
    task: _Task, ranks: Mapping[str, np.ndarray], seed: int, resamples: int
) -> dict[str, object]:
    candidates = task.right.shape[1]
    first = next(iter(ranks))

    def rng() -> np.random.Generator:
        return np.random.default_rng([seed, 1])

    return {
        "queries": len(task.queries),
        "candidates": candidates,
        "ranked": float((~task.left_out).sum(axis=1).mean()),
        "dropped": {"queries with nothing wrong to rank": task.trivial},
        "scorers": {
            name: retrieval.summary(found, task.groups, candidates, rng(), resamples)
            for name, found in ranks.items()
        },
        "differences": {
            f"{first} - {name}": retrieval.difference(
                ranks[first], found, task.groups, rng(), resamples
            )
            for name, found in ranks.items()
            if name != first
        },
    }
