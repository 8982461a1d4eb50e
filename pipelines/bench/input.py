"""The input pipeline alone: ours, from tensors and from NoteSequences, beside Magenta's.

Nothing is cached, so that every epoch can be augmented afresh. How memory grows with the number of
copies of the corpus shows whether the corpus has to fit into it.
"""

import functools
import pathlib
import subprocess
import sys

from absl import flags

from pipelines.bench import Benchmark, Comparison, _magenta
from pipelines.bench._compare import numbers
from pipelines.bench.convert import copy_groove
from pipelines.runtime.app import UserError, say
from pipelines.runtime.flags import required_path_flag

FLAGS = flags.FLAGS


def _define_flags() -> None:
    flags.DEFINE_string("input", None, "The Groove MIDI Dataset: its zip or folder.")
    flags.DEFINE_string("config", "flat-groove_4bar", "The name of a config of ours for drums.")
    flags.DEFINE_string("stock_config", "groovae_4bar", "The name of Magenta's beside it.")
    flags.DEFINE_integer("batch_size", 512, "Examples in a batch, on all sides.", lower_bound=1)
    flags.DEFINE_list("copies", ["1", "10"], "Sizes of the corpus: how many copies of it.")
    flags.DEFINE_float("seconds", 20.0, "How long each side reads after its first batch.")
    _magenta.define_flags()


def _prepare(scratch: str) -> Comparison:
    sizes = numbers("copies", "1,10")
    sides = _magenta.sides()
    config = {
        "name": FLAGS.config,
        "file": None,
        "hparams": f"batch_size={FLAGS.batch_size}",
    }
    theirs = {"name": FLAGS.stock_config, "batch_size": FLAGS.batch_size, "every_window": False}
    # Overlapping windows share the cost of reading their piece, so that more of them are read in a
    # second. This comparison is fairer, though Magenta's programs have no option for it.
    every_window = {**theirs, "every_window": True}
    cases = {}
    for copies in sizes:
        folder = pathlib.Path(scratch, f"copies-{copies}")
        folder.mkdir()
        say(f"converting {FLAGS.input}, {copies} times ...")
        copy_groove(required_path_flag("input"), folder / "midi", copies)
        _job("convert", "--corpus=groove", f"--input={folder}/midi", f"--output={folder}/pieces")
        _job(
            "tensors",
            f"--config={FLAGS.config}",
            f"--input={folder}/pieces",
            f"--output={folder}/tensors",
        )
        job = {"measure": "input", "seconds": FLAGS.seconds, "mend": not FLAGS.stock}
        cases[f"{FLAGS.config}, {copies} times the corpus"] = {
            name: functools.partial(
                _run,
                python,
                {
                    **job,
                    "reader": reader,
                    "config": settings,
                    "examples_path": f"{folder}/{records}/train.tfrecord*",
                },
                f"{folder}/side {name}",
            )
            for name, python, reader, settings, records in (
                ("tensors", [sys.executable], "ours", config, "tensors"),
                ("NoteSequences", [sys.executable], "ours", config, "pieces"),
                (
                    f"{_magenta.name()}, our windows",
                    _magenta.python(),
                    "magenta",
                    every_window,
                    "pieces",
                ),
                (_magenta.name(), _magenta.python(), "magenta", theirs, "pieces"),
            )
        }
    return Comparison(cases, sides)


def _job(verb: str, *arguments: str) -> None:
    """Runs a job of this project."""
    command = [sys.executable, "-m", f"pipelines.{verb}", *arguments]
    if subprocess.call(command, stdout=subprocess.DEVNULL):
        raise UserError(f"{verb} of the corpus has failed, see above")


def _run(python: list[str], job: dict, path: str, number: int) -> dict[str, float]:
    return _magenta.run_side(python, job, f"{path}-{number}")


BENCHMARK = Benchmark(
    name="input",
    summary="examples a second and memory of the input pipeline, beside Magenta's",
    define_flags=_define_flags,
    required=("input",),
    prepare=_prepare,
    better={
        "examples/s": "more",
        "seconds to the first batch": "less",
        "MiB at the end": "less",
        "peak MiB": "less",
    },
)
