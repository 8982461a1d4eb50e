"""Measures whether the judge finds faults that are planted in held-out tunes.

    python -m experiments.judge.faults --records=tfrecords/tunes --input=DIR/abc \
        --output=experiments/judge/faults.json

`--records` is what `./run.sh convert --corpus=abc --input=DIR/abc` made of the same tunebooks; the
judge is the one of the project, which learnt from the tunes of training. A constant judge has an
area of 0.5 under the curve, and finds as many faults as it gives false alarms.
"""

import collections
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from absl import flags

from experiments.judge import measuring
from pipelines.judge import learning, learnt, verdicts
from pipelines.judge.faults import beat_faults, tune_faults
from pipelines.judge.finding import Known
from pipelines.representations.abc_tokens.written import Tune
from pipelines.runtime import app, files
from pipelines.runtime.progress import Progress

FLAGS = flags.FLAGS
_BEATS = {"beat missing": beat_faults.beat_missing, "beat too many": beat_faults.beat_added}
_OTHER_STRAIN = "another tune's strain"


def _define_flags() -> None:
    measuring.define_flags()
    flags.DEFINE_list("criteria", ["rhythm", "mode", "form", "melody"], "The criteria.")
    flags.DEFINE_string("judge", "", "The folder of the judge; by default that of the project.")
    flags.DEFINE_integer("seed", 1, "Seed of the faults and of the bootstrap.")
    flags.DEFINE_string("output", None, "JSON file to write.")


def _planted(tunes: Sequence[Known], rng: np.random.Generator) -> Iterator[tuple[str, int, Tune]]:
    """Each fault in each tune that has a place for it: its name, the tune's number, the tune."""
    plants = {
        **{name: lambda tune, plant=plant: plant(tune, rng).tune
           for name, plant in tune_faults.FAULTS.items()},
        **{name: lambda tune, plant=plant: plant(tune, rng)[0] for name, plant in _BEATS.items()},
    }  # fmt: skip
    for number, known in enumerate(tunes):
        for name, plant in plants.items():
            try:
                yield name, number, plant(known.tune)
            except tune_faults.NoPlace:
                continue
        for other in rng.permutation(len(tunes)):
            if tunes[other].group == known.group:
                continue
            try:
                planted = tune_faults.other_strain(known.tune, tunes[other].tune)
            except tune_faults.NoPlace:
                continue
            yield _OTHER_STRAIN, number, planted.tune
            break


def main() -> None:
    """Judges the test tunes, and what is made of them."""
    tunes = learning.read(FLAGS.records, FLAGS.input)[learning.TEST]
    tunes = measuring.without_warnings(tunes, FLAGS.records)
    opened = verdicts.open_judge(FLAGS.judge, FLAGS.criteria)
    scales = learnt.read(FLAGS.judge or learnt.DEFAULT, opened.names).scales
    rng = np.random.default_rng(FLAGS.seed)
    measures: dict[str, dict[str, list[tuple[int, float]]]] = collections.defaultdict(
        lambda: collections.defaultdict(list)
    )
    with Progress("tunes judged", len(tunes)) as progress:
        work = [("real", i, known.tune) for i, known in enumerate(tunes)]
        for name, number, tune in [*work, *_planted(tunes, rng)]:
            for criterion, opinion in opened(tune).opinions.items():
                if opinion.finding is not None:
                    measures[name][criterion].append((number, opinion.finding.measure))
            progress.update(number)
    groups = np.array([known.group for known in tunes])
    result: dict[str, Any] = {"tunes": len(tunes), "seed": FLAGS.seed, "faults": {}}
    real = {name: _columns(rows) for name, rows in measures.pop("real").items()}
    for name, by_criterion in measures.items():
        result["faults"][name] = {}
        for criterion, rows in by_criterion.items():
            threshold = float(np.quantile(scales[criterion].measures, measuring.FALSE_ALARMS))
            numbers, bad = _columns(rows)
            result["faults"][name][criterion] = measuring.compared(
                real[criterion][1], bad, groups[real[criterion][0]], groups[numbers], threshold,
                FLAGS.seed,
            )  # fmt: skip
    files.write_json(FLAGS.output, result)
    _print(result, opened.names)


def _columns(rows: Sequence[tuple[int, float]]) -> tuple[np.ndarray, np.ndarray]:
    numbers, measures = zip(*rows)
    return np.array(numbers), np.array(measures)


def _print(result: dict[str, Any], names: Sequence[str]) -> None:
    for what in ("auc", "recall"):
        print(f"\n| {what} | tunes | {' | '.join(names)} |")
        print(f"|---|---|{'---|' * len(names)}")
        for name, found in result["faults"].items():
            cells = " | ".join(measuring.shown(found[each][what]) for each in names)
            print(f"| {name} | {found[names[0]]['tunes']} | {cells} |")
    first = next(iter(result["faults"].values()))
    told = ", ".join(f"{each} {measuring.shown(first[each]['false_alarms'])}" for each in names)
    print(f"\nFalse alarms: {told}")


if __name__ == "__main__":
    _define_flags()
    app.run(main, required=["records", "input", "output"])
