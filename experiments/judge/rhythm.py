"""Measures whether bars with a beat too many or too few are found, and whether dances are told.

    python -m experiments.judge.rhythm --records=tfrecords/tunes --input=DIR/abc \
        --output=experiments/judge/rhythm.json

`--records` is what `./run.sh convert --corpus=abc --input=DIR/abc` made of the same tunebooks. All
is learnt from the tunes of training and validation. `rhythm_source_faults.json` names the test
tunes whose own bars do not add up, with the reason: each was looked at by hand.
"""

import collections
import json
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from absl import flags

from experiments.judge import measuring
from pipelines.judge import learning
from pipelines.judge.bars import dances
from pipelines.judge.criteria.rhythm import CRITERION
from pipelines.judge.faults import beat_faults
from pipelines.judge.faults.tune_faults import NoPlace
from pipelines.judge.finding import Finding, Judge, Known
from pipelines.judge.learnt import Scale
from pipelines.music.abc import fields
from pipelines.representations.abc_tokens.strains import full_bars
from pipelines.representations.abc_tokens.written import Tune
from pipelines.runtime import app, files

FLAGS = flags.FLAGS
_SOURCE_FAULTS = pathlib.Path(__file__).with_name("rhythm_source_faults.json")
_RESAMPLES = 2000
_TIMES = 2
_WHOLE_BEATS = ("short", "long")


def main() -> None:
    """Learns, judges the test tunes and what is made of them, and prints the tables."""
    tunes = learning.read(FLAGS.records, FLAGS.input)
    arrays = CRITERION.learn(tunes[learning.TRAIN], tunes[learning.VALIDATION])
    judge = CRITERION.open(arrays)
    test = measuring.without_warnings(tunes[learning.TEST], FLAGS.records)
    in_source = json.loads(_SOURCE_FAULTS.read_text(encoding="utf-8"))
    measures = learning.measured(judge, tunes[learning.VALIDATION])
    scale = Scale(measures, CRITERION.rejects)
    result = {
        "learnt_bytes": sum(array.nbytes for array in arrays.values()),
        "bars": _bars(judge, scale, test, in_source),
        "dances": _dances(arrays, tunes),
    }
    files.write_json(FLAGS.output, result)
    _print(result)


# Bars


def _bars(
    judge: Judge, scale: Scale, test: Sequence[Known], in_source: Mapping[str, str]
) -> dict[str, Any]:
    begin = time.perf_counter()
    real = [(known, found) for known in test if (found := measuring.judged(judge, known.tune))]
    seconds = time.perf_counter() - begin
    rng = np.random.default_rng(FLAGS.seed)
    planted = []
    for known, _ in real:
        for name, plant in beat_faults.FAULTS.items():
            for _ in range(_TIMES):
                try:
                    faulty = plant(known.tune, rng)
                except NoPlace:
                    continue
                found = measuring.judged(judge, faulty.tune)
                assert found is not None
                planted.append((known, name, faulty.tune, faulty.bars[0], found))
    sets: dict[str, Any] = {}
    for title, left_out in (("all", {}), ("without faults in the source", in_source)):
        good = [(known, found) for known, found in real if known.id not in left_out]
        bad = [row for row in planted if row[0].id not in left_out]
        sets[title] = _told(good, bad, scale)
    return {
        "tunes": len(real),
        "cannot_be_judged": len(test) - len(real),
        "milliseconds_a_tune": round(1e3 * seconds / len(test), 2),
        "sets": sets,
        "marked": {
            known.id: {
                "marks": [f"bar {mark.bar + 1}: {mark.text}" for mark in found.marks],
                "in_source": in_source.get(known.id, ""),
            }
            for known, found in real
            if found.marks
        },
        "missed": [
            {"id": known.id, "fault": name, "bar": bar + 1, "bars": len(tune.bars),
             "marks": [f"bar {mark.bar + 1}: {mark.text}" for mark in found.marks]}
            for known, name, tune, bar, found in planted
            if known.id not in in_source and bar not in {mark.bar for mark in found.marks}
        ],
    }  # fmt: skip


def _told(
    good: Sequence[tuple[Known, Finding]], bad: Sequence[tuple], scale: Scale
) -> dict[str, Any]:
    groups = [known.group for known, _ in good]
    kinds = {"beat added or missing": bad}
    for name in beat_faults.FAULTS:
        kinds[name] = [row for row in bad if row[1] == name]
    kinds["in the first or last bar"] = [row for row in bad if row[3] in (0, len(row[2].bars) - 1)]
    return {
        "tunes": len(good),
        "false_alarms": _share([bool(found.marks) for _, found in good], groups),
        "false_alarms_of_whole_beats": _share([_says_beats(found) for _, found in good], groups),
        "false_alarms_of_simple_rule": _share([not _adds_up(one.tune) for one, _ in good], groups),
        "rejected": _share([scale.fails(found.measure) for _, found in good], groups),
        "planted_rejected": _share(
            [scale.fails(row[4].measure) for row in bad], [row[0].group for row in bad]
        ),
        "planted": {name: _found(rows) for name, rows in kinds.items()},
        "auc": measuring.compared(
            np.array([found.measure for _, found in good]),
            np.array([row[4].measure for row in bad]),
            groups,
            [row[0].group for row in bad],
        )["auc"],
    }


def _found(rows: Sequence[tuple]) -> dict[str, Any]:
    groups = [row[0].group for row in rows]
    marks = [([mark.bar for mark in found.marks], bar) for _, _, _, bar, found in rows]
    surest = [
        found.evidence["faulty_bars"][0]["bar"] - 1 if found.marks else None
        for _, _, _, _, found in rows
    ]
    return {
        "faults": len(rows),
        "found": _share([bool(bars) for bars, _ in marks], groups),
        "in_the_right_bar": _share([bar in bars for bars, bar in marks], groups),
        "surest_is_right": _share([one == row[3] for one, row in zip(surest, rows)], groups),
        "no_other_bar": _share([bars == [bar] for bars, bar in marks], groups),
        "found_by_simple_rule": _share([not _adds_up(row[2]) for row in rows], groups),
    }


def _says_beats(found: Finding) -> bool:
    return any(
        one["kind"] in _WHOLE_BEATS and one["beats"] == round(one["beats"])
        for one in found.evidence["faulty_bars"]
    )


def _adds_up(tune: Tune) -> bool:
    """The simple rule: each strain is a whole number of bars, and its inner bars are full."""
    full, count = full_bars(tune)
    return full == count


def _share(right: Sequence[bool], groups: Sequence[int]) -> list[float]:
    """The share with the interval in which 95% of resamplings of the groups lie."""
    names, number = np.unique(groups, return_inverse=True)
    hits = np.bincount(number, weights=np.array(right, float), minlength=len(names))
    counts = np.bincount(number, minlength=len(names))
    rng = np.random.default_rng(FLAGS.seed)
    drawn = rng.integers(len(names), size=(_RESAMPLES, len(names)))
    low, high = np.percentile(hits[drawn].sum(1) / counts[drawn].sum(1), (2.5, 97.5))
    return [round(float(each), 4) for each in (hits.sum() / counts.sum(), low, high)]


# Dances


def _dances(arrays: Mapping[str, np.ndarray], tunes: Mapping[str, Sequence[Known]]) -> Any:
    classifier = dances.Classifier(
        **{name.removeprefix("dances_"): a for name, a in arrays.items() if "dances_" in name}
    )
    train = [
        (known.tune.bars[0].meter, name)
        for known in tunes[learning.TRAIN]
        if (name := dances.stated(known.tune))
    ]
    counts = collections.Counter(name for _, name in train)
    by_meter: dict[Any, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for meter, name in train:
        by_meter[meter][name] += 1
    majority = counts.most_common(1)[0][0]
    rows = []
    not_learnt: collections.Counter[str] = collections.Counter()
    for known in tunes[learning.TEST]:
        name = dances.stated(known.tune)
        likely = classifier(known.tune)
        if name not in classifier.dances or not likely:
            not_learnt[known.tune.rhythm if known.tune.rhythm else "no R: field"] += 1
            continue
        usual = by_meter[known.tune.bars[0].meter] or counts
        written = fields.write_meter(known.tune.bars[0].meter)
        guess, in_meter = next(iter(likely)), usual.most_common(1)[0][0]
        rows.append((name, guess, likely[name], in_meter, written, known.group))
    groups = [row[5] for row in rows]
    confusions = collections.Counter((row[0], row[1]) for row in rows)
    return {
        "learnt": classifier.dances,
        "train_by_field": dict(counts.most_common()),
        "tunes": len(rows),
        "not_asked": dict(not_learnt.most_common()),
        "classifier": _share([row[0] == row[1] for row in rows], groups),
        "meter_alone": _share([row[0] == row[3] for row in rows], groups),
        "majority": _share([row[0] == majority for row in rows], groups),
        "bits": round(float(-np.mean([np.log2(row[2]) for row in rows])), 3),
        "by_dance": {
            name: {
                "tunes": sum(row[0] == name for row in rows),
                "classifier": _share(
                    [row[1] == name for row in rows if row[0] == name],
                    [row[5] for row in rows if row[0] == name],
                ),
                "meter_alone": round(
                    float(np.mean([row[3] == name for row in rows if row[0] == name])), 4
                ),
            }
            for name in sorted({row[0] for row in rows})
        },
        "confusions": {f"{a} as {b}": n for (a, b), n in confusions.most_common() if a != b},
    }


def _print(result: Mapping[str, Any]) -> None:
    shown = measuring.shown
    print("\n| | tunes | real ones marked | of whole beats | simple rule |")
    print("|---|---|---|---|---|")
    for name, one in result["bars"]["sets"].items():
        alarms = ("false_alarms", "false_alarms_of_whole_beats", "false_alarms_of_simple_rule")
        print(f"| {name} | {one['tunes']} | {' | '.join(shown(one[each]) for each in alarms)} |")
    columns = ("found", "in_the_right_bar", "surest_is_right", "no_other_bar")
    for name, one in result["bars"]["sets"].items():
        told = f"{shown(one['rejected'])}, planted {shown(one['planted_rejected'])}"
        print(f"\n{name}: AUC {shown(one['auc'])}; rejected: real {told}\n")
        print("| planted | faults | found | in the right bar | first | alone | simple rule |")
        print("|---|---|---|---|---|---|---|")
        for kind, row in one["planted"].items():
            cells = " | ".join(shown(row[each]) for each in (*columns, "found_by_simple_rule"))
            print(f"| {kind} | {row['faults']} | {cells} |")
    asked = result["dances"]
    print(f"\n| dance of {asked['tunes']} tunes with R: | right |\n|---|---|")
    for name in ("classifier", "meter_alone", "majority"):
        print(f"| {name} | {shown(asked[name])} |")
    print("\n| dance | tunes | classifier | meter alone |\n|---|---|---|---|")
    for name, row in asked["by_dance"].items():
        print(
            f"| {name} | {row['tunes']} | {shown(row['classifier'])} | {row['meter_alone']:.3f} |"
        )


if __name__ == "__main__":
    measuring.define_flags_of_a_criterion()
    app.run(main, required=["records", "input", "output"])
