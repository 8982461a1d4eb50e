"""Measures transfers by the true target, on pairs that style render has made.

Rows: the input as it is, each method, the target through mels and back, which is what can be had at
best, the target itself, and the target of another performance, which is chance. Columns, all of
output audio: the log-spectral distance to the target in dB (lsd_db: the STFT down to 80 dB below
the target's loudest bin; log_mel_db: 192 mel bands down to -100 dB, so with what nobody hears), the
F1 of onsets or notes beside the input's, the distance of timbres to the target in nats, the
probability of the target's sound by a classifier that has learnt from other performances, and a
Frechet distance on what the classifier sees. The probability alone says nothing: what fools it may
be further from the target than the input. In brackets are 95% intervals, by a bootstrap over
performances. --json prints all as JSON.

Methods learn from the performances of training, which must not have both sounds; --run_dir alone is
measured where they have (render --paired_training). A run that has learnt from what is to be
measured is refused, as far as its files tell.

Examples:
  ./run.sh style evaluate --pairs=pairs
  ./run.sh style evaluate --pairs=pairs --method=knn --num_clips=50 --json
  ./run.sh style evaluate --pairs=pairs --run_dir=runs/to_808
"""

import pathlib

from absl import flags

from pipelines import runs
from pipelines.runtime import app, tensorflow
from pipelines.runtime.app import UserError, say
from pipelines.runtime.files import write_json
from pipelines.runtime.flags import path_flag, path_flags, required_path_flag
from pipelines.runtime.terminal import shown_json
from pipelines.systems.style.measuring import evaluation
from pipelines.systems.style.sounds import rendering, sound_folders
from pipelines.systems.style.sounds.performances import SOURCE, TARGET
from pipelines.systems.style.sounds.sound_folders import Pair
from pipelines.systems.style.transfer import fitting
from pipelines.systems.style.transfer.methods import methods
from pipelines.systems.style.transfer.transfers import SampleTransfer, Transfer

FLAGS = flags.FLAGS

flags.DEFINE_string("pairs", None, "A folder that style render has made of two sounds.")
flags.DEFINE_multi_enum(
    "method", list(methods()), list(methods()), "The methods to fit and measure; by default all."
)
flags.DEFINE_multi_string(
    "run_dir", [], "A run of style train to measure as well, in a row of its folder's name."
)
flags.DEFINE_enum("split", "test", ("validation", "test"), "Which performances are measured.")
flags.DEFINE_integer("num_clips", 20, "How many performances are measured.", lower_bound=2)
flags.DEFINE_float("seconds", 5.0, "How much of each, from its beginning.", 0.5, 60.0)
flags.DEFINE_integer("seed", 0, "Draws performances.", lower_bound=0)
flags.DEFINE_string("output", None, "A JSON file to write.")
flags.DEFINE_bool("json", False, "Print JSON instead of a table.")


def main() -> None:
    """Runs the job from its flags."""
    pairs = pathlib.Path(required_path_flag("pairs"))
    measured = sound_folders.pairs(pairs, FLAGS.split)
    settings = evaluation.Settings(
        FLAGS.split, FLAGS.num_clips, FLAGS.seconds, not rendering.is_of_drums(pairs), FLAGS.seed
    )
    run_dirs, source, target = path_flags("run_dir"), pairs / SOURCE, pairs / TARGET
    names = _methods(source, target, run_dirs)
    # Bad input is said before methods learn for a minute.
    trained = _trained(run_dirs, {*names, *evaluation.MARKS}, measured)
    fitted = fitting.fitted(names, source, target, FLAGS.seed) if names else {}
    found = evaluation.evaluate(pairs, {**fitted, **trained}, settings)
    if output := path_flag("output"):
        write_json(output, found)
    print(shown_json(found) if FLAGS.json else "\n".join(evaluation.table(found)))


def _methods(source: pathlib.Path, target: pathlib.Path, run_dirs: list[str]) -> list[str]:
    """The methods to fit: those that are asked for, by default all that the folders can teach."""
    both = sound_folders.rendered_twice(source, target)
    if not both:
        return FLAGS.method
    why = (
        f"{source.parent}: {len(both)} performances to learn from have both sounds, as of render "
        "--paired_training, so methods would meet the truth of what they have to guess"
    )
    if FLAGS["method"].present or not run_dirs:
        raise UserError(
            f"{why}; give --run_dir without --method, or render the pairs without --paired_training"
        )
    say(f"{why}, and are not measured")
    return []


def _trained(
    run_dirs: list[str], taken: set[str], measured: list[Pair]
) -> dict[str, Transfer | SampleTransfer]:
    """Runs by the names of their folders, which have not learnt from what is measured."""
    found: dict[str, Transfer | SampleTransfer] = {}
    for run_dir in run_dirs:
        runs.require_checkpoint(run_dir, None)
        name = pathlib.Path(run_dir).absolute().name
        if name in taken or name in found:
            raise UserError(f"{run_dir}: there is a row {name} already; rename the folder")
        tensorflow.start("WARN", with_magenta=False)
        from pipelines.systems.style.measuring import leaks
        from pipelines.systems.style.training import opening

        found[name], about = opening.open_run(run_dir)
        leaks.require_unmet(run_dir, about, measured)
    return found


if __name__ == "__main__":
    app.run(main, required=("pairs",))
