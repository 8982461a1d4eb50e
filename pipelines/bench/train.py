"""Training steps: our layout of a config's model beside Magenta's, on the same batches."""

import functools
import itertools
import math
import os
import pathlib
import sys
from typing import Any

import numpy as np
from absl import flags

from pipelines.bench import Benchmark, Comparison, _gpu_trace, _magenta
from pipelines.bench._compare import numbers
from pipelines.runtime.app import UserError
from pipelines.runtime.flags import path_flag
from pipelines.systems.musicvae import model_flags

FLAGS = flags.FLAGS
_BATCHES = 4
_WARM_UP = 5
_SLOWEST = 3


def _define_flags() -> None:
    flags.DEFINE_string("config", None, "The name of the config; ./run.sh configs lists them.")
    flags.DEFINE_string("config_file", None, "A Python file with a CONFIG_MAP of your own configs.")
    flags.DEFINE_string("hparams", "", "Comma-separated name=value pairs that change hparams.")
    flags.DEFINE_list("batch_sizes", None, "Batch sizes to compare at; by default the config's.")
    flags.DEFINE_string(
        "examples_path",
        None,
        "Glob of NoteSequence records to train on; by default random events, one a step, which "
        "are as much work.",
    )
    flags.DEFINE_enum(
        "layout", "auto", model_flags.LAYOUTS, "Ours runs in this layout; see train --help."
    )
    flags.DEFINE_enum(
        "precision", "float32", model_flags.PRECISIONS, "Ours computes in it; see train --help."
    )
    flags.DEFINE_integer("steps", 20, "Steps to measure.", lower_bound=2)
    flags.DEFINE_float("seconds", 60.0, "Measure fewer steps, at least 2, than take this long.")
    flags.DEFINE_integer(
        "traced_steps",
        10,
        "On a GPU, trace so many more steps after those that are measured: how busy it is, the "
        "kernels and launches a step, and the slowest three kernels; 0 for none.",
        lower_bound=0,
    )
    _magenta.define_flags()


def _prepare(scratch: str) -> Comparison:
    from pipelines.runtime import tensorflow

    tensorflow.load()
    import configs
    from configs import ConfigRef
    from pipelines.bench import _model_plan

    sides = _magenta.sides()
    config_file = path_flag("config_file")
    cases = {}
    for size in numbers("batch_sizes", "8,32,128") if FLAGS.batch_sizes else [None]:
        of_size = f"batch_size={size}" if size else None
        hparams = ",".join(filter(None, [FLAGS.hparams, of_size]))
        ref = ConfigRef(FLAGS.config, config_file, hparams)
        config = ref.build()
        # Magenta's classes; `configs.get` gives ours.
        model = configs.builders(config_file)[FLAGS.config]().model
        folder = pathlib.Path(scratch, f"batches-of-{config.hparams.batch_size}")
        path = path_flag("examples_path")
        job = {
            "measure": "training",
            "batches": _write(_real(config, path) if path else _random(config), folder),
            "warm_up": _WARM_UP,
            "steps": FLAGS.steps,
            "seconds": FLAGS.seconds,
            "traced": FLAGS.traced_steps,
        }
        theirs = {
            "encoder": _model_plan.plan(model.encoder),
            "decoder": _model_plan.plan(model.decoder),
        }
        title = ", ".join(filter(None, [FLAGS.config, FLAGS.hparams]))
        cases[f"{title}, batches of {config.hparams.batch_size}"] = {
            "reelgroove": functools.partial(
                _run,
                [sys.executable],
                {
                    **job,
                    "config": ref._asdict(),
                    "layout": FLAGS.layout,
                    "precision": FLAGS.precision,
                },
                str(folder / "ours"),
            ),
            _magenta.name(): functools.partial(
                _run,
                _magenta.python(),
                {**job, "model": theirs, "hparams": config.hparams.values()},
                str(folder / "theirs"),
            ),
        }
    return Comparison(cases, sides)


def _run(command: list[str], job: dict, path: str, number: int) -> dict[str, Any]:
    path = f"{path}-{number}"
    os.mkdir(path)
    trace = f"{path}-trace"
    measured = _magenta.run_side(command, {**job, "train_dir": path, "trace": trace}, path)
    return {**measured, **_traced(trace, job["traced"])}


def _traced(folder: str, steps: int) -> dict[str, Any]:
    """What the trace of some steps shows of the GPU; nothing where there was none.

    The notes name the slowest kernels, and what the profiler has lost.
    """
    gpus, warnings = _gpu_trace.read(folder) if os.path.isdir(folder) else ([], [])
    if not gpus:
        return {}
    # One device is measured.
    gpu = gpus[0]
    slowest = [
        f"{gpu.device}: {1000 * kernel.seconds / steps:.3f} ms a step in "
        f"{kernel.times / steps:g} of {kernel.name}"
        for kernel in gpu.kernels[:_SLOWEST]
    ]
    return {
        "GPU busy, %": 100 * gpu.busy,
        "kernels a step": gpu.ran / steps,
        "launches a step": gpu.launches / steps,
        "copies a step": gpu.copies / steps,
        "notes": [*slowest, *(f"the profiler: {warning}" for warning in warnings)],
    }


def _write(arrays: dict[str, np.ndarray], folder: pathlib.Path) -> dict[str, dict]:
    """Writes batches and returns a training job's "batches"."""
    folder.mkdir()
    for name, array in arrays.items():
        array.tofile(folder / name)
    return {
        name: {"path": str(folder / name), "shape": array.shape, "dtype": array.dtype.name}
        for name, array in arrays.items()
    }


def _random(config) -> dict[str, np.ndarray]:
    """Full windows of one random event a step: [batches, batch_size, steps, depth] and lengths."""
    rng = np.random.default_rng(1)
    converter, steps = config.data_converter, config.hparams.max_seq_len
    shape = _BATCHES, config.hparams.batch_size

    def events(depth):
        array = np.zeros([*shape, steps, depth], np.float32)
        if depth:
            chosen = rng.integers(depth, size=[*shape, steps, 1])
            np.put_along_axis(array, chosen, 1, axis=-1)
        return array

    outputs = events(converter.output_depth)
    segments = tuple(converter.length_shape)
    return {
        "inputs": outputs
        if converter.input_depth == converter.output_depth
        else events(converter.input_depth),
        "outputs": outputs,
        "controls": events(converter.control_depth),
        "lengths": np.full([*shape, *segments], steps // math.prod(segments), np.int32),
    }


def _real(config, examples_path: str) -> dict[str, np.ndarray]:
    """The first examples of records, repeated if there are too few; shaped as in `_random`."""
    from pipelines.examples import reading
    from pipelines.examples.base import Batch, Counts

    counts = Counts()
    size = config.hparams.batch_size
    held_out = reading.open_note_sequences(examples_path)
    found = list(held_out.batches(config, size, counts, _BATCHES))
    if not found:
        raise UserError(f"{examples_path}: {counts.summary()}; give records of other music")
    converter = config.data_converter
    depths = {
        "inputs": converter.input_depth,
        "outputs": converter.output_depth,
        "controls": converter.control_depth,
    }

    def filled(name):
        rows = itertools.cycle(row for batch in found for row in getattr(batch, name))
        return list(itertools.islice(rows, _BATCHES * size))

    arrays = {name: Batch.padded(filled(name), depth) for name, depth in depths.items()}
    arrays["lengths"] = np.array(filled("lengths"), np.int32)
    return {name: array.reshape(_BATCHES, size, *array.shape[1:]) for name, array in arrays.items()}


BENCHMARK = Benchmark(
    name="train",
    summary="training steps of a config, beside Magenta's own classes",
    define_flags=_define_flags,
    required=("config",),
    prepare=_prepare,
    better={
        "steps/s": "more",
        "seconds to the first step": "less",
        "... from the start of building": "less",
        "graph nodes": "less",
        "peak MiB": "less",
        "GPU busy, %": "more",
        "kernels a step": "less",
        "launches a step": "less",
        "copies a step": "less",
    },
)
