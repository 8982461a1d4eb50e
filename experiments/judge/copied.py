"""Measures whether the judge finds copies of tunes.

    python -m experiments.judge.copied --records=tfrecords/tunes --input=DIR/abc \
        --versions=experiments/judge/copied-versions.tsv --output=experiments/judge/copied.json

Copies are made of test tunes. The index has all tunes. A false alarm is a real tune that is as
similar to a tune of the index as copies are; the group of its versions is left out of the index.
"""

import collections
import functools
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from absl import flags

from experiments.judge import measuring
from pipelines.judge import learning
from pipelines.judge.criteria import copied
from pipelines.judge.criteria.copied import CopyJudge
from pipelines.judge.faults import copies, tune_faults
from pipelines.judge.finding import CannotBeJudged, Known
from pipelines.records.tune_list import read_tunes
from pipelines.representations.abc_tokens.written import Tune
from pipelines.runtime import app, files
from pipelines.runtime.app import say
from pipelines.runtime.progress import Progress
from pipelines.systems.tune_lm.tune_features import melody
from pipelines.tunes import title_text
from pipelines.tunes.similarity import Melodies

FLAGS = flags.FLAGS
_RESAMPLES = 1000
_LISTED = 60
_NEAREST = 40
Plant = Callable[[Tune, np.random.Generator], Tune]


class Found(NamedTuple):
    """The tune of the index that is most like a judged one.

    Attributes:
      judged: the number of the real tune, in `every`, that the judged one was made of.
      nearest: the number of the tune that is most like it; -1 where there is none.
      measure: the lower, the more it is copied.
    """

    judged: int
    nearest: int
    measure: float


def _define_flags() -> None:
    measuring.define_flags()
    flags.DEFINE_string("versions", "", "A text file of pairs of ids: unmarked versions.")
    flags.DEFINE_integer("every", 1, "Make copies of every so many test tunes alone.")
    flags.DEFINE_integer("seed", 1, "Seed of the copies and of the bootstrap.")
    flags.DEFINE_string("output", None, "JSON file to write.")


def _plants() -> dict[str, Plant]:
    found: dict[str, Plant] = {}
    for percent in (10, 20, 30, 40, 50):
        share = percent / 100
        found[f"{percent}% of notes changed"] = functools.partial(_notes_changed, share=share)
    for percent in (30, 50):
        share = percent / 100
        found[f"{percent}% changed, dropped or added"] = functools.partial(_edited, share=share)
    found["transposed"] = _transposed
    found["in another meter's notation"] = copies.in_other_meter
    found["in mixolydian"] = lambda tune, rng: copies.in_mixolydian(tune)
    found["20% of notes ornamented"] = functools.partial(_ornamented, share=0.2)
    found["40% of notes ornamented"] = functools.partial(_ornamented, share=0.4)
    found["transposed, other meter, 10% ornamented, 20% changed"] = _all_at_once
    return found


def _notes_changed(tune: Tune, rng: np.random.Generator, share: float) -> Tune:
    return copies.notes_changed(tune, rng, share)


def _edited(tune: Tune, rng: np.random.Generator, share: float) -> Tune:
    return copies.notes_edited(tune, rng, share)


def _ornamented(tune: Tune, rng: np.random.Generator, share: float) -> Tune:
    return copies.ornamented(tune, rng, share)


def _transposed(tune: Tune, rng: np.random.Generator) -> Tune:
    return copies.transposed(tune, int(rng.integers(1, 12)))


def _all_at_once(tune: Tune, rng: np.random.Generator) -> Tune:
    made = _transposed(copies.in_other_meter(tune, rng), rng)
    return copies.notes_changed(copies.ornamented(made, rng, 0.1), rng, 0.2)


def _with_others_strain(
    tunes: Sequence[Known], number: int, rng: np.random.Generator, share: float
) -> tuple[Tune, int]:
    """A tune with its last strain from another, and the group of that one."""
    known = tunes[number]
    tune = copies.notes_changed(known.tune, rng, share)
    for other in rng.permutation(len(tunes)):
        if tunes[other].group != known.group:
            try:
                return tune_faults.other_strain(tune, tunes[other].tune).tune, tunes[other].group
            except tune_faults.NoPlace:
                continue
    raise tune_faults.NoPlace("no other tune has such a strain")


class _Measures:
    """Judges tunes by an index of all of them."""

    def __init__(self, every: Sequence[Known]):
        self.every = every
        self.judge = CopyJudge(copied.index_of(every))
        self.melodies = Melodies([melody(known.tune) for known in every])
        self.groups = np.array([known.group for known in every])

    def found(self, number: int, tune: Tune, left_out: Collection[int] = ()) -> Found:
        """What the judge finds."""
        nearest = self.judge.nearest(tune, left_out)
        if not nearest:
            return Found(number, -1, 1.0)
        return Found(number, nearest[0].tune, 1 - nearest[0].copied)

    def by_tfidf(self, number: int, tune: Tune, left_out: Collection[int] = ()) -> Found:
        """What n-grams of notes above the tonic find, by TF-IDF and cosine."""
        order, near = self.melodies.nearest([melody(tune)], _NEAREST)
        for other, cosine in zip(order[0].tolist(), near[0].tolist(), strict=True):
            if self.groups[other] not in left_out:
                return Found(number, other, 1 - cosine)
        return Found(number, -1, 1.0)


def _real(measures: _Measures, numbers: Sequence[int]) -> dict[str, list[Found]]:
    """Real tunes, each without the group of its versions."""
    found: dict[str, list[Found]] = {"judge": [], "tfidf": []}
    with Progress("real tunes", len(numbers)) as progress:
        for count, number in enumerate(numbers, start=1):
            known = measures.every[number]
            for name, method in (("judge", measures.found), ("tfidf", measures.by_tfidf)):
                if name == "tfidf" and count % FLAGS.every:
                    continue
                try:
                    found[name].append(method(number, known.tune, {known.group}))
                except CannotBeJudged:
                    continue
            progress.update(count)
    return found


def _copies(
    measures: _Measures, numbers: Sequence[int], plant: Plant, seed: int, tfidf: bool
) -> dict[str, list[Found]]:
    """Copies of real tunes, by what is found of each."""
    rng = np.random.default_rng(seed)
    found: dict[str, list[Found]] = {"judge": [], "tfidf": []}
    for number in numbers:
        try:
            tune = plant(measures.every[number].tune, rng)
            found["judge"].append(measures.found(number, tune))
            if tfidf:
                found["tfidf"].append(measures.by_tfidf(number, tune))
        except (tune_faults.NoPlace, CannotBeJudged):
            continue
    return found


def _strains(measures: _Measures, numbers: Sequence[int], share: float, seed: int) -> list[Found]:
    """Tunes with all strains but the last; the tune that the last one is of is left out."""
    rng = np.random.default_rng(seed)
    tunes = [measures.every[number] for number in numbers]
    found = []
    for place, number in enumerate(numbers):
        try:
            tune, group = _with_others_strain(tunes, place, rng, share)
            found.append(measures.found(number, tune, {group}))
        except (tune_faults.NoPlace, CannotBeJudged):
            continue
    return found


def _compared(
    measures: _Measures, real: Sequence[Found], bad: Sequence[Found], threshold: float
) -> dict[str, Any]:
    """How well copies are told from real tunes, and how often the original is the nearest."""
    groups = measures.groups
    result = measuring.compared(
        np.array([each.measure for each in real]),
        np.array([each.measure for each in bad]),
        groups[[each.judged for each in real]].tolist(),
        groups[[each.judged for each in bad]].tolist(),
        threshold,
        FLAGS.seed,
    )
    nearest = [each.nearest for each in bad]
    judged = [each.judged for each in bad]
    of_group = (groups[nearest] == groups[judged]) & (np.array(nearest) >= 0)
    result["nearest_is_a_version"] = _share(of_group, groups[judged])
    result["nearest_is_it"] = _share(np.array(nearest) == np.array(judged), groups[judged])
    return result


def _share(values: np.ndarray, groups: np.ndarray) -> list[float]:
    """The share of true values, with the interval of 95% of resamplings of the groups."""
    names, number = np.unique(groups, return_inverse=True)
    rng = np.random.default_rng(FLAGS.seed)
    drawn = []
    for _ in range(_RESAMPLES):
        counts = np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names))
        drawn.append(np.average(values, weights=counts[number]))
    low, high = np.percentile(drawn, (2.5, 97.5))
    return [round(float(each), 4) for each in (values.mean(), low, high)]


# Versions that are found by their titles.


def _same_titles(every: Sequence[Known], numbers: Sequence[int]) -> Iterator[tuple[int, set[int]]]:
    """Tunes with those of other corpora that have a title in common with them."""
    by_title: dict[str, set[int]] = collections.defaultdict(set)
    titles = []
    for number, known in enumerate(every):
        titles.append({title_text.fold(w) for w in title_text.title_words(known.tune.title)})
        for title in titles[-1]:
            by_title[title].add(number)
    for number in numbers:
        others = {
            other
            for title in titles[number]
            for other in by_title[title]
            if every[other].corpus != every[number].corpus
        }
        if others:
            yield number, others


def _versions(
    measures: _Measures, numbers: Sequence[int], records: str
) -> tuple[list[Found], list[bool], list[bool]]:
    """Tunes by what is found of them in other books.

    Of the group of a tune, those of its own corpus are left out of the index.

    Returns:
      What is found; whether it has the same title; whether the tune shares a key of its melody
      with one of the same title, and not the title alone.
    """
    every = measures.every
    arrays = dict(copied.index_of(every))
    arrays["group"] = np.arange(len(every), dtype=np.int32)
    judge = CopyJudge(arrays)
    keys = {tune.id: {key for key in map(int, tune.keys) if key >> 56 != ord("t")}
            for tune in read_tunes(records)}  # fmt: skip
    found, right, by_melody = [], [], []
    for number, others in _same_titles(every, numbers):
        own = np.flatnonzero(measures.groups == every[number].group).tolist()
        away = [i for i in own if every[i].corpus == every[number].corpus]
        nearest = judge.nearest(every[number].tune, away)
        if not nearest:
            continue
        found.append(Found(number, nearest[0].tune, 1 - nearest[0].copied))
        right.append(nearest[0].tune in others)
        shared = [keys[every[number].id] & keys[every[other].id] for other in others]
        by_melody.append(any(shared))
    return found, right, by_melody


def main() -> None:
    """Judges real tunes and copies of them."""
    tunes = learning.read(FLAGS.records, FLAGS.input)
    every = [known for some in tunes.values() for known in some]
    place = {known.id: number for number, known in enumerate(every)}
    measures = _Measures(every)
    validation, test = (
        [place[known.id] for known in tunes[split]]
        for split in (learning.VALIDATION, learning.TEST)
    )
    real = _real(measures, validation), _real(measures, test)
    versions = _read_versions(FLAGS.versions)
    result: dict[str, Any] = {"tunes": len(every), "test": len(test), "seed": FLAGS.seed}
    result["real"] = [_listed(every, found["judge"], versions) for found in real]
    good, cut = {}, {}
    for name in ("judge", "tfidf"):
        for kind in ("all", "without versions"):
            calibrating, good[name, kind] = (
                [
                    each
                    for each in found[name]
                    if kind == "all" or not _is_version(every, each, versions)
                ]
                for found in real
            )
            cut[name, kind] = float(
                np.quantile([each.measure for each in calibrating], measuring.FALSE_ALARMS)
            )
    result["thresholds"] = {f"{name}, {kind}": round(cut[name, kind], 4) for name, kind in cut}
    result["left out as versions"] = {
        split: len(found["judge"])
        - sum(not _is_version(every, e, versions) for e in found["judge"])
        for split, found in zip((learning.VALIDATION, learning.TEST), real)
    }
    result["copies"] = {}

    def add(name: str, bad: dict[str, list[Found]]) -> None:
        result["copies"][name] = {
            f"{method}, {kind}": _compared(measures, good[method, kind], found, cut[method, kind])
            for method, found in bad.items()
            for kind in ("all", "without versions")
            if found and (method == "judge" or kind == "all")
        }
        shown = result["copies"][name]["judge, all"]
        say(f"{name}: recall {shown['recall']}, nearest {shown['nearest_is_a_version']}")

    copied_tunes = test[:: FLAGS.every]
    for name, plant in _plants().items():
        add(name, _copies(measures, copied_tunes, plant, FLAGS.seed, "of notes changed" in name))
    for percent in (0, 20):
        found = _strains(measures, copied_tunes, percent / 100, FLAGS.seed)
        add(f"the first strains, {percent}% of notes changed", {"judge": found})
    found, right, by_melody = _versions(measures, test, FLAGS.records)
    add("a version by its title, in another book", {"judge": found})
    judged = measures.groups[[each.judged for each in found]]
    result["versions by title"] = {
        "tunes": len(found),
        "nearest has the title": _share(np.array(right), judged),
        "share a key of the melody": int(np.sum(by_melody)),
        "of these nearest has the title": round(
            float(np.mean([r for r, m in zip(right, by_melody) if m])), 4
        ),
        "of the others": round(float(np.mean([r for r, m in zip(right, by_melody) if not m])), 4),
    }
    files.write_json(FLAGS.output, result)
    _print(result)


def _read_versions(path: str) -> set[tuple[str, str]]:
    """Pairs of ids, a pair a line; what follows # is a remark."""
    if not path:
        return set()
    with open(path, encoding="utf-8") as lines:
        pairs = [line.partition("#")[0].split("\t")[:2] for line in lines]
    return {(pair[0].strip(), pair[1].strip()) for pair in pairs if len(pair) == 2}


def _is_version(every: Sequence[Known], found: Found, versions: set[tuple[str, str]]) -> bool:
    return found.nearest >= 0 and (every[found.judged].id, every[found.nearest].id) in versions


def _listed(
    every: Sequence[Known], found: Sequence[Found], versions: set[tuple[str, str]]
) -> list[dict[str, Any]]:
    """The real tunes that are most like others."""
    rows = []
    for each in sorted(found, key=lambda one: one.measure)[:_LISTED]:
        ours, theirs = every[each.judged], every[each.nearest]
        rows.append(
            {
                "copied": round(1 - each.measure, 3),
                "id": ours.id,
                "title": ours.tune.title,
                "nearest": theirs.id,
                "its title": theirs.tune.title,
                "version": _is_version(every, each, versions),
            }
        )
    return rows


def _print(result: dict[str, Any]) -> None:
    for kind in ("judge, all", "judge, without versions", "tfidf, all"):
        print(f"\n{kind}\n| copies | tunes | recall | AUC | false alarms | nearest is a version |")
        print("|---|---|---|---|---|---|")
        for name, by_kind in result["copies"].items():
            if kind in by_kind:
                found = by_kind[kind]
                cells = [measuring.shown(found[each]) for each in
                         ("recall", "auc", "false_alarms", "nearest_is_a_version")]  # fmt: skip
                print(f"| {name} | {found['tunes']} | {' | '.join(cells)} |")


if __name__ == "__main__":
    _define_flags()
    app.run(main, required=["records", "input", "output"])
