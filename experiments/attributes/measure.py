"""Measures how held-out pieces change along the directions of attributes, and what is kept.

    ./run.sh attributes --run_dir=RUN --examples_path='RECORDS/train.tfrecord*' --attributes=...
    ./.venv/bin/python -m experiments.attributes.measure --run_dir=RUN --records=RECORDS \
        --output=experiments/attributes/NAME.json

RECORDS is a folder of the Groove MIDI Dataset (or of other music with labels) that `convert` made.
One window of each piece of its validation and test splits, the middle one, is encoded, moved along
each direction by each amount, and decoded greedily. Prints Markdown tables.
"""

import argparse
import collections
import json
import os
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from pipelines.runtime import files, tensorflow
from pipelines.runtime.app import say

AMOUNTS = (-3, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 3)
_ZERO = AMOUNTS.index(0)
_BATCH = 256
_BOOTSTRAP = 2000
# A rank correlation needs so many amounts with a value.
_LEAST_AMOUNTS = 5


class Windows(NamedTuple):
    """Windows shaped [n, steps, depth], and the piece, drummer and labels of each."""

    outputs: np.ndarray
    pieces: np.ndarray
    drummers: np.ndarray
    labels: list[set[str]]


def read(run, pattern: str, middle: bool) -> tuple[Windows, list]:
    """The windows of records, all or the middle one of each piece, and their `Example`s."""
    from pipelines import representations
    from pipelines.examples import reading
    from pipelines.representations.contract import EVAL
    from pipelines.systems.musicvae import attributes

    representation = representations.of(run.config.data_converter)
    representation.set_mode(EVAL)
    examples, pieces, drummers, labels = [], [], [], []
    for piece in reading.open_note_sequences(pattern).pieces():
        found = representation.encode(piece).examples
        found = found[len(found) // 2 :][:1] if middle else found
        examples += found
        pieces += [piece.id or piece.filename] * len(found)
        drummers += [piece.sequence_metadata.artist] * len(found)
        labels += [attributes.labels_of(piece)] * len(found)
    outputs = np.array([example.outputs for example in examples], np.float32)
    return Windows(outputs, np.array(pieces), np.array(drummers), labels), examples


def vectors(run, outputs: np.ndarray) -> np.ndarray:
    """All features of windows, those of `evaluate --samples`, as vectors shaped [n, features]."""
    from pipelines import representations

    representation = representations.of(run.config.data_converter)
    columns = []
    for feature in representation.features().values():
        values = np.asarray(feature.measure(outputs, representation.steps_per_bar or 1), np.float64)
        if values.ndim > 1:  # Counts, as shares.
            values = values / np.maximum(values.sum(axis=1, keepdims=True), 1)
        columns.append(values.reshape(len(values), -1))
    return np.concatenate(columns, axis=1)


class Scorer:
    """Measures attributes: by their formulas, and labels by classifiers of other drummers' music.

    Args:
      run: from `run.open_run`.
      names: the attributes.
      training, held_out: windows of the training split, and those that are edited.
    """

    def __init__(self, run, names: Sequence[str], training: Windows, held_out: Windows):
        from sklearn.impute import SimpleImputer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        from pipelines.systems.musicvae.directions import is_label

        self._run = run
        self._held_out = held_out
        self._labels = {name: {} for name in names if is_label(name)}
        self._measured = [name for name in names if not is_label(name)]
        self.auc, self._scale = {}, {}
        known = vectors(run, training.outputs) if self._labels else np.zeros((0, 0))
        for name, classifiers in self._labels.items():
            label = np.array([name in each for each in training.labels])
            for drummer in np.unique(held_out.drummers):
                others = training.drummers != drummer
                classifiers[drummer] = make_pipeline(
                    SimpleImputer(add_indicator=True),
                    StandardScaler(),
                    LogisticRegression(C=0.01, class_weight="balanced", max_iter=1000),
                ).fit(known[others], label[others])
            say(f"classifiers of {name} fitted")
        for name in names:
            values = self(name, held_out.outputs)
            if name in self._labels:
                from sklearn.metrics import roc_auc_score

                truth = np.array([name in each for each in held_out.labels])
                self.auc[name] = float(roc_auc_score(truth, values)) if truth.any() else None
                self._scale[name] = float(values.std())

    def __call__(self, name: str, outputs: np.ndarray) -> np.ndarray:
        """The values of an attribute in the held-out windows, original or edited, shaped [n]."""
        from pipelines.systems.musicvae import attributes

        if name not in self._labels:
            return attributes.measure(self._run, name, outputs)
        odds = np.empty(len(outputs))
        features = vectors(self._run, outputs)
        for drummer, classifier in self._labels[name].items():
            rows = self._held_out.drummers == drummer
            odds[rows] = classifier.decision_function(features[rows])
        return odds

    def deviation(self, name: str, attribute) -> float:
        """The standard deviation of an attribute: of a label, that of real windows' log odds."""
        return self._scale.get(name, attribute.sd)


def hit_f1(run, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The F1 of the notes of windows in those of others, shaped [n]."""
    from pipelines import representations

    onsets = representations.of(run.config.data_converter).onsets
    a, b = onsets(first), onsets(second)
    return 2 * (a & b).sum(axis=1) / np.maximum(a.sum(axis=1) + b.sum(axis=1), 1)


def rank_correlations(values: np.ndarray) -> np.ndarray:
    """Spearman's correlation of amount and value for each window; 0 where nothing changed.

    Args:
      values: shaped [amounts, n]; NaN where a window has nothing to measure.

    Returns:
      An array shaped [n], NaN where a window has too few values.
    """
    found = np.full(values.shape[1], np.nan)
    for i, column in enumerate(values.T):
        known = np.isfinite(column)
        if known.sum() >= _LEAST_AMOUNTS:
            same = np.ptp(column[known]) == 0
            amounts = np.array(AMOUNTS)[known]
            found[i] = 0 if same else stats.spearmanr(amounts, column[known])[0]
    return found


def resamples(drummers: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Draws of windows: drummers with replacement, and then windows of each."""
    of_drummer = [np.flatnonzero(drummers == name) for name in np.unique(drummers)]
    for _ in range(_BOOTSTRAP):
        drawn = rng.integers(len(of_drummer), size=len(of_drummer))
        yield np.concatenate([rng.choice(of_drummer[i], len(of_drummer[i])) for i in drawn])


def interval(values: np.ndarray, draws: Sequence[np.ndarray]) -> list[float]:
    """The mean over windows and the ends of its 95% bootstrap interval; values are shaped [n]."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # Windows without a value.
        means = [np.nanmean(values[draw]) for draw in draws]
        return [
            round(float(x), 3) for x in (np.nanmean(values), *np.nanquantile(means, [0.025, 0.975]))
        ]


def crossing(curve: Sequence[float], level: float) -> float | None:
    """The least amount over 0 at which a curve over AMOUNTS reaches a level, between two points."""
    above = list(zip(AMOUNTS, curve))[_ZERO:]
    for (x0, y0), (x1, y1) in zip(above, above[1:]):
        if y0 < level <= y1:
            return round(x0 + (level - y0) / (y1 - y0) * (x1 - x0), 2)
    return None


def measure(arguments) -> dict[str, Any]:
    """Does all of it; returns JSON values."""
    from pipelines.systems.musicvae import directions, model
    from pipelines.systems.musicvae.run import open_run

    run = open_run(arguments.run_dir)
    path = arguments.attributes_file or directions.find([os.path.dirname(run.checkpoint)])
    found = directions.read(path)
    names = list(found.attributes)
    training, _ = read(run, f"{arguments.records}/train.tfrecord*", middle=False)
    held_out, examples = read(
        run,
        f"{arguments.records}/validation.tfrecord*,{arguments.records}/test.tfrecord*",
        middle=True,
    )
    say(f"{len(training.outputs)} training windows, {len(held_out.outputs)} held-out ones")
    scorer = Scorer(run, names, training, held_out)
    loaded = model.load(run, _BATCH, seed=0)
    found.require_checkpoint(path, run.checkpoint, model.weights_sha256(loaded, run.checkpoint))
    z = model.posterior_means(loaded, _Columns(examples))
    deviations = {name: scorer.deviation(name, found.attributes[name]) for name in names}
    rng = np.random.default_rng(0)
    draws = list(resamples(held_out.drummers, rng))

    def decoded(direction):
        """Windows decoded at each amount, shaped [amounts, n, steps, depth]."""
        moved = np.concatenate([z + amount * direction for amount in AMOUNTS]).astype(np.float32)
        steps = run.config.hparams.max_seq_len
        parts = [
            model.decode(loaded, moved[i : i + _BATCH], steps, model.THRESHOLD_TEMPERATURE)
            for i in range(0, len(moved), _BATCH)
        ]
        return np.concatenate(parts).reshape(len(AMOUNTS), *held_out.outputs.shape)

    def scores(outputs):
        """The values of all attributes in their deviations, shaped [amounts, n] each."""
        return {
            name: np.array([scorer(name, each) for each in outputs]) / deviations[name]
            for name in names
        }

    def facts(name, direction):
        outputs = decoded(direction)
        values = scores(outputs)
        own = values[name]
        f1 = np.array([hit_f1(run, held_out.outputs, each) for each in outputs])
        change = own - own[_ZERO]
        curve = [interval(row, draws) for row in change]
        at_one = crossing([mean for mean, _, _ in curve], 1.0)
        f1_curve = [interval(row, draws) for row in f1]
        one = AMOUNTS.index(1)
        return {
            "length": round(float(np.linalg.norm(direction)), 3),
            "rank_correlation": interval(rank_correlations(own), draws),
            "windows": int(np.isfinite(rank_correlations(own)).sum()),
            "change": curve,
            "hit_f1": f1_curve,
            "amount_for_one_sd": at_one,
            "hit_f1_at_one_sd": None
            if at_one is None
            else round(float(np.interp(at_one, AMOUNTS, [mean for mean, _, _ in f1_curve])), 3),
            # Over one unit of the amount to each side.
            "others": {
                other: round(float(np.nanmean((row[one] - row[AMOUNTS.index(-1)]) / 2)), 3)
                for other, row in values.items()
                if other != name
            },
        }

    result: dict[str, Any] = {
        "made_for": found.made_for,
        "amounts": AMOUNTS,
        "windows": len(z),
        "pieces": len(set(held_out.pieces)),
        "drummers": dict(collections.Counter(held_out.drummers.tolist())),
        "reconstruction_hit_f1": interval(
            hit_f1(run, held_out.outputs, decoded(np.zeros(z.shape[1]))[_ZERO]), draws
        ),
        "auc_of_classifiers": scorer.auc,
        "attributes": {},
    }
    for name in names:
        result["attributes"][name] = {
            kind: facts(name, found.attributes[name].directions[kind]) for kind in directions.KINDS
        }
        say(f"{name} measured")
    result["random"] = _random(arguments, found, z, decoded, scores, held_out, run)
    return result


class _Columns:
    """Examples as `model.posterior_means` takes them."""

    def __init__(self, examples):
        self.inputs, _, self.controls, self.lengths = zip(*examples)


def _random(arguments, found, z, decoded, scores, held_out, run) -> dict[str, Any]:
    """What some random directions do to each attribute.

    They are drawn from a Gaussian with the covariance of the held-out z, so that the decoder
    listens to them as it does to music, and are as long as the longest direction of an attribute.
    """
    rng = np.random.default_rng(1)
    length = max(np.linalg.norm(one.directions["probe"]) for one in found.attributes.values())
    correlations, f1 = {name: [] for name in found.attributes}, []
    for i in range(arguments.random_directions):
        direction = rng.standard_normal(len(z)) @ (z - z.mean(axis=0))
        outputs = decoded(direction * length / np.linalg.norm(direction))
        for name, values in scores(outputs).items():
            correlations[name].append(float(np.nanmean(rank_correlations(values))))
        f1.append([float(hit_f1(run, held_out.outputs, each).mean()) for each in outputs])
        say(f"random direction {i + 1} measured")
    return {
        "length": round(float(length), 3),
        "directions": arguments.random_directions,
        "hit_f1": np.mean(f1, axis=0).round(3).tolist(),
        "rank_correlation": {
            name: {
                "mean": round(float(np.mean(each)), 3),
                "mean_absolute": round(float(np.mean(np.abs(each))), 3),
                "of_each": np.round(each, 3).tolist(),
            }
            for name, each in correlations.items()
        },
    }


def tables(result: dict[str, Any]) -> Iterator[str]:
    """The results as Markdown."""

    def show(triple, digits=2):
        mean, low, high = triple
        return f"{mean:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"

    yield f"Reconstruction (amount 0): hit F1 {show(result['reconstruction_hit_f1'])}.\n"
    for name, auc in result["auc_of_classifiers"].items():
        yield f"{name}: AUC of the classifiers on held-out windows {auc and round(auc, 2)}.\n"
    for kind in ("probe", "means", "projected"):
        yield f"### {kind}\n"
        yield (
            "| attribute | rank correlation | random: mean, mean absolute | change at +1, sd | "
            "change at -1 | amount for +1 sd | hit F1 there | hit F1 at +1 | at -1 |"
        )
        yield "|---|---|---|---|---|---|---|---|---|"
        plus, minus = AMOUNTS.index(1), AMOUNTS.index(-1)
        for name, kinds in result["attributes"].items():
            one, random = kinds[kind], result["random"]["rank_correlation"][name]
            yield (
                f"| {name} | {show(one['rank_correlation'])} | {random['mean']:.2f}, "
                f"{random['mean_absolute']:.2f} | {show(one['change'][plus])} | "
                f"{show(one['change'][minus])} | {one['amount_for_one_sd']} | "
                f"{one['hit_f1_at_one_sd']} | {one['hit_f1'][plus][0]:.2f} | "
                f"{one['hit_f1'][minus][0]:.2f} |"
            )
        yield ""
        names = list(result["attributes"])
        yield f"Change of the others for an amount of one, sd ({kind}):\n"
        yield f"| edited | {' | '.join(names)} |"
        yield f"|---|{'---|' * len(names)}"
        for name in names:
            others = result["attributes"][name][kind]["others"]
            cells = [f"{others[other]:.2f}" if other in others else "" for other in names]
            yield f"| {name} | {' | '.join(cells)} |"
        yield ""


def main() -> None:
    """Runs the measurement from its flags."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run_dir", required=True)
    parser.add_argument("--records", required=True, help="the folder of the records")
    parser.add_argument("--attributes_file", help="by default the one beside the checkpoint")
    parser.add_argument("--random_directions", type=int, default=10)
    parser.add_argument("--output", help="a file for the results as JSON")
    arguments = parser.parse_args()
    tensorflow.start("ERROR")
    result = measure(arguments)
    if arguments.output:
        with files.replacing(arguments.output) as file:
            file.write((json.dumps(result, indent=1) + "\n").encode())
    print("\n".join(tables(result)))


if __name__ == "__main__":
    main()
