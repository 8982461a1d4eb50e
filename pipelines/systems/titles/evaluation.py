"""Measures scorers of tunes and titles beside each other, on held-out tunes that all of them share.

`candidates` says what is ranked for which query, `ranks` how well that was done. The result is what
JSON can hold:

    {"tunes": ..., "titles": ..., "sources": ..., "dropped": {reason: tunes},
     "sections": {
       "titles_as_they_are": {
         "titles": ..., "dropped": {reason: titles},
         "tune_to_title": {
           "queries": ..., "candidates": ...,
           "ranked": how many candidates are ranked for a query, on average,
           "dropped": {reason: queries},
           "scorers": {name: what `ranks.summary` gives},
           "differences": {"first - other": what `ranks.difference` gives}},
         "title_to_tune": {...}},
       "without_rhythm_words": {...},
       "same_source": {...}, "same_source_without_rhythm_words": {...}}}

The last two, which rank only candidates of the query's source, are there where there are several
sources. A section without a query in one direction is left out.
"""

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pipelines.records.manifest import content_digest, open_records
from pipelines.runtime.app import UserError, say
from pipelines.systems.titles import baselines, candidates, neighbours, report, towers
from pipelines.systems.titles import ranks as retrieval
from pipelines.systems.titles import tunes as titled_tunes
from pipelines.systems.titles.candidates import AS_THEY_ARE, CHANGES, DIRECTIONS, SAME_SOURCE, Task
from pipelines.systems.titles.neighbours import Scorer
from pipelines.systems.titles.tunes import Tune, Tunes


class Ranked(NamedTuple):
    """The ranks of some queries.

    Attributes:
      ranks: int arrays shaped [queries], by scorer.
      groups: int array shaped [queries], the same for queries of one tune.
    """

    ranks: dict[str, np.ndarray]
    groups: np.ndarray


def measure(
    run_dir: str,
    examples_path: str,
    training_path: str | None = None,
    seed: int = 0,
    near_duplicates: bool = False,
) -> dict[str, Any]:
    """Measures a run on held-out records beside the baselines: the work of `titles evaluate`.

    Args:
      run_dir: a run of `titles train`.
      examples_path: a glob of NoteSequence records.
      training_path: a glob of those that the run was trained on, from which the baselines are
        made; None if they are where they were.
      seed: of the order of ties and of the bootstrap.
      near_duplicates: as `evaluate` takes it.

    Returns:
      What `evaluate` gives, and of what; the same is in RUN_DIR/eval, and in TensorBoard.

    Raises:
      UserError: where there is no such run, or the records cannot be used.
    """
    # Nothing of held-out titles is kept in the run's folder.
    trained, metadata = towers.open_run(run_dir, keep_embeddings=False)
    held_out = titled_tunes.read(open_records(examples_path))
    say(held_out.summary())
    training = _training(run_dir, training_path or metadata["examples_path"], metadata["records"])
    others = baselines.of(training.tunes, seed)
    together = neighbours.Together(trained, others["ten_nearest_neighbours"])
    scorers: dict[str, Scorer] = {"towers": trained, "towers_and_neighbours": together, **others}
    result = {
        "examples_path": examples_path,
        "text_encoder": metadata["text_encoder"]["name"],
        "hparams": metadata["hparams"],
        **evaluate(scorers, held_out, training, seed, near_duplicates=near_duplicates),
    }
    try:
        report.write(run_dir, examples_path, result)
    except OSError as error:
        say(f"{error.filename or run_dir}: the result is not kept there ({error.strerror})")
    return result


def evaluate(
    scorers: Mapping[str, Scorer],
    held_out: Tunes,
    training: Tunes,
    seed: int = 0,
    resamples: int = 2000,
    keep: MutableMapping[tuple[str, str], Ranked] | None = None,
    near_duplicates: bool = False,
) -> dict[str, Any]:
    """Ranks titles for each tune, and tunes for each title, by every scorer.

    The scores of all tunes and titles, of one scorer at a time, are in memory.

    Args:
      scorers: by name; the differences are those of the first, such as the trained towers, less
        each other one.
      held_out: the tunes; those without a title are candidates only.
      training: what the scorers were made from.
      seed: of the order of ties and of the bootstrap, the same for all scorers.
      resamples: of the bootstrap.
      keep: gets the ranks behind the numbers, by section and direction, if it is given.
      near_duplicates: whether to keep what is nearly in training, but not the same.

    Raises:
      UserError: where fewer than two different tunes with two different titles are left, or they
        share all their titles.
      ValueError: for no scorer, or scores that are not finite or of another shape.
    """
    if not scorers:
        raise ValueError("no scorer")
    left = candidates.without_known(held_out, training, near_duplicates)
    sources = len(set(left.sources.tolist()))
    sections: dict[str, dict[str, Any]] = {}
    for section, change in CHANGES.items():
        titles = candidates.titles_of(left, training.tunes, change, near_duplicates)
        both = {section: candidates.tasks(titles, left.groups)}
        if sources > 1:
            both[SAME_SOURCE[section]] = candidates.tasks(titles, left.groups, same_source=True)
        tasks = {name: two for name, two in both.items() if all(len(task.queries) for task in two)}
        if section == AS_THEY_ARE and section not in tasks:
            raise UserError(candidates.too_few(titles, left))
        found = _ranks(scorers, left.tunes, titles.texts, tasks, seed)
        for name, two in tasks.items():
            sections[name] = {"titles": len(titles.texts), "dropped": titles.dropped}
            for at, (direction, task) in enumerate(zip(DIRECTIONS, two, strict=True)):
                ranks = {scorer: found[scorer, name, at] for scorer in scorers}
                sections[name][direction] = _measured(task, ranks, seed, resamples)
                if keep is not None:
                    keep[name, direction] = Ranked(ranks, task.groups)
    order = [*CHANGES, *SAME_SOURCE.values()]
    return {
        "tunes": len(left.tunes),
        "titles": sections[AS_THEY_ARE]["titles"],
        "sources": sources,
        "dropped": left.dropped,
        "sections": {name: sections[name] for name in order if name in sections},
    }


class Monitor:
    """MRR, R@10 and the median rank among all candidates, without intervals: to watch training.

    Args:
      held_out, training: as in `evaluate`, which raises the same.
    """

    def __init__(self, held_out: Tunes, training: Tunes):
        left = candidates.without_known(held_out, training)
        titles = candidates.titles_of(left, training.tunes, CHANGES[AS_THEY_ARE])
        both = candidates.tasks(titles, left.groups)
        if not all(len(task.queries) for task in both):
            raise UserError(candidates.too_few(titles, left))
        self._tunes, self._texts = left.tunes, titles.texts
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


def _training(run_dir: str, training_path: str, digest: str) -> Tunes:
    """The tunes that a run was trained on; what is held out must not be among them."""
    try:
        records = open_records(training_path)
    except UserError as error:
        raise UserError(
            f"{training_path}, which {run_dir} was trained on, is not there any more; name the "
            "records by --training_path"
        ) from error
    if content_digest(records.paths) != digest:
        raise UserError(
            f"{training_path} has other records than {run_dir} was trained on; name those by "
            "--training_path"
        )
    return titled_tunes.read(records).titled()


def _ranks(
    scorers: Mapping[str, Scorer],
    tunes: Sequence[Tune],
    texts: Sequence[str],
    tasks: Mapping[str, Sequence[Task]],
    seed: int,
) -> dict[tuple[str, str, int], np.ndarray]:
    """Ranks of the queries, by scorer, section and place of the direction."""
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
    task: Task, ranks: Mapping[str, np.ndarray], seed: int, resamples: int
) -> dict[str, Any]:
    count = task.right.shape[1]
    first = next(iter(ranks))

    def rng() -> np.random.Generator:
        return np.random.default_rng([seed, 1])

    return {
        "queries": len(task.queries),
        "candidates": count,
        "ranked": float((~task.left_out).sum(axis=1).mean()),
        "dropped": {"queries with nothing wrong to rank": task.trivial},
        "scorers": {
            name: retrieval.summary(found, task.groups, count, rng(), resamples)
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
