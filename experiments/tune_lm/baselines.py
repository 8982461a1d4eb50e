"""Measures what the baselines pay for the test tunes, in bits a written note.

    python -m experiments.tune_lm.baselines --records=tfrecords/tunes --input=DIR/abc \
        --output=experiments/tune_lm/baselines.json

`--records` is what `./run.sh convert --corpus=abc --input=DIR/abc` made of the same tunebooks.
"""

from typing import Any

import numpy as np
from absl import flags

from pipelines.examples import written_tunes
from pipelines.runtime import app, files
from pipelines.systems.tune_lm import baselines, measure

FLAGS = flags.FLAGS


def _define_flags() -> None:
    flags.DEFINE_string("records", None, "Folder of records, made by convert --corpus=abc.")
    flags.DEFINE_multi_string("input", None, "The tunebooks that the records were made of.")
    flags.DEFINE_bool("highest", False, "Take the highest notes of chords, and the first voice.")
    flags.DEFINE_integer("seed", 1, "Seed of the bootstrap.")
    flags.DEFINE_string("output", None, "JSON file to write.")


def main() -> None:
    """Fits the baselines and prints their tables."""
    read = written_tunes.read(FLAGS.records, FLAGS.input, FLAGS.highest)
    test = read.of("test")
    fitted = baselines.fit(read.of("train"), read.of("validation"))
    priced = {
        name: measure.Priced(
            [measure.bits(price(tune)) for tune in test],
            [tune.steps for tune in test],
            np.array([tune.group for tune in test]),
            [tune.corpus for tune in test],
        )
        for name, price in fitted.items()
    }
    found: dict[str, Any] = {
        "tunes": len(read.tunes),
        "left_out": dict(sorted(read.left_out.items())),
        "baselines": {name: measure.report(one, FLAGS.seed) for name, one in priced.items()},
        "saved_by_ppm": measure.gain(
            priced[baselines.KNESER_NEY], priced[baselines.WITH_PPM], FLAGS.seed
        ),
    }
    files.write_json(FLAGS.output, found)
    for name, report in found["baselines"].items():
        print(f"\n{name}: {report['tunes']} tunes, {report['groups']} different\n")
        print("| selection | notes | bits a written note | 95% interval | share of bits |")
        print("|---|---|---|---|---|")
        print(measure.line("all", report["all"]))
        for by in ("corpora", "strains", "bars", "tokens"):
            for selection, row in report[by].items():
                print(measure.line(f"{by}: {selection}", row))


if __name__ == "__main__":
    _define_flags()
    app.run(main, required=("records", "input", "output"))
