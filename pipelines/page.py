"""Makes a page to listen to a folder of music: index.html in it, which opens from disk.

The folder has MIDI files, tunes in ABC notation or scores in MusicXML, also in folders in it. The
page shows a piano roll of every piece and the score of tunes, and plays the sound files that lie
beside them (NAME.mp3, .flac or .wav beside NAME.mid). It needs no server and no network. Pieces
that ./run.sh generate wrote are shown with what they were made of. Prints the path of the page.

Example:
  ./run.sh page music
"""

from collections.abc import Sequence

from absl import flags

from pipelines.media.page import writing
from pipelines.runtime import app
from pipelines.runtime.app import UserError
from pipelines.runtime.terminal import print_path, shown_json

FLAGS = flags.FLAGS
flags.DEFINE_bool(
    "overwrite", False, "Replace an index.html that is not from here; pages from here always are."
)
flags.DEFINE_bool("json", False, "Print JSON instead of the path.")


def main(arguments: Sequence[str]) -> None:
    """Runs the job from its flags."""
    if len(arguments) != 1:
        raise UserError("name one folder with music: ./run.sh page DIR (see --help)")
    path = writing.write(arguments[0], deep=True, overwrite=FLAGS.overwrite)
    if FLAGS.json:
        print(shown_json({"page": path}))
    else:
        print_path(path)


if __name__ == "__main__":
    app.run(main, with_arguments=True)
