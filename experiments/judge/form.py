"""Measures what the judge of form finds of planted faults, and what it says of held-out tunes.

    python -m experiments.judge.form --records=tfrecords/tunes --input=DIR/abc \
        --output=experiments/judge/form.json

`--records` is what `./run.sh convert --corpus=abc --input=DIR/abc` made of the same tunebooks. The
criterion is learnt anew from the tunes of training.
"""

import collections
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import flags

from experiments.judge import measuring
from pipelines.judge import learning
from pipelines.judge.criteria import form
from pipelines.judge.criteria.form import CRITERION
from pipelines.judge.faults import tune_faults
from pipelines.judge.finding import Finding, Judge, Known
from pipelines.runtime import app, files

FLAGS = flags.FLAGS
_SHOWN = 10


def main() -> None:
    """Learns the criterion, and prints its tables."""
    tunes = learning.read(FLAGS.records, FLAGS.input)
    judge = CRITERION.open(CRITERION.learn(tunes[learning.TRAIN], tunes[learning.VALIDATION]))
    test = measuring.without_warnings(tunes[learning.TEST], FLAGS.records)
    judged = [(known, found) for known in test if (found := measuring.judged(judge, known.tune))]
    result: dict[str, Any] = {
        "tunes": len(test),
        "judged": len(judged),
        "faults": _faults(judged, test, judge),
        "forms": _counted([found.evidence["form"] for _, found in judged]),
        "phrases": _counted(
            [
                strain["phrases"]
                for _, found in judged
                for strain in found.evidence["strains"]
                if strain["bars"] == form.BLOCK
            ]
        ),
        "missing": _missing([found for _, found in judged]),
        "lowest": _cases(sorted(judged, key=lambda one: one[1].measure)[:_SHOWN]),
        "drawn": _cases(
            [judged[i] for i in np.random.default_rng(FLAGS.seed).permutation(len(judged))[:_SHOWN]]
        ),
    }
    files.write_json(FLAGS.output, result)
    _print(result)


def _faults(
    judged: Sequence[tuple[Known, Finding]], test: Sequence[Known], judge: Judge
) -> dict[str, Any]:
    """How well the measure tells tunes with a fault from those without."""
    rng = np.random.default_rng(FLAGS.seed)
    measures: dict[str, list[tuple[int, float]]] = collections.defaultdict(list)
    for known, _ in judged:
        planted = list(form.planted_in(known, test, rng))
        for name in ("random walk", "wrong note"):
            planted.append((name, tune_faults.FAULTS[name](known.tune, rng).tune))
        for name, tune in planted:
            if found := measuring.judged(judge, tune):
                measures[name].append((known.group, found.measure))
    real = np.array([found.measure for _, found in judged])
    groups = [known.group for known, _ in judged]
    return {
        name: measuring.compared(
            real, np.array([m for _, m in rows]), groups, [g for g, _ in rows], seed=FLAGS.seed
        )
        for name, rows in measures.items()
    }


def _counted(what: Sequence[str]) -> dict[str, int]:
    return dict(collections.Counter(what).most_common(20))


def _missing(found: Sequence[Finding]) -> dict[str, int]:
    """How many tunes have each kind of mark."""
    kinds = {
        "ends on a short note off the tonic": "it ends on",
        "a strain one bar short": "one fewer than",
        "a strain of one bar too many": "one more than",
        "a strain of 4n + 2 bars": "no multiple of 4",
        "a last strain that breaks off": "breaks off",
        "one ending only": "one ending only",
        "one strain of 8 bars or fewer": " bars only",
    }
    texts = [found_.evidence["missing"] for found_ in found]
    return {
        kind: sum(any(word in text for text in some) for some in texts)
        for kind, word in kinds.items()
    } | {"nothing": sum(not some for some in texts)}


def _cases(judged: Sequence[tuple[Known, Finding]]) -> list[dict[str, Any]]:
    return [
        {
            "id": known.id,
            "title": known.tune.title,
            "measure": round(found.measure, 2),
            "says": found.says,
            "phrases": [strain["phrases"] for strain in found.evidence["strains"]],
            "like": found.evidence["like"],
        }
        for known, found in judged
    ]


def _print(result: dict[str, Any]) -> None:
    print("\n| fault | tunes | AUC | recall at 5% false alarms |\n|---|---|---|---|")
    for name, row in result["faults"].items():
        shown = " | ".join(measuring.shown(row[column]) for column in ("auc", "recall"))
        print(f"| {name} | {row['tunes']} | {shown} |")
    for name in ("forms", "phrases", "missing"):
        print(f"\n{name}: " + ", ".join(f"{what} {n}" for what, n in result[name].items()))
    for name in ("lowest", "drawn"):
        print(f"\n| {name}: tune | measure | verdict | phrases | likest fault |")
        print("|---|---|---|---|---|")
        for row in result[name]:
            like, odds = max(row["like"].items(), key=lambda one: one[1])
            print(
                f"| {row['title']} ({row['id']}) | {row['measure']} | {row['says']} "
                f"| {' '.join(row['phrases'])} | {like} {odds:.2f} |"
            )


if __name__ == "__main__":
    measuring.define_flags_of_a_criterion()
    app.run(main, required=("records", "input", "output"))
