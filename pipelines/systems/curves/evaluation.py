"""Measures a model of curves on held-out tunes, beside baselines: the work of `evaluate`.

All scorers are measured on the same curves: those from the ninth of each tune on, which a model
that predicts eight steps ahead is the first to foretell, but for those that no training tune has;
and of these again those in the eight bars that follow a tune's first eight. The result is what JSON
can hold:

    {"tunes": ..., "curves": ..., "unknown": ..., "config": ..., "checkpoint": ...,
     "sections": {
       "all": {
         "curves": ...,
         "scorers": {name: {
           "bits_per_note": ..., "interval": [low, high],
           "accuracy": of the next curve, "accuracy_eight_ahead": ...}}},
       "next_eight_bars": {...}}}
"""

import hashlib
import os
import pathlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pipelines import runs
from pipelines.records import leakage
from pipelines.records.manifest import content_digest, open_records
from pipelines.representations import curves
from pipelines.runtime import files
from pipelines.runtime.app import UserError, say
from pipelines.systems.curves import continuing, measuring, tunes
from pipelines.systems.curves import model as models
from pipelines.systems.curves.baselines import Contexts, Counted, n_grams, n_grams_in_place
from pipelines.systems.curves.measuring import Classes, Scored
from pipelines.systems.curves.model import Model
from pipelines.systems.curves.tunes import Tune, Tunes

AHEAD = 8
BARS = 8
# By name: the contexts, and the length of the n-grams, which was best on validation tunes.
_BASELINES = {
    "most_frequent": (n_grams, 1),
    "3-gram": (n_grams, 3),
    "2-gram_in_place": (n_grams_in_place, 2),
}
_RESAMPLES = 2000
_INTERVAL = (2.5, 97.5)


def measure(
    run_dir: str,
    examples_path: str,
    checkpoint_file: str | None = None,
    training_path: str | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Measures a run on held-out records.

    Args:
      run_dir: a run of `train`.
      examples_path: a glob of NoteSequence records.
      checkpoint_file: as `checkpoints.find` takes it.
      training_path: a glob of those that the run was trained on, from which the baselines are
        made; None if they are where they were.
      seed: of the bootstrap.

    Returns:
      What the head of this module says; the same is in RUN_DIR/eval, and in TensorBoard.

    Raises:
      UserError: where there is no such run, or the records cannot be used.
    """
    model = models.open_run(run_dir, checkpoint_file)
    metadata = models.read_metadata(run_dir)
    held_out = tunes.read(open_records(examples_path))
    say(held_out.summary())
    training = _training(run_dir, training_path or metadata["examples_path"], metadata["records"])
    leakage.warn(open_records(examples_path).paths, training_path or metadata["examples_path"])
    result = {
        "config": model.name,
        "checkpoint": os.path.basename(model.checkpoint),
        **evaluate(model, held_out.tunes, training.tunes, seed),
    }
    write(run_dir, examples_path, result)
    return result


def _training(run_dir: str, path: str, digest: str) -> Tunes:
    """The tunes that a run was trained on.

    Raises:
      UserError: where they are not there, or are others.
    """
    try:
        records = open_records(path)
    except UserError as error:
        raise UserError(
            f"the training records of {run_dir} are needed for the baselines: {error}; name them "
            "by --training_path"
        ) from error
    if content_digest(records.paths) != digest:
        raise UserError(
            f"{path} are other records than {run_dir} was trained on; name those by --training_path"
        )
    return tunes.read(records)


def evaluate(
    model: Model, held_out: Sequence[Tune], training: Sequence[Tune], seed: int = 0
) -> dict[str, Any]:
    """Measures a model and the baselines on held-out tunes.

    Args:
      model: the model.
      held_out: the tunes to measure on.
      training: those that it was trained on.
      seed: of the bootstrap.

    Returns:
      What the head of this module says, without the run.
    """
    melodies = [tune.melody for tune in held_out]
    classes = Classes(model.vocabulary)
    truth = [classes.of(melody) for melody in melodies]
    scored = {model.name: measuring.score(model, melodies)}
    ahead = {model.name: _ahead(model, melodies, scored[model.name])}
    for name, (contexts, order) in _BASELINES.items():
        seen = [
            pair
            for tune in training
            for pair in _in_contexts(tune.melody, classes, contexts, order)
        ]
        counted = Counted(seen, len(classes.steps))
        scored[name] = [
            _score(counted, _in_contexts(melody, classes, contexts, order)) for melody in melodies
        ]
    # The most frequent curve is the same however far ahead.
    ahead["most_frequent"] = [one.right for one in scored["most_frequent"]]
    groups = np.repeat([tune.group for tune in held_out], list(map(len, truth)))
    known = np.concatenate(truth) >= 0
    later = np.concatenate([np.arange(len(one)) >= AHEAD for one in truth])
    following = np.concatenate([_next_bars(melody) for melody in melodies])
    sections = {}
    for section, where in (("all", later & known), ("next_eight_bars", later & known & following)):
        if not where.any():
            continue
        rng = np.random.default_rng(seed)
        sections[section] = {
            "curves": int(where.sum()),
            "scorers": {
                name: _figures(one, ahead.get(name), where, groups, rng)
                for name, one in scored.items()
            },
        }
    if not sections:
        raise UserError(f"no tune has more than {AHEAD} curves; give longer ones")
    return {
        "tunes": len(held_out),
        "curves": len(known),
        "unknown": int((~known).sum()),
        "sections": sections,
    }


def _ahead(
    model: Model, melodies: Sequence[curves.Tune], scored: Sequence[Scored]
) -> list[np.ndarray]:
    """Whether each curve is foretold eight steps before it."""
    if model.hparams.ahead == AHEAD:
        return [one.right for one in scored]
    return measuring.right_ahead(model, melodies, AHEAD)


def _in_contexts(
    melody: curves.Tune, classes: Classes, contexts: Callable[..., list[Contexts]], order: int
) -> list[tuple[Contexts, int]]:
    """The curves of a tune, each with its contexts."""
    of_tune = classes.of(melody).tolist()
    return list(zip(contexts(of_tune, melody.known()[:-1], order), of_tune, strict=True))


def _score(counted: Counted, of_tune: Sequence[tuple[Contexts, int]]) -> Scored:
    """What a baseline says of the curves of a tune."""
    bits, right = np.full(len(of_tune), np.nan), np.zeros(len(of_tune), bool)
    for i, (contexts, true) in enumerate(of_tune):
        if true >= 0:
            found = counted.probabilities(contexts)
            bits[i], right[i] = -np.log2(found[true]), found.argmax() == true
    return Scored(bits, right)


def _next_bars(melody: curves.Tune) -> np.ndarray:
    """Which curves lead to notes in the eight bars after a tune's first eight: bool [curves]."""
    if not melody.signature(int(melody.onsets[0])).bar:
        return np.zeros(len(melody.onsets) - 1, bool)
    first, end = (continuing.first_bars(melody, bars) for bars in (BARS, 2 * BARS))
    return (melody.onsets[1:] >= first) & (melody.onsets[1:] < end)


def _figures(
    scored: Sequence[Scored],
    ahead: Sequence[np.ndarray] | None,
    where: np.ndarray,
    groups: np.ndarray,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """The figures of a scorer on some curves, with 95% intervals over versions of tunes."""
    bits = np.concatenate([one.bits for one in scored])[where]
    right = np.concatenate([one.right for one in scored])[where]
    figures: dict[str, Any] = {
        "bits_per_note": float(bits.mean()),
        "interval": _interval(bits, groups[where], rng),
        "accuracy": float(right.mean()),
    }
    if ahead is not None:
        figures["accuracy_eight_ahead"] = float(np.concatenate(ahead)[where].mean())
    return figures


def _interval(values: np.ndarray, groups: np.ndarray, rng: np.random.Generator) -> list[float]:
    """The 95% interval of a mean, by resampling groups with all their values."""
    _, group = np.unique(groups, return_inverse=True)
    sums, sizes = np.bincount(group, values), np.bincount(group)
    drawn = rng.integers(len(sums), size=(_RESAMPLES, len(sums)))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    return [float(bound) for bound in np.percentile(means, _INTERVAL)]


def table(result: Mapping[str, Any]) -> str:
    """What `measure` gives as Markdown: a table for each section."""
    left_out = f"the first {AHEAD} of each tune and {result['unknown']} that no training tune has"
    lines = [f"{result['tunes']} tunes, {result['curves']} curves: {left_out} are left out."]
    for name, section in result["sections"].items():
        lines += ["", f"### {name.replace('_', ' ').capitalize()}: {section['curves']} curves", ""]
        lines.append("| | bits a note | next curve right | right eight ahead |")
        lines.append("|---|---|---|---|")
        for scorer, found in section["scorers"].items():
            low, high = found["interval"]
            ahead = found.get("accuracy_eight_ahead")
            lines.append(
                f"| {scorer} | {found['bits_per_note']:.3f} ({low:.3f} to {high:.3f}) "
                f"| {found['accuracy']:.3f} | {'' if ahead is None else f'{ahead:.3f}'} |"
            )
    return "\n".join(lines)


def write(run_dir: str, examples_path: str, result: Mapping[str, Any]) -> None:
    """Writes the result to RUN_DIR/eval, as JSON and for TensorBoard.

    Raises:
      OSError: if it cannot be written there.
    """
    base = re.sub(r"\W+", "-", pathlib.Path(examples_path).name.partition(".")[0]).strip("-")
    # Other folders have a split of that name too.
    where = hashlib.blake2b(os.path.abspath(examples_path).encode(), digest_size=3).hexdigest()
    folder = pathlib.Path(runs.eval_dir(run_dir))
    folder.mkdir(exist_ok=True)
    files.write_json(folder / f"{base or 'records'}-{where}.json", result)
    step = int(result["checkpoint"].rpartition("-")[2])
    with tf.summary.create_file_writer(os.fspath(folder)).as_default(step=step):
        for section, found in result["sections"].items():
            for name, value in found["scorers"][result["config"]].items():
                if name != "interval":
                    tf.summary.scalar(f"{section}/{name}", value)
