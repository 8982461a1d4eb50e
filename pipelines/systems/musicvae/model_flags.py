"""The flags by which commands name a checkpoint, its config, and what computes with it."""

from absl import flags

# The flags belong to the command that calls `define`: its --help shows them.
flags.disclaim_key_flags()

CHECKPOINT_FILE = (
    "Another checkpoint: its prefix, one of its files, or Magenta's .tar; or best, that of the run "
    "with the lowest loss on held-out records (see train --validation_path)."
)

# models.accelerated.layouts has these names too, but imports TensorFlow.
LAYOUTS = ("auto", "loops", "cudnn", "xla")
PRECISIONS = ("float32", "bfloat16")


def define_layout() -> None:
    """Defines --layout, which `layout.lay_out` takes."""
    flags.DEFINE_enum(
        "layout",
        "auto",
        LAYOUTS,
        "How the layers of the model run: as loops of TensorFlow, whole by cuDNN (needs a GPU), or "
        "as loops that XLA compiles. auto: loops on a CPU, cudnn on a GPU. The variables are the "
        "same. (Not in Magenta.)",
    )


def define(
    pretrained: str, run_dir: str = "The run's folder; its newest checkpoint is used."
) -> None:
    """Defines --run_dir, --checkpoint_file, --pretrained, --config, --config_file, --hparams,
    --devices and --log, which `run.open_from_flags`, `devices.use` and `tensorflow.start` take.

    Args:
      pretrained, run_dir: what the help says of these two.
    """
    flags.DEFINE_string("run_dir", None, run_dir)
    flags.DEFINE_string("checkpoint_file", None, CHECKPOINT_FILE)
    flags.DEFINE_string("pretrained", None, pretrained)
    flags.DEFINE_string("config", None, "The config, where no run.json tells it.")
    flags.DEFINE_string(
        "config_file", None, "The Python file with the run's config, if it has one."
    )
    flags.DEFINE_string("hparams", "", "Changed hparams, where no run.json tells them.")
    flags.DEFINE_string(
        "devices",
        "",
        "What to compute on: CPU or GPU, or one of several as in GPU:1. By default a GPU where "
        "TensorFlow finds one, else the CPU.",
    )
    flags.DEFINE_enum(
        "log",
        "WARN",
        ["DEBUG", "INFO", "WARN", "ERROR", "FATAL"],
        "The least severe messages of Magenta and TensorFlow to show.",
    )
