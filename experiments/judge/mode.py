"""Measures the keys that the judge finds against K: fields, and what it finds of planted faults.

    python -m experiments.judge.mode --records=tfrecords/tunes --input=DIR/abc \
        --output=experiments/judge/mode.json

`--records` is what `./run.sh convert --corpus=abc --input=DIR/abc` made of the same tunebooks. The
criterion is learnt anew from the tunes of training.
"""

import collections
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from absl import flags

from experiments.judge import measuring
from pipelines.corpora import abc
from pipelines.judge import learning
from pipelines.judge.criteria.mode import CRITERION
from pipelines.judge.faults import key_faults, tune_faults
from pipelines.judge.finding import CannotBeJudged, Judge, Known
from pipelines.judge.keys import key_finder, tonality
from pipelines.judge.keys.key_finder import Found, KeyFinder
from pipelines.music import keys
from pipelines.music.abc.fields import SEMITONES, STEPS
from pipelines.music.note_sequence import NoteSequence
from pipelines.representations.abc_tokens import strains
from pipelines.representations.abc_tokens.written import Key
from pipelines.runtime import app, files

FLAGS = flags.FLAGS
_RESAMPLES = 1000
_BOUNDS = (0, 0.5, 0.7, 0.9, 0.97, 0.99, 1.01)
_CHORD = re.compile(r'"\s*([A-G])([#b]?)(m(?!aj))?[^"]*"')
# Test tunes whose K: field is wrong, found by reading those that the judge contradicts: the key of
# the notes, and how one sees it. mode.md shows them in ABC.
WRONG_FIELDS: Mapping[str, tuple[str, str]] = {
    "nottingham/reelsa-c.abc/78": ("A mixolydian", "both strains begin and end on the chord A"),
    "nottingham/reelsh-l.abc/1": ("A dorian", "both strains begin and end on the chord Am"),
    "nottingham/reelsr-t.abc/17": ("A minor", "both strains end on A and the chord Am"),
    "nottingham/reelsm-q.abc/12": ("E dorian", "both strains begin and end on the chord Em"),
    "nottingham/jigs.abc/315": ("E minor", "both strains begin and end on the chord Em"),
    "nottingham/reelsh-l.abc/61": ("A dorian", "both strains begin and end on the chord Am"),
    "ryansMammoth/SleepyMaggieReel.abc/1": ("B dorian", "every G has a sharp written before it"),
    "oneills1850/0732-0758_mh.abc/736": ("G major", "begins on gdB, closes on a long G"),
    "oneills1850/0732-0758_bs.abc/736": ("G major", "begins on gdB, closes on a long G"),
    "oneills1850/1556-1624.abc/1618": ("Bb major", "both strains close on Bb; G ends nothing"),
    "oneills1850/1176-1275.abc/1218": (
        "A dorian",
        "F# and G# are written; cadence on A, none on C",
    ),
    "oneills1850/0101-0200.abc/118": ("D minor", "both strains close on C# and a long D"),
    "oneills1850/0401-0486.abc/417": ("D minor", "begins on D, both phrases close on a long D"),
}


def main() -> None:
    """Learns the criterion, and prints its tables."""
    tunes = learning.read(FLAGS.records, FLAGS.input)
    arrays = CRITERION.learn(tunes[learning.TRAIN], tunes[learning.VALIDATION])
    finder, judge = KeyFinder(arrays), CRITERION.open(arrays)
    held_out = {
        split: measuring.without_warnings(tunes[split], FLAGS.records)
        for split in (learning.VALIDATION, learning.TEST)
    }
    test = held_out[learning.TEST]
    texts = {name: "\n".join(text.lines) for name, text in abc.texts(FLAGS.input)}
    found = {known.id: finder.find(known.tune) for known in test}
    result: dict[str, Any] = {
        "tunes": len(test),
        "against_fields": _against_fields(test, found),
        "calibration": _calibration(test, found),
        "chords": _chords(
            [k for some in tunes.values() for k in some if k.corpus == "nottingham"], texts
        ),
        "changes": _changes([*held_out[learning.VALIDATION], *test], finder),
        "faults": _faults(test, judge, finder),
        "lowest": _lowest(test, judge),
        "contradicted": [
            {
                "id": known.id,
                "field": key_finder.name(known.tune.bars[0].key),
                "found": key_finder.name(found[known.id].key),
                "probability": round(found[known.id].probability, 3),
                "wrong_field": known.id in WRONG_FIELDS,
            }
            for known in test
            if found[known.id].key != known.tune.bars[0].key
        ],
    }
    files.write_json(FLAGS.output, result)
    _print(result, texts)


def _guessed(known: Known) -> Key:
    """The key by weighed pitch classes and the last note, as `music.keys` guesses it."""
    heard = strains.sounds(known.tune)
    weights = keys.weigh((sound.pitch, sound.length) for sound in heard)
    tonic, mode = keys.guess_tonic(weights, heard[-1].pitch)
    return Key(tonic, NoteSequence.KeySignature.Mode.Name(mode))


def _against_fields(test: Sequence[Known], found: Mapping[str, Found]) -> dict[str, Any]:
    """How often tonic, and tonic and mode, are those of the field."""
    ways: dict[str, Callable[[Known], Key]] = {
        "last note is the tonic, in major": lambda known: Key(
            strains.sounds(known.tune)[-1].pitch % 12, "MAJOR"
        ),
        "keys.guess_tonic": _guessed,
        "key_finder": lambda known: found[known.id].key,
    }
    one_key = [known for known in test if len({bar.key for bar in known.tune.bars}) == 1]
    selections = {
        "all": test,
        "one key": one_key,
        "without wrong fields": [known for known in test if known.id not in WRONG_FIELDS],
        "both": [known for known in one_key if known.id not in WRONG_FIELDS],
    }
    return {
        selection: {"tunes": len(some)}
        | {
            name: {
                "tonic": _share(some, [way(k).tonic == k.tune.bars[0].key.tonic for k in some]),
                "tonic and mode": _share(some, [way(k) == k.tune.bars[0].key for k in some]),
            }
            for name, way in ways.items()
        }
        for selection, some in selections.items()
    }


def _share(tunes: Sequence[Known], right: Sequence[bool]) -> list[float]:
    """A share with its interval of 95%, by a bootstrap over tunes with all their versions."""
    _, number = np.unique([known.group for known in tunes], return_inverse=True)
    sums = np.bincount(number, np.array(right, float))
    counts = np.bincount(number)
    drawn = np.random.default_rng(FLAGS.seed).integers(len(sums), size=(_RESAMPLES, len(sums)))
    low, high = np.percentile(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1), (2.5, 97.5))
    return [round(float(x), 4) for x in (np.mean(right), low, high)]


def _calibration(test: Sequence[Known], found: Mapping[str, Found]) -> list[dict[str, Any]]:
    """What share of keys is right, by how likely they are said to be."""
    probability = np.array([found[known.id].probability for known in test])
    right = np.array([found[known.id].key == known.tune.bars[0].key for known in test])
    rows = []
    for low, high in zip(_BOUNDS, _BOUNDS[1:]):
        some = (probability >= low) & (probability < high)
        if some.any():
            rows.append(
                {
                    "from": low,
                    "tunes": int(some.sum()),
                    "said": round(float(probability[some].mean()), 3),
                    "right": round(float(right[some].mean()), 3),
                }
            )
    return rows


def _chords(tunes: Sequence[Known], texts: Mapping[str, str]) -> dict[str, Any]:
    """How often guitar chords, which the judge does not see, contradict the field.

    They do where the first chord and the last one are the same triad, the last note is its root,
    and the field has another tonic, or a mode with another third.
    """
    count, wrong = 0, []
    for known in tunes:
        chords = _CHORD.findall(texts[known.id])
        if len(chords) < 2:
            continue
        count += 1
        first, last = _triad(*chords[0]), _triad(*chords[-1])
        root = strains.sounds(known.tune)[-1].pitch % 12
        field = known.tune.bars[-1].key
        minor = 3 in key_finder.SCALES.get(field.mode, ())
        if first == last and last[0] == root and last != (field.tonic, minor):
            if len({bar.key for bar in known.tune.bars}) == 1:
                wrong.append(known.id)
    return {"tunes": count, "contradict": len(wrong), "ids": wrong}


def _triad(letter: str, sign: str, minor: str) -> tuple[int, bool]:
    sharps = {"#": 1, "b": -1, "": 0}[sign]
    return (SEMITONES[STEPS.index(letter)] + sharps) % 12, bool(minor)


def _changes(tunes: Sequence[Known], finder: KeyFinder) -> dict[str, Any]:
    """How often strains are found to be in another key, where K: fields say so and where not."""
    counts: collections.Counter[str] = collections.Counter()
    for known in tunes:
        heard = tonality.hear(known.tune, finder)
        bars = known.tune.bars
        signatures = [
            tonality.signature(bars[start].key) if bars[start].key.mode in _MODES else 0
            for start in heard.starts
        ]
        changes = len(set(signatures)) > 1
        kind = "K: changes its signature" if changes else "K: does not"
        counts[f"{kind}: tunes"] += 1
        counts[f"{kind}: found in another key"] += bool(heard.changes)
    return dict(sorted(counts.items()))


_MODES = (*key_finder.MODES, "LOCRIAN")


def _faults(test: Sequence[Known], judge: Judge, finder: KeyFinder) -> dict[str, Any]:
    """How well the measure tells tunes with a fault from those without."""
    rng = np.random.default_rng(FLAGS.seed)
    plants = {**key_faults.FAULTS, **{k: v for k, v in tune_faults.FAULTS.items()}}
    real = np.array([judge(known.tune).measure for known in test])
    groups = [known.group for known in test]
    measures: dict[str, list[tuple[int, float]]] = collections.defaultdict(list)
    for known in test:
        for name, plant in plants.items():
            try:
                planted = plant(known.tune, rng).tune
                measure = judge(planted).measure
            except (tune_faults.NoPlace, CannotBeJudged):
                continue
            measures[name].append((known.group, measure))
            if name == "wrong note":
                before = tonality.hear(known.tune, finder)
                after = tonality.hear(planted, finder)
                more = after.notes.outside.sum() > before.notes.outside.sum()
                which = "outside the mode" if more else "inside the mode"
                measures[f"wrong note {which}"].append((known.group, measure))
    return {
        name: measuring.compared(
            real, np.array([m for _, m in rows]), groups, [g for g, _ in rows], seed=FLAGS.seed
        )
        for name, rows in sorted(measures.items())
    }


def _lowest(test: Sequence[Known], judge: Judge) -> list[dict[str, Any]]:
    """The ten tunes of people that measure worst."""
    judged = sorted(((judge(known.tune), known) for known in test), key=lambda one: one[0].measure)
    return [
        {
            "id": known.id,
            "title": known.tune.title,
            "measure": round(found.measure, 2),
            "says": found.says,
        }
        for found, known in judged[:10]
    ]


def _print(result: dict[str, Any], texts: Mapping[str, str]) -> None:
    print("\n| tunes | way | tonic | tonic and mode |\n|---|---|---|---|")
    for selection, rows in result["against_fields"].items():
        for name, row in rows.items():
            if name != "tunes":
                shown = " | ".join(map(measuring.shown, row.values()))
                print(f"| {selection} ({rows['tunes']}) | {name} | {shown} |")
    print("\n| said to be likely | tunes | mean | right |\n|---|---|---|---|")
    for row in result["calibration"]:
        print(f"| from {row['from']} | {row['tunes']} | {row['said']} | {row['right']} |")
    print("\n| fault | tunes | AUC | recall at 5% false alarms |\n|---|---|---|---|")
    for name, row in result["faults"].items():
        shown = " | ".join(measuring.shown(row[column]) for column in ("auc", "recall"))
        print(f"| {name} | {row['tunes']} | {shown} |")
    chords = result["chords"]
    print(f"\n{chords['contradict']} of {chords['tunes']} fields contradict their chords")
    print(result["changes"])
    print("\n| lowest | measure | verdict |\n|---|---|---|")
    for row in result["lowest"]:
        print(f"| {row['title']} ({row['id']}) | {row['measure']} | {row['says']} |")
    for row in result["contradicted"]:
        head = f"{row['id']}: K: {row['field']}, found {row['found']} {row['probability']}"
        print(f"\n{head}{', wrong field' * row['wrong_field']}\n\n{texts[row['id']]}")


if __name__ == "__main__":
    measuring.define_flags_of_a_criterion()
    app.run(main, required=("records", "input", "output"))
