"""Makes a page to listen to a folder of music: index.html in it, which opens from disk.

The folder has MIDI files, tunes in ABC notation or scores in MusicXML, also in folders in it. The
page shows a piano roll of every piece and the score of tunes, and plays the sound files that lie
beside them (NAME.mp3, .flac or .wav beside NAME.mid). Those that are missing are made; those of a
tunebook of several tunes are in a folder NAME-sound beside it. The page needs no server and no
network. Pieces that ./run.sh generate wrote are shown with what they were made of. Prints the path
of the page.

Example:
  ./run.sh page music
"""

from collections.abc import Sequence

from absl import flags

from pipelines.audio import instruments, synthesizers
from pipelines.media import sound
from pipelines.media.page import folder, sounds, writing
from pipelines.runtime import app
from pipelines.runtime.app import UserError
from pipelines.runtime.flags import path_flag
from pipelines.runtime.terminal import print_path, shown_json

FLAGS = flags.FLAGS
flags.DEFINE_bool(
    "overwrite", False, "Replace an index.html that is not from here; pages from here always are."
)
flags.DEFINE_enum(
    "audio",
    "auto",
    sound.CHOICES,
    "Make the sound of pieces that have none. auto: MP3 for up to "
    f"{sound.MOST_BY_ITSELF} pieces, none for more.",
)
flags.DEFINE_enum(
    "instrument",
    None,
    list(instruments.PROGRAMS),
    "What plays all notes that are not drums in the sound that is made; by default what each note "
    f"says, and where it says nothing a {instruments.DEFAULT}.",
)
flags.DEFINE_string(
    "sound_font",
    None,
    "The sound font (.sf2, .sf3) that sounds come from; one comes with the packages.",
)
flags.DEFINE_enum(
    "synthesizer",
    None,
    list(synthesizers.NAMES),
    "What plays the sound font; by default the first of these that is installed.",
)
flags.DEFINE_bool("json", False, "Print JSON instead of the path.")


def main(arguments: Sequence[str]) -> None:
    """Runs the job from its flags."""
    if len(arguments) != 1:
        raise UserError("name one folder with music: ./run.sh page DIR (see --help)")
    [directory] = arguments
    pieces = folder.read(directory, deep=True)
    how = (FLAGS.instrument, path_flag("sound_font"), FLAGS.synthesizer)
    if sounds.make(directory, pieces, FLAGS.audio, *how):
        pieces = folder.read(directory, deep=True)  # With the sound that is there now.
    path = writing.write(directory, deep=True, overwrite=FLAGS.overwrite, pieces=pieces)
    if FLAGS.json:
        print(shown_json({"page": path}))
    else:
        print_path(path)


if __name__ == "__main__":
    app.run(main, with_arguments=True)
