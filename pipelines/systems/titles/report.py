"""What people see of an evaluation: tables in Markdown, JSON in the run's folder, TensorBoard."""

import hashlib
import os
import pathlib
import re
from collections.abc import Iterator, Mapping

import tensorflow as tf

from pipelines import runs
from pipelines.runtime import files
from pipelines.systems.titles import ranks
from pipelines.systems.titles.candidates import (
    AS_THEY_ARE,
    DIRECTIONS,
    SAME_SOURCE,
    WITHOUT_RHYTHM,
)

_HEADINGS = {
    AS_THEY_ARE: "Titles as they are",
    WITHOUT_RHYTHM: "Without rhythm words",
    SAME_SOURCE[AS_THEY_ARE]: "Among candidates of the same source",
    SAME_SOURCE[WITHOUT_RHYTHM]: "Without rhythm words, among candidates of the same source",
}
_COLUMNS = ("MRR", *(f"R@{cutoff}" for cutoff in ranks.CUTOFFS), "median rank")


def table(result: Mapping) -> str:
    """What `evaluation.evaluate` gives as Markdown: a table for each section and direction.

    Intervals are in brackets; the last column has the first scorer's MRR less each other one's.
    """
    counts = f"{result['tunes']} tunes of {result['sources']} sources, {result['titles']} titles"
    lines = [f"{counts}{_left_out(result['dropped'])}."]
    for name, section in result["sections"].items():
        lines += ["", f"### {_HEADINGS[name]}"]
        lines += ["", f"{section['titles']} titles{_left_out(section['dropped'])}."]
        for direction in DIRECTIONS:
            lines += ["", *_lines(direction.replace("_", " "), section[direction])]
    return "\n".join(lines)


def write(run_dir: str, examples_path: str, result: Mapping) -> None:
    """Writes the result to RUN_DIR/eval, as JSON and for TensorBoard.

    Raises:
      OSError: if it cannot be written there.
    """
    base = re.sub(r"\W+", "-", pathlib.Path(examples_path).name.partition(".")[0]).strip("-")
    # Other folders have a split of that name too.
    where = hashlib.blake2b(os.path.abspath(examples_path).encode(), digest_size=3).hexdigest()
    name = f"{base or 'records'}-{where}"
    folder = pathlib.Path(runs.eval_dir(run_dir))
    folder.mkdir(exist_ok=True)
    files.write_json(folder / f"{name}.json", result)
    with tf.summary.create_file_writer(os.fspath(folder)).as_default(step=0):
        for section, both in result["sections"].items():
            for direction in DIRECTIONS:
                for scorer, values in both[direction]["scorers"].items():
                    tf.summary.scalar(
                        f"{name}/{section}/{direction}/MRR/{scorer}", values["MRR"]["value"]
                    )


def _lines(direction: str, measured: Mapping) -> Iterator[str]:
    first = next(iter(measured["scorers"]))
    yield (
        f"{direction.capitalize()}: {measured['queries']} queries{_left_out(measured['dropped'])}, "
        f"{measured['ranked']:.1f} of {measured['candidates']} candidates ranked on average."
    )
    yield ""
    header = [*_COLUMNS]
    if measured["differences"]:
        header.append(f"MRR of {first} less this")
    yield f"| | {' | '.join(header)} |"
    yield "|---|" + "---|" * len(header)
    for name, values in measured["scorers"].items():
        cells = [name, *(_cell(values[column], column) for column in _COLUMNS)]
        if measured["differences"]:
            less = measured["differences"].get(f"{first} - {name}")
            cells.append(_cell(less, "") if less else "")
        yield f"| {' | '.join(cells)} |"


def _cell(interval: Mapping[str, float], column: str) -> str:
    shape = ".1f" if column == "median rank" else ".3f"
    value, low, high = (format(interval[key], shape) for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def _left_out(dropped: Mapping[str, int]) -> str:
    parts = [f"{count} {reason}" for reason, count in dropped.items() if count]
    return f" (left out: {', '.join(parts)})" if parts else ""
