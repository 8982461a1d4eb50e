"""Fréchet distances between sets of windows, in the latent space of another model's encoder."""

import glob
import os
from collections.abc import Mapping

import numpy as np

from configs import ConfigRef
from pipelines import representations, runs
from pipelines.examples.base import Batch
from pipelines.records import manifest
from pipelines.representations import distances
from pipelines.representations.contract import ratio
from pipelines.runtime.app import UserError
from pipelines.systems.musicvae import model
from pipelines.systems.musicvae.run import Run, open_run, read_metadata

# Dimensions of the latent space of the judge that the Fréchet distance is taken in: a covariance
# of so many needs some hundred windows, that of a whole latent space some hundred thousand.
_COMPONENTS = 16


def open_judge(judge_run_dir: str, run: Run, config_file: str | None = None) -> Run:
    """Opens the run whose encoder judges the samples of another.

    Args:
      judge_run_dir: the folder of the run; its newest checkpoint is taken.
      run: the run that is measured.
      config_file: the user's file of configs, if there is one.

    Raises:
      UserError: where it is the same model, or reads other windows.
    """
    where = f"--judge_run_dir={judge_run_dir}"
    if not any(map(read_metadata, (runs.train_dir(judge_run_dir), judge_run_dir))):
        raise UserError(f"{where}: no {runs.METADATA} in it; give the folder of a run")
    judge = open_run(judge_run_dir, given=ConfigRef("", config_file, ""))
    folders = {os.path.realpath(os.path.dirname(each.checkpoint)) for each in (run, judge)}
    if len(folders) == 1 or _content(run) == _content(judge):
        raise UserError(
            f"{where}: this is the model that is measured, and no model grades itself; give a run "
            "of another config or another seed"
        )
    converter = judge.config.data_converter
    plain = representations.of(converter).inputs_are_outputs and not converter.control_depth
    if _layout(run) != _layout(judge) or not plain or converter.length_shape:
        raise UserError(
            f"{where}: {judge.name} does not encode the windows of {run.name}; give a run of the "
            "same kind of music and the same length of windows"
        )
    return judge


def _content(run: Run) -> str:
    """A hash of the variables of a run's checkpoint, whatever its files are called."""
    return manifest.content_digest(sorted(glob.glob(f"{glob.escape(run.checkpoint)}.data-*")))


def _layout(run: Run) -> tuple:
    """What two runs have in common whose windows are the same arrays."""
    converter = run.config.data_converter
    bar = representations.of(converter).steps_per_bar
    return type(converter), converter.output_depth, run.config.hparams.max_seq_len, bar


def distances_to(
    real: np.ndarray, others: Mapping[str, np.ndarray], judge: Run, batch_size: int
) -> dict:
    """The Fréchet distances of sets of windows to real ones, in the latent space of a judge.

    Args:
      real: array shaped [n, steps, depth].
      others: arrays of the same kind by name; "training" gives the principal axes.
      judge: from `open_judge`.
      batch_size: windows encoded at once.

    Returns:
      JSON values: a distance for each of `others`, and how they were measured.

    Raises:
      UserError: for a set of one window, which has no covariance.
    """
    if min(map(len, (real, *others.values()))) < 2:
        raise UserError("--judge_run_dir: records with a single window have no Fréchet distance")
    loaded = model.load(judge, batch_size, seed=0)  # Nothing is drawn: posterior means are taken.
    reference = _encode(judge, loaded, real)
    latents = {name: _encode(judge, loaded, windows) for name, windows in others.items()}
    axes = distances.principal_axes(latents["training"], _COMPONENTS)
    spread = float(np.var(latents["training"], axis=0).sum())
    return {
        "judge": {
            "config": judge.name,
            "checkpoint": os.path.basename(judge.checkpoint),
            "content": _content(judge),
        },
        "components": axes.shape[1],
        "variance": ratio(float(np.var(latents["training"] @ axes, axis=0).sum()), spread),
        **{
            name: distances.frechet(each @ axes, reference @ axes) for name, each in latents.items()
        },
    }


def _encode(judge: Run, loaded, windows: np.ndarray) -> np.ndarray:
    """The means of the posteriors of windows, shaped [n, z_size]."""
    n, steps, _ = windows.shape
    controls = tuple(np.zeros((n, steps, 0)))
    batch = Batch(tuple(windows), tuple(windows), controls, (steps,) * n, np.full(n, 120.0))
    return model.posterior_means(loaded, batch)
