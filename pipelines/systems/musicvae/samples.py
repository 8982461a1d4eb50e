"""Compares samples from the prior with held-out windows: `evaluate --samples`.

Reconstruction metrics measure the decoder on latent vectors of real music. Whether the music is
real that the prior gives, nobody learns from them. Here, sets of windows are compared as
distributions:

  held_out     what all others are compared with
  training     the yardstick: what other real music of the same kind is like, as many windows
  samples      decoded from latent vectors of the prior (`prior`)
  untrained    decoded from a standard normal, by the model before its first step
  random_bars  bars of the training windows, drawn at random and put together
"""

import dataclasses
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np

from pipelines import representations
from pipelines.examples.note_sequences import NoteSequences
from pipelines.representations import distances
from pipelines.runtime.app import UserError
from pipelines.runtime.progress import Progress
from pipelines.systems.musicvae import encoder_judge, losses, model, window_sets
from pipelines.systems.musicvae.prior import STANDARD
from pipelines.systems.musicvae.run import Run
from pipelines.systems.musicvae.window_sets import Measure, WindowSet

# At most so many windows of a piece, drawn at random, are compared. In the Groove MIDI Dataset a
# tenth of the pieces has a third of the four-bar windows. With 16, training and held-out windows
# are nearest to each other on most features; with 1, chance has more weight.
WINDOWS_A_PIECE = 16
# The yardstick is the mean over so many draws of training windows.
_TRAINING_DRAWS = 20
# Resamplings of held-out pieces and of samples, for intervals.
_RESAMPLINGS = 200
_INTERVAL = (5, 95)
_DISTANCES = ("overlap_area", "js_divergence")
# The last bin has the windows that training has note by note.
_NOVELTY_EDGES = (*np.linspace(0, 1, 21), 1.01)


@dataclasses.dataclass(frozen=True)
class Options:
    """How samples are drawn and compared.

    Attributes:
      number: how many samples.
      temperature: the temperature of decoding.
      top_p: what is decoded is drawn from the nucleus of this probability (`models.nucleus`).
      prior: what latent vectors are drawn from, as `model.prior_of` takes it.
      batch_size: how many are decoded at once; the samples depend on it.
      seed: the seed of all that is drawn.
      windows_a_piece: at most so many windows of each piece are compared.
    """

    number: int = 1000
    temperature: float = 0.5
    top_p: float = 1.0
    prior: str | None = None
    batch_size: int = 64
    seed: int = 0
    windows_a_piece: int = WINDOWS_A_PIECE


def draw(run: Run, options: Options) -> tuple[np.ndarray, str]:
    """Decodes samples; equal arguments give equal samples.

    Args:
      run: from `run.open_run`.
      options: how many, and how they are drawn and decoded.

    Returns:
      An array shaped [number, steps, output_depth], and the kind of the prior.
    """
    steps = run.config.hparams.max_seq_len
    loaded = model.load(run, options.batch_size, options.seed, options.top_p)
    prior = model.prior_of(run, loaded, options.prior)
    z = prior.draw(options.number, np.random.default_rng(options.seed))
    with Progress("samples drawn") as progress:
        decoded = []
        for start in range(0, len(z), options.batch_size):
            batch = z[start : start + options.batch_size]
            decoded.append(model.decode(loaded, batch, steps, options.temperature))
            progress.update(start + len(batch))
    return np.concatenate(decoded), prior.kind


def require_comparable(run: Run) -> Measure:
    """Returns how the windows of a run are measured; raises UserError where they cannot be."""
    converter = run.config.data_converter
    representation = representations.of(converter)
    steps_per_bar = representation.steps_per_bar
    if not representation.features() or not steps_per_bar:
        raise UserError(f"--samples: {run.name} has no features by which samples are compared")
    if converter.control_depth or not run.config.hparams.z_size:
        raise UserError(f"--samples: {run.name} cannot be sampled from latent vectors alone")
    return Measure(representation, steps_per_bar)


def compare(
    run: Run,
    held_out: NoteSequences,
    training: NoteSequences,
    options: Options = Options(),
    judge: Run | None = None,
) -> dict:
    """Compares samples of a run with held-out windows, beside a yardstick and two baselines.

    Args:
      run: from `run.open_run`.
      held_out: the records to compare with.
      training: the records that the run was trained on.
      options: how to draw and compare.
      judge: from `encoder_judge.open_judge`.

    Returns:
      JSON values; see docs/samples.md.

    Raises:
      UserError: where the run's samples cannot be compared, or records give no windows.
    """
    measure = require_comparable(run)
    read = [
        window_sets.of_records(
            measure,
            run.config,
            records,
            options.windows_a_piece,
            options.number,
            _generator(options, purpose),
        )
        for records, purpose in ((held_out, "held_out"), (training, "training"))
    ]
    (real, _), (learnt, learnt_notes) = read
    with tempfile.TemporaryDirectory() as directory:
        untrained = losses.untrained(run, directory, options.seed)
        drawn = {"untrained": draw(untrained, dataclasses.replace(options, prior=STANDARD))[0]}
        drawn["samples"], prior = draw(run, options)
    drawn["random_bars"] = window_sets.random_bars(
        learnt.windows,
        options.number,
        measure.steps_per_bar,
        _generator(options, "random_bars"),
    )
    made = {name: window_sets.of_windows(measure, each) for name, each in drawn.items()}
    features = _features(real, learnt, made, options)
    result = {
        "number": options.number,
        "temperature": options.temperature,
        "top_p": options.top_p,
        "prior": prior,
        "windows_a_piece": options.windows_a_piece,
        "held_out": {"windows": len(real), "pieces": len(np.unique(real.pieces))},
        "training": {
            "examples_path": training.source,
            "windows": len(learnt),
            "pieces": len(np.unique(learnt.pieces)),
        },
        "features": features,
        "mean": {
            kind: _means([found[kind] for found in features.values()])
            for kind in ("training", *made)
        },
        "novelty": _novelty({"held_out": real, **made}, learnt_notes),
    }
    if judge:
        windows = {name: each.windows for name, each in {"training": learnt, **made}.items()}
        batch_size = options.batch_size
        result["frechet"] = encoder_judge.distances_to(real.windows, windows, judge, batch_size)
    return result


def _generator(options: Options, purpose: str) -> np.random.Generator:
    """A generator of its own for each purpose, so that none depends on what another has drawn."""
    return np.random.default_rng([options.seed, *purpose.encode()])


def _features(
    real: WindowSet, learnt: WindowSet, made: Mapping[str, WindowSet], options: Options
) -> dict:
    rng = _generator(options, "features")
    enough = len(learnt) >= options.number
    draws = [
        rng.choice(len(learnt), options.number, replace=not enough) for _ in range(_TRAINING_DRAWS)
    ]
    found = {}
    for name in real.counts:
        by_piece = real.counts_by_piece(name)
        reference = by_piece.sum(axis=0)
        yardsticks = np.stack([learnt.counts[name][rows].sum(axis=0) for rows in draws])
        found[name] = {
            "held_out": _mean(real, name),
            "training": {
                **_mean(learnt, name),
                **_means([_distances(each, reference) for each in yardsticks]),
            },
        }
        for kind, other in made.items():
            counts = other.counts[name]
            found[name][kind] = {
                **_mean(other, name),
                **_distances(counts.sum(axis=0), reference),
                **_of_yardstick(counts, by_piece, yardsticks, rng),
            }
    return found


def _mean(windows: WindowSet, name: str) -> dict:
    """The mean over the windows that have a value, and the share of those that have none."""
    values = windows.values.get(name)
    if values is None:
        return {}
    defined = values[~np.isnan(values)]
    mean = float(defined.mean()) if len(defined) else None
    return {"mean": mean, "undefined": 1 - len(defined) / len(values)}


def _distances(counts: np.ndarray, reference: np.ndarray) -> dict:
    """Both distances of two histograms; None where one of them has counted nothing."""
    if not (counts.any() and reference.any()):
        return dict.fromkeys(_DISTANCES)
    return {
        "overlap_area": float(distances.overlap_area(counts, reference)),
        "js_divergence": distances.js_divergence(counts, reference),
    }


def _means(measured: Sequence[Mapping[str, Any]]) -> dict:
    """The means of the distances among some values; None where there is none."""
    means = {}
    for name in _DISTANCES:
        values = [each[name] for each in measured if each.get(name) is not None]
        means[name] = fmean(values) if values else None
    return means


def _of_yardstick(
    counts: np.ndarray, by_piece: np.ndarray, yardsticks: np.ndarray, rng: np.random.Generator
) -> dict:
    """The overlap area divided by the yardstick's, with an interval; None where there is none.

    Args:
      counts: of the windows that were made, shaped [n, bins].
      by_piece: of the held-out pieces, shaped [pieces, bins].
      yardsticks: of draws of training windows, shaped [draws, bins].
      rng: what the resamplings of windows and of pieces are drawn from.
    """
    ratio = _ratios(counts.sum(axis=0)[None], by_piece.sum(axis=0)[None], yardsticks)
    resampled = _ratios(_resampled(counts, rng), _resampled(by_piece, rng), yardsticks)
    if not len(ratio) or not len(resampled):
        return dict.fromkeys(("of_yardstick", "of_yardstick_low", "of_yardstick_high"))
    low, high = np.percentile(resampled, _INTERVAL)
    return {
        "of_yardstick": float(ratio[0]),
        "of_yardstick_low": float(low),
        "of_yardstick_high": float(high),
    }


def _ratios(made: np.ndarray, real: np.ndarray, yardsticks: np.ndarray) -> np.ndarray:
    """Overlap areas of each two histograms, divided by the yardstick's, which is a mean.

    Args:
      made, real: histograms shaped [n, bins]. Where one of two has counted nothing, there is no
        ratio.
      yardsticks: histograms shaped [draws, bins].
    """
    yardsticks = yardsticks[yardsticks.any(axis=1)]
    whole = made.any(axis=1) & real.any(axis=1)
    made, real = made[whole], real[whole]
    if not len(yardsticks):
        return np.zeros(0)
    expected = distances.overlap_area(yardsticks, real[:, None]).mean(axis=1)
    return (distances.overlap_area(made, real)[expected > 0]) / expected[expected > 0]


def _resampled(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sums of as many rows, drawn with replacement, for each resampling (the bootstrap)."""
    n = len(rows)
    return rng.multinomial(n, np.full(n, 1 / n), size=_RESAMPLINGS) @ rows


def _novelty(sets: Mapping[str, WindowSet], learnt_notes: np.ndarray) -> dict:
    """How near each set's windows are to the nearest one of all training windows."""
    found = {}
    for name, windows in sets.items():
        f1 = distances.nearest_f1(windows.notes, learnt_notes)
        bins = np.searchsorted(_NOVELTY_EDGES, f1, side="right") - 1
        shares = np.bincount(bins, minlength=len(_NOVELTY_EDGES) - 1) / len(f1)
        found[name] = {
            "median": float(np.median(f1)),
            "copies": float(np.mean(f1 == 1)),
            "histogram": shares.tolist(),
        }
        reference = np.array(found["held_out"]["histogram"])
        if name != "held_out":
            found[name].update(_distances(shares, reference))
    return found


def table(result: Mapping) -> Iterator[str]:
    """Yields the lines of what `compare` returns as tables in Markdown."""
    held_out = result["held_out"]
    kinds = ("training", "samples", "untrained", "random_bars")
    headings = [kind.replace("_", " ") for kind in kinds]
    yield (
        f"{result['number']} samples ({result['prior']} prior) beside {held_out['windows']} "
        f"held-out windows of {held_out['pieces']} pieces"
    )
    yield ""
    columns = [
        *(f"mean: {kind}" for kind in ("held out", "samples")),
        *(f"overlap: {kind}" for kind in headings),
        "samples of yardstick",
        *(f"JSD: {kind}" for kind in headings),
    ]
    yield f"| feature | {' | '.join(columns)} |"
    yield "|---|" + "---|" * len(columns)
    for name, found in {**result["features"], "mean of all": result["mean"]}.items():
        samples = found["samples"]
        cells = [
            *(_cell(found.get(kind, {}).get("mean")) for kind in ("held_out", "samples")),
            *(_cell(found[kind]["overlap_area"]) for kind in kinds),
            _ratio_cell(samples),
            *(_cell(found[kind]["js_divergence"]) for kind in kinds),
        ]
        yield f"| {name.replace('_', ' ')} | {' | '.join(cells)} |"
    yield ""
    yield "| nearest training window | median F1 | copies | overlap with held out |"
    yield "|---|---|---|---|"
    for name, found in result["novelty"].items():
        cells = [_cell(found.get(key)) for key in ("median", "copies", "overlap_area")]
        yield f"| {name.replace('_', ' ')} | {' | '.join(cells)} |"
    if frechet := result.get("frechet"):
        yield ""
        yield f"| Fréchet distance to held out, by {frechet['judge']['config']} | |"
        yield "|---|---|"
        for kind, heading in zip(kinds, headings, strict=True):
            yield f"| {heading} | {frechet[kind]:.3f} |"


def _cell(value: float | None, digits: int = 3) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _ratio_cell(samples: Mapping) -> str:
    if samples.get("of_yardstick") is None:
        return ""
    ratio, low, high = (_cell(samples[f"of_yardstick{end}"], 2) for end in ("", "_low", "_high"))
    return f"{ratio} ({low} to {high})"
