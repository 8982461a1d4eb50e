"""Trains a model of melody curves, which continues a tune a note at a time.

Reads NoteSequence records of melodies, as `convert` makes them. RUN_DIR/train gets the checkpoints
and summaries for TensorBoard, RUN_DIR/run.json says what they are checkpoints of. Give the command
again to go on with a run that was stopped. With --validation_path, RUN_DIR/best keeps the
checkpoint that takes the fewest bits a note on held-out tunes.

Example:
  ./run.sh convert --corpus=midi --input=nottingham-melody-midi.zip --output=tfrecords/nottingham
  ./run.sh train --config=curves --run_dir=runs/curves \\
      --examples_path='tfrecords/nottingham/train.tfrecord*' \\
      --validation_path='tfrecords/nottingham/validation.tfrecord*'
"""

import shlex

from absl import flags

from configs.curves import HPARAMS
from pipelines import runs
from pipelines.records import leakage, manifest
from pipelines.runtime import app, device_names, tensorflow
from pipelines.runtime.app import UserError, say
from pipelines.runtime.flags import path_flag, required_path_flag
from pipelines.runtime.nearest import did_you_mean
from pipelines.runtime.terminal import print_run
from pipelines.systems.curves import hyperparameters

FLAGS = flags.FLAGS

flags.DEFINE_string("config", None, f"The name of the config: {' or '.join(HPARAMS)}.")
flags.DEFINE_string(
    "examples_path",
    None,
    "Glob of TFRecord files of NoteSequences to train on, e.g. 'DIR/train.tfrecord*'.",
)
flags.DEFINE_string(
    "validation_path",
    None,
    "Glob of TFRecord files of NoteSequences to measure on after each epoch, for TensorBoard; "
    "RUN_DIR/best keeps the checkpoint that takes the fewest bits a note on them.",
)
flags.DEFINE_string("run_dir", None, "The run's folder.")
flags.DEFINE_string(
    "hparams", "", "Comma-separated name=value pairs that change hparams, as in num_epochs=20."
)
flags.DEFINE_integer("seed", 0, "Seeds all that is drawn.", lower_bound=0)
flags.DEFINE_string(
    "devices",
    "",
    "What to compute on: CPU or GPU, or one of several as in GPU:1. By default a GPU where "
    "TensorFlow finds one, else the CPU.",
)
flags.DEFINE_bool("json", False, "Print JSON instead of the run's folder alone: run_dir.")


def main() -> None:
    """Runs the job from its flags."""
    if FLAGS.config not in HPARAMS:
        raise UserError(
            f"--config={FLAGS.config}: melody curves have {' and '.join(HPARAMS)}"
            f"{did_you_mean(FLAGS.config, HPARAMS)}"
        )
    hparams = hyperparameters.merge(FLAGS.config, FLAGS.hparams)
    run_dir = required_path_flag("run_dir")
    device_names.read(FLAGS.devices)
    runs.require_free(run_dir)
    examples = required_path_flag("examples_path")
    leakage.warn_of_splits(manifest.record_files(examples), examples)
    if path_flag("validation_path"):
        manifest.record_files(required_path_flag("validation_path"))
    tensorflow.start("WARN", with_magenta=False)
    from pipelines.runtime import devices
    from pipelines.systems.curves import training

    devices.use(FLAGS.devices)
    training.train(
        FLAGS.config, hparams, examples, run_dir, path_flag("validation_path"), FLAGS.seed
    )
    say(f"trained: {run_dir}")
    run = f"--run_dir={shlex.quote(run_dir)}"
    if path_flag("validation_path"):
        run += f" --checkpoint_file={runs.BEST}"
    held_out = shlex.quote(manifest.held_out(examples) or "DIR/test.tfrecord*")
    say(
        f"next: ./run.sh evaluate {run} --examples_path={held_out}; "
        f"./run.sh generate {run} --mode=continue --input=tune.mid --output_dir=music"
    )
    print_run(run_dir, FLAGS.json)


if __name__ == "__main__":
    app.run(main, required=("config", "run_dir", "examples_path"))
