"""Measures a dual tower on held-out tunes: titles found for tunes, and tunes for titles.

The candidates are all titles, or all tunes, of the records; what training has, or nearly has, is
left out. Prints R@1, 5, 10 and 100, MRR and the median rank, each with a 95% bootstrap interval
over tunes, beside baselines that are measured the same way: random, the most frequent words, meter
and mode alone, the title of the nearest training tune, and those of the ten nearest. All this is
measured again without the words that name a rhythm ("reel", "jig", "waltz"), and among candidates
of the same source alone. The result is also written to RUN_DIR/eval as JSON, and for TensorBoard.

Example:
  ./run.sh titles evaluate --run_dir=runs/titles --examples_path='tfrecords/tunes/test.tfrecord*'
"""

from absl import flags

from pipelines import runs
from pipelines.records import manifest
from pipelines.runtime import app, tensorflow
from pipelines.runtime.flags import path_flag, required_path_flag
from pipelines.runtime.terminal import shown_json

FLAGS = flags.FLAGS

flags.DEFINE_string("run_dir", None, "The run's folder.")
flags.DEFINE_string(
    "examples_path",
    None,
    "Glob of TFRecord files of held-out NoteSequences, e.g. 'DIR/test.tfrecord*'.",
)
flags.DEFINE_string(
    "training_path",
    None,
    "Glob of the run's training records, if they were moved. What training has does not count, and "
    "the baselines are made of it.",
)
flags.DEFINE_bool(
    "near_duplicates",
    False,
    "Keep titles that are spelt nearly as one in training, and tunes with nearly the melody of one "
    "there.",
)
flags.DEFINE_bool("json", False, "Print JSON instead of tables.")
flags.DEFINE_integer("seed", 0, "Seeds the order of ties and the bootstrap.", lower_bound=0)
flags.DEFINE_bool(
    "trust",
    False,
    "For a run that was not trained here: trust its text encoder, which is a program, from now on.",
)


def main() -> None:
    """Runs the job from its flags."""
    run_dir = required_path_flag("run_dir")
    runs.require(run_dir, "titles", "titles train")
    manifest.record_files(required_path_flag("examples_path"))
    tensorflow.start("WARN", with_magenta=False)
    from pipelines.systems.titles import evaluation, report, towers

    if FLAGS.trust:
        towers.trust_run(run_dir)
    result = evaluation.measure(
        run_dir,
        required_path_flag("examples_path"),
        path_flag("training_path"),
        FLAGS.seed,
        FLAGS.near_duplicates,
    )
    print(shown_json(result) if FLAGS.json else report.table(result))


if __name__ == "__main__":
    app.run(main, required=("run_dir", "examples_path"))
