"""Starts a new run from the variables of a trained model: `train --warm_start`."""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import tensorflow.compat.v1 as tf

from configs import ConfigRef
from pipelines import checkpoints
from pipelines.exported import folders
from pipelines.runtime.app import UserError
from pipelines.systems.musicvae import pretrained
from pipelines.systems.musicvae.model import weight_shapes
from pipelines.systems.musicvae.run import read_metadata, trained_on

# How many variables a message names.
_NAMED = 6


@dataclasses.dataclass(frozen=True)
class WarmStart:
    """What a new run begins with.

    Attributes:
      checkpoint: the prefix of the checkpoint that has the variables.
      variables: the names of those that it gives to the run.
      facts: what run.json says of it, as JSON values.
      summary: the same for people.
    """

    checkpoint: str
    variables: Sequence[str]
    facts: dict[str, Any]
    summary: str

    def init_fn(self):
        """Restores the variables after the others got their initial values.

        Call this when the graph to train is built.

        Returns:
          The `init_fn` of a tf.train.Scaffold, which is called where no checkpoint is restored.
        """
        wanted = {v.op.name: v for v in tf.global_variables() if v.op.name in set(self.variables)}
        saver = tf.train.Saver(wanted)

        def restore(scaffold, session):
            try:
                saver.restore(session, self.checkpoint)
            except checkpoints.DAMAGE as error:
                raise UserError(
                    f"--warm_start={self.facts['source']}: {self.checkpoint} is damaged "
                    f"({type(error).__name__}); copy it again, or name another"
                ) from error

        return restore


def find(source: str, ref: ConfigRef, config) -> WarmStart:
    """Finds the variables of a model that fit a config, by their names and shapes.

    Args:
      source: a model as `folders.find` takes it, a run's folder, or a checkpoint as
        `checkpoints.find` takes it.
      ref: names the config.
      config: the config, with the hparams of the run to start.

    Raises:
      UserError: where there is no such model, or none of its variables fits.
    """
    prefix, facts = _open(source)
    saved = checkpoints.shapes(prefix)
    needed = weight_shapes(config)
    fitting = sorted(name for name, shape in needed.items() if saved.get(name) == shape)
    new = sorted(set(needed) - set(fitting))
    about = [_about(name, needed[name], saved.get(name)) for name in new]
    of = f" ({facts['config']})" if facts["config"] else ""
    if not fitting:
        raise UserError(
            f"--warm_start={source}{of}: none of its variables fits {ref.name} and its hparams: "
            f"new would be {_listed(about)}; train with the config and the hparams of that model, "
            "or name another"
        )
    summary = f"warm start from {source}{of}: "
    if new:
        summary += f"{len(fitting)} of {len(needed)} variables fit: {_listed(fitting)}; new: "
        summary += _listed(about)
    else:
        summary += f"all {len(needed)} variables fit"
    return WarmStart(prefix, fitting, {"source": source, **facts, "new": new}, summary)


def _open(source: str) -> tuple[str, dict[str, Any]]:
    """The prefix of the checkpoint that a source names, and what it is, as JSON values."""
    pretrained.require_source(source)
    step: int | None
    if folders.is_model(source):
        folder = folders.find(source)
        weights = folders.read(folder)
        prefix = pretrained.write_checkpoint(folder, weights)
        metadata = read_metadata(os.fspath(folder))
        step, sha256 = weights.step, weights.sha256
    else:
        prefix = checkpoints.find(None, source)
        metadata = read_metadata(os.path.dirname(prefix))
        step, sha256 = checkpoints.step_of(prefix), None
    return prefix, {
        "checkpoint": os.path.basename(prefix),
        "config": metadata.get("config"),
        "step": step,
        "sha256": sha256,
        "trained_on": trained_on(metadata),
    }


def _about(name: str, shape: list[int], there: list[int] | None) -> str:
    return f"{name} {shape}" + (f" ({there} there)" if there else "")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
