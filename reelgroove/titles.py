"""Titles for the tunes in a file of records, as JSON: the process of `reelgroove.match`.

Its own, because the towers are Keras 3 and models of Magenta turn off what they need.
"""

import json

from absl import flags

from pipelines.music import note_sequence
from pipelines.records import tfrecord
from pipelines.runtime import app, tensorflow
from pipelines.runtime.flags import path_flag, path_flags, required_path_flag

FLAGS = flags.FLAGS

flags.DEFINE_string("records", None, "NoteSequence records.")
flags.DEFINE_string("run_dir", None, "As of `titles match`, and so are the other flags.")
flags.DEFINE_integer("top_k", 10, "How many titles for each tune.", lower_bound=1)
flags.DEFINE_string("titles", None, "A list of titles to choose from.")
flags.DEFINE_string("index", None, "A folder that keeps their vectors.")
flags.DEFINE_multi_string("taken", [], "A list of titles that exist.")
flags.DEFINE_bool("exclude_existing", False, "Leave out titles that exist.")
flags.DEFINE_bool("trust", False, "Trust the run's text encoder from now on.")


def main() -> None:
    """Prints a list for each tune: title, score and whether it exists, for each title."""
    tensorflow.start("WARN", with_magenta=False)
    from pipelines.representations import scale_degrees
    from pipelines.systems.titles import matching, towers

    run_dir = required_path_flag("run_dir")
    if FLAGS.trust:
        towers.trust_run(run_dir)
    matcher = matching.Matcher(
        run_dir, path_flag("titles"), path_flag("index"), path_flags("taken")
    )
    found = []
    for number, record in enumerate(tfrecord.read(required_path_flag("records")), start=1):
        tune = note_sequence.parse(record)
        try:
            titles = matcher.match(tune, FLAGS.top_k, FLAGS.exclude_existing)
        except scale_degrees.NoMelodyError as error:
            app.say(f"tune {number}: no titles: {error}")
            titles = []
        found.append([(each.title, float(each.score), bool(each.existing)) for each in titles])
    print(json.dumps(found))


if __name__ == "__main__":
    app.run(main, required=("records", "run_dir"))
