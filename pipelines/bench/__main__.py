"""Measures this project beside stock Magenta.

    ./run.sh bench                    lists the benchmarks
    ./run.sh bench convert --input=groove-v1.0.0-midionly.zip --stock=DIR --copies=10

--stock is the folder of a Python environment with stock Magenta 2.1.4 (TensorFlow 2.9.1, Python
3.8). The two sides take turns, --repeats times. A table of medians and their ratios goes to
stdout, every number to the JSON file that --json names.
"""

import sys

from absl import flags

from pipelines import app, files
from pipelines.bench import _compare, benchmarks

FLAGS = flags.FLAGS


def main(name: str) -> None:
    """Runs the benchmark of that name, or lists them all for none."""
    if not name:
        for each in benchmarks().values():
            print(f"{each.name:12} {each.summary}")
        return
    report = _compare.compare(benchmarks()[name], FLAGS.repeats, FLAGS.scratch)
    if FLAGS.json:
        files.write_json(FLAGS.json, report)
    print(_compare.table(report))


def start() -> None:
    """Takes the benchmark's name off the command line, and with it defines its flags."""
    flags.DEFINE_integer("repeats", 3, "How often each side runs.", lower_bound=1)
    flags.DEFINE_string("json", None, "File for every number that was measured.")
    flags.DEFINE_string("scratch", None, "Folder for temporary files; the system's by default.")
    name = sys.argv.pop(1) if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else ""
    required: tuple[str, ...] = ()
    if name in benchmarks():
        define_flags, required = benchmarks()[name].define_flags, benchmarks()[name].required
        define_flags()
        flags.adopt_module_key_flags(sys.modules[define_flags.__module__])
    app.run(lambda: main(name), required=required)


if __name__ == "__main__":
    start()
