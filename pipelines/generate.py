"""Generates music with a trained model: MIDI, with a piano roll and, except for drums, ABC.

--mode=sample        new pieces, from latent vectors drawn at random
--mode=reconstruct   --input, every window of it encoded, decoded and joined again
--mode=interpolate   from the first window of one --input to the first of a second one

An input is a MIDI file, a tune in ABC notation or a score in MusicXML (without drums or repeats).
Prints the paths of the MIDI files. The same seed and flags give the same bytes.

Examples:
  ./run.sh generate --run_dir=/data/runs/first --mode=sample --output_dir=/tmp/new --num_outputs=8
  ./run.sh generate --run_dir=/data/runs/first --mode=reconstruct --output_dir=/tmp/again \\
      --input=groove.mid
"""

import secrets

from absl import flags

import configs
from pipelines.runtime import app, device_names, tensorflow
from pipelines.runtime.app import UserError, say
from pipelines.runtime.flags import path_flag, path_flags, require_finite, required_path_flag
from pipelines.runtime.terminal import print_path, shown_json
from pipelines.systems.musicvae import pretrained

FLAGS = flags.FLAGS

# Names, meanings and defaults are those of Magenta's music_vae_generate, unless a flag's help says
# otherwise.
flags.DEFINE_string("run_dir", None, "The run's folder; its newest checkpoint is used.")
flags.DEFINE_string(
    "checkpoint_file", None, "Another checkpoint: its prefix, one of its files, or Magenta's .tar."
)
flags.DEFINE_string(
    "pretrained",
    None,
    "Instead of a run: a model that comes with the project (./run.sh pretrained lists them), or "
    "the folder of one. (Not in Magenta.)",
)
flags.DEFINE_string(
    "config", None, "The config, for a checkpoint without a run.json (such as stock Magenta's)."
)
flags.DEFINE_string(
    "config_file", None, "The Python file with the run's config, if it has one. (Not in Magenta.)"
)
flags.DEFINE_string(
    "hparams", "", "Changed hparams, where no run.json tells them. (Not in Magenta.)"
)
flags.DEFINE_string("output_dir", None, "Where the files go.")
flags.DEFINE_enum(
    "mode",
    "sample",
    ["sample", "reconstruct", "interpolate"],
    "What to generate. (Magenta has no reconstruct.)",
)
flags.DEFINE_multi_string(
    "input",
    [],
    "What to reconstruct: MIDI, ABC notation or MusicXML. Twice for --mode=interpolate: from the "
    "first to the second. (Not in Magenta.)",
)
flags.DEFINE_string("input_midi", None, "The same as --input. (Not in Magenta.)")
flags.DEFINE_string("input_midi_1", None, "The same as the first --input of --mode=interpolate.")
flags.DEFINE_string("input_midi_2", None, "The same as the second.")
flags.DEFINE_integer(
    "num_outputs",
    5,
    "How many samples, or steps of the interpolation with both its ends. Reconstruct gives one.",
    lower_bound=1,
)
flags.DEFINE_bool(
    "skip_empty",
    False,
    "Pass over samples without a note, and draw others in their place. (Not in Magenta.)",
)
flags.DEFINE_integer(
    "max_batch_size",
    None,
    "How many are decoded at once, at most. By default as many as are fast and take little "
    "memory, up to 256. (8 in Magenta.) Other batches give other music for the same seed.",
    lower_bound=1,
)
flags.DEFINE_float("temperature", 0.5, "The randomness of the decoding.", lower_bound=1e-6)
flags.DEFINE_integer(
    "seed",
    None,
    "Seeds what is drawn; by default a new one is taken and shown. (Not in Magenta.)",
    lower_bound=0,
)
flags.DEFINE_float(
    "qpm",
    None,
    "Tempo of the output in quarters a minute; by default the input's, else 120. (Not in Magenta.)",
    # A tempo in MIDI is 24 bits of microseconds: the slowest is 3.6.
    lower_bound=4,
    upper_bound=1000,
)
flags.DEFINE_string(
    "devices",
    "",
    "What to decode on: CPU or GPU, or one of several as in GPU:1. By default a GPU where "
    "TensorFlow finds one, else the CPU. (Not in Magenta.)",
)
flags.DEFINE_bool("overwrite", False, "Replace other music of the same name. (Not in Magenta.)")
flags.DEFINE_bool(
    "json", False, "Print JSON instead of paths: mode, seed and files. (Not in Magenta.)"
)
flags.DEFINE_bool("pianoroll", True, "Draw a piano roll beside each MIDI file. (Not in Magenta.)")
flags.DEFINE_enum(
    "log",
    "WARN",
    ["DEBUG", "INFO", "WARN", "ERROR", "FATAL"],
    "The least severe messages of Magenta and TensorFlow to show. (INFO in Magenta.)",
)


def _inputs() -> list[str]:
    """The input files of the mode; raises UserError for one that is missing or not of the mode."""
    names = {
        "sample": (),
        "reconstruct": ("input_midi",),
        "interpolate": ("input_midi_1", "input_midi_2"),
    }
    needed = names[FLAGS.mode]
    for name in ("input_midi", "input_midi_1", "input_midi_2"):
        if FLAGS[name].value and name not in needed:
            raise UserError(f"--{name} does not go with --mode={FLAGS.mode}")
    named = [name for name in needed if FLAGS[name].value]
    if FLAGS.input and named:
        raise UserError(f"--input and --{named[0]} say the same; give one of them")
    given = path_flags("input") or [required_path_flag(name) for name in named]
    if not needed and given:
        raise UserError(f"--input does not go with --mode={FLAGS.mode}")
    if len(given) != len(needed):
        wanted = "--input=FILE" if len(needed) == 1 else "--input=FILE twice, from one to the other"
        raise UserError(f"--mode={FLAGS.mode} needs {wanted} (MIDI, ABC or MusicXML)")
    return given


def main() -> None:
    """Runs the job from its flags."""
    inputs = _inputs()
    require_finite("temperature", "qpm")
    configs.require_known(FLAGS.config, path_flag("config_file"))
    if FLAGS.skip_empty and FLAGS.mode != "sample":
        raise UserError(f"--skip_empty does not go with --mode={FLAGS.mode}, which draws nothing")
    # What can be wrong is found before TensorFlow is imported, which takes some ten seconds.
    device_names.read(FLAGS.devices)
    pretrained.require_from_flags()
    tensorflow.start(FLAGS.log)
    from pipelines.runtime import devices
    from pipelines.systems.musicvae import generation
    from pipelines.systems.musicvae.run import open_from_flags

    run = open_from_flags(FLAGS)
    devices.use(FLAGS.devices)
    seed = FLAGS.seed
    if seed is None:
        seed = secrets.randbits(31)
        say(f"seed: {seed}")
    options = generation.Options(
        num_outputs=FLAGS.num_outputs,
        max_batch_size=FLAGS.max_batch_size,
        temperature=FLAGS.temperature,
        seed=seed,
        qpm=FLAGS.qpm,
        pianoroll=FLAGS.pianoroll,
        overwrite=FLAGS.overwrite,
        skip_empty=FLAGS.skip_empty,
    )
    paths = generation.generate(run, FLAGS.mode, required_path_flag("output_dir"), inputs, options)
    if FLAGS.json:
        print(shown_json({"mode": FLAGS.mode, "seed": seed, "files": list(map(str, paths))}))
        return
    for path in paths:
        print_path(path)


if __name__ == "__main__":
    app.run(main, required=["output_dir"])
