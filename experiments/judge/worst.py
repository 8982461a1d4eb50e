"""Shows the tunes of people that measure worst by a criterion.

python -m experiments.judge.worst --records=tfrecords/tunes --input=DIR/abc --criterion=melody
"""

from absl import flags

from experiments.judge import measuring
from pipelines.judge import learning, verdicts
from pipelines.runtime import app
from pipelines.runtime.terminal import shown

FLAGS = flags.FLAGS


def _define_flags() -> None:
    measuring.define_flags()
    flags.DEFINE_string("criterion", "melody", "The criterion.")
    flags.DEFINE_integer("number", 10, "How many tunes are shown.")


def main() -> None:
    """Judges the test tunes, and prints the worst as a table in Markdown."""
    tunes = learning.read(FLAGS.records, FLAGS.input)[learning.TEST]
    judge = verdicts.open_judge("", [FLAGS.criterion])
    found = []
    for known in measuring.without_warnings(tunes, FLAGS.records):
        opinion = judge(known.tune).opinions[FLAGS.criterion]
        if opinion.finding is not None:
            found.append((opinion.finding.measure, known, opinion.finding))
    print("| tune | measure | says | marks |")
    print("|---|---|---|---|")
    for measure, known, finding in sorted(found, key=lambda row: row[0])[: FLAGS.number]:
        marks = "; ".join(f"bar {mark.bar + 1}: {mark.text}" for mark in finding.marks)
        about = f"{known.tune.title} (`{known.id}`)"
        print(shown(f"| {about} | {measure:.2f} | {finding.says} | {marks} |"))


if __name__ == "__main__":
    _define_flags()
    app.run(main, required=["records", "input"])
