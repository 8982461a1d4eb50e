"""Measuring a run beside the baselines: the work of `titles evaluate`."""

import hashlib
import os
import pathlib
import re
from typing import Any

import tensorflow as tf

from pipelines.records.manifest import content_digest, record_files
from pipelines.runtime import files
from pipelines.runtime.app import UserError, say
from pipelines.systems.titles import baselines, evaluation, towers
from pipelines.systems.titles import tunes as titled_tunes
from pipelines.systems.titles.tunes import Tunes


def measure(
    run_dir: str,
    examples_path: str,
    training_path: str | None = None,
    seed: int = 0,
    near_duplicates: bool = False,
) -> dict[str, Any]:
    """Measures a run on held-out records.

    Args:
      run_dir: a run of `titles train`.
      examples_path: a glob of NoteSequence records.
      training_path: a glob of those that the run was trained on, from which the baselines are
        made; where the run had them if it is None.
      seed: of the order of ties and of the bootstrap.
      near_duplicates: as `evaluation.evaluate` takes it.

    Returns:
      What `evaluation.evaluate` gives; the same is in RUN_DIR/eval, and in TensorBoard.

    Raises:
      UserError: where there is no such run, or the records do not do.
    """
    # Of held-out titles nothing is kept in the run's folder.
    trained, metadata = towers.open_run(run_dir, keep_embeddings=False)
    held_out = titled_tunes.read(examples_path)
    say(held_out.summary())
    training = _training(run_dir, training_path or metadata["examples_path"], metadata["records"])
    scorers = {"towers": trained, **baselines.of(training.tunes, seed)}
    result = {
        "examples_path": examples_path,
        "text_encoder": metadata["text_encoder"]["name"],
        "hparams": metadata["hparams"],
        **evaluation.evaluate(scorers, held_out, training, seed, near_duplicates=near_duplicates),
    }
    try:
        _keep(run_dir, examples_path, result)
    except OSError as error:
        say(f"{error.filename or run_dir}: the result is not kept there ({error.strerror})")
    return result


def _training(run_dir: str, training_path: str, digest: str) -> Tunes:
    """The tunes that a run was trained on; what is held out must not be among them."""
    try:
        paths = record_files(training_path)
    except UserError as error:
        raise UserError(
            f"{training_path}, which {run_dir} was trained on, is not there any more: give its "
            "--training_path"
        ) from error
    if content_digest(paths) != digest:
        raise UserError(
            f"{training_path} has other records than {run_dir} was trained on; give the "
            "--training_path of those"
        )
    return titled_tunes.read(training_path).titled()


def _keep(run_dir: str, examples_path: str, result: dict[str, Any]) -> None:
    """Writes a result to the run's folder."""
    base = re.sub(r"\W+", "-", pathlib.Path(examples_path).name.partition(".")[0]).strip("-")
    # Other folders have a split of that name too.
    where = hashlib.blake2b(os.path.abspath(examples_path).encode(), digest_size=3).hexdigest()
    name = f"{base or 'records'}-{where}"
    folder = pathlib.Path(run_dir, "eval")
    folder.mkdir(exist_ok=True)
    files.write_json(folder / f"{name}.json", result)
    with tf.summary.create_file_writer(os.fspath(folder)).as_default(step=0):
        for section, both in result["sections"].items():
            for direction in evaluation.DIRECTIONS:
                for scorer, values in both[direction]["scorers"].items():
                    tf.summary.scalar(
                        f"{name}/{section}/{direction}/MRR/{scorer}", values["MRR"]["value"]
                    )
