"""Measures a language model of tunes on held-out tunes: bits a written note.

All tokens are paid for, over the full vocabulary and without a grammar: bar lines, repeats, endings
and the end. Meter, mode, rhythm and tempo are given. "model+ppm" is the model mixed with what the
tune so far says by itself. Intervals are of a bootstrap over groups of versions of a tune. Prints
JSON on stdout and writes the same to RUN_DIR/eval; tables go to stderr.

With --baseline it also measures that, and what the model saves beside it, tune for tune: unigram,
kneser_ney (of order 5) or kneser_ney+ppm.

With --samples=1000 it also draws so many tunes with the grammar and as many without it, and
measures them beside the held-out tunes; docs/samples.md explains the tables. RUN_DIR/eval keeps the
tunes in ABC notation.

Example:
  ./run.sh evaluate --run_dir=runs/tunes --tunebooks=tunebooks \\
      --examples_path='tfrecords/tunes/test.tfrecord*' --baseline=kneser_ney+ppm
"""

import os
from typing import Any

from absl import flags

from pipelines import runs
from pipelines.records import leakage, manifest
from pipelines.runtime import app, device_names, files, tensorflow
from pipelines.runtime.app import UserError, say
from pipelines.runtime.flags import path_flag, path_flags, require_finite, required_path_flag
from pipelines.runtime.terminal import shown_json
from pipelines.systems.tune_lm import sources

FLAGS = flags.FLAGS

flags.DEFINE_string("run_dir", None, "The run's folder; the results go to its folder eval.")
flags.DEFINE_string(
    "checkpoint_file",
    None,
    "best, or a checkpoint; by default the best on the validation tunes.",
)
flags.DEFINE_string(
    "pretrained",
    None,
    "Instead of --run_dir: a model that comes with the project (./run.sh pretrained lists them), "
    "or the folder of one. The results go to stdout alone.",
)
flags.DEFINE_string("config", None, "Needs not be given: the run says it.")
flags.DEFINE_string(
    "examples_path", None, "Glob of the records of the tunes to measure, e.g. 'DIR/test.tfrecord*'."
)
flags.DEFINE_multi_string(
    "tunebooks", [], "What the records were made of, as --input of convert had it."
)
flags.DEFINE_string(
    "baseline",
    None,
    "Measure this too: unigram, kneser_ney or kneser_ney+ppm, counted on the run's training tunes.",
)
flags.DEFINE_integer(
    "samples",
    None,
    "Also measure so many tunes that the model makes up, with the grammar and without it.",
    lower_bound=1,
)
flags.DEFINE_float("temperature", 0.8, "With --samples: generate's.", lower_bound=1e-6)
flags.DEFINE_float("top_p", 1.0, "With --samples: generate's.", lower_bound=0.01, upper_bound=1)
flags.DEFINE_integer("seed", 1, "Seeds the bootstrap, and what is drawn.", lower_bound=0)
flags.DEFINE_string(
    "devices",
    "",
    "What to compute on: CPU or GPU, or one of several as in GPU:1. By default a GPU where "
    "TensorFlow finds one, else the CPU.",
)
flags.DEFINE_bool("json", False, "Print JSON, as this command does in any case.")


def main() -> None:
    """Runs the job from its flags."""
    examples_path = required_path_flag("examples_path")
    source = path_flag("run_dir"), path_flag("checkpoint_file"), path_flag("pretrained")
    tunebooks = path_flags("tunebooks")
    if not tunebooks:
        raise UserError("missing --tunebooks, the tunebooks that the records were made of")
    # What can be wrong is found before TensorFlow is imported, which takes some ten seconds.
    device_names.read(FLAGS.devices)
    require_finite("temperature", "top_p")
    for name in ("temperature", "top_p"):
        if not FLAGS[name].using_default_value and not FLAGS.samples:
            raise UserError(f"--{name} goes with --samples; give --samples=1000, too")
    sources.require(*source, FLAGS.config)
    paths = manifest.record_files(examples_path)
    tensorflow.start("WARN", with_magenta=False)
    from pipelines.examples import written_tunes
    from pipelines.runtime import devices
    from pipelines.systems.tune_lm import evaluation, model

    evaluation.require_baseline(FLAGS.baseline)
    opened = model.open_model(*source)
    devices.use(FLAGS.devices)
    metadata = opened.metadata
    model.require_data(metadata, source[0] or os.path.dirname(opened.source))
    leakage.warn(paths, f"{metadata['examples_path']},{metadata['validation_path']}")
    folder, splits = written_tunes.splits_of(examples_path)
    needs_training = [name for name in ("baseline", "samples") if FLAGS[name].value]
    if needs_training:
        _require_trained_on(folder, metadata, needs_training[0])
    learnt, tuned = set(metadata["splits"]), set(metadata["validation_splits"])
    wanted = splits | tuned | (learnt if needs_training else set())
    found = written_tunes.read(folder, tunebooks, metadata["highest"], wanted)

    def those(of: set[str]) -> list[written_tunes.Tune]:
        return [tune for tune in found.tunes if tune.split in of]

    held_out, validation = those(splits), those(tuned)
    if not held_out:
        raise UserError(f"{examples_path}: no tune of one voice in these records")
    if not validation:
        raise UserError(
            f"{folder}: no tune of the split {', '.join(sorted(tuned))}, on which the share of the "
            "tune so far is fitted; convert the tunebooks with such a split, and name its records"
        )
    probabilities = evaluation.measured(opened, held_out, validation)
    if FLAGS.baseline:
        baseline = evaluation.of_baseline(FLAGS.baseline, held_out, those(learnt), validation)
        probabilities = {FLAGS.baseline: baseline, **probabilities}
    result = {
        "step": opened.step,
        "weights": model.weights_of(opened.network),
        "left_out": dict(sorted(found.left_out.items())),
        **evaluation.report(probabilities, held_out, FLAGS.seed),
    }
    evaluation.say_table(result)
    compared = failed = None
    if FLAGS.samples:
        try:
            compared = _samples(opened.network, those(learnt), held_out)
            result["samples"] = compared.result
        except UserError as error:
            failed = error  # Of samples nothing can be said; what was measured before is kept.
    print(shown_json(result))
    if not FLAGS.pretrained:  # Which has no folder for results.
        label = f"{'-'.join(sorted(splits))}-step-{opened.step}"
        _write(result, label)
        if compared:
            _write_books(compared.drawn, label)
    if failed:
        raise failed


def _write_books(drawn: dict[str, list], label: str) -> None:
    """Writes the samples into the run's folder, a tunebook for each set."""
    from pipelines.systems.tune_lm import samples

    for name, tunes in drawn.items():
        path = os.path.join(runs.eval_dir(required_path_flag("run_dir")), f"{label}-{name}.abc")
        with files.replacing(path) as file:
            file.write(samples.book(tunes).encode("utf-8"))


def _write(result: dict[str, Any], label: str) -> None:
    """Writes results into the run's folder."""
    eval_dir = runs.eval_dir(required_path_flag("run_dir"))
    os.makedirs(eval_dir, exist_ok=True)
    path = os.path.join(eval_dir, f"{label}.json")
    files.write_json(path, result, sort_keys=True)
    say(f"written to {eval_dir}")


def _samples(network: Any, training: list, held_out: list):
    """Measures what a model makes up, and shows the tables."""
    from pipelines.systems.tune_lm import samples
    from pipelines.systems.tune_lm.decoding import Sampling

    sampling = Sampling(temperature=FLAGS.temperature, top_p=FLAGS.top_p, seed=FLAGS.seed)
    compared = samples.compare(network, training, held_out, FLAGS.samples, sampling)
    for line in samples.table(compared.result):
        say(line)
    return compared


def _require_trained_on(folder: str, metadata: dict[str, Any], flag: str) -> None:
    """Raises UserError unless a folder has the records that a run was trained on."""
    patterns = [manifest.split_pattern(folder, split) for split in metadata["splits"]]
    training = manifest.record_files(",".join(patterns))
    if manifest.content_digest(training) != metadata["records"]:
        raise UserError(
            f"{folder}: not the records that the run was trained on, which --{flag} needs; leave "
            f"out --{flag}, or name test records beside those"
        )


if __name__ == "__main__":
    app.run(main, required=["examples_path"])
