"""Measures a checkpoint on held-out music, once.

Prints JSON on stdout and writes the same to RUN_DIR/eval, with summaries for TensorBoard: the
loss and its reconstruction and KL terms and, for this project's configs and similar ones of
Magenta's, how near the decoded music is to the held-out music:
  teacher_forced  each step decoded from the true steps before it, z drawn from the posterior, the
                  likeliest outcome of each step
  sampled         decoded from the posterior mean alone, each step drawn at --temperature from what
                  was decoded before it
  thresholded     the same without drawing: a hit wherever its probability is over 0.5 (grooves)
  likeliest       the same without drawing: the likeliest event (melodies)
Grooves are measured by their hits (precision, recall, F1, velocity, timing), over all and by drum
class. Melodies are measured by their events, over all and bar by bar:
  accuracy        the share of all steps that are right; most have no event
  onset_accuracy  the share of the notes that begin on their step with their pitch; onset_precision
                  and onset_f1 go with it
  rhythm_f1       whether a note begins, whatever its pitch
  pitch_accuracy  where a note begins as it should, whether its pitch is right

With --samples=1000 it also compares so many samples from the prior with the held-out music, by
musical features, by how near they are to what was learnt and, with --judge_run_dir, by another
model's encoder. Tables go to stderr; docs/samples.md explains them.

Examples:
  ./run.sh evaluate --run_dir=/data/runs/first \\
      --examples_path='/data/groove/validation.tfrecord*'
  ./run.sh evaluate --run_dir=/data/runs/first --samples=1000 \\
      --examples_path='/data/groove/validation.tfrecord*' \\
      --baseline_examples_path='/data/groove/train.tfrecord*' --judge_run_dir=/data/runs/other
"""

import os
import tempfile
from collections.abc import Callable

from absl import flags

import configs
from pipelines import runs
from pipelines.records import leakage, manifest
from pipelines.runtime import app, device_names, tensorflow
from pipelines.runtime.app import UserError, say
from pipelines.runtime.flags import path_flag, require_finite, required_path_flag
from pipelines.runtime.terminal import shown_json
from pipelines.systems.musicvae import model_flags, pretrained, prior

FLAGS = flags.FLAGS
model_flags.define(
    run_dir="The run's folder; its newest checkpoint is measured, and the results go to its folder "
    "eval. With a --checkpoint_file of no run, any folder for the results; it is made if it is "
    "absent.",
    pretrained="Instead of --run_dir: a model that comes with the project (./run.sh pretrained "
    "lists them), or the folder of one. The results go to stdout alone.",
)
flags.DEFINE_string(
    "examples_path",
    None,
    "Glob of TFRecord files of NoteSequences, e.g. 'DIR/validation.tfrecord*'.",
)
flags.DEFINE_float("temperature", 0.5, "For sampling; generate's default.", lower_bound=1e-6)
flags.DEFINE_integer("batch_size", 64, "Examples measured at once.", lower_bound=1)
flags.DEFINE_integer("eval_num_batches", None, "Measure no more batches than this.", lower_bound=1)
flags.DEFINE_string("eval_dir_suffix", "", "Added to the name of the folder eval.")
flags.DEFINE_integer("seed", 0, "Seeds what is drawn: the same seed gives the same numbers.")
flags.DEFINE_string(
    "baseline",
    None,
    "Measure a baseline instead, the same way: untrained (the run's model before its first step), "
    "most_frequent_bar (of --baseline_examples_path) or, for melodies, most_frequent_event.",
)
flags.DEFINE_string(
    "baseline_examples_path",
    None,
    "The training records: where most_frequent_... is counted, and what --samples are put beside. "
    "With --samples, by default those that the run was trained on.",
)
flags.DEFINE_integer(
    "samples",
    None,
    "Also compare so many samples from the prior with the held-out music; 1000 are enough.",
    lower_bound=2,
)
flags.DEFINE_float(
    "top_p", 1.0, "With --samples: generate's flag of this name.", lower_bound=0.01, upper_bound=1
)
flags.DEFINE_enum("prior", None, prior.KINDS, "With --samples: generate's flag of this name.")
flags.DEFINE_string(
    "judge_run_dir",
    None,
    "With --samples: the folder of another run with windows of the same length, in whose latent "
    "space the Fréchet distance is taken.",
)
flags.DEFINE_bool("json", False, "Print JSON, as this command does in any case.")


def main() -> None:
    """Runs the job from its flags."""
    require_finite("temperature", "top_p")
    configs.require_known(FLAGS.config, path_flag("config_file"))
    if FLAGS.samples and FLAGS.baseline:
        raise UserError("--samples has baselines of its own; leave out --baseline")
    for name in ("judge_run_dir", "prior", "top_p"):
        if not FLAGS[name].using_default_value and not FLAGS.samples:
            raise UserError(f"--{name} goes with --samples; give --samples=1000, too")
    # What can be wrong is found before TensorFlow is imported, which takes some ten seconds.
    device_names.read(FLAGS.devices)
    if not FLAGS.run_dir and not FLAGS.pretrained:
        raise UserError("missing --run_dir (or --pretrained; see --help)")
    pretrained.require_from_flags(new_run_dir=True)
    manifest.record_files(required_path_flag("examples_path"))
    if FLAGS.judge_run_dir:
        runs.require_checkpoint(path_flag("judge_run_dir"), None)
    tensorflow.start(FLAGS.log)
    from pipelines.examples import reading
    from pipelines.runtime import devices, files
    from pipelines.systems.musicvae import evaluation, losses
    from pipelines.systems.musicvae.run import open_from_flags

    held_out = reading.open_note_sequences(required_path_flag("examples_path"))
    run = open_from_flags(FLAGS, new_run_dir=True)
    devices.use(FLAGS.devices)
    for trained_on in run.trained_on():
        leakage.warn(held_out.paths, trained_on)
    options = evaluation.Options(
        FLAGS.temperature, FLAGS.batch_size, FLAGS.eval_num_batches, FLAGS.seed
    )
    compare_samples = _sample_comparison(run, held_out) if FLAGS.samples else None
    if FLAGS.baseline not in (None, "untrained"):
        if not FLAGS.baseline_examples_path:
            raise UserError(f"--baseline={FLAGS.baseline} needs --baseline_examples_path")
        training = reading.open_note_sequences(required_path_flag("baseline_examples_path"))
        result = evaluation.evaluate_constant(run, FLAGS.baseline, held_out, training, options)
    else:
        with tempfile.TemporaryDirectory() as directory:
            if FLAGS.baseline == "untrained":
                run = losses.untrained(run, directory, FLAGS.seed)
            result = evaluation.evaluate(run, held_out, options)
    if compare_samples:
        result["samples"] = compare_samples()
    result["baseline"] = FLAGS.baseline
    if FLAGS.pretrained:  # There is no run folder for the results.
        print(shown_json(result))
        return
    eval_dir = runs.eval_dir(required_path_flag("run_dir"), FLAGS.eval_dir_suffix)
    os.makedirs(eval_dir, exist_ok=True)
    # The split is in the names of the files, and a run of its own in TensorBoard.
    label = evaluation.label(held_out.source)
    measured = FLAGS.baseline or f"step-{result['step']}"
    path = os.path.join(eval_dir, f"{label}-{measured}.json")
    files.write_json(path, result, sort_keys=True)
    if not FLAGS.baseline:
        evaluation.write_summaries(os.path.join(eval_dir, label), result)
    print(shown_json(result))
    say(f"written to {eval_dir}")


def _sample_comparison(run, held_out) -> Callable[[], dict]:
    """Opens what --samples needs; returns a function that compares, and prints the tables.

    Args:
      run: from `open_from_flags`.
      held_out: the opened records to compare with.

    Raises:
      UserError: where the run has no samples that can be compared, the training records are
        unknown, or the judge does not fit.
    """
    from pipelines.examples import reading
    from pipelines.systems.musicvae import encoder_judge, samples

    samples.require_comparable(run)
    learnt = path_flag("baseline_examples_path") or ",".join(run.trained_on())
    if not learnt:
        raise UserError("--samples needs --baseline_examples_path, the training records")
    try:
        training = reading.open_note_sequences(learnt)
    except UserError as error:
        raise UserError(f"--baseline_examples_path, the training records: {error}") from error
    judge = None
    if FLAGS.judge_run_dir:
        judge = encoder_judge.open_judge(
            required_path_flag("judge_run_dir"), run, path_flag("config_file")
        )
    options = samples.Options(
        FLAGS.samples,
        FLAGS.temperature,
        FLAGS.top_p,
        FLAGS.prior,
        FLAGS.batch_size,
        FLAGS.seed,
    )

    def compare() -> dict:
        result = samples.compare(run, held_out, training, options, judge=judge)
        for line in samples.table(result):
            say(line)
        return result

    return compare


if __name__ == "__main__":
    app.run(main, required=["examples_path"])
