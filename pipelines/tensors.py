"""Converts NoteSequence records to training tensors for one config, by Beam.

Training from tensors is many times faster than from NoteSequences: each is converted once, and
TensorFlow draws what is drawn afresh each epoch. The tensors of each split, the list of the
NoteSequences that gave none and why, and a manifest land in --output; the manifest goes to stdout.
tfrecords/README.md documents the format. `evaluate` measures the NoteSequences themselves.

With --dry_run nothing is written: every record is converted, and a table (with --json, JSON) says
how many examples the records give, and why some give none.

Examples:
  ./run.sh tensors --config=flat-groove_4bar --input=tfrecords/groove \\
      --output=tfrecords/groove-flat-groove_4bar
  ./run.sh train --config=flat-groove_4bar \\
      --examples_path='tfrecords/groove-flat-groove_4bar/train.tfrecord*' --run_dir=runs/flat
  ./run.sh tensors --config=flat-reel_16bar --hparams=rhythm=reel --input=tfrecords/nottingham \\
      --dry_run
"""

from absl import flags

import configs
from configs import ConfigRef
from pipelines.records import manifest
from pipelines.runtime import app, beam_files, storage, storage_copies, tensorflow
from pipelines.runtime.app import UserError
from pipelines.runtime.flags import path_flag, required_path_flag
from pipelines.runtime.terminal import shown, shown_json

FLAGS = flags.FLAGS
flags.DEFINE_string("config", None, "The name of the config; ./run.sh configs lists them.")
flags.DEFINE_string("config_file", None, "A Python file with a CONFIG_MAP of your own configs.")
flags.DEFINE_string("hparams", "", "Comma-separated name=value pairs, e.g. rhythm=reel.")
flags.DEFINE_string(
    "input",
    None,
    "A folder of NoteSequence records, made by ./run.sh convert, also at s3:// or gs://.",
)
flags.DEFINE_string("output", None, "Folder for the tensors, also at s3:// or gs://.")
flags.DEFINE_integer("num_shards", 4, "Files for each split.", lower_bound=1, upper_bound=99999)
flags.DEFINE_list("pipeline_options", None, "Options for Beam, joined by commas.")
flags.DEFINE_bool("overwrite", False, "Replace the tensors of an older run in --output.")
flags.DEFINE_bool("dry_run", False, "Only report; write nothing.")
flags.DEFINE_bool(
    "json", False, "With --dry_run: report as JSON. Otherwise JSON is printed in any case."
)


def main():
    """Runs the job from its flags."""
    if not (FLAGS.dry_run or FLAGS.output):
        raise UserError("missing --output, or --dry_run for a report alone (see --help)")
    configs.require_known(FLAGS.config, path_flag("config_file"))
    folder = required_path_flag("input")
    # What can be wrong is found before TensorFlow is imported, which takes some ten seconds.
    if not storage.is_address(folder):
        manifest.open_folder(folder)
    tensorflow.start("WARN")
    if FLAGS.dry_run:
        _report()
        return
    from pipelines.examples import conversion

    made = conversion.convert(
        _ref(),
        folder,
        required_path_flag("output"),
        num_shards=FLAGS.num_shards,
        pipeline_arguments=FLAGS.pipeline_options,
        overwrite=FLAGS.overwrite,
    )
    print(shown_json(made))


def _ref() -> ConfigRef:
    return ConfigRef(FLAGS.config, path_flag("config_file"), FLAGS.hparams)


def _report():
    from pipelines.examples import report as coverage

    config = _ref().build()
    folder = required_path_flag("input")
    beam_files.configure(FLAGS.pipeline_options or ())
    measured = coverage.measure(config, storage_copies.local_folder(folder))
    report = {"config": FLAGS.config, "input": folder, **measured}
    if FLAGS.json:
        print(shown_json(report))
        return
    print(shown(f"{FLAGS.config} on {folder}"))
    if report["rejected"]:
        print(f"({report['rejected']} of {report['read']} were left out by convert before)")
    print(shown(coverage.table(report), keep="\n"))


if __name__ == "__main__":
    app.run(main, required=["config", "input"])
