"""Fits the aggregated posterior of a checkpoint: the work of the job `prior`."""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from sklearn import mixture

from pipelines.examples.base import Batch, Counts
from pipelines.examples.note_sequences import NoteSequences
from pipelines.exported import folders
from pipelines.music.timing import first_qpm
from pipelines.representations.contract import Example
from pipelines.runtime.app import UserError, say
from pipelines.runtime.progress import Progress
from pipelines.systems.musicvae import model
from pipelines.systems.musicvae.generation import require_unconditioned
from pipelines.systems.musicvae.prior import Aggregated
from pipelines.systems.musicvae.run import Run

# As many as `evaluate --samples` compares. In the Groove MIDI Dataset a tenth of the pieces has a
# third of the windows; a mixture of all of them is nearer to those, and farther from the rest.
WINDOWS_A_PIECE = 16
# Directions in which the posterior means have a smaller share of the variance than this are left
# standard normal: there each posterior is nearly the prior, and tells the decoder next to nothing.
_LEAST_SHARE = 0.1
# A component needs so many latent vectors for each of its dimensions, lest it be of a few windows.
_VECTORS_A_DIMENSION = 10
# More latent vectors than this change nothing but the time that it takes.
_MOST_VECTORS = 20_000
_MOST_ROUNDS = 100
_LEAST_COVARIANCE = 1e-3
# One piece in so many is left out, to see how likely its latent vectors are.
_LEFT_OUT = 10


class Posteriors(NamedTuple):
    """The posteriors of windows: normal distributions with diagonal covariances.

    Attributes:
      means, deviations: shaped [n, z_size].
      pieces: the number of the piece of each window, shaped [n].
    """

    means: np.ndarray
    deviations: np.ndarray
    pieces: np.ndarray


def fit(
    run: Run, training: NoteSequences, components: int, batch_size: int = 256, seed: int = 0
) -> Aggregated:
    """Fits the aggregated posterior to windows of some records, at most 16 of each piece.

    Args:
      run: from `run.open_run`.
      training: the records that the run was trained on.
      components: how many components the mixture has, at most: few windows get fewer.
      batch_size: windows encoded at once.
      seed: the seed of what is drawn.

    Raises:
      UserError: where the run cannot be sampled from latent vectors alone, or the records have too
        few windows for it.
    """
    require_unconditioned(run)
    if not run.config.hparams.z_size:
        raise UserError(f"{run.name} has no latent vectors")
    loaded = model.load(run, batch_size, seed)
    posteriors = encode(run, loaded, training, batch_size, np.random.default_rng(seed))
    made_of = {
        "examples_path": folders.short_path(training.source),
        "windows": len(posteriors.means),
    }
    return mix(posteriors, components, seed, model.made_for(run, loaded), made_of)


def encode(
    run: Run, loaded, records: NoteSequences, batch_size: int, rng: np.random.Generator
) -> Posteriors:
    """Encodes windows of some records, at most `WINDOWS_A_PIECE` of each piece.

    Args:
      run: the run.
      loaded: from `model.load`, for `batch_size`.
      records: the records.
      batch_size: windows encoded at once.
      rng: what the windows of long pieces are drawn from.

    Raises:
      UserError: where there are fewer than two windows.
    """
    counts = Counts()
    pieces: list[int] = []

    def windows() -> Iterator[tuple[float, Example]]:
        for number, (piece, examples) in enumerate(records.examples_by_piece(run.config, counts)):
            stay = min(len(examples), WINDOWS_A_PIECE)
            pieces.extend([number] * stay)
            for i in sorted(rng.choice(len(examples), stay, replace=False)) if stay else ():
                yield first_qpm(piece), examples[i]

    found = []
    remaining = windows()
    with Progress("windows encoded") as progress:
        while batch := list(itertools.islice(remaining, batch_size)):
            found.append(model.posteriors(loaded, Batch.of(batch)))
            progress.update(sum(len(means) for means, _ in found))
    if len(pieces) < 2:
        raise UserError(f"{records.source}: too little music for {run.name}; {counts.summary()}")
    means, deviations = map(np.concatenate, zip(*found, strict=True))
    return Posteriors(means, deviations, np.array(pieces))


def mix(
    posteriors: Posteriors,
    components: int,
    seed: int,
    made_for: dict | None = None,
    made_of: dict | None = None,
) -> Aggregated:
    """Fits a mixture to one draw from each of some posteriors.

    Args:
      posteriors: of all windows.
      components: how many components, at most.
      seed: the seed of what is drawn.
      made_for, made_of: as in `Aggregated`; the gain is added.
    """
    rng = np.random.default_rng(seed)
    means = posteriors.means.astype(np.float64)
    mean = means.mean(axis=0)
    basis = _informative(means, posteriors.deviations)
    dimensions = basis.shape[1]
    drawn = means + posteriors.deviations * rng.standard_normal(means.shape)
    rows = rng.permutation(len(drawn))[:_MOST_VECTORS]
    vectors, pieces = (drawn[rows] - mean) @ basis, posteriors.pieces[rows]
    most = max(1, len(vectors) // (_VECTORS_A_DIMENSION * dimensions))
    if most < components:
        say(f"{len(vectors)} windows are enough for {most} components, not {components}")
    components = min(components, most)
    gain = _gain(vectors, pieces, mean @ basis, components, seed)
    fitted = _mixture(vectors, components, seed)
    return Aggregated(
        made_for or {},
        {**(made_of or {}), "gain": gain},
        mean,
        basis,
        fitted.weights_,
        fitted.means_,
        np.linalg.cholesky(fitted.covariances_),
    )


def _informative(means: np.ndarray, deviations: np.ndarray) -> np.ndarray:
    """Principal axes in which posterior means differ, at least one; [z_size, dimensions]."""
    variances, axes = np.linalg.eigh(np.cov(means.T))
    noise = np.mean(deviations.astype(np.float64) ** 2, axis=0) @ axes**2
    shares = variances / (variances + noise)
    return axes[:, shares >= min(_LEAST_SHARE, shares.max())][:, ::-1]


def _mixture(vectors: np.ndarray, components: int, seed: int) -> mixture.GaussianMixture:
    """Fits a mixture by expectation maximization, from clusters by k-means."""
    say(f"fitting {components} components in {vectors.shape[1]} dimensions")
    return mixture.GaussianMixture(
        components, reg_covar=_LEAST_COVARIANCE, max_iter=_MOST_ROUNDS, random_state=seed
    ).fit(vectors)


def _gain(
    vectors: np.ndarray, pieces: np.ndarray, mean: np.ndarray, components: int, seed: int
) -> float | None:
    """How much likelier left-out latent vectors are than under a standard normal, in nats each.

    Args:
      vectors: less their mean, in the basis, shaped [n, dimensions].
      pieces: the piece of each, shaped [n].
      mean: what was subtracted, in the basis.
      components, seed: as in `mix`.
    """
    left_out = np.isin(pieces, np.unique(pieces)[::_LEFT_OUT])
    if np.sum(~left_out) < max(2, components) or not left_out.any():
        return None
    fitted = _mixture(vectors[~left_out], components, seed)
    moved = vectors[left_out] + mean
    standard = -0.5 * np.sum(moved**2 + np.log(2 * np.pi), axis=1)
    return float(fitted.score(vectors[left_out]) - standard.mean())
