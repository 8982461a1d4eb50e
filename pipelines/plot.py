"""Draws the curves and the final metrics of runs beside each other, for papers.

Takes the run folders of ./run.sh train, or of ./run.sh titles train. Writes into --output_dir:
curves.png and .svg, training and validation over each other; metrics.png and .svg, what
./run.sh evaluate measured last, or validation while training; and all numbers, also those that are
not drawn, as curves.csv and metrics.csv. Files of these names there are replaced. Prints the paths.

Examples:
  ./run.sh plot runs/flat
  ./run.sh plot runs/flat runs/hierdec --names=flat,hierarchical --output_dir=figures
"""

import csv
import io
import os
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from absl import flags

from pipelines.media import comparison
from pipelines.runtime import app, files
from pipelines.runtime.app import UserError, say
from pipelines.runtime.flags import required_path_flag
from pipelines.runtime.terminal import print_path, shown_json

FLAGS = flags.FLAGS
flags.DEFINE_string("output_dir", "plots", "The folder for the files.")
flags.DEFINE_list(
    "names", [], "What to call the runs, in their order; by default by their folders."
)
flags.DEFINE_list(
    "curves", [], "Which curves to draw, by TensorBoard's names, such as loss,learning_rate."
)
flags.DEFINE_list(
    "metrics", [], "Which metrics to draw, by the names in metrics.csv, such as sampled/f1."
)
flags.DEFINE_string(
    "evaluated",
    "",
    "Draw the metrics that were measured on this: the first word of the JSON files in "
    "RUN_DIR/eval, such as test, or 'validation while training'. By default what most runs have.",
)
flags.DEFINE_float(
    "width",
    7.0,
    "Of the figures, in inches; text is 8 points there. 3.35 is a column of most papers.",
    lower_bound=2.5,
    upper_bound=40,
)
flags.DEFINE_bool("json", False, "Print JSON instead of paths: files, curves and metrics.")


def main(arguments: Sequence[str]) -> None:
    """Runs the job from its flags."""
    if not arguments:
        raise UserError("name one run folder or several: ./run.sh plot RUN_DIR... (see --help)")
    folders = [os.path.expanduser(each) for each in arguments]
    found = comparison.read(folders, FLAGS.names)
    _say_what_is_missing(found)
    label = comparison.label_of_most(found, FLAGS.evaluated)
    contents = {**_curves(found), **(_metrics(found, label) if label else {})}
    contents["curves.csv"] = _csv(_CURVE_COLUMNS, _curve_rows(found))
    contents["metrics.csv"] = _csv(_METRIC_COLUMNS, _metric_rows(found))
    output_dir = pathlib.Path(required_path_flag("output_dir"))
    output_dir.mkdir(parents=True, exist_ok=True)
    paths = [os.path.join(output_dir, name) for name in contents]
    for path, content in zip(paths, contents.values()):
        with files.replacing(path) as file:
            file.write(content)
    if FLAGS.json:
        print(shown_json({"files": paths, "runs": [_described(run) for run in found]}))
        return
    for path in paths:
        print_path(path)


def _say_what_is_missing(found: Sequence[comparison.Run]) -> None:
    """Warns of runs without curves, and of curves that are not finite."""
    for run in found:
        if not any(run.curves.values()):
            say(f"warning: {run.folder}: no curves in it, only metrics")
        bad: dict[str, int] = {}
        for curves in run.curves.values():
            for name, curve in curves.items():
                steps = curve.steps[~np.isfinite(curve.values)]
                if len(steps):
                    bad[name] = min(bad.get(name, steps[0]), steps[0])
        if bad:
            say(
                f"warning: {run.folder}: {', '.join(sorted(bad))}: NaN or infinite from step "
                f"{min(bad.values())} on, at least in places; the curves have gaps there"
            )


def _curves(found: Sequence[comparison.Run]) -> dict[str, bytes]:
    """The figures of the curves, by the names of their files; none where there are none."""
    from pipelines.media import curves

    quantities = comparison.curve_quantities(found, FLAGS.curves)
    if not quantities:
        say("no curves.png: the runs have none")
        return {}
    drawn = [
        curves.Drawn(run.name, place, run.curves, {})
        for place, run in enumerate(found)
        if any(run.curves.values())
    ]
    figure = curves.draw_curves(drawn, quantities, comparison.STEPS[found[0].kind], FLAGS.width)
    return {f"curves.{ending}": curves.encoded(figure, ending) for ending in ("png", "svg")}


def _metrics(found: Sequence[comparison.Run], label: str) -> dict[str, bytes]:
    """The figures of the metrics that were measured on the same."""
    from pipelines.media import curves

    quantities = comparison.metric_quantities(found, label, FLAGS.metrics)
    drawn, records = [], set()
    for place, run in enumerate(found):
        if label in run.metrics:
            drawn.append(curves.Drawn(run.name, place, {}, run.metrics[label].numbers))
            records.add(run.metrics[label].records)
        else:
            say(f"warning: {run.folder}: not measured on {label!r}, and so not in metrics.png")
    if len(records) > 1:
        say(f"warning: {label!r} is not the same everywhere: {', '.join(sorted(records))}")
    if not quantities:
        say("no metrics.png: name the metrics to draw by --metrics (they are in metrics.csv)")
        return {}
    figure = curves.draw_metrics(drawn, quantities, label, FLAGS.width)
    return {f"metrics.{ending}": curves.encoded(figure, ending) for ending in ("png", "svg")}


_CURVE_COLUMNS = ("run", "part", "name", "step", "value")
_METRIC_COLUMNS = ("run", "measured_on", "source", "step", "name", "value")


def _curve_rows(found: Iterable[comparison.Run]) -> Iterable[tuple]:
    for run in found:
        for part, curves in run.curves.items():
            for name, curve in sorted(curves.items()):
                for step, value in zip(curve.steps.tolist(), curve.values.tolist()):
                    yield run.name, part, name, step, value


def _metric_rows(found: Iterable[comparison.Run]) -> Iterable[tuple]:
    for run in found:
        for label, metrics in sorted(run.metrics.items()):
            for name, value in sorted(metrics.numbers.items()):
                yield run.name, label, metrics.source, metrics.step, name, value


def _csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()


def _described(run: comparison.Run) -> dict[str, Any]:
    """What --json says of a run; JSON has no NaN, and null stands for it."""
    return {
        "name": run.name,
        "folder": run.folder,
        "kind": run.kind,
        "config": run.config,
        "curves": {
            part: {
                name: {
                    "steps": curve.steps.tolist(),
                    "values": [_json_number(value) for value in curve.values.tolist()],
                }
                for name, curve in sorted(curves.items())
            }
            for part, curves in run.curves.items()
        },
        "metrics": {
            label: {
                "source": metrics.source,
                "step": metrics.step,
                "numbers": {
                    name: _json_number(value) for name, value in sorted(metrics.numbers.items())
                },
            }
            for label, metrics in sorted(run.metrics.items())
        },
    }


def _json_number(value: float) -> float | None:
    return value if np.isfinite(value) else None


if __name__ == "__main__":
    app.run(main, with_arguments=True)
