"""Converts a corpus to TFRecords of NoteSequences, with Beam.

Examples:
  ./run.sh convert --corpus=groove --input=groove-v1.0.0-midionly.zip --output=tfrecords/groove
  ./run.sh convert --corpus=abc --input=oneills1850 --input=mine.abc --output=tfrecords/tunes
  ./run.sh convert --corpus=midi --input=my-midi-files --labels=styles.csv --output=tfrecords/mine

`./run.sh corpora` lists the corpora and what --input can be for each. The job writes the records of
each split, a list of what it left out and why, and a manifest to --output, and prints the manifest.
It puts all versions of a piece in the same split; this holds for what is converted together.
tfrecords/README.md documents the format. Several processes convert a large corpus;
--pipeline_options overrides that, for example
--pipeline_options=--direct_running_mode=multi_processing,--direct_num_workers=8
"""

import os

from absl import flags

from pipelines.corpora import conversion
from pipelines.music.limits import MAX_NOTES, MAX_SECONDS, Limits
from pipelines.runtime import app
from pipelines.runtime.app import UserError
from pipelines.runtime.flags import path_flag, require_finite, required_path_flag
from pipelines.runtime.terminal import shown_json
from pipelines.tunes import splits

FLAGS = flags.FLAGS

flags.DEFINE_string("corpus", None, "Name of the corpus.")
flags.DEFINE_multi_string(
    "input",
    None,
    "Path of the corpus: an archive, a folder, or what ./run.sh corpora says, also at s3:// or "
    "gs:// (docs/cluster.md). Where a corpus takes "
    "several, repeat the flag or join the paths by commas.",
)
flags.DEFINE_string("output", None, "Folder for the records, also at s3:// or gs://.")
flags.DEFINE_string(
    "labels",
    None,
    "A table (CSV) of labels for --corpus=midi: one column names the files, title, composer, "
    "artist, style, split and piece are what they say, and any other column is a label.",
)
flags.DEFINE_integer("num_shards", 4, "Files for each split.", lower_bound=1, upper_bound=99999)
flags.DEFINE_list("pipeline_options", None, "Options for Beam, joined by commas.")
flags.DEFINE_list(
    "split_percent",
    None,
    "Shares of train, validation and test, for a corpus without splits of its own; by default "
    "80,10,10.",
)
flags.DEFINE_float("max_seconds", MAX_SECONDS, "Leave out pieces that last longer.", lower_bound=0)
flags.DEFINE_integer("max_notes", MAX_NOTES, "Leave out pieces with more notes.", lower_bound=1)
flags.DEFINE_bool("json", False, "Print JSON, as this command does in any case.")
flags.DEFINE_bool("overwrite", False, "Replace the records of an older run in --output.")


def main() -> None:
    """Runs the job from its flags."""
    require_finite("max_seconds")
    manifest = conversion.convert(
        FLAGS.corpus,
        _paths(FLAGS.input),
        required_path_flag("output"),
        num_shards=FLAGS.num_shards,
        limits=Limits(FLAGS.max_seconds, FLAGS.max_notes),
        pipeline_arguments=FLAGS.pipeline_options,
        overwrite=FLAGS.overwrite,
        split_percent=FLAGS.split_percent and splits.parse_percent(FLAGS.split_percent),
        labels=path_flag("labels"),
    )
    print(shown_json(manifest))


def _paths(values: list[str]) -> list[str]:
    """The paths of --input; a value with commas is several paths, unless it exists as one."""
    paths: list[str] = []
    for value in values:
        whole = os.path.expanduser(value)
        if os.path.exists(whole):
            paths.append(whole)
        else:
            paths += [os.path.expanduser(path) for path in value.split(",") if path]
    if not paths:
        raise UserError("missing --input (see --help)")
    return paths


if __name__ == "__main__":
    app.run(main, required=("corpus", "input", "output"))
