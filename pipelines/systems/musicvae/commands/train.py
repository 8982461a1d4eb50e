"""Trains a MusicVAE on records of NoteSequences or tensors, with Magenta's music_vae_train.

RUN_DIR/train gets the checkpoints and the summaries for TensorBoard, RUN_DIR/run.json says what
they are checkpoints of. A run that was stopped, however it was, goes on from its last checkpoint
when it is started again; one that is finished stays as it is.

Example:
  ./run.sh train --config=flat-groove_4bar --examples_path='/data/groove/train.tfrecord*' \\
      --run_dir=/data/runs/first --num_steps=2000 --hparams=batch_size=32
"""

import dataclasses
import shlex
from typing import Any

from absl import flags

import configs
from configs import ConfigRef
from pipelines import runs
from pipelines.records import leakage, manifest
from pipelines.runtime import app, device_names, tensorflow, tpus
from pipelines.runtime.app import UserError
from pipelines.runtime.flags import path_flag, required_path_flag
from pipelines.runtime.progress import Stages
from pipelines.systems.musicvae import model_flags, pretrained

FLAGS = flags.FLAGS

# Names, meanings and defaults are those of Magenta's music_vae_train, unless a flag's help says
# otherwise.
flags.DEFINE_string("config", None, "The name of the config; ./run.sh configs lists them.")
flags.DEFINE_string(
    "config_file",
    None,
    "A Python file with a CONFIG_MAP of your own configs. It is executed. (Not in Magenta.)",
)
flags.DEFINE_string(
    "examples_path",
    None,
    "Glob of TFRecord files of NoteSequences or tensors, e.g. 'DIR/train.tfrecord*'.",
)
flags.DEFINE_string(
    "tfds_name", None, "Instead of --examples_path: a dataset of TensorFlow Datasets with MIDI."
)
flags.DEFINE_string("run_dir", None, "Folder of the run; checkpoints go to its folder train.")
flags.DEFINE_integer(
    "num_steps", 200000, "The run ends at exactly this training step.", lower_bound=1
)
flags.DEFINE_string("hparams", "", "Comma-separated name=value pairs that change hparams.")
flags.DEFINE_integer(
    "checkpoints_to_keep",
    3,
    "How many checkpoints to keep, the newest; 0 for all. (100 in Magenta.)",
    lower_bound=0,
)
flags.DEFINE_integer(
    "keep_checkpoint_every_n_hours", 1, "Besides these, keep one every N hours of training."
)
flags.DEFINE_integer(
    "save_checkpoint_secs",
    60,
    "Seconds between checkpoints: the work that a kill can lose. (Not in Magenta, where it is 60.)",
    lower_bound=1,
)
flags.DEFINE_bool(
    "cache_dataset",
    False,
    "Keep the converted examples in memory. Off by default, unlike in Magenta: the "
    "cache freezes augmentation and random slices at the first epoch.",
)
flags.DEFINE_integer(
    "seed",
    None,
    "Seeds the initial variables, the order of the examples and the sampling. (Not in Magenta.)",
)
flags.DEFINE_string(
    "devices",
    "",
    "What to train on: CPU, GPU (all of them) or single ones, as in GPU:0,GPU:2; each gets an "
    "equal part of each batch. By default all GPUs that TensorFlow finds, else the CPU. (Not in "
    "Magenta.)",
)
flags.DEFINE_enum(
    "strategy",
    "graph",
    ["graph", "compiled", "tpu"],
    "How a step runs. graph: operation by operation; compiled: XLA compiles it as a whole, for one "
    "CPU or GPU; tpu: the same step on a TPU. (Not in Magenta.)",
)
model_flags.define_layout()
flags.DEFINE_enum(
    "precision",
    "float32",
    model_flags.PRECISIONS,
    "What the matrix products of the LSTMs, and their factors, are rounded to; states, losses and "
    "variables stay float32. (Not in Magenta.)",
)
flags.DEFINE_string(
    "warm_start",
    None,
    "Starts a new run from the variables of a trained model, as far as names and shapes fit: one "
    "that comes with the project (./run.sh pretrained), the folder of one, a run's folder or a "
    "checkpoint. A run that has a checkpoint goes on from that. (Not in Magenta.)",
)
flags.DEFINE_string(
    "validation_path",
    None,
    "Glob of TFRecord files of NoteSequences, e.g. 'DIR/validation.tfrecord*'. While training, the "
    "model is measured on them, for TensorBoard, and RUN_DIR/best keeps the checkpoint with the "
    "lowest loss. (Not in Magenta, where a second job does the first of these.)",
)
flags.DEFINE_integer(
    "validation_every", 500, "Steps between two validations. (Not in Magenta.)", lower_bound=1
)
flags.DEFINE_integer(
    "validation_examples",
    1024,
    "Measure on no more windows than this, drawn once; 0 for all. (Not in Magenta.)",
    lower_bound=0,
)
flags.DEFINE_integer(
    "patience",
    None,
    "End after so many validations in a row without a lower loss. By default, train until "
    "--num_steps. (Not in Magenta.)",
    lower_bound=1,
)
flags.DEFINE_integer(
    "media_every",
    1000,
    "Steps between two times that TensorBoard gets piano rolls and sound of held-out windows, as "
    "they are and as the model plays them, and of samples; 0 for none. (Not in Magenta.)",
    lower_bound=0,
)
flags.DEFINE_string("mode", "train", "Must be train; for Magenta's eval, use ./run.sh evaluate.")
flags.DEFINE_string("master", "", "The TensorFlow master to use.")
flags.DEFINE_integer("task", 0, "The task number of this worker.")
flags.DEFINE_integer("num_ps_tasks", 0, "The number of parameter server tasks.")
flags.DEFINE_integer("num_sync_workers", 0, "The number of synchronized workers.", lower_bound=0)
flags.DEFINE_enum(
    "log",
    "WARN",
    ["DEBUG", "INFO", "WARN", "ERROR", "FATAL"],
    "The least severe messages of Magenta and TensorFlow to show. (INFO in Magenta.)",
)


def main() -> None:
    """Runs the job from its flags."""
    if FLAGS.mode != "train":
        raise UserError(f"--mode={FLAGS.mode}: must be train; to evaluate, use ./run.sh evaluate")
    if FLAGS.examples_path and FLAGS.tfds_name:
        raise UserError("only one of --examples_path and --tfds_name can be given")
    configs.require_known(FLAGS.config, path_flag("config_file"))
    run_dir = required_path_flag("run_dir")
    _look(run_dir)
    with Stages() as stages:
        stages.begin("loading TensorFlow and Magenta")
        tensorflow.start(FLAGS.log)
        from pipelines.systems.musicvae import training

        stages.end("loaded")

    ref = ConfigRef(FLAGS.config, path_flag("config_file"), FLAGS.hparams)
    if not FLAGS.examples_path:
        _dataset(ref.build())
    given: dict[str, Any] = {
        field.name: FLAGS[field.name].value for field in dataclasses.fields(training.Options)
    }
    given |= {name: path_flag(name) for name in ("warm_start", "validation_path")}
    options = training.Options(**given)
    training.train(ref, run_dir, _open_examples, FLAGS.num_steps, options)
    if options.task == 0:
        app.say(f"next: {_next_commands(ref, run_dir)}")


def _look(run_dir: str) -> None:
    """Finds what can be wrong without TensorFlow, whose import takes some ten seconds."""
    device_names.read(FLAGS.devices)
    if FLAGS.strategy == "tpu":
        tpus.require()
    if FLAGS.task == 0:
        runs.require_free(run_dir)
    warm_start = path_flag("warm_start")
    if warm_start and not runs.has_checkpoint(run_dir):
        pretrained.require_source(warm_start)
    held_out = path_flag("validation_path")
    if held_out:
        manifest.record_files(held_out)
    elif FLAGS.patience:
        raise UserError("--patience needs --validation_path, the held-out records to measure on")
    pattern = path_flag("examples_path")
    # A run that has nothing left to do needs no records.
    if pattern and runs.last_saved(run_dir) < FLAGS.num_steps:
        leakage.warn_of_splits(manifest.open_records(pattern).paths, pattern)


def _next_commands(ref: ConfigRef, run_dir: str) -> str:
    """The commands that measure the run and make music with it, to be copied as they are."""
    run = f"--run_dir={shlex.quote(run_dir)}"
    if ref.own_file:
        run += f" --config_file={shlex.quote(ref.own_file)}"
    examples = path_flag("validation_path")
    if examples:
        run += f" --checkpoint_file={runs.BEST}"
    else:
        examples = manifest.held_out(path_flag("examples_path") or "")
    examples = examples or "DIR/validation.tfrecord*"
    return (
        f"./run.sh evaluate {run} --examples_path={shlex.quote(examples)}; "
        f"./run.sh generate {run} --mode=sample --output_dir=music"
    )


def _open_examples(config):
    """Opens the records that --examples_path names, or a dataset of TensorFlow Datasets."""
    from pipelines.examples import reading

    path = path_flag("examples_path")
    return reading.open_examples(path) if path else reading.open_tfds(_dataset(config))


def _dataset(config) -> str:
    """The dataset to train on where no records are named: some of Magenta's configs name one."""
    name = FLAGS.tfds_name or config.tfds_name
    if not name:
        raise UserError("--examples_path=GLOB is needed (or --tfds_name)")
    return name


if __name__ == "__main__":
    app.run(main, required=["config", "run_dir"])
