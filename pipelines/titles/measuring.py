"""Measuring a run beside the baselines: the work of `titles evaluate`."""

import os
import pathlib
import re

import tensorflow as tf

from pipelines import files, leaks
from pipelines.app import say
from pipelines.titles import baselines, evaluation, towers
from pipelines.titles import tunes as titled_tunes
from pipelines.titles.embeddings import Embeddings


def measure(run_dir: str, examples_path: str, training_path: str | None = None, seed: int = 0):
    """Measures a run on held-out records.

    Args:
      run_dir: a run of `titles train`.
      examples_path: a glob of NoteSequence records.
      training_path: a glob of those that the run was trained on, from which the baselines are
        made; where the run had them if it is None.
      seed: of the order of ties and of the bootstrap.

    Returns:
      What `evaluation.evaluate` gives; the same is in RUN_DIR/eval, and in TensorBoard.

    Raises:
      UserError: where there is no such run, or the records do not do.
    """
    trained, metadata = towers.open_run(run_dir)
    training_path = training_path or metadata["examples_path"]
    held_out = titled_tunes.read(examples_path)
    say(held_out.summary())
    training = titled_tunes.read(training_path).titled()
    leaks.warn(examples_path, training_path)
    encoder = trained.embeddings.encoder
    # Of held-out titles nothing is kept in the run's folder.
    embed = Embeddings(encoder)
    scorers = {"towers": trained, **baselines.of(training.tunes, embed, seed)}
    result = {
        "examples_path": examples_path,
        "text_encoder": metadata["text_encoder"]["name"],
        "hparams": metadata["hparams"],
        **evaluation.evaluate(scorers, held_out, training, seed),
    }
    name = re.sub(r"\W+", "-", pathlib.Path(examples_path).name.partition(".")[0]) or "records"
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
    return result
