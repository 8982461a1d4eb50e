"""Trains the same model in float32 and in bfloat16, and writes the losses side by side.

    ./.venv/bin/python -m experiments.speed.precision --config=flat-groove_4bar-small \\
        --examples_path='tfrecords/groove/train.tfrecord*' --output=precision.json

Both begin with the same variables and see the same batches, dropout and draws of z. The losses are
means over tenths of the run.
"""

import argparse
import json
import pathlib
import tempfile
from unittest import mock

import numpy as np

from configs import ConfigRef
from pipelines.runtime import tensorflow


def losses(given, precision: str, run_dir: str) -> list[float]:
    """The loss of each training step.

    Args:
      given: the command's arguments.
      precision: float32 or bfloat16.
      run_dir: an empty folder.
    """
    from pipelines.examples import reading
    from pipelines.systems.musicvae import training

    found: list[float] = []

    class Recorder(training.ProgressHook):
        """Keeps the loss of each step that training shows."""

        def after_run(self, run_context, run_values):
            found.append(float(run_values.results["loss"]))
            super().after_run(run_context, run_values)

    options = training.Options(
        seed=0, precision=precision, layout="loops", media_every=0, save_checkpoint_secs=3600
    )
    with mock.patch.object(training, "ProgressHook", Recorder):
        training.train(
            ConfigRef(given.config, hparams=given.hparams),
            run_dir,
            lambda config: reading.open_examples(given.examples_path),
            given.steps,
            options,
        )
    return found


def main() -> None:
    """Trains twice and writes the means."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", required=True)
    parser.add_argument("--hparams", default="")
    parser.add_argument("--examples_path", required=True)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    given = parser.parse_args()
    tensorflow.start("WARN")
    curves = {}
    for precision in ("float32", "bfloat16"):
        with tempfile.TemporaryDirectory() as run_dir:
            curves[precision] = losses(given, precision, run_dir)
    ends = np.linspace(0, given.steps, 11).astype(int)[1:]
    result = {
        "config": given.config,
        "hparams": given.hparams,
        "up to step": ends.tolist(),
        **{
            name: [float(part.mean()) for part in np.split(np.array(values), ends[:-1])]
            for name, values in curves.items()
        },
        "largest difference of a step, relative": float(
            np.max(np.abs(np.divide(*map(np.array, curves.values())) - 1))
        ),
    }
    given.output.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
