"""Measures a model of melody curves on held-out tunes, beside baselines.

Prints the bits a note that each pays for the curves of the tunes, with a 95% bootstrap interval
over tunes; how often the next curve is the likeliest one; and how often the one eight steps ahead
is foretold. The baselines are the most frequent curve, and n-grams of the training tunes. All this
is measured again on the eight bars that follow a tune's first eight. The result is also written to
RUN_DIR/eval as JSON, and for TensorBoard.

Example:
  ./run.sh evaluate --run_dir=runs/curves --checkpoint_file=best \\
      --examples_path='tfrecords/nottingham/test.tfrecord*'
"""

from absl import flags

from pipelines import runs
from pipelines.records import manifest
from pipelines.runtime import app, device_names, tensorflow
from pipelines.runtime.flags import path_flag, required_path_flag
from pipelines.runtime.terminal import shown_json

FLAGS = flags.FLAGS

flags.DEFINE_string("run_dir", None, "The run's folder; its newest checkpoint is measured.")
flags.DEFINE_string(
    "checkpoint_file",
    None,
    "Another checkpoint of the run; best is the one with the fewest bits a note.",
)
flags.DEFINE_string(
    "examples_path",
    None,
    "Glob of TFRecord files of held-out NoteSequences, e.g. 'DIR/test.tfrecord*'.",
)
flags.DEFINE_string(
    "training_path",
    None,
    "Glob of the run's training records, if they were moved. The baselines are made of them.",
)
flags.DEFINE_string(
    "devices",
    "",
    "What to compute on: CPU or GPU, or one of several as in GPU:1. By default a GPU where "
    "TensorFlow finds one, else the CPU.",
)
flags.DEFINE_bool("json", False, "Print JSON instead of tables.")
flags.DEFINE_integer("seed", 0, "Seeds the bootstrap.", lower_bound=0)


def main() -> None:
    """Runs the job from its flags."""
    run_dir, checkpoint_file = required_path_flag("run_dir"), path_flag("checkpoint_file")
    runs.require(run_dir, "curves", "train --config=curves")
    runs.require_checkpoint(run_dir, checkpoint_file)
    manifest.record_files(required_path_flag("examples_path"))
    device_names.read(FLAGS.devices)
    tensorflow.start("WARN", with_magenta=False)
    from pipelines.runtime import devices
    from pipelines.systems.curves import evaluation

    devices.use(FLAGS.devices)
    result = evaluation.measure(
        run_dir,
        required_path_flag("examples_path"),
        checkpoint_file,
        path_flag("training_path"),
        FLAGS.seed,
    )
    print(shown_json(result) if FLAGS.json else evaluation.table(result))


if __name__ == "__main__":
    app.run(main, required=("run_dir", "examples_path"))
