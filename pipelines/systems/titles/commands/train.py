"""Trains a dual tower that says which titles fit which tunes.

Reads NoteSequence records of tunes with titles, as `convert` makes them from tunebooks. The run's
folder holds the towers, the embeddings of the titles, and indexes of tunes and titles for `match`
and `search`. TensorBoard shows the losses, and tunes and titles in its projector. Give the command
again to go on with a run that was stopped.

Example:
  ./run.sh titles train --run_dir=runs/titles --text_encoder=builtin \\
      --examples_path='tfrecords/tunes/train.tfrecord*' \\
      --validation_path='tfrecords/tunes/validation.tfrecord*'
"""

import shlex

from absl import flags

from configs.titles import Hparams
from pipelines import runs
from pipelines.records import leakage, manifest
from pipelines.runtime import app, device_names, tensorflow
from pipelines.runtime.app import say
from pipelines.runtime.flags import path_flag, require_finite, required_path_flag
from pipelines.runtime.terminal import print_run
from pipelines.systems.titles import text_encoders

FLAGS = flags.FLAGS
_DEFAULTS = Hparams()

flags.DEFINE_string("run_dir", None, "The run's folder.")
flags.DEFINE_string(
    "examples_path",
    None,
    "Glob of TFRecord files of NoteSequences to train on, e.g. 'DIR/train.tfrecord*'.",
)
flags.DEFINE_string(
    "validation_path",
    None,
    "Glob of TFRecord files of NoteSequences to measure retrieval on after each epoch, for "
    "TensorBoard. Nothing is chosen by it.",
)
flags.DEFINE_string(
    "text_encoder",
    text_encoders.DEFAULT,
    "What turns titles into vectors: a TF-Hub handle, the folder of a SavedModel, or one of two "
    "that need no network: builtin (character n-grams of the training titles) or minilm "
    "(all-MiniLM-L6-v2, from a Python package).",
)
flags.DEFINE_enum("loss", _DEFAULTS.loss, ["infonce", "hinge"], "The contrastive loss.")
flags.DEFINE_integer(
    "num_epochs", _DEFAULTS.num_epochs, "Passes over the pairs of tune and title.", lower_bound=1
)
flags.DEFINE_integer(
    "batch_size",
    _DEFAULTS.batch_size,
    "Pairs in a batch; all pairs where there are fewer.",
    lower_bound=2,
)
flags.DEFINE_float(
    "learning_rate", _DEFAULTS.learning_rate, "The learning rate at the first step.", lower_bound=0
)
flags.DEFINE_integer(
    "dimensions",
    _DEFAULTS.dimensions,
    "The size of the vectors of tunes and titles.",
    lower_bound=2,
)
flags.DEFINE_bool("json", False, "Print JSON instead of the run's folder alone: run_dir.")
flags.DEFINE_integer("seed", 0, "Seeds all that is drawn.", lower_bound=0)
flags.DEFINE_string(
    "devices",
    "",
    "What to compute on: CPU or GPU, or one of several as in GPU:1. By default a GPU where "
    "TensorFlow finds one, else the CPU.",
)
flags.DEFINE_bool(
    "trust",
    False,
    "For a run that was not trained here: trust its text encoder, which is a program, from now on.",
)


def main() -> None:
    """Runs the job from its flags."""
    require_finite("learning_rate")
    text_encoders.require_named(FLAGS.text_encoder)
    run_dir = required_path_flag("run_dir")
    device_names.read(FLAGS.devices)
    runs.require_free(run_dir)
    examples = required_path_flag("examples_path")
    leakage.warn_of_splits(manifest.record_files(examples), examples)
    tensorflow.start("WARN", with_magenta=False)
    from pipelines.runtime import devices
    from pipelines.systems.titles import towers, training

    devices.use(FLAGS.devices)
    if FLAGS.trust:
        towers.trust_run(run_dir)
    training.train(
        examples,
        run_dir,
        FLAGS.text_encoder,
        path_flag("validation_path"),
        Hparams(
            loss=FLAGS.loss,
            dimensions=FLAGS.dimensions,
            batch_size=FLAGS.batch_size,
            num_epochs=FLAGS.num_epochs,
            learning_rate=FLAGS.learning_rate,
        ),
        FLAGS.seed,
    )
    say(f"trained: {run_dir}")
    run = f"--run_dir={shlex.quote(run_dir)}"
    held_out = shlex.quote(manifest.held_out(examples) or "DIR/test.tfrecord*")
    say(
        f"next: ./run.sh titles evaluate {run} --examples_path={held_out}; "
        f"./run.sh titles match {run} music/*.mid"
    )
    print_run(run_dir, FLAGS.json)


if __name__ == "__main__":
    app.run(main, required=("run_dir", "examples_path", "text_encoder"))
