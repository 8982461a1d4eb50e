"""Makes a judge of people's tunes: what ./run.sh judge takes as --judge.

Takes records that ./run.sh convert made of tunebooks, and the tunebooks. The criteria learn from
the tunes of training, and scores are calibrated by those of validation, which share no tune. Prints
the folder. It takes some ten minutes for 5,000 tunes.

Example:
  ./run.sh convert --corpus=abc --input=tunebooks --output=tfrecords/tunes
  ./run.sh judge learn --records=tfrecords/tunes --tunebooks=tunebooks --output=my_judge
  ./run.sh judge tunes.abc --judge=my_judge
"""

from absl import flags

from pipelines.judge import learning, learnt
from pipelines.judge.criteria import criteria
from pipelines.runtime import app, cores
from pipelines.runtime.flags import path_flags, required_path_flag
from pipelines.runtime.terminal import print_path

FLAGS = flags.FLAGS
flags.DEFINE_string("records", None, "The folder of records.")
flags.DEFINE_multi_string(
    "tunebooks", [], "The tunebooks that the records were made of: the --input of convert."
)
flags.DEFINE_string("output", None, "The folder for the judge; an older one there is replaced.")
flags.DEFINE_list("criteria", [], "Learn these alone; by default all.")


def main() -> None:
    """Runs the job from its flags."""
    cores.compute_on_one()
    names = [criteria()[name].name for name in FLAGS.criteria]
    output = required_path_flag("output")
    tunes = learning.read(required_path_flag("records"), path_flags("tunebooks"))
    learnt.write(output, learning.learn(tunes, names))
    print_path(output)


if __name__ == "__main__":
    app.run(main, required=["records", "tunebooks", "output"])
