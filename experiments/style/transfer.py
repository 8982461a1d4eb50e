"""Transfers beside the truth: all rows of `style evaluate` on pairs of sounds, as one JSON file.

    ./.venv/bin/python -m experiments.style.transfer --pairs=brush_power --pairs=standard_808 \\
        --pairs=fiddle_flute --runs=runs --output=experiments/style/transfer.json

Trained runs are the folders of `--runs` that are named PAIRS.MODEL.SEED, as in
brush_power.melganvc.0, after the folders of pairs; each is a row.
"""

import argparse
import pathlib
import time
from typing import Any

from pipelines.runtime.files import write_json
from pipelines.systems.style.measuring import evaluation
from pipelines.systems.style.sounds import rendering
from pipelines.systems.style.transfer import fitting
from pipelines.systems.style.transfer.methods import methods
from pipelines.systems.style.transfer.transfers import SampleTransfer, Transfer


def main() -> None:
    """Measures the methods on each folder of pairs, and prints a table of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--pairs", required=True, action="append", help="a folder that style render has made"
    )
    parser.add_argument("--runs", help="a folder of runs of style train")
    parser.add_argument("--num_clips", type=int, default=20, help="how many performances of each")
    parser.add_argument("--output", required=True, help="the JSON file to write")
    arguments = parser.parse_args()
    found: dict[str, Any] = {}
    for pairs in map(pathlib.Path, arguments.pairs):
        begun = time.process_time()
        melodic = not rendering.is_of_drums(pairs)
        settings = evaluation.Settings(most=arguments.num_clips, melodic=melodic)
        made: dict[str, Transfer | SampleTransfer] = {
            **fitting.fitted(list(methods()), pairs / "source", pairs / "target"),
            **_trained(arguments.runs, pairs),
        }
        found[pairs.name] = evaluation.evaluate(pairs, made, settings)
        found[pairs.name]["processor_seconds"] = round(time.process_time() - begun)
        print(pairs.name, *evaluation.table(found[pairs.name]), sep="\n", flush=True)
        write_json(arguments.output, found)


def _trained(runs: str | None, pairs: pathlib.Path) -> dict[str, Transfer | SampleTransfer]:
    """The trained runs for a folder of pairs, by model and seed."""
    if runs is None:
        return {}
    from pipelines.systems.style.measuring import leaks
    from pipelines.systems.style.sounds import sound_folders
    from pipelines.systems.style.training import opening

    found: dict[str, Transfer | SampleTransfer] = {}
    for folder in sorted(pathlib.Path(runs).glob(f"{pairs.name}.*.*")):
        model, seed = folder.name.removeprefix(f"{pairs.name}.").split(".")
        transfer, about = opening.open_run(str(folder))
        leaks.require_unmet(str(folder), about, sound_folders.pairs(pairs, "test"))
        found[f"{model}, seed {seed}"] = transfer
    return found


if __name__ == "__main__":
    main()
