"""Trains the network that separates drums from the rest: the one of `style separate --method=net`.

Learns from mixtures of rendered sounds: --drums and --rest are folders that `style render` wrote
with one sound each; give each of them as often as there are sounds. The more sounds it learns from,
the better it knows those that it never heard. RUN_DIR gets run.json, mask.safetensors, checkpoints
and summaries for TensorBoard. Give the command again to go on with a run that was stopped.

Example:
  ./run.sh style render --input=tfrecords/groove --sound=TimGM6mb:Standard --output=standard
  ./run.sh style render --input=tfrecords/tunes --sound=TimGM6mb:Violin --output=violin
  ./run.sh style train_separator --drums=standard --rest=violin --run_dir=runs/separator
  ./run.sh style separate --method=net --run_dir=runs/separator --input=song.wav --output=separated
"""

import dataclasses

from absl import flags

from configs.separation import SEPARATOR
from pipelines import runs
from pipelines.runtime import app, device_names, tensorflow
from pipelines.runtime.app import say
from pipelines.runtime.flags import path_flags, require_finite, required_path_flag
from pipelines.runtime.terminal import print_run

FLAGS = flags.FLAGS

flags.DEFINE_multi_string("drums", [], "A folder of rendered drums.")
flags.DEFINE_multi_string("rest", [], "A folder of other rendered music.")
flags.DEFINE_string("run_dir", None, "The run's folder.")
flags.DEFINE_integer("num_steps", SEPARATOR.num_steps, "How many batches to learn from.", 1)
flags.DEFINE_integer("batch_size", SEPARATOR.batch_size, "Mixtures in a batch.", 1)
flags.DEFINE_float(
    "learning_rate", SEPARATOR.learning_rate, "Adam's, at the begin.", lower_bound=1e-9
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
    require_finite("learning_rate")
    run_dir = required_path_flag("run_dir")
    device_names.read(FLAGS.devices)
    runs.require_free(run_dir)
    hparams = dataclasses.replace(
        SEPARATOR,
        num_steps=FLAGS.num_steps,
        batch_size=FLAGS.batch_size,
        learning_rate=FLAGS.learning_rate,
    )
    tensorflow.start("WARN", with_magenta=False)
    from pipelines.runtime import devices
    from pipelines.systems.style.separation import mask_training

    devices.use(FLAGS.devices)
    folders = mask_training.Folders(path_flags("drums"), path_flags("rest"))
    mask_training.train(folders, run_dir, hparams, FLAGS.seed)
    say(f"trained: {run_dir}")
    print_run(run_dir, FLAGS.json)


if __name__ == "__main__":
    app.run(main, required=("drums", "rest", "run_dir"))
