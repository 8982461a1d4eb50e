"""Measures how held-out pieces change along the directions of attributes, and what is kept.

    ./.venv/bin/python -m experiments.attributes.measure --pretrained=groove_4bar \
        --records=RECORDS --output=experiments/attributes/groove_4bar.json

RECORDS is a folder of the Groove MIDI Dataset (or of other music with labels) that `convert` made;
--run_dir=RUN measures a run, with the file that `./run.sh attributes` made of it. Up to three
windows of each piece of the test split (or of --splits), spread over the piece, are encoded, moved
along each direction by each amount, and decoded to their likeliest notes. Prints Markdown tables.
"""

import argparse
import collections
import json
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from pipelines.runtime import files, tensorflow
from pipelines.runtime.app import say

AMOUNTS = (-3, -2, -1, 0, 1, 2, 3)
_ZERO = AMOUNTS.index(0)
_BATCH = 512
_BOOTSTRAP = 2000
# A rank correlation needs so many amounts with a value.
_LEAST_AMOUNTS = 5
_WINDOWS_A_PIECE = 3


class Windows(NamedTuple):
    """Windows shaped [n, steps, depth], and the piece, drummer and labels of each."""

    outputs: np.ndarray
    pieces: np.ndarray
    drummers: np.ndarray
    labels: list[set[str]]


def read(run, records: str, splits: Sequence[str], spread: bool) -> tuple[Windows, list]:
    """The windows of splits of records, all or some of each piece, and their `Example`s."""
    from pipelines import representations
    from pipelines.examples import reading
    from pipelines.representations.contract import EVAL
    from pipelines.systems.musicvae.labels import labels_of

    representation = representations.of(run.config.data_converter)
    representation.set_mode(EVAL)
    bars = run.config.hparams.max_seq_len // (representation.steps_per_bar or 1)
    examples, of_each = [], []
    for split in splits:
        for piece in reading.open_note_sequences(f"{records}/{split}.tfrecord*").pieces():
            found = representation.encode(piece).examples
            found = [found[i] for i in _spread(len(found), bars)] if spread else found
            examples += found
            name, player = piece.id or piece.filename, piece.sequence_metadata.artist
            of_each += [(name, player, labels_of(piece))] * len(found)
    outputs = np.array([example.outputs for example in examples], np.float32)
    pieces, drummers, labels = zip(*of_each)
    return Windows(outputs, np.array(pieces), np.array(drummers), list(labels)), examples


def _spread(number: int, bars: int) -> list[int]:
    """Which of a piece's windows, a bar apart, to take: some that have no bar in common."""
    apart = min(_WINDOWS_A_PIECE, 1 + (number - 1) // bars)
    if apart <= 1:
        return [number // 2][:number]
    return np.linspace(0, number - 1, apart).round().astype(int).tolist()


def piece_means(values: np.ndarray, pieces: np.ndarray) -> np.ndarray:
    """The means over the windows of each piece that have a value.

    Args:
      values: shaped [..., n], NaN where a window has nothing to measure.
      pieces: shaped [n].

    Returns:
      An array shaped [..., pieces], in the order of np.unique.
    """
    index = np.unique(pieces, return_inverse=True)[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # Pieces without a value.
        return np.stack(
            [np.nanmean(values[..., index == i], axis=-1) for i in range(index.max() + 1)], axis=-1
        )


def vectors(run, outputs: np.ndarray) -> np.ndarray:
    """All features of windows, those of `evaluate --samples`, as vectors shaped [n, features].

    Melodies also have the shares of their pitch classes and that of their first note, by which
    their modes are told apart.
    """
    from pipelines import representations
    from pipelines.representations import melody
    from pipelines.representations.melody_converter import FIRST_PITCH

    representation = representations.of(run.config.data_converter)
    columns = []
    for feature in representation.features().values():
        values = np.asarray(feature.measure(outputs, representation.steps_per_bar or 1), np.float64)
        if values.ndim > 1:  # Counts, as shares.
            values = values / np.maximum(values.sum(axis=1, keepdims=True), 1)
        columns.append(values.reshape(len(values), -1))
    if isinstance(representation, melody.MelodyRepresentation):
        events = outputs.argmax(axis=2) - FIRST_PITCH
        classes = (events % 12)[..., None] == np.arange(12)
        notes = classes & (events >= 0)[..., None]
        counts = notes.sum(axis=1)
        first = notes[np.arange(len(notes)), (events >= 0).argmax(axis=1)]
        columns += [counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), first]
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
                # Where no piece names its player, held-out pieces are others' by themselves.
                others = (training.drummers != drummer) | (training.drummers == "")
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
    """Draws of pieces: drummers with replacement, and then pieces of each."""
    of_drummer = [np.flatnonzero(drummers == name) for name in np.unique(drummers)]
    for _ in range(_BOOTSTRAP):
        drawn = rng.integers(len(of_drummer), size=len(of_drummer))
        yield np.concatenate([rng.choice(of_drummer[i], len(of_drummer[i])) for i in drawn])


def interval(values: np.ndarray, draws: Sequence[np.ndarray]) -> list[float]:
    """The mean over pieces and the ends of its 95% bootstrap interval; values are shaped [n]."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # Pieces without a value.
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


def measure(arguments) -> Iterator[dict[str, Any]]:
    """Yields all that is known so far, after each kind of direction, as JSON values."""
    from pipelines.systems.musicvae import attributes, directions, model
    from pipelines.systems.musicvae.run import open_run

    run = open_run(arguments.run_dir, name=arguments.pretrained)
    path = arguments.attributes_file or run.companion(directions.FILE) or directions.FILE
    found = directions.read(path)
    names = list(found.attributes)
    training, _ = read(run, arguments.records, ["train"], spread=False)
    held_out, examples = read(run, arguments.records, arguments.splits, spread=True)
    say(f"{len(training.outputs)} training windows, {len(held_out.outputs)} held-out ones")
    scorer = Scorer(run, names, training, held_out)
    loaded = model.load(run, _BATCH, seed=0)
    found.require_checkpoint(path, run.source, model.weights_sha256(loaded, run.checkpoint))
    z = np.concatenate(
        [
            model.posterior_means(loaded, _Columns(examples[i : i + _BATCH]))
            for i in range(0, len(examples), _BATCH)
        ]
    )
    deviations = {name: scorer.deviation(name, found.attributes[name]) for name in names}
    first = np.unique(held_out.pieces, return_index=True)[1]
    drummers = held_out.drummers[first]
    draws = list(resamples(drummers, np.random.default_rng(0)))

    def decoded(direction):
        """Windows decoded at each amount, shaped [amounts, n, steps, depth]."""
        moved = np.concatenate([z + amount * direction for amount in AMOUNTS]).astype(np.float32)
        parts = [
            attributes.reconstruct(run, loaded, moved[i : i + _BATCH])
            for i in range(0, len(moved), _BATCH)
        ]
        return np.concatenate(parts).reshape(len(AMOUNTS), *held_out.outputs.shape)

    def scores(outputs):
        """All attributes of windows in their deviations, shaped [amounts, n] each."""
        return {
            name: np.array([scorer(name, each) for each in outputs]) / deviations[name]
            for name in names
        }

    def f1_of(outputs):
        f1 = np.array([hit_f1(run, held_out.outputs, each) for each in outputs])
        return piece_means(f1, held_out.pieces)

    def facts(name, direction):
        outputs = decoded(direction)
        windows = scores(outputs)
        values = {each: piece_means(one, held_out.pieces) for each, one in windows.items()}
        own, f1 = values[name], f1_of(outputs)
        change = piece_means(windows[name] - windows[name][_ZERO], held_out.pieces)
        curve = [interval(row, draws) for row in change]
        at_one = crossing([mean for mean, _, _ in curve], 1.0)
        f1_curve = [interval(row, draws) for row in f1]
        correlations = rank_correlations(own)
        one = AMOUNTS.index(1)
        return {
            "length": round(float(np.linalg.norm(direction)), 3),
            "rank_correlation": interval(correlations, draws),
            "rank_correlation_of_windows": round(
                float(np.nanmean(rank_correlations(windows[name]))), 3
            ),
            "pieces": int(np.isfinite(correlations).sum()),
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
        "made_of": found.made_of,
        "amounts": AMOUNTS,
        "windows": len(z),
        "splits": arguments.splits,
        "pieces": len(drummers),
        "drummers": dict(collections.Counter(drummers.tolist())),
        "reconstruction_hit_f1": interval(f1_of(decoded(np.zeros(z.shape[1])))[_ZERO], draws),
        "auc_of_classifiers": scorer.auc,
        "attributes": {},
    }
    result["random"] = _random(arguments, found, z, decoded, scores, f1_of, held_out)
    yield result
    for kind in arguments.kinds:
        for name in names:
            one = facts(name, found.attributes[name].directions[kind])
            result["attributes"].setdefault(name, {})[kind] = one
            say(f"{name}, {kind}: {one['rank_correlation']}")
        yield result


class _Columns:
    """Examples as `model.posterior_means` takes them."""

    def __init__(self, examples):
        self.inputs, _, self.controls, self.lengths = zip(*examples)


def _random(arguments, found, z, decoded, scores, f1_of, held_out) -> dict[str, Any]:
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
            each = rank_correlations(piece_means(values, held_out.pieces))
            correlations[name].append(float(np.nanmean(each)))
        f1.append(f1_of(outputs).mean(axis=1))
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

    def show(triple):
        mean, low, high = triple
        return f"{mean:.2f} ({low:.2f} to {high:.2f})"

    yield f"Reconstruction (amount 0): hit F1 {show(result['reconstruction_hit_f1'])}.\n"
    for name, auc in result["auc_of_classifiers"].items():
        yield f"{name}: AUC of the classifiers on held-out windows {auc and round(auc, 2)}.\n"
    yield (
        "| attribute | direction | rank correlation | pieces | single windows | "
        "change for -2, -1, 1, 2 (sd) | hit F1 at -2, -1, 0, 1, 2 | amount for +1 sd | "
        "hit F1 there |"
    )
    yield "|---|---|---|---:|---:|---|---|---:|---:|"
    around = [AMOUNTS.index(amount) for amount in (-2, -1, 0, 1, 2)]
    for name, kinds in result["attributes"].items():
        for kind, one in kinds.items():
            change = ", ".join(f"{one['change'][i][0]:.2f}" for i in around if i != _ZERO)
            f1 = ", ".join(f"{one['hit_f1'][i][0]:.2f}" for i in around)
            at, there = one["amount_for_one_sd"], one["hit_f1_at_one_sd"]
            yield (
                f"| `{name}` | {kind} | {show(one['rank_correlation'])} | "
                f"{one['pieces']} | {one['rank_correlation_of_windows']:.2f} | {change} | {f1} | "
                f"{'over 3' if at is None else f'{at:.2f}'} | "
                f"{'' if there is None else f'{there:.2f}'} |"
            )
    yield "\n| attribute | random: mean | mean absolute | of each |"
    yield "|---|---:|---:|---|"
    for name, random in result["random"]["rank_correlation"].items():
        each = ", ".join(f"{x:.2f}" for x in random["of_each"])
        yield f"| `{name}` | {random['mean']:.2f} | {random['mean_absolute']:.2f} | {each} |"
    f1 = ", ".join(f"{result['random']['hit_f1'][i]:.2f}" for i in around)
    yield f"\nHit F1 along random directions at -2, -1, 0, 1, 2: {f1}.\n"
    names = list(result["attributes"])
    for kind in result["attributes"][names[0]]:
        yield f"Change of the others for an amount of one, sd ({kind}):\n"
        yield f"| edited | {' | '.join(f'{name}' for name in names)} |"
        yield f"|---|{'---:|' * len(names)}"
        for name in names:
            others = result["attributes"][name][kind]["others"]
            cells = [f"{others[other]:.2f}" if other in others else "" for other in names]
            yield f"| `{name}` | {' | '.join(cells)} |"
        yield ""


def main() -> None:
    """Runs the measurement from its flags."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run_dir")
    parser.add_argument("--pretrained")
    parser.add_argument("--records", required=True, help="the folder of the records")
    parser.add_argument("--attributes_file", help="by default the one beside the checkpoint")
    parser.add_argument("--random_directions", type=int, default=10)
    parser.add_argument("--splits", nargs="+", default=["test"])
    parser.add_argument("--kinds", nargs="+", default=["probe", "means", "projected"])
    parser.add_argument("--output", help="a file for the results as JSON")
    arguments = parser.parse_args()
    tensorflow.start("ERROR")
    for result in measure(arguments):
        if arguments.output:
            with files.replacing(arguments.output) as file:
                file.write((json.dumps(result, indent=1) + "\n").encode())
    print("\n".join(tables(result)))


if __name__ == "__main__":
    main()
