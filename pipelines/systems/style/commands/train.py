"""Trains a network that gives sounds of the source the sound of the target.

--source and --target are folders of sounds, such as two of `style render`: what lies in their
folders train is learnt from. Unless --model=paired they need not be, and should not be, the same
music. Where they are the folders source and target of one that style render made, the distance to
the true targets of the validation split is measured as the network learns, RUN_DIR/best keeps the
nearest checkpoint, and training ends where it gets no nearer. RUN_DIR/train gets the checkpoints
and summaries for TensorBoard, RUN_DIR/run.json says what they are of. Give the command again to go
on with a run that was stopped.

--model=wavenet-gan changes samples in place of mels, and needs no way back to sound;
--model=wavenet learns to turn mels into sound, of --target alone: a vocoder for style reconstruct.

Examples:
  ./run.sh style render --input=tfrecords/groove --sound=TimGM6mb:Standard \\
      --sound='TimGM6mb:TR 808' --output=pairs
  ./run.sh style train --source=pairs/source --target=pairs/target --model=melganvc \\
      --max_minutes=30 --run_dir=runs/to_808
  ./run.sh style train --target=pairs/target --model=wavenet --run_dir=runs/wavenet
"""

import shlex
from collections.abc import Callable, Sequence

from absl import flags

from configs import hparams as config_hparams
from configs import vocoder as vocoder_configs
from configs import wavenet_gan as waveform_configs
from configs.style import MODELS, NO_METHOD, Hparams
from pipelines import runs
from pipelines.runtime import app, device_names, tensorflow
from pipelines.runtime.app import UserError, say
from pipelines.runtime.flags import require_finite, required_path_flag
from pipelines.runtime.terminal import print_run
from pipelines.systems.style.transfer.methods import methods
from pipelines.systems.style.transfer.transfers import FLOOR_DB, HOP

FLAGS = flags.FLAGS

flags.DEFINE_string("source", None, "A folder of sounds to start from, e.g. pairs/source.")
flags.DEFINE_string("target", None, "A folder of sounds to sound like, e.g. pairs/target.")
flags.DEFINE_enum(
    "model",
    None,
    [*MODELS, *waveform_configs.MODELS, *vocoder_configs.MODELS],
    "The model; docs/style.md describes them.",
)
flags.DEFINE_string("run_dir", None, "The run's folder.")
flags.DEFINE_integer(
    "num_steps", None, "Batches to train on; by default the model's own.", lower_bound=1
)
flags.DEFINE_float("max_minutes", 0.0, "Ends this job after so many minutes; 0 for never.", 0.0)
flags.DEFINE_string(
    "hparams", "", "Comma-separated name=value pairs that change hparams, as in width=64."
)
flags.DEFINE_integer("seed", 0, "Seeds all that is drawn.", lower_bound=0)
flags.DEFINE_string(
    "devices",
    "",
    "What to compute on: CPU or GPU, or one of several as in GPU:1. By default a GPU where "
    "TensorFlow finds one, else the CPU.",
)
flags.DEFINE_bool("json", False, "Print JSON instead of the run's folder alone: run_dir.")

_AT_LEAST_ONE = (
    "width", "critic_width", "vector", "piece", "batch_size", "num_steps", "critic_steps",
    "identity_steps", "warm_up", "every", "patience",
)  # fmt: skip
# 2^20 samples are more than a minute.
_MOST_LAYERS = 20
_SWITCHES = ("residual", "batch_norm")
_NOT_NEGATIVE = (
    "learning_rate", "travel", "margin", "identity", "cycle", "penalty", "adversarial",
)  # fmt: skip


def _changes() -> str:
    """What the flags change of the model's hyperparameters."""
    steps = f"num_steps={FLAGS.num_steps}" if FLAGS.num_steps else ""
    return ",".join(filter(None, (FLAGS.hparams, steps)))


def merged() -> Hparams:
    """The hyperparameters that the flags say.

    Raises:
      UserError: for a name or a value that there is not.
    """
    changes = _changes()
    if "method" in {pair.partition("=")[0].strip() for pair in changes.split(",")}:
        raise UserError(f"--hparams={changes}: method is fixed; take another --model")
    found: Hparams = config_hparams.replaced(MODELS[FLAGS.model], FLAGS.model, changes)
    for name in _AT_LEAST_ONE:
        if not 1 <= getattr(found, name) < 2**31:
            raise UserError(f"--hparams={changes}: {name} must be from 1 to {2**31 - 1}")
    for name in _SWITCHES:
        if getattr(found, name) not in (0, 1):
            raise UserError(f"--hparams={changes}: {name} must be 0 or 1")
    for name in ("start", "teacher"):
        allowed = [*methods(), NO_METHOD]
        if getattr(found, name) not in allowed:
            raise UserError(f"--hparams={changes}: {name} must be one of {', '.join(allowed)}")
    if found.critic_steps > 1 and found.method != "melganvc":
        raise UserError(f"--hparams={changes}: critic_steps is of MelGAN-VC alone")
    if (found.method == "pseudopaired") != (found.teacher != NO_METHOD):
        raise UserError(
            f"--hparams={changes}: pseudopaired models alone have a teacher, and need one"
        )
    if not 0 <= found.average < 1:
        raise UserError(f"--hparams={changes}: average must be from 0 to below 1")
    if found.piece % 4:
        raise UserError(f"--hparams={changes}: piece must be a multiple of 4")
    _require_not_negative(found, _NOT_NEGATIVE)
    if found.minutes <= 0:
        raise UserError(f"--hparams={changes}: minutes must be over 0")
    if not 0 <= found.beta < 1:
        raise UserError(f"--hparams={changes}: beta must be from 0 to below 1")
    return found


def _require_not_negative(hparams: object, names: Sequence[str]) -> None:
    """Raises UserError for a negative one: such a loss would be learnt backwards."""
    for name in names:
        if getattr(hparams, name) < 0:
            raise UserError(f"--hparams={_changes()}: {name} must not be negative")


def merged_of_vocoder() -> vocoder_configs.Hparams:
    """The hyperparameters of a vocoder that the flags say.

    Raises:
      UserError: for a name or a value that there is not, and for --source.
    """
    if FLAGS.source:
        raise UserError(f"--model={FLAGS.model} learns from --target alone; leave --source out")
    values = vocoder_configs.MODELS[FLAGS.model]
    found: vocoder_configs.Hparams = config_hparams.replaced(values, FLAGS.model, _changes())
    for name, value in vars(found).items():
        if name != "learning_rate" and not 1 <= value < 2**31:
            raise UserError(f"--hparams={_changes()}: {name} must be from 1 to {2**31 - 1}")
    _require_not_negative(found, ["learning_rate"])
    if found.layers > _MOST_LAYERS:
        raise UserError(f"--hparams={_changes()}: layers must be at most {_MOST_LAYERS}")
    return found


def merged_of_samples() -> waveform_configs.Hparams:
    """The hyperparameters of a model that changes samples that the flags say.

    Raises:
      UserError: for a name or a value that there is not.
    """
    changes = _changes()
    values = waveform_configs.MODELS[FLAGS.model]
    found: waveform_configs.Hparams = config_hparams.replaced(values, FLAGS.model, changes)
    for name, value in vars(found).items():
        if isinstance(value, int) and not 1 <= value < 2**31:
            raise UserError(f"--hparams={changes}: {name} must be from 1 to {2**31 - 1}")
    _require_not_negative(
        found,
        ("learning_rate", "critic_learning_rate", "adversarial", "travel", "margin", "identity"),
    )
    if found.layers > _MOST_LAYERS:
        raise UserError(f"--hparams={changes}: layers must be at most {_MOST_LAYERS}")
    if found.piece % 4:
        raise UserError(f"--hparams={changes}: piece must be a multiple of 4")
    if found.piece * HOP % found.group:
        raise UserError(
            f"--hparams={changes}: the {found.piece * HOP} samples of a piece must be a multiple "
            f"of group"
        )
    for name in ("beta", "average"):
        if not 0 <= getattr(found, name) < 1:
            raise UserError(f"--hparams={changes}: {name} must be from 0 to below 1")
    if not FLOOR_DB <= found.floor_db < 0:
        raise UserError(f"--hparams={changes}: floor_db must be from {FLOOR_DB:g} to below 0")
    if found.minutes <= 0:
        raise UserError(f"--hparams={changes}: minutes must be over 0")
    return found


def _folders() -> tuple[str, str]:
    """The folders of source and target."""
    if not FLAGS.source:
        raise UserError("missing --source (see --help)")
    return required_path_flag("source"), required_path_flag("target")


def _transfer(run_dir: str) -> Callable[[], None]:
    """What trains a model of transfer, once its flags were checked."""
    hparams = merged()
    source, target = _folders()

    def train() -> None:
        from pipelines.systems.style.training import mel_training

        limits = mel_training.Limits(FLAGS.max_minutes)
        mel_training.train(FLAGS.model, hparams, source, target, run_dir, FLAGS.seed, limits)

    return train


def _of_samples(run_dir: str) -> Callable[[], None]:
    """What trains a model that changes samples, once its flags were checked."""
    hparams = merged_of_samples()
    source, target = _folders()

    def train() -> None:
        from pipelines.systems.style.training import waveform_training

        limits = waveform_training.Limits(FLAGS.max_minutes)
        waveform_training.train(FLAGS.model, hparams, source, target, run_dir, FLAGS.seed, limits)

    return train


def _vocoder(run_dir: str) -> Callable[[], None]:
    """What trains a vocoder, once its flags were checked."""
    hparams, target = merged_of_vocoder(), required_path_flag("target")

    def train() -> None:
        from pipelines.systems.style.vocoders import vocoder_training

        vocoder_training.train(FLAGS.model, hparams, target, run_dir, FLAGS.seed, FLAGS.max_minutes)

    return train


def main() -> None:
    """Runs the job from its flags."""
    require_finite("max_minutes")
    run_dir = required_path_flag("run_dir")
    if FLAGS.model in vocoder_configs.MODELS:
        train, use = _vocoder(run_dir), "reconstruct --representation=mel --vocoder"
    elif FLAGS.model in waveform_configs.MODELS:
        train, use = _of_samples(run_dir), "convert --run_dir"
    else:
        train, use = _transfer(run_dir), "convert --run_dir"
    device_names.read(FLAGS.devices)
    runs.require_free(run_dir)
    tensorflow.start("WARN", with_magenta=False)
    from pipelines.runtime import devices

    devices.use(FLAGS.devices)
    train()
    use = f"{use}={shlex.quote(run_dir)}"
    say(f"next: ./run.sh style {use} --input=song.wav --output=converted")
    print_run(run_dir, FLAGS.json)


if __name__ == "__main__":
    app.run(main, required=("target", "model", "run_dir"))
