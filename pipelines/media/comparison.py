"""What the folders of runs have to compare: curves and final metrics, named for people."""

import json
import math
import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pipelines import runs
from pipelines.media import events
from pipelines.media.events import Curve
from pipelines.runtime.app import UserError, say
from pipelines.runtime.nearest import did_you_mean

# Where a number was measured.
TRAINING, VALIDATION = "training", "validation"
# The label of metrics from validation while training, rather than from `evaluate`.
WHILE_TRAINING = "validation while training"


class Quantity(NamedTuple):
    """Something that is measured.

    Attributes:
      name: what TensorBoard or the JSON of `evaluate` calls it.
      title: what people call it.
      unit: of its numbers.
    """

    name: str
    title: str
    unit: str


# What is drawn without being asked for, where runs have it; others are chosen by name.
_QUANTITIES = {
    "musicvae": (
        Quantity("loss", "Loss", "nats a window"),
        Quantity("losses/r_bits", "Reconstruction", "bits a window"),
        Quantity("losses/kl_bits", "KL divergence", "bits a window"),
        Quantity("teacher_forced/f1", "Hits, teacher-forced", "F1"),
        Quantity("teacher_forced/accuracy", "Steps right, teacher-forced", "share"),
        Quantity("sampled/f1", "Hits, sampled", "F1"),
        Quantity("sampled/velocity_mae", "Velocity, sampled", "mean error (of 127)"),
        Quantity("sampled/timing_mae_ms", "Timing, sampled", "mean error in ms"),
        Quantity("sampled/accuracy", "Steps right, sampled", "share"),
        Quantity("sampled/onset_f1", "Onsets, sampled", "F1"),
    ),
    "titles": (
        Quantity("loss", "Loss", "mean of an epoch"),
        Quantity("tune_to_title/MRR", "Title for a tune", "mean reciprocal rank"),
        Quantity("tune_to_title/R@10", "Title for a tune", "recall at 10"),
        Quantity("title_to_tune/MRR", "Tune for a title", "mean reciprocal rank"),
        Quantity("title_to_tune/R@10", "Tune for a title", "recall at 10"),
    ),
}
# What training goes on in.
STEPS = {"musicvae": "training step", "titles": "epoch"}
_UNITS = {
    "losses/r_loss": "nats a window",
    "losses/kl_loss": "nats a window",
    "losses/kl_beta": "weight",
    "loss_at_max_beta": "nats a window",
    "active_units": "latent units",
    "global_norm": "norm of the gradients",
    "learning_rate": "learning rate",
    "global_step/sec": "steps a second",
    "global_step/examples_per_sec": "examples a second",
}
# Names of `evaluate`'s JSON, of Magenta, and of repeated summaries, under which the same is found.
_SAME = {
    "reconstruction_loss": "losses/r_loss",
    "kl_bits": "losses/kl_bits",
    "kl_loss": "losses/kl_loss",
    "kl_beta": "losses/kl_beta",
    "global_norm_1": "global_norm",
}
_MOST_NAME = 40


class Metrics(NamedTuple):
    """The numbers of an evaluation by name, the step of its checkpoint, and where they are from."""

    numbers: dict[str, float]
    step: int
    source: str
    records: str


class Run(NamedTuple):
    """What a run folder has.

    Attributes:
      name: what to call it.
      folder: its path.
      kind: the system that trained it.
      config: the name of its config, "" where it has none.
      curves: by `TRAINING` or `VALIDATION`, then by name.
      metrics: by what was measured on, such as "validation" or "test".
    """

    name: str
    folder: str
    kind: str
    config: str
    curves: dict[str, dict[str, Curve]]
    metrics: dict[str, Metrics]


def read(folders: Sequence[str], names: Sequence[str] = ()) -> list[Run]:
    """Reads runs that are to be compared.

    Args:
      folders: run folders.
      names: what to call them; by default the least of their paths that tells them apart.

    Raises:
      UserError: where a folder is no run, or has neither curves nor metrics, where runs are of
        several systems, or the names do not fit.
    """
    if names and (len(names) != len(folders) or len(set(names)) < len(names)):
        raise UserError(
            f"--names={','.join(names)}: give a name of its own to each run ({len(folders)} in "
            "all), with commas between"
        )
    if len({os.path.realpath(folder) for folder in folders}) < len(folders):
        raise UserError("a run folder is named twice; name each once")
    found = [_read(folder, name) for folder, name in zip(folders, names or told_apart(folders))]
    kinds = {run.kind: run.folder for run in found}
    if len(kinds) > 1:
        (one, first), (other, second), *_ = kinds.items()
        raise UserError(
            f"{first} is a run of {one} and {second} of {other}: nothing compares them; plot the "
            "runs of each system by themselves"
        )
    configs = {run.config: run.name for run in found}
    if len(configs) > 1:
        listed = ", ".join(f"{config or 'none'} ({name})" for config, name in configs.items())
        say(f"warning: runs of several configs: {listed}; their losses may not be comparable")
    return found


def told_apart(folders: Sequence[str]) -> list[str]:
    """The shortest ends of paths that differ, such as "a/run" and "b/run"."""
    parts = [pathlib.Path(os.path.abspath(folder)).parts for folder in folders]
    longest = max(map(len, parts))
    for length in range(1, longest + 1):
        names = ["/".join(each[-length:]) for each in parts]
        if len(set(names)) == len(names):
            break
    return names


def _read(folder: str, name: str) -> Run:
    path = pathlib.Path(folder)
    if not path.is_dir():
        what = "is no folder" if path.exists() else "does not exist"
        raise UserError(f"{folder} {what}; name the folder of a run (RUN_DIR of ./run.sh train)")
    metadata = runs.read_any(folder)
    if not metadata:
        # Magenta itself writes no run.json.
        if not any(pathlib.Path(runs.train_dir(folder)).glob("*tfevents*")):
            raise UserError(
                f"{folder} has no {runs.METADATA}: no run is there; name the --run_dir of "
                "./run.sh train or titles train"
            )
        metadata = {"kind": "musicvae"}
    curves = {
        TRAINING: _named(events.read(pathlib.Path(runs.train_dir(folder)))),
        VALIDATION: _named(events.read(pathlib.Path(runs.validation_dir(folder)))),
    }
    # Titles are validated in the same process, and their curves are in the same files.
    for tag in [tag for tag in curves[TRAINING] if tag.startswith("validation/")]:
        curves[VALIDATION][tag.removeprefix("validation/")] = curves[TRAINING].pop(tag)
    metrics = _metrics(path, curves[VALIDATION])
    if not (metrics or any(curves.values())):
        raise UserError(
            f"{folder}: neither curves nor metrics in it; train or evaluate the run here first"
        )
    name = name if len(name) <= _MOST_NAME else f"…{name[1 - _MOST_NAME :]}"
    config = str(metadata.get("config") or "")
    return Run(name, folder, str(metadata["kind"]), config, curves, metrics)


def _named(curves: Mapping[str, Curve]) -> dict[str, Curve]:
    """The curves under the names that they have here, the reconstruction loss in bits too."""
    named = {_SAME.get(tag, tag): curve for tag, curve in curves.items()}
    if "losses/r_loss" in named and "losses/r_bits" not in named:
        steps, values = named["losses/r_loss"]
        named["losses/r_bits"] = Curve(steps, values / math.log(2))
    return named


def _metrics(folder: pathlib.Path, validation: Mapping[str, Curve]) -> dict[str, Metrics]:
    """What was measured last, by what it was measured on."""
    found: dict[str, Metrics] = {}
    for path in sorted(folder.glob("eval*/*-step-*.json")):
        label = re.sub(r"-step-\d+\.json$", "", path.name)
        if path.parent.name != "eval":
            label += path.parent.name.removeprefix("eval")
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
            numbers = {_SAME.get(name, name): value for name, value in _numbers(said)}
            step, records = int(said["step"]), str(said.get("examples_path", ""))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            say(f"warning: {path}: not the JSON of ./run.sh evaluate; it is left out")
            continue
        if "losses/r_loss" in numbers:
            numbers["losses/r_bits"] = numbers["losses/r_loss"] / math.log(2)
        if label not in found or step >= found[label].step:
            source = os.path.relpath(path, folder)
            found[label] = Metrics(numbers, step, source, records)
    ends = {
        name: (int(curve.steps[-1]), float(curve.values[-1])) for name, curve in validation.items()
    }
    if ends:
        last = max(step for step, _ in ends.values())
        numbers = {name: value for name, (step, value) in ends.items() if step == last}
        found[WHILE_TRAINING] = Metrics(numbers, last, WHILE_TRAINING, "")
    return found


def _numbers(said: Mapping[str, Any], prefix: str = ""):
    for name, value in said.items():
        if isinstance(value, dict):
            yield from _numbers(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield prefix + name, float(value)


def curve_quantities(found: Sequence[Run], wanted: Sequence[str] = ()) -> list[Quantity]:
    """Which curves to draw of some runs.

    Args:
      found: from `read`.
      wanted: TensorBoard's names of curves; by default those that tell most.

    Raises:
      UserError: where no run has a curve that is wanted.
    """
    there = {name for run in found for curves in run.curves.values() for name in curves}
    return _chosen("curves", found[0].kind, there, wanted)


def metric_quantities(
    found: Sequence[Run], label: str, wanted: Sequence[str] = ()
) -> list[Quantity]:
    """Which metrics to draw, of those that runs have of a label; as `curve_quantities`."""
    there = {name for run in found if label in run.metrics for name in run.metrics[label].numbers}
    return _chosen("metrics", found[0].kind, there, wanted)


def _chosen(what: str, kind: str, there: set[str], wanted: Sequence[str]) -> list[Quantity]:
    known = {each.name: each for each in _QUANTITIES.get(kind, _QUANTITIES["musicvae"])}
    for name in wanted:
        if name not in there:
            hint = (
                did_you_mean(name, sorted(there)) or f"; there are {', '.join(sorted(there)[:8])}"
            )
            raise UserError(f"--{what}={name}: no run has it{hint}")
    if wanted:
        return [known.get(name) or Quantity(name, name, _UNITS.get(name, "")) for name in wanted]
    return [quantity for name, quantity in known.items() if name in there]


def label_of_most(found: Sequence[Run], wanted: str = "") -> str | None:
    """What the most runs were measured on: a label of their metrics; None where there is none.

    Args:
      found: from `read`.
      wanted: the label to take, "" for that of the most; one of `evaluate` rather than of training.

    Raises:
      UserError: where no run has the label that is wanted.
    """
    labels = sorted({label for run in found for label in run.metrics})
    if wanted:
        if wanted not in labels:
            raise UserError(
                f"--evaluated={wanted}: no run was measured on that; there are "
                f"{', '.join(map(repr, labels)) or 'none'}"
            )
        return wanted

    def rank(label: str) -> tuple[int, bool]:
        return sum(label in run.metrics for run in found), label != WHILE_TRAINING

    return max(labels, key=rank, default=None)


def finite(curve: Curve) -> Curve:
    """The points of a curve whose values are finite."""
    kept = np.isfinite(curve.values)
    return Curve(curve.steps[kept], curve.values[kept])
