"""Transfers beside the truth: all rows of `style evaluate` on pairs of sounds, as one JSON file.

    ./.venv/bin/python -m experiments.style.transfer --pairs=brush_power --pairs=standard_808 \\
        --pairs=fiddle_flute --output=experiments/style/transfer.json
"""

import argparse
import pathlib
import time
from typing import Any

from pipelines.runtime.files import write_json
from pipelines.systems.style import evaluation, fitting, rendering
from pipelines.systems.style.methods import methods


def main() -> None:
    """Measures the methods on each folder of pairs, and prints a table of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--pairs", required=True, action="append", help="a folder that style render has made"
    )
    parser.add_argument("--num_clips", type=int, default=20, help="how many performances of each")
    parser.add_argument("--output", required=True, help="the JSON file to write")
    arguments = parser.parse_args()
    found: dict[str, Any] = {}
    for pairs in map(pathlib.Path, arguments.pairs):
        begun = time.process_time()
        melodic = not rendering.is_of_drums(pairs)
        settings = evaluation.Settings(most=arguments.num_clips, melodic=melodic)
        made = fitting.fitted(list(methods()), pairs / "source", pairs / "target")
        found[pairs.name] = evaluation.evaluate(pairs, made, settings)
        found[pairs.name]["processor_seconds"] = round(time.process_time() - begun)
        print(pairs.name, *evaluation.table(found[pairs.name]), sep="\n", flush=True)
        write_json(arguments.output, found)


if __name__ == "__main__":
    main()
