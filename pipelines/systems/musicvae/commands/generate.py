"""Generates music with a trained model: MIDI, with sound, a piano roll and, except for drums, ABC.

--mode=sample        new pieces, from latent vectors drawn at random (--prior)
--mode=reconstruct   --input, every window of it encoded, decoded and joined again
--mode=interpolate   from the first window of one --input to the first of a second one
--mode=edit          --input with more or less of --attribute, by --amount; first
                     ./run.sh attributes has to find how the run's music changes with it
--mode=average       between the first windows of several --input
--mode=grid          a square between the first windows of four --input, row by row

An input is a MIDI file, a tune in ABC notation or a score in MusicXML (without drums or repeats).
Prints the paths of the MIDI files. The same seed and flags give the same bytes. A page to listen to
all that is in the folder, index.html, opens from disk; pieces.json says how each piece was made.

Examples:
  ./run.sh generate --run_dir=/data/runs/first --mode=sample --output_dir=/tmp/new --num_outputs=8
  ./run.sh generate --run_dir=/data/runs/first --mode=reconstruct --output_dir=/tmp/again \\
      --input=groove.mid
  ./run.sh generate --run_dir=/data/runs/first --mode=edit --output_dir=/tmp/edited \\
      --input=groove.mid --attribute=swing --amount=-2..2
  ./run.sh generate --run_dir=/data/runs/first --mode=edit --output_dir=/tmp/edited \\
      --input=groove.mid --attribute=density,style:jazz --amount=-1,1.5
"""

import dataclasses
import os
import secrets
from collections.abc import Iterable

from absl import flags

import configs
from pipelines import runs
from pipelines.audio import instruments, synthesizers
from pipelines.exported import folders
from pipelines.judge import keeping
from pipelines.media import reading, sound
from pipelines.runtime import app, device_names, tensorflow
from pipelines.runtime.app import UserError, say
from pipelines.runtime.flags import path_flag, path_flags, require_finite, required_path_flag
from pipelines.runtime.terminal import print_path, shown_json
from pipelines.systems.musicvae import directions, model_flags, pretrained, prior

FLAGS = flags.FLAGS

# Names, meanings and defaults are those of Magenta's music_vae_generate, unless a flag's help says
# otherwise.
flags.DEFINE_string("run_dir", None, "The run's folder; its newest checkpoint is used.")
flags.DEFINE_string("checkpoint_file", None, model_flags.CHECKPOINT_FILE)
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
    ["sample", "reconstruct", "interpolate", "edit", "average", "grid"],
    "What to generate. (Magenta has sample and interpolate.)",
)
flags.DEFINE_multi_string(
    "input",
    [],
    "What to reconstruct or edit: MIDI, ABC notation or MusicXML. Twice for --mode=interpolate: "
    "from the first to the second. Four times for --mode=grid: top left, top right, bottom left, "
    "bottom right. (Not in Magenta.)",
)
flags.DEFINE_string("input_midi", None, "The same as --input. (Not in Magenta.)")
flags.DEFINE_string("input_midi_1", None, "The same as the first --input of --mode=interpolate.")
flags.DEFINE_string("input_midi_2", None, "The same as the second.")
flags.DEFINE_multi_string(
    "attribute",
    [],
    "What to edit, such as swing or style:jazz; several are joined by commas, or the flag is given "
    "several times. (Not in Magenta.)",
)
flags.DEFINE_multi_string(
    "amount",
    [],
    "How much more of each attribute, in standard deviations of the music that its direction was "
    "found in: a number, or a range such as -2..2, which gives --num_outputs pieces. (Not in "
    "Magenta.)",
)
flags.DEFINE_enum(
    "direction",
    directions.KINDS[1],
    directions.KINDS,
    "Which of an attribute's directions to edit along; docs/commands.md says what they are. (Not "
    "in Magenta.)",
)
flags.DEFINE_string(
    "attributes_file",
    None,
    "The file that ./run.sh attributes made; by default attributes.json beside the checkpoint. "
    "(Not in Magenta.)",
)
flags.DEFINE_integer(
    "num_outputs",
    5,
    "How many samples, steps of the interpolation or of a range of --amount with both its ends, or "
    "rows and columns of the grid. Reconstruct and average give one.",
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
flags.DEFINE_float(
    "temperature",
    0.5,
    "The randomness of the decoding. Where it is not given, --mode=edit takes the likeliest, which "
    "keeps most of its input.",
    lower_bound=1e-6,
)
flags.DEFINE_float(
    "top_p",
    1.0,
    "Draw each step from its likeliest outcomes alone, which together have at least this "
    "probability: nucleus sampling. (Not in Magenta.)",
    lower_bound=0.01,
    upper_bound=1,
)
flags.DEFINE_enum(
    "prior",
    None,
    prior.KINDS,
    "What the latent vectors of samples are drawn from: a standard normal, as in Magenta, or what "
    "./run.sh prior fitted to those of real music. By default the latter where it was made for "
    "the checkpoint. (Not in Magenta.)",
)
flags.DEFINE_string(
    "keep",
    None,
    "With --mode=sample and melodies: judge draws until as many as are wanted pass the judge of "
    "tunes (./run.sh judge), or have scores as in 'judge:melody>=3', in quotes. (Not in "
    "Magenta.)",
)
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
model_flags.define_layout()
flags.DEFINE_bool("overwrite", False, "Replace other music of the same name. (Not in Magenta.)")
flags.DEFINE_bool(
    "json", False, "Print JSON instead of paths: mode, seed and files. (Not in Magenta.)"
)
flags.DEFINE_bool("pianoroll", True, "Draw a piano roll beside each MIDI file. (Not in Magenta.)")
flags.DEFINE_bool(
    "page",
    True,
    "Make a page to listen, index.html, and pieces.json, which says how each piece was made. (Not "
    "in Magenta.)",
)
flags.DEFINE_enum(
    "audio",
    "auto",
    sound.CHOICES,
    "Write the sound of each piece beside its MIDI file. auto: MP3 for up to "
    f"{sound.MOST_BY_ITSELF} pieces, none for more. (Not in Magenta.)",
)
flags.DEFINE_enum(
    "instrument",
    None,
    list(instruments.PROGRAMS),
    "What plays all notes that are not drums; by default what each note says, and where it says "
    f"nothing a {instruments.DEFAULT}. (Not in Magenta.)",
)
flags.DEFINE_string(
    "sound_font",
    None,
    "The sound font (.sf2, .sf3) that sounds come from; one comes with the packages. (Not in "
    "Magenta.)",
)
flags.DEFINE_enum(
    "synthesizer",
    None,
    list(synthesizers.NAMES),
    "What plays the sound font; by default the first of these that is installed. (Not in Magenta.)",
)
flags.DEFINE_enum(
    "log",
    "WARN",
    ["DEBUG", "INFO", "WARN", "ERROR", "FATAL"],
    "The least severe messages of Magenta and TensorFlow to show. (INFO in Magenta.)",
)


# How many inputs each mode takes, at least and at most, and Magenta's names for them.
_INPUTS: dict[str, tuple[int, int | None, tuple[str, ...]]] = {
    "sample": (0, 0, ()),
    "reconstruct": (1, 1, ("input_midi",)),
    "interpolate": (2, 2, ("input_midi_1", "input_midi_2")),
    "edit": (1, 1, ("input_midi",)),
    "average": (2, None, ()),
    "grid": (4, 4, ()),
}
_WANTED = {
    "interpolate": "--input=FILE twice, from one to the other",
    "average": "--input=FILE twice or more often",
    "grid": "--input=FILE four times, one for each corner",
}
_EDIT_FLAGS = ("attribute", "amount", "direction", "attributes_file")


def _inputs() -> list[str]:
    """The input files of the mode; raises UserError for one that is missing or not of the mode."""
    least, most, names = _INPUTS[FLAGS.mode]
    for name in ("input_midi", "input_midi_1", "input_midi_2"):
        if FLAGS[name].value and name not in names:
            raise UserError(f"--{name} does not go with --mode={FLAGS.mode}")
    named = [name for name in names if FLAGS[name].value]
    if FLAGS.input and named:
        raise UserError(f"--input and --{named[0]} say the same; give one of them")
    given = path_flags("input") or [required_path_flag(name) for name in named]
    if most == 0 and given:
        raise UserError(f"--input does not go with --mode={FLAGS.mode}")
    if len(given) < least or (most is not None and len(given) > most):
        wanted = _WANTED.get(FLAGS.mode, "--input=FILE")
        raise UserError(f"--mode={FLAGS.mode} needs {wanted} (MIDI, ABC or MusicXML)")
    return given


def _parts(name: str) -> list[str]:
    """The parts, between commas, of the values of a flag that may be given several times."""
    values = FLAGS[name].value or []
    return [part.strip() for value in values for part in value.split(",") if part.strip()]


def _amounts() -> list[dict[str, float]]:
    """How much of which attribute each piece gets; none unless the mode is edit."""
    if FLAGS.mode != "edit":
        for name in _EDIT_FLAGS:
            if not FLAGS[name].using_default_value:
                raise UserError(f"--{name} goes with --mode=edit alone, not {FLAGS.mode}")
        return []
    return directions.series(_parts("attribute"), _parts("amount"), FLAGS.num_outputs)


def _pieces(edits: int) -> int:
    """How many pieces there will be, at most."""
    return edits or FLAGS.num_outputs ** (2 if FLAGS.mode == "grid" else 1)


def _directions(names: Iterable[str]) -> tuple[str, directions.Directions] | None:
    """The path of the file of attributes and what it holds; None where the checkpoint tells it.

    Raises:
      UserError: where it is missing or damaged, or lacks one of the names.
    """
    path, run_dir, model = map(path_flag, ("attributes_file", "run_dir", "pretrained"))
    if not path and run_dir:
        path = directions.find([runs.train_dir(run_dir), run_dir])
    elif not path and model:
        path = directions.find([os.fspath(folders.find(model))])
    return _read_directions(path, names) if path else None


def _read_directions(path: str, names: Iterable[str]) -> tuple[str, directions.Directions]:
    """Reads a file of attributes that has some names; returns its path too."""
    found = directions.read(path)
    found.require(names, path)
    return path, found


def main() -> None:
    """Runs the job from its flags."""
    inputs = _inputs()
    amounts = _amounts()
    require_finite("temperature", "top_p", "qpm")
    configs.require_known(FLAGS.config, path_flag("config_file"))
    if FLAGS.skip_empty and FLAGS.mode != "sample":
        raise UserError(f"--skip_empty does not go with --mode={FLAGS.mode}, which draws nothing")
    if FLAGS.keep and (FLAGS.mode != "sample" or not keeping.is_asked(FLAGS.keep)):
        raise UserError(f"--keep={FLAGS.keep}: --mode=sample takes judge, and others take none")
    keep = keeping.parse(FLAGS.keep) if FLAGS.keep else None
    if FLAGS.prior and FLAGS.mode != "sample":
        raise UserError(f"--prior does not go with --mode={FLAGS.mode}, which has its inputs")
    # What can be wrong is found before TensorFlow is imported, which takes some ten seconds.
    device_names.read(FLAGS.devices)
    pretrained.require_from_flags()
    read = _directions(amounts[0]) if amounts else None
    for path in inputs:
        reading.require_file(path)
    audio = sound.choose(
        FLAGS.audio,
        _pieces(len(amounts)),
        FLAGS.instrument,
        path_flag("sound_font"),
        FLAGS.synthesizer,
    )
    tensorflow.start(FLAGS.log)
    from pipelines.media.page import writing
    from pipelines.runtime import devices
    from pipelines.systems.musicvae import generation, layout, model
    from pipelines.systems.musicvae.run import open_from_flags

    run = open_from_flags(FLAGS)
    used = devices.use(FLAGS.devices)
    run = dataclasses.replace(run, config=layout.lay_out(run.config, FLAGS.layout, used))
    seed = FLAGS.seed
    if seed is None:
        seed = secrets.randbits(31)
        say(f"seed: {seed}")
    edit, temperature = None, FLAGS.temperature
    if amounts:
        if read is None:
            beside = directions.find([os.path.dirname(run.source)])
            read = _read_directions(beside, amounts[0])
        path, found = read
        edit = generation.Edit(found, path, FLAGS.direction, amounts)
        if FLAGS["temperature"].using_default_value:
            temperature = model.THRESHOLD_TEMPERATURE
    options = generation.Options(
        num_outputs=FLAGS.num_outputs,
        max_batch_size=FLAGS.max_batch_size,
        temperature=temperature,
        top_p=FLAGS.top_p,
        prior=FLAGS.prior,
        seed=seed,
        qpm=FLAGS.qpm,
        pianoroll=FLAGS.pianoroll,
        overwrite=FLAGS.overwrite,
        skip_empty=FLAGS.skip_empty,
        keep=keep,
        describe=FLAGS.page,
        audio=audio,
        instrument=FLAGS.instrument,
        sound_font=path_flag("sound_font"),
        synthesizer=FLAGS.synthesizer,
    )
    output_dir = required_path_flag("output_dir")
    paths = generation.generate(run, FLAGS.mode, output_dir, inputs, options, edit)
    page = writing.try_to_write(output_dir, FLAGS.overwrite) if FLAGS.page else None
    if FLAGS.json:
        files = list(map(str, paths))
        print(shown_json({"mode": FLAGS.mode, "seed": seed, "files": files, "page": page}))
        return
    for path in paths:
        print_path(path)


if __name__ == "__main__":
    app.run(main, required=["output_dir"])
