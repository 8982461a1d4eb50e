"""Reports what a config makes of a folder of records: how many examples, and why others give none.

With --dry_run it converts every record of every split once, as training does, and prints a table,
or with --json the same as JSON. Records that give examples and records that give none, by reason,
add up to all of them. No model is built and nothing is written.

Without --dry_run it would write the tensors; that is not there yet, and not needed: train reads
NoteSequence records.

Example:
  ./run.sh tensors --config=flat-reel_16bar --input=tfrecords/nottingham --dry_run
  ./run.sh tensors --config=flat-reel_16bar --hparams=rhythm=reel --input=tfrecords/nottingham \\
      --dry_run --json
"""

import json

from absl import flags

from models import tensorflow_start
from pipelines import app
from pipelines.app import UserError

FLAGS = flags.FLAGS
flags.DEFINE_string("config", None, "The name of the config; ./run.sh configs lists them.")
flags.DEFINE_string("config_file", None, "A Python file with a CONFIG_MAP of your own configs.")
flags.DEFINE_string("hparams", "", "Comma-separated name=value pairs, e.g. rhythm=reel.")
flags.DEFINE_string("input", None, "A folder of NoteSequence records, made by ./run.sh convert.")
flags.DEFINE_string("output", None, "The folder for the tensors, once they can be written.")
flags.DEFINE_bool("dry_run", False, "Only report.")
flags.DEFINE_bool("json", False, "Report as JSON.")


def main():
    if not FLAGS.dry_run:
        raise UserError(
            "writing tensors is not there yet: add --dry_run for the report; train reads "
            "NoteSequence records directly (--examples_path='DIR/train.tfrecord*')"
        )
    tensorflow_start.start("WARN")
    from pipelines import coverage, runs

    config = runs.configure(FLAGS.config, app.path("config_file"), FLAGS.hparams)
    folder = app.path("input")
    report = {"config": FLAGS.config, "input": folder, **coverage.measure(config, folder)}
    if FLAGS.json:
        print(json.dumps(report, indent=2))
        return
    print(f"{FLAGS.config} on {folder}")
    if report["rejected"]:
        print(f"({report['rejected']} of {report['read']} were left out by convert before)")
    print(coverage.table(report))


if __name__ == "__main__":
    app.run(main, required=["config", "input"])
