"""Measures the dual tower on every tune: in each of ten parts, by towers trained on the others.

    python -m experiments.titles.crossvalidate --examples_path='tfrecords/tunes/*.tfrecord-*' \
        --text_encoder=builtin --loss=infonce --json=experiments/titles/builtin-infonce-folds.json
    python -m experiments.titles.crossvalidate --examples_path='tfrecords/tunes/*.tfrecord-*' \
        --by=book --loss=hinge --json=experiments/titles/builtin-hinge-books.json --work=DIR

A test split of a tenth has few hundred queries, and wide intervals. Here each tune is a query once;
its candidates are those of its part. All versions of a tune are in one part, and what is nearly in
training is left out, as in `titles evaluate`. With --by=book each part is a book, the part of the
tunes' ids before the first "/": what is measured there is a book that training had not seen.
Prints a table of the ranks of all parts together.
"""

import collections
import contextlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.stats
from absl import flags

from pipelines.records.manifest import open_records
from pipelines.runtime import app, files, tensorflow
from pipelines.runtime.app import say
from pipelines.runtime.flags import path_flag, required_path_flag

if TYPE_CHECKING:
    from pipelines.systems.titles.neighbours import Scorer
    from pipelines.systems.titles.tunes import Tune, Tunes

FLAGS = flags.FLAGS


# What is scored together, beside each by itself and what `titles match` uses.
COMBINED = (
    ("towers", "ten_nearest_neighbours"),
    ("towers", "ten_nearest_neighbours", "meter_and_mode"),
    ("ten_nearest_neighbours", "meter_and_mode"),
)
# How their scores are combined, and the names of that.
HOW = {"scores": "sum of scores", "ranks": "mean rank", "reciprocal": "reciprocal ranks"}
# Cormack, Clarke and Buettcher (2009), "Reciprocal rank fusion outperforms Condorcet".
_RECIPROCAL_RANK = 60


class Remembered:
    """A scorer that computes the scores of the same tunes and texts once."""

    def __init__(self, scorer: "Scorer"):
        self._scorer = scorer
        self._last: tuple[Any, Any, np.ndarray] | None = None

    def scores(self, tunes: "Sequence[Tune]", texts: Sequence[str]) -> np.ndarray:
        """Scores [tunes, texts]."""
        if self._last is None or self._last[0] is not tunes or self._last[1] is not texts:
            self._last = tunes, texts, np.asarray(self._scorer.scores(tunes, texts), float)
        return self._last[2]


class Combined:
    """Several scorers' scores, combined.

    Args:
      scorers: what is combined.
      how: "scores" sums scores less their mean, divided by their deviation; "ranks" takes the mean
        rank among a query's candidates; "reciprocal" sums 1 / (60 + rank).
      axis: 1 to rank the texts of each tune, 0 to rank the tunes of each text.
    """

    def __init__(self, scorers: "Sequence[Scorer]", how: str, axis: int):
        self._scorers = scorers
        self._how = how
        self._axis = axis

    def scores(self, tunes: "Sequence[Tune]", texts: Sequence[str]) -> np.ndarray:
        """Scores [tunes, texts]."""
        each = (np.asarray(scorer.scores(tunes, texts), float) for scorer in self._scorers)
        return np.sum([self._comparable(scores) for scores in each], axis=0)

    def _comparable(self, scores: np.ndarray) -> np.ndarray:
        if self._how == "scores":
            return (scores - scores.mean()) / (scores.std() or 1.0)
        ranks = scipy.stats.rankdata(-scores, axis=self._axis)
        return -ranks if self._how == "ranks" else 1 / (_RECIPROCAL_RANK + ranks)


def combined(scorers: "Mapping[str, Scorer]", axis: int) -> dict[str, "Scorer"]:
    """All combinations of scorers by name; `axis` as `Combined` takes it."""
    return {
        f"{' + '.join(names)}, {told}": Combined([scorers[n] for n in names], how, axis)
        for names in COMBINED
        for how, told in HOW.items()
    }


def _define_flags() -> None:
    flags.DEFINE_string("examples_path", None, "Glob of NoteSequence records, all splits together.")
    flags.DEFINE_string("text_encoder", "builtin", "As `titles train` takes it.")
    flags.DEFINE_enum("loss", "infonce", ["infonce", "hinge"], "As `titles train` takes it.")
    flags.DEFINE_enum("by", "part", ["part", "book"], "What is left out: a part, or a book.")
    flags.DEFINE_integer("parts", 10, "How many parts, with --by=part.", lower_bound=2)
    flags.DEFINE_integer("seed", 0, "Seeds the parts and the training.", lower_bound=0)
    flags.DEFINE_string("json", None, "File for the result.")
    flags.DEFINE_string(
        "work",
        None,
        "Folder that keeps the trained towers of each part, which the next run with the same flags "
        "takes.",
    )


def main() -> None:
    """Runs the experiment from its flags."""
    tensorflow.start("WARN", with_magenta=False)
    from configs.titles import Hparams
    from pipelines.systems.titles import baselines, evaluation, neighbours, tunes
    from pipelines.systems.titles import ranks as retrieval

    everything = tunes.read(open_records(required_path_flag("examples_path")), guess_keys=True)
    say(everything.summary())
    part_of = _books(everything) if FLAGS.by == "book" else _parts(everything)
    count = int(part_of.max()) + 1
    kept: dict[tuple[str, str], list] = collections.defaultdict(list)
    dropped: collections.Counter[str] = collections.Counter()
    with contextlib.ExitStack() as stack:
        scratch = path_flag("work") or stack.enter_context(tempfile.TemporaryDirectory())
        for part in range(count):
            held_out = everything.those(part_of == part)
            training = everything.those(part_of != part).titled()
            run_dir = os.path.join(scratch, str(part))
            trained = _trained(run_dir, scratch, training, Hparams(loss=FLAGS.loss))
            scorers: dict[str, Scorer] = {
                name: Remembered(scorer)
                for name, scorer in (
                    ("towers", trained),
                    *baselines.of(training.tunes, FLAGS.seed).items(),
                )
            }
            scorers["match"] = neighbours.Together(
                scorers["towers"], scorers["ten_nearest_neighbours"]
            )
            own = list(scorers)
            by_axis = [combined(scorers, axis) for axis in (0, 1)]
            for axis, found in enumerate(by_axis):
                scorers.update({f"{name}, axis {axis}": each for name, each in found.items()})
            ranked: dict[tuple[str, str], Any] = {}
            result = evaluation.evaluate(
                scorers, held_out, training, FLAGS.seed, resamples=1, keep=ranked
            )
            dropped.update(result["dropped"])
            for name, found in ranked.items():
                candidates = result["sections"][name[0]][name[1]]["candidates"]
                axis = 1 if name[1] == "tune_to_title" else 0
                ranks = {
                    each: found.ranks.get(each, found.ranks.get(f"{each}, axis {axis}"))
                    for each in (*own, *by_axis[axis])
                }
                kept[name].append((found._replace(ranks=ranks), candidates))
            say(f"part {part + 1} of {count}: {result['tunes']} tunes measured")
    sections: dict[str, Any] = collections.defaultdict(dict)
    for (section, direction), parts in kept.items():
        # The number of a group is the same in all parts.
        of_queries = np.concatenate([found.groups for found, _ in parts])
        ranks = {
            name: np.concatenate([found.ranks[name] for found, _ in parts])
            for name in parts[0][0].ranks
        }
        most = max(candidates for _, candidates in parts)
        sections[section][direction] = {
            "queries": len(of_queries),
            "candidates": float(np.mean([candidates for _, candidates in parts])),
            "scorers": {
                name: retrieval.summary(each, of_queries, most, np.random.default_rng(FLAGS.seed))
                for name, each in ranks.items()
            },
            "differences": {
                f"towers - {name}": retrieval.difference(
                    ranks["towers"], each, of_queries, np.random.default_rng(FLAGS.seed)
                )
                for name, each in ranks.items()
                if name != "towers"
            },
        }
    result = {
        "text_encoder": FLAGS.text_encoder,
        "loss": FLAGS.loss,
        "by": FLAGS.by,
        "parts": count,
        "dropped": dict(dropped),
        "sections": sections,
    }
    path = path_flag("json")
    if path:
        files.write_json(path, result)
    print(_table(result))


def _parts(everything: "Tunes") -> np.ndarray:
    """The part of each tune: each group is in one part, and all parts have as many groups."""
    groups = np.unique(everything.groups, return_inverse=True)[1]
    order = np.random.default_rng(FLAGS.seed).permutation(groups.max() + 1)
    return (order % FLAGS.parts)[groups]


def _books(everything: "Tunes") -> np.ndarray:
    """The book of each tune. Tunes that are in a book of training too are left out later."""
    books = [tune.id.partition("/")[0] for tune in everything.tunes]
    return np.unique(books, return_inverse=True)[1]


def _trained(run_dir: str, scratch: str, training, hparams):
    from pipelines.systems.titles import text_encoders
    from pipelines.systems.titles import training as titles_training
    from pipelines.systems.titles.embeddings import Embeddings
    from pipelines.systems.titles.text_encoders import loading

    # `builtin` is made of each part's training titles; others are the same for all.
    of_part = FLAGS.text_encoder == text_encoders.BUILTIN
    place = run_dir if of_part else scratch
    handle = text_encoders.prepare(
        FLAGS.text_encoder,
        os.path.join(place, "encoder"),
        lambda: titles_training.encoder_texts(training),
    )
    embeddings = Embeddings(loading.load(handle), os.path.join(place, "embeddings"))
    return titles_training.fit(run_dir, training, embeddings, hparams, FLAGS.seed)


def _table(result: dict[str, Any]) -> str:
    lines = []
    for section, directions in result["sections"].items():
        for direction, measured in directions.items():
            counts = f"{measured['queries']} queries, {measured['candidates']:.0f} candidates each"
            lines += [
                "",
                f"{section}, {direction}: {counts}",
                "",
                "| | MRR | R@1 | R@10 | R@100 | towers' MRR less this one's |",
                "|---|---|---|---|---|---|",
            ]
            for name, values in measured["scorers"].items():
                less = measured["differences"].get(f"towers - {name}")
                cells = [values[what] for what in ("MRR", "R@1", "R@10", "R@100")]
                cells += [less] if less else []
                shown = [f"{c['value']:.4f} ({c['low']:.4f} to {c['high']:.4f})" for c in cells]
                lines.append(f"| {name} | {' | '.join(shown + [''] * (5 - len(shown)))} |")
    return "\n".join(lines)


if __name__ == "__main__":
    _define_flags()
    app.run(main, required=("examples_path",))
