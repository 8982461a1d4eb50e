"""Renders NoteSequence records as sound, with a preset of a sound font.

The files lie in OUTPUT/SPLIT, in mono. With a second --sound there are two folders of them,
OUTPUT/source and OUTPUT/target, in which files of the same name are the same performance. In the
split "train" each performance is in one of the two alone (--paired_training puts it into both).
OUTPUT/manifest.jsonl has a line for each file, OUTPUT/rejected.jsonl one for each record that was
not rendered, and OUTPUT/render.json the counts, which are also printed. A drum kit plays drums,
another preset all other notes.

Examples:
  ./run.sh style render --input=tfrecords/groove --sound=TimGM6mb:Brush --sound=TimGM6mb:Power \\
      --output=pairs
  ./run.sh style render --input='tfrecords/tunes/test.tfrecord*' --sound=TimGM6mb:0:73 \\
      --output=flute
"""

from absl import flags

from pipelines.audio import font_library, synthesizers
from pipelines.runtime import app
from pipelines.runtime.app import UserError, say
from pipelines.runtime.flags import required_path_flag
from pipelines.runtime.terminal import shown_json
from pipelines.systems.style.sounds import rendering

FLAGS = flags.FLAGS

flags.DEFINE_string(
    "input", None, "A folder of NoteSequence records, or a pattern of their files, in quotes."
)
flags.DEFINE_multi_string(
    "sound",
    None,
    "FONT:PRESET. FONT is the name of an installed sound font or a file (.sf2, .sf3), PRESET a "
    "name or bank:program. ./run.sh style sounds lists both. Give it twice for pairs.",
)
flags.DEFINE_string("output", None, "The folder to make.")
flags.DEFINE_integer(
    "sample_rate", 16_000, "Frames a second.", lower_bound=8_000, upper_bound=96_000
)
flags.DEFINE_enum("audio", "flac", rendering.FORMATS, "The format of the files, of 16 bits.")
flags.DEFINE_bool(
    "paired_training",
    False,
    "Render each performance of the split train with both sounds, for what learns from pairs.",
)
flags.DEFINE_integer(
    "max_performances",
    None,
    "Render no more performances of each split than these, the first ones.",
    lower_bound=1,
)
flags.DEFINE_enum(
    "synthesizer",
    None,
    synthesizers.NAMES,
    "What plays the sound font; by default the first that is installed.",
)


def main() -> None:
    """Runs the job from its flags."""
    if len(FLAGS.sound) > 2:
        raise UserError(f"{len(FLAGS.sound)} times --sound: give one, or two for pairs")
    sounds = [font_library.find_sound(text) for text in FLAGS.sound]
    output = required_path_flag("output")
    settings = rendering.Settings(
        FLAGS.sample_rate,
        FLAGS.audio,
        FLAGS.paired_training,
        FLAGS.max_performances,
        FLAGS.synthesizer,
    )
    summary = rendering.render(required_path_flag("input"), sounds, output, settings)
    say(
        f"{output}: records read: {summary['records']}, performances rendered: "
        f"{summary['performances']}, rejected: {summary['rejected']}"
    )
    print(shown_json(summary))


if __name__ == "__main__":
    app.run(main, required=("input", "sound", "output"))
