"""Goes on from a tune with a trained model of melody curves: MIDI, ABC, sound, a page to listen.

--mode=continue   --input, or its first --prompt_bars bars, and --bars bars that the model adds

An input is a MIDI file, a tune in ABC notation or a score in MusicXML; its melody is its first
voice, without chords. Each piece is the input's melody with what follows it. Prints the paths of
the MIDI files. The same seed and flags give the same bytes. A page to listen to all that is in the
folder, index.html, opens from disk; pieces.json says how each piece was made.

Example:
  ./run.sh generate --run_dir=runs/curves --checkpoint_file=best --mode=continue --input=tune.abc \\
      --prompt_bars=8 --bars=8 --output_dir=music
"""

import secrets

from absl import flags

from pipelines import runs
from pipelines.audio import instruments, synthesizers
from pipelines.media import reading, sound
from pipelines.runtime import app, device_names, tensorflow
from pipelines.runtime.app import UserError, say
from pipelines.runtime.flags import path_flag, path_flags, require_finite, required_path_flag
from pipelines.runtime.terminal import print_path, shown_json

FLAGS = flags.FLAGS

flags.DEFINE_string("run_dir", None, "The run's folder; its newest checkpoint is used.")
flags.DEFINE_string(
    "checkpoint_file",
    None,
    "Another checkpoint of the run; best is the one with the fewest bits a note.",
)
flags.DEFINE_string("output_dir", None, "Where the files go.")
flags.DEFINE_enum("mode", "continue", ["continue"], "What to generate.")
flags.DEFINE_multi_string("input", [], "The tune to go on from: MIDI, ABC notation or MusicXML.")
flags.DEFINE_integer(
    "prompt_bars",
    None,
    "How many bars of the input to go on from, its pickup aside; by default all.",
    lower_bound=1,
)
flags.DEFINE_integer(
    "bars",
    8,
    "How many bars to add, besides the rest of the bar that the last note is in.",
    lower_bound=1,
    upper_bound=10_000,
)
flags.DEFINE_integer(
    "num_outputs",
    None,
    "How many continuations; by default 5, and 1 of curves-faithful, which takes the likeliest.",
    lower_bound=1,
)
flags.DEFINE_float(
    "temperature", 1.0, "The randomness of what is drawn.", lower_bound=1e-6, upper_bound=1e6
)
flags.DEFINE_float(
    "top_p",
    1.0,
    "Draw each note from the likeliest ones alone, which together have at least this probability: "
    "nucleus sampling.",
    lower_bound=0.01,
    upper_bound=1,
)
flags.DEFINE_integer(
    "seed",
    None,
    "Seeds what is drawn; by default a new one is taken and shown.",
    lower_bound=0,
)
flags.DEFINE_string(
    "devices",
    "",
    "What to compute on: CPU or GPU, or one of several as in GPU:1. By default a GPU where "
    "TensorFlow finds one, else the CPU.",
)
flags.DEFINE_bool("overwrite", False, "Replace other music of the same name.")
flags.DEFINE_bool("json", False, "Print JSON instead of paths: mode, seed and files.")
flags.DEFINE_bool("pianoroll", True, "Draw a piano roll beside each MIDI file.")
flags.DEFINE_bool(
    "page",
    True,
    "Make a page to listen, index.html, and pieces.json, which says how each piece was made.",
)
flags.DEFINE_enum(
    "audio",
    "auto",
    sound.CHOICES,
    "Write the sound of each piece beside its MIDI file. auto: MP3 for up to "
    f"{sound.MOST_BY_ITSELF} pieces, none for more.",
)
flags.DEFINE_enum(
    "instrument",
    None,
    list(instruments.PROGRAMS),
    f"What plays the notes; by default what the input says, else a {instruments.DEFAULT}.",
)
flags.DEFINE_string(
    "sound_font", None, "The sound font (.sf2, .sf3) that sounds come from; one comes with this."
)
flags.DEFINE_enum(
    "synthesizer",
    None,
    list(synthesizers.NAMES),
    "What plays the sound font; by default the first of these that is installed.",
)


def main() -> None:
    """Runs the job from its flags."""
    inputs = path_flags("input")
    if len(inputs) != 1:
        raise UserError(f"--mode={FLAGS.mode} needs --input=FILE once (MIDI, ABC or MusicXML)")
    require_finite("temperature", "top_p")
    device_names.read(FLAGS.devices)
    run_dir, checkpoint_file = required_path_flag("run_dir"), path_flag("checkpoint_file")
    runs.require(run_dir, "curves", "train --config=curves")
    runs.require_checkpoint(run_dir, checkpoint_file)
    reading.require_file(inputs[0])
    audio = sound.choose(
        FLAGS.audio,
        FLAGS.num_outputs or 1,
        FLAGS.instrument,
        path_flag("sound_font"),
        FLAGS.synthesizer,
    )
    tensorflow.start("WARN", with_magenta=False)
    from pipelines.media.page import writing
    from pipelines.runtime import devices
    from pipelines.systems.curves import continuing, generation, model

    devices.use(FLAGS.devices)
    opened = model.open_run(run_dir, checkpoint_file)
    if continuing.draws(opened):
        number, seed = FLAGS.num_outputs or 5, FLAGS.seed
        if seed is None:
            seed = secrets.randbits(31)
            say(f"seed: {seed}")
    else:
        number, seed = _take_the_likeliest(opened.name), 0
    options = generation.Options(
        bars=FLAGS.bars,
        prompt_bars=FLAGS.prompt_bars,
        num_outputs=number,
        temperature=FLAGS.temperature,
        top_p=FLAGS.top_p,
        seed=seed,
        pianoroll=FLAGS.pianoroll,
        overwrite=FLAGS.overwrite,
        describe=FLAGS.page,
        audio=audio,
        instrument=FLAGS.instrument,
        sound_font=path_flag("sound_font"),
        synthesizer=FLAGS.synthesizer,
    )
    output_dir = required_path_flag("output_dir")
    paths = generation.generate(opened, inputs[0], output_dir, options)
    page = writing.try_to_write(output_dir, FLAGS.overwrite) if FLAGS.page else None
    if FLAGS.json:
        print(shown_json({"mode": FLAGS.mode, "seed": seed, "files": paths, "page": page}))
        return
    for path in paths:
        print_path(path)


def _take_the_likeliest(name: str) -> int:
    """How many continuations there are of a model that draws nothing: one.

    Raises:
      UserError: where more are asked for.
    """
    if (FLAGS.num_outputs or 1) > 1:
        raise UserError(
            f"--num_outputs={FLAGS.num_outputs}: {name} takes the likeliest curves, so that all "
            "continuations are equal; leave it out, or continue with a run of curves"
        )
    for flag in ("temperature", "top_p"):
        if not FLAGS[flag].using_default_value:
            raise UserError(f"--{flag} does not go with {name}, which draws nothing")
    return 1


if __name__ == "__main__":
    app.run(main, required=("run_dir", "output_dir"))
