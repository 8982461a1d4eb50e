"""Trains a language model of tunes: whole tunes as they are written, with repeats and endings.

--examples_path names records that convert made of tunebooks, --tunebooks the tunebooks that they
were made of: the records say which tunes are versions of one and in which split, the tunebooks how
they are written. The validation tunes beside the records choose the best checkpoint, RUN_DIR/best,
which generate and evaluate take. A run that was stopped goes on when it is started again.

Example:
  ./run.sh convert --corpus=abc --input=tunebooks --output=tfrecords/tunes
  ./run.sh train --config=tune_lm-lstm --examples_path='tfrecords/tunes/train.tfrecord*' \\
      --tunebooks=tunebooks --run_dir=runs/tunes
"""

import os
import shlex

from absl import flags

import configs
from configs import hparams as config_hparams
from pipelines import runs
from pipelines.records import leakage, manifest
from pipelines.runtime import app, device_names, tensorflow
from pipelines.runtime.app import UserError, say
from pipelines.runtime.flags import path_flag, path_flags, required_path_flag
from pipelines.runtime.progress import Stages
from pipelines.runtime.terminal import print_path

FLAGS = flags.FLAGS

flags.DEFINE_string("config", None, "The name of the config; ./run.sh configs lists them.")
flags.DEFINE_string(
    "examples_path",
    None,
    "Glob of TFRecord files of NoteSequences to train on, e.g. 'DIR/train.tfrecord*'.",
)
flags.DEFINE_multi_string(
    "tunebooks", [], "What the records were made of, as --input of convert had it."
)
flags.DEFINE_string(
    "validation_path",
    None,
    "Glob of the records of the tunes by which the best checkpoint is chosen, in the same folder; "
    "by default the validation records there.",
)
flags.DEFINE_string("run_dir", None, "The run's folder.")
flags.DEFINE_integer(
    "num_steps",
    None,
    "The run ends at exactly this training step; by default after num_epochs of the config.",
    lower_bound=1,
)
flags.DEFINE_string("hparams", "", "Comma-separated name=value pairs that change hparams.")
flags.DEFINE_integer("seed", 0, "Seeds all that is drawn.", lower_bound=0)
flags.DEFINE_integer(
    "save_checkpoint_secs",
    60,
    "Seconds between checkpoints: the work that a kill can lose.",
    lower_bound=1,
)
flags.DEFINE_bool(
    "highest",
    False,
    "Take tunes with chords and several voices too: the highest notes of the first voice.",
)
flags.DEFINE_string(
    "devices",
    "",
    "What to train on: CPU or GPU, or one of several as in GPU:1. By default a GPU where "
    "TensorFlow finds one, else the CPU.",
)


def main() -> None:
    """Runs the job from its flags."""
    config, run_dir = FLAGS.config, required_path_flag("run_dir")
    hparams = config_hparams.replaced(configs.hyperparameters()[config], config, FLAGS.hparams)
    examples_path, tunebooks = required_path_flag("examples_path"), path_flags("tunebooks")
    if not tunebooks:
        raise UserError(
            "missing --tunebooks: the tunebooks that the records were made of, as --input of "
            "convert had them"
        )
    # What can be wrong is found before TensorFlow is imported, which takes some ten seconds.
    device_names.read(FLAGS.devices)
    runs.require_free(run_dir)
    records = manifest.open_records(examples_path)
    leakage.warn_of_splits(records.paths, examples_path)
    folder = os.path.dirname(records.paths[0])
    validation_path = path_flag("validation_path") or manifest.split_pattern(folder, "validation")
    manifest.record_files(validation_path)
    with Stages() as stages:
        stages.begin("loading TensorFlow")
        tensorflow.start("WARN", with_magenta=False)
        from pipelines.runtime import devices
        from pipelines.systems.tune_lm import training

        stages.end("loaded")
    devices.use(FLAGS.devices)
    options = training.Options(
        FLAGS.num_steps, FLAGS.seed, FLAGS.save_checkpoint_secs, FLAGS.highest
    )
    training.train(config, hparams, run_dir, examples_path, tunebooks, validation_path, options)
    run = f"--run_dir={shlex.quote(run_dir)}"
    test = shlex.quote(manifest.split_pattern(folder, "test"))
    books = " ".join(f"--tunebooks={shlex.quote(path)}" for path in tunebooks)
    say(
        f"next: ./run.sh evaluate {run} --examples_path={test} {books}; ./run.sh generate {run} "
        "--output_dir=music"
    )
    print_path(run_dir)


if __name__ == "__main__":
    app.run(main, required=["config", "examples_path", "run_dir"])
