"""Writes tunes with a language model: ABC notation, MIDI, sound, scores, and a page to listen.

--mode=sample    new tunes, of a meter, key, rhythm and form
--mode=continue  --input, the begin of a tune in any key and meter, and what follows it to the end
                 of the form
--mode=vary      a second strain to the first one of --input; with --keep, another version of it

Every bar is full, every strain as long as asked, and the tune ends on its tonic, since a grammar
allows nothing else; --nogrammar lets the model write as it likes. A form has a letter for each time
that a strain is played: AABB, or AA'BB' with second endings, or ABAB.

An input is ABC notation, a MIDI file or a score in MusicXML, of one voice. Prints the paths of the
MIDI files; the same seed and flags give the same bytes. --mode may name a mode of music as well
(--mode=dorian), which means --mode=sample --key_mode=dorian.

Examples:
  ./run.sh generate --run_dir=runs/tunes --rhythm=jig --tonic=D --key_mode=dorian --form=AABB \\
      --bars=8 --num_outputs=8 --output_dir=music
  ./run.sh generate --run_dir=runs/tunes --mode=continue --input=begin.abc --output_dir=music
  ./run.sh generate --run_dir=runs/tunes --mode=vary --input=strain.abc --keep=rhythm \\
      --output_dir=music
"""

import os
import secrets
from fractions import Fraction

from absl import flags

from pipelines.audio import instruments, synthesizers
from pipelines.judge import keeping
from pipelines.media import sound
from pipelines.music.abc import fields, reader
from pipelines.representations.abc_tokens import written
from pipelines.representations.abc_tokens.written import Key
from pipelines.runtime import app, device_names, tensorflow
from pipelines.runtime.app import UserError, say
from pipelines.runtime.flags import path_flag, path_flags, require_finite, required_path_flag
from pipelines.runtime.nearest import did_you_mean
from pipelines.runtime.terminal import print_path, shown_json
from pipelines.systems.tune_lm import conditions, naming, prompts, sources, tasks

FLAGS = flags.FLAGS
MODES = ("sample", "continue", "vary")
# More pieces get neither sound nor a piano roll where none is asked for: they would take minutes.
_MOST_DRAWN = sound.MOST_BY_ITSELF

flags.DEFINE_string("run_dir", None, "The run's folder.")
flags.DEFINE_string(
    "checkpoint_file",
    None,
    "Another checkpoint than the best one: its prefix, one of its files, or a folder.",
)
flags.DEFINE_string(
    "pretrained",
    None,
    "Instead of --run_dir: a model that comes with the project (./run.sh pretrained lists them), "
    "or the folder of one.",
)
flags.DEFINE_string("config", None, "The run's config; its run.json tells it, too.")
flags.DEFINE_string("output_dir", None, "Where the files go.")
flags.DEFINE_string("mode", "sample", f"What to write: {', '.join(MODES)}; or a mode of music.")
flags.DEFINE_multi_string(
    "input", [], "The tune to continue or vary: ABC notation, MIDI or MusicXML, of one voice."
)
flags.DEFINE_string("meter", None, "The meter, such as 6/8; by default that of the rhythm.")
flags.DEFINE_string("tonic", None, "The first note of the key, such as D, F# or Bb. Default: D.")
flags.DEFINE_string(
    "key_mode", None, f"The mode of the key: {', '.join(conditions.MODES)}. Default: major."
)
flags.DEFINE_string(
    "rhythm", None, "The kind of tune, such as reel, jig or waltz. Default: reel, or by the meter."
)
flags.DEFINE_string(
    "form",
    None,
    "A letter for each time that a strain is played, with a prime for a second ending: AABB, "
    "AA'BB', ABAB. Default: AABB, or what the signs in --input suggest.",
)
flags.DEFINE_list(
    "bars", None, "How many bars a strain has, or each different one, such as 8,16. Default: 8."
)
flags.DEFINE_string(
    "pickup", None, "The length of the pickup to each strain, in whole notes, such as 1/8."
)
flags.DEFINE_integer("ending_bars", 1, "How many bars an ending has.", lower_bound=1)
flags.DEFINE_integer("prompt_bars", None, "Take so many bars of --input alone.", lower_bound=1)
flags.DEFINE_string(
    "keep",
    None,
    "judge: draw until as many tunes as are wanted pass the judge (./run.sh judge), or have scores "
    "as in 'judge:melody>=3,form>=2', in quotes. With --mode=vary: write the strain anew, and "
    "keep its rhythm (rhythm), or bars (1,2,5-6).",
)
flags.DEFINE_bool("grammar", True, "Allow only what the meter and the form allow.")
flags.DEFINE_integer("num_outputs", 5, "How many tunes.", lower_bound=1)
flags.DEFINE_float(
    "temperature",
    0.8,
    "How random the notes are. At 1 they are as the model has them, and tunes repeat themselves "
    "too little (experiments/tune_lm/samples.md).",
    lower_bound=1e-6,
)
flags.DEFINE_integer("top_k", 0, "Draw from so many of the likeliest alone; 0: all.", lower_bound=0)
flags.DEFINE_float(
    "top_p",
    1.0,
    "Draw from the likeliest alone, which together have at least this probability.",
    lower_bound=0.01,
    upper_bound=1,
)
flags.DEFINE_float(
    "repetition",
    1.0,
    "Make the note by which a passage would recur so many times less likely; below 1, likelier.",
    lower_bound=1e-6,
)
flags.DEFINE_integer(
    "seed", None, "Seeds what is drawn; by default a new one is taken and shown.", lower_bound=0
)
flags.DEFINE_float(
    "qpm",
    None,
    "Quarter notes a minute; by default those of --input, or what dancers take.",
    lower_bound=4,
    upper_bound=1000,
)
flags.DEFINE_string(
    "with_title",
    None,
    "Give each tune the title that fits it best by a run of titles, named here, as ./run.sh titles "
    "match does. By default a tune is called by its rhythm, number and seed.",
)
flags.DEFINE_string(
    "titles",
    None,
    "With --with_title: a text file of titles to choose from, one a line; those of known tunes are "
    "left out. By default the titles that the run was trained on.",
)
flags.DEFINE_string("tunebook", None, "Also write all tunes to this file in ABC notation.")
flags.DEFINE_string(
    "devices",
    "",
    "What to compute on: CPU or GPU, or one of several as in GPU:1. By default a GPU where "
    "TensorFlow finds one, else the CPU.",
)
flags.DEFINE_bool("overwrite", False, "Replace other music of the same name.")
flags.DEFINE_bool("json", False, "Print JSON: mode, seed, files, page, left_out.")
flags.DEFINE_bool(
    "pianoroll",
    None,
    f"Draw a piano roll beside each MIDI file; by default for up to {_MOST_DRAWN} tunes.",
)
flags.DEFINE_bool(
    "page", True, "Make a page to listen, index.html, and pieces.json, which says how it was made."
)
flags.DEFINE_enum(
    "audio",
    "auto",
    sound.CHOICES,
    "Write the sound of each tune beside its MIDI file. auto: MP3 for up to "
    f"{sound.MOST_BY_ITSELF} tunes, none for more.",
)
flags.DEFINE_enum(
    "instrument", None, list(instruments.PROGRAMS), "What plays; by default what the tune says."
)
flags.DEFINE_string("sound_font", None, "The sound font (.sf2, .sf3) that sounds come from.")
flags.DEFINE_enum(
    "synthesizer", None, list(synthesizers.NAMES), "What plays the sound font; see docs/sound.md."
)
flags.DEFINE_enum(
    "log", "WARN", ["DEBUG", "INFO", "WARN", "ERROR", "FATAL"], "TensorFlow's messages to show."
)

_OF_INPUT = ("prompt_bars",)
_OF_SAMPLE = ("meter", "rhythm")


def _mode() -> tuple[str, str | None]:
    """What to write, and the mode of the key where it is given."""
    name = FLAGS.mode.lower()
    if name in MODES:
        return name, FLAGS.key_mode
    if name not in conditions.MODES:
        known = (*MODES, *conditions.MODES)
        raise UserError(
            f"--mode={FLAGS.mode}: it is one of {', '.join(MODES)}, or a mode of music "
            f"({', '.join(conditions.MODES)}){did_you_mean(name, known)}"
        )
    if FLAGS.key_mode and conditions.MODES.get(FLAGS.key_mode.lower()) != conditions.MODES[name]:
        raise UserError(f"--mode={FLAGS.mode} and --key_mode={FLAGS.key_mode}: give one of them")
    return "sample", name


def _key(key_mode: str | None, default: Key | None) -> Key | None:
    """The key that the flags name; `default` where they name none."""
    if FLAGS.tonic is None and key_mode is None:
        return default
    mode = conditions.mode(key_mode or "major", "key_mode" if FLAGS.key_mode else "mode")
    return Key(conditions.tonic(FLAGS.tonic or "D"), mode)


def _bars() -> list[int] | None:
    try:
        return [int(count) for count in FLAGS.bars] if FLAGS.bars else None
    except ValueError:
        raise UserError(f"--bars={','.join(FLAGS.bars)}: give numbers such as 8, or 8,16") from None


def _require_flags_of(mode: str, inputs: list[str]) -> None:
    """Raises UserError where flags do not go with the mode."""
    given = {name for name in (*_OF_INPUT, *_OF_SAMPLE) if not FLAGS[name].using_default_value}
    wrong = sorted(given & set(_OF_INPUT if mode == "sample" else _OF_SAMPLE))
    if mode == "sample" and inputs:
        wrong = ["input", *wrong]
    if wrong:
        raise UserError(f"--{wrong[0]} does not go with --mode={mode}")
    if mode != "sample" and len(inputs) != 1:
        raise UserError(f"--mode={mode} needs --input=FILE once (ABC notation, MIDI or MusicXML)")
    if FLAGS.keep and mode != "vary" and not keeping.is_asked(FLAGS.keep):
        raise UserError(
            f"--keep={FLAGS.keep} goes with --mode=vary, not {mode}; judge goes with all"
        )
    if not FLAGS.grammar and mode == "vary":
        raise UserError("--nogrammar does not go with --mode=vary, which keeps the form")


def _prompt(path: str, key: Key | None) -> written.Tune:
    """The tune to go on from."""
    prompt = prompts.read(path, key)
    if FLAGS.prompt_bars:
        prompt = prompt._replace(bars=prompt.bars[: FLAGS.prompt_bars])
    if not any(note.pitch is not None for bar in prompt.bars for note in bar.notes):
        raise UserError(f"{path}: no notes in the bars that are taken; give more by --prompt_bars")
    if FLAGS.qpm:
        prompt = prompt._replace(tempo=Fraction(FLAGS.qpm))
    return prompt


def _task(mode: str, key_mode: str | None, inputs: list[str]) -> tuple[tasks.Task, str, list]:
    """What to write, how tunes are called, and the inputs with their music."""
    pickup = None if FLAGS.pickup is None else conditions.pickup(FLAGS.pickup)
    if mode == "sample":
        asked = conditions.make(
            conditions.meter(FLAGS.meter) if FLAGS.meter else None,
            _key(key_mode, conditions.DEFAULT_KEY) or conditions.DEFAULT_KEY,
            conditions.rhythm(FLAGS.rhythm) if FLAGS.rhythm else None,
            FLAGS.form or conditions.DEFAULT_FORM,
            _bars() or conditions.DEFAULT_BARS,
            pickup or 0,
            FLAGS.ending_bars,
            Fraction(FLAGS.qpm) if FLAGS.qpm else None,
        )
        return tasks.new(asked, FLAGS.grammar), (asked.rhythm or "Tune").capitalize(), []
    (path,) = inputs
    prompt = _prompt(path, _key(key_mode, None))
    asked_form = tasks.Asked(FLAGS.form, _bars(), pickup, FLAGS.ending_bars)
    title = prompt.title or (prompt.rhythm or "Tune").capitalize()
    given = [(path, reader.perform(written.to_score(prompt)))]
    if mode == "continue":
        task = tasks.go_on(prompt, asked_form, path, FLAGS.grammar)
        return task, f"{title}, continued", given
    strain = tasks.first_strain(prompt)
    if FLAGS.keep and not keeping.is_asked(FLAGS.keep):
        return tasks.version(strain, FLAGS.keep, path), f"{title}, version", given
    if FLAGS.bars is None and len(strain.bars) == len(prompt.bars):
        # The strain is as long as it is, whether or not a sign ends it.
        asked_form = asked_form._replace(bars=tasks.count_bars(strain.bars))
    return tasks.go_on(strain, asked_form, path), f"{title}, with a second strain", given


def _settings(task: tasks.Task, metadata: dict, step: int) -> dict:
    """What pieces.json says of the tunes."""
    given = task.given
    key = f"{_spelled(given.key)} {given.key.mode.lower()}"
    named = path_flag("pretrained") or required_path_flag("run_dir")
    run = os.path.basename(os.path.abspath(named))
    asked = {"form": FLAGS.form, "keep": FLAGS.keep}
    return {
        "model": run,
        "config": metadata["config"],
        "step": step,
        "meter": fields.write_meter(given.meter),
        "key": key,
        "rhythm": given.rhythm,
        **{name: value for name, value in asked.items() if value},
        "grammar": FLAGS.grammar,
        **{name: FLAGS[name].value for name in ("temperature", "top_k", "top_p", "repetition")},
        "qpm": float(given.tempo),
    }


def _spelled(key: Key) -> str:
    """The name of a tonic."""
    return ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")[key.tonic]


def main() -> None:
    """Runs the job from its flags."""
    mode, key_mode = _mode()
    inputs = path_flags("input")
    _require_flags_of(mode, inputs)
    keep = keeping.parse(FLAGS.keep) if keeping.is_asked(FLAGS.keep) else None
    require_finite("temperature", "top_p", "repetition", "qpm")
    # What can be wrong is found before TensorFlow is imported, which takes some ten seconds.
    device_names.read(FLAGS.devices)
    source = path_flag("run_dir"), path_flag("checkpoint_file"), path_flag("pretrained")
    sources.require(*source, FLAGS.config)
    number = FLAGS.num_outputs
    audio = sound.choose(
        FLAGS.audio, number, FLAGS.instrument, path_flag("sound_font"), FLAGS.synthesizer
    )
    titles_run, titles_file = path_flag("with_title"), path_flag("titles")
    if titles_file and not titles_run:
        raise UserError("--titles goes with --with_title=RUN, a run of titles")
    if titles_run:
        naming.require(titles_run, titles_file)
    tunebook = path_flag("tunebook")
    # A seed gives the same tunes again; without one they are others than those in the file.
    if tunebook and os.path.exists(tunebook) and FLAGS.seed is None and not FLAGS.overwrite:
        raise UserError(f"{tunebook} exists; give another --tunebook, or --overwrite")
    task, title, given = _task(mode, key_mode, inputs)
    tensorflow.start(FLAGS.log, with_magenta=False)
    from pipelines.media.page import writing
    from pipelines.runtime import devices
    from pipelines.systems.tune_lm import generation, model
    from pipelines.systems.tune_lm.decoding import Sampling

    devices.use(FLAGS.devices)
    opened = model.open_model(*source)
    config = opened.metadata["config"]
    seed = FLAGS.seed
    if seed is None:
        seed = secrets.randbits(31)
        say(f"seed: {seed}")
    options = generation.Options(
        num_outputs=number,
        sampling=Sampling(FLAGS.temperature, FLAGS.top_k, FLAGS.top_p, FLAGS.repetition, seed),
        keep=keep,
        title=title,
        titles_run=titles_run,
        titles_file=titles_file,
        pianoroll=number <= _MOST_DRAWN if FLAGS.pianoroll is None else FLAGS.pianoroll,
        overwrite=FLAGS.overwrite,
        describe=FLAGS.page,
        tunebook=tunebook,
        audio=audio,
        instrument=FLAGS.instrument,
        sound_font=path_flag("sound_font"),
        synthesizer=FLAGS.synthesizer,
    )
    output_dir = required_path_flag("output_dir")
    settings = {**_settings(task, opened.metadata, opened.step), "seed": seed}
    made = generation.generate(
        opened.network, task, mode, output_dir, config, settings, options, given
    )
    page = writing.try_to_write(output_dir, FLAGS.overwrite) if FLAGS.page else None
    if FLAGS.json:
        files, left_out = list(map(str, made.paths)), dict(made.left_out)
        shown = {"mode": mode, "seed": seed, "files": files, "page": page, "left_out": left_out}
        print(shown_json(shown))
        return
    for path in made.paths:
        print_path(path)


if __name__ == "__main__":
    app.run(main, required=["output_dir"])
