"""Sampling, from the command to the files: `generate` beside music_vae_generate.

Both decode with the same checkpoint at the same temperature, and write MIDI alone. Unless one is
named, a drum model is trained for a short while first, so that there is music in the files.
"""

import functools
import os
import pathlib
import shutil
import subprocess
import sys

from absl import flags

from pipelines.bench import Benchmark, Comparison, _magenta
from pipelines.bench._compare import measure, numbers, require_success
from pipelines.demo import grooves
from pipelines.music import midi_reader
from pipelines.runtime.app import say
from pipelines.runtime.flags import path_flag

FLAGS = flags.FLAGS
# Two names of one model; stock Magenta knows only its own.
_OURS, _THEIRS = "flat-groove_4bar", "groovae_4bar"
_TRAINING_STEPS = 60
# The number of files whose notes are counted.
_FILES_READ = 1000


def _define_flags() -> None:
    flags.DEFINE_list("num_outputs", ["1000", "10000"], "How many pieces to sample.")
    flags.DEFINE_integer(
        "max_batch_size", None, "The same on both sides; by default each has its own default."
    )
    flags.DEFINE_float("temperature", 0.5, "The randomness of the decoding.", lower_bound=1e-6)
    flags.DEFINE_string(
        "checkpoint_file",
        None,
        f"A checkpoint of {_OURS} or {_THEIRS}, which are the same; by default one is trained "
        f"for {_TRAINING_STEPS} steps.",
    )
    _magenta.define_flags()


def _prepare(scratch: str) -> Comparison:
    sizes = numbers("num_outputs", "1000,10000")
    sides = _magenta.sides()
    common = [
        f"--checkpoint_file={path_flag('checkpoint_file') or _trained(scratch)}",
        "--mode=sample",
        f"--temperature={FLAGS.temperature}",
    ]
    if FLAGS.max_batch_size:
        common.append(f"--max_batch_size={FLAGS.max_batch_size}")
        batches = f"batches of {FLAGS.max_batch_size}"
    else:
        batches = "batches as by default"
    ours = [sys.executable, "-m", "pipelines.generate", f"--config={_OURS}"]
    ours += ["--nopianoroll", "--nopage", "--audio=none"]
    theirs = [
        *_magenta.python(),
        "-m",
        "magenta.models.music_vae.music_vae_generate",
        f"--config={_THEIRS}",
    ]
    cases = {}
    for n in sizes:
        cases[f"{n} pieces of four bars, {batches}"] = {
            name: functools.partial(
                _run,
                [*command, *common, f"--num_outputs={n}"],
                n,
                os.path.join(scratch, f"{kind}-{n}"),
            )
            for name, kind, command in (
                ("reelgroove", "ours", ours),
                (_magenta.name(), "theirs", theirs),
            )
        }
    return Comparison(cases, sides)


def _trained(scratch: str) -> str:
    """Trains on the built-in corpus; returns the prefix of the checkpoint."""
    from pipelines.corpora import conversion  # Seconds to import.

    say(f"training {_OURS} for {_TRAINING_STEPS} steps, for something to sample from ...")
    corpus, converted, run_dir = (
        os.path.join(scratch, name) for name in ("midi", "records", "run")
    )
    grooves.write_corpus(corpus)
    conversion.convert("groove", corpus, converted)
    command = [
        sys.executable,
        "-m",
        "pipelines.train",
        f"--config={_OURS}",
        "--hparams=batch_size=32",
        f"--examples_path={converted}/train.tfrecord*",
        f"--run_dir={run_dir}",
        f"--num_steps={_TRAINING_STEPS}",
        "--seed=1",
    ]
    with open(f"{run_dir}.log", "wb") as log:
        status = subprocess.call(command, stdout=log, stderr=subprocess.STDOUT)
    require_success(status, command, f"{run_dir}.log")
    return os.path.join(run_dir, "train", f"model.ckpt-{_TRAINING_STEPS}")


def _run(command: list[str], pieces: int, path: str, number: int) -> dict[str, float]:
    output = pathlib.Path(f"{path}-{number}")
    measured = measure([*command, f"--output_dir={output}"], f"{output}.log")
    files = sorted(output.glob("*.mid"))
    # Magenta's program exits with 0 even if it failed.
    require_success(len(files) != pieces, command, f"{output}.log")
    notes = [
        len(midi_reader.midi_to_note_sequence(file.read_bytes()).notes)
        for file in files[:_FILES_READ]
    ]
    # Every round starts with the same disk.
    shutil.rmtree(output)
    return {**measured, "files": len(files), "notes a file": round(sum(notes) / len(notes), 1)}


BENCHMARK = Benchmark(
    name="sample",
    summary="four-bar drum pieces from a checkpoint to MIDI files, beside music_vae_generate",
    define_flags=_define_flags,
    required=(),
    prepare=_prepare,
    better={"seconds": "less", "peak MiB": "less"},
)
