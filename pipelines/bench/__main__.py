"""Measures this project beside stock Magenta.

    ./run.sh bench                    lists the benchmarks
    ./run.sh bench train --config=hierdec-groove_16bar --hparams=enc_rnn_size=[256] --stock=DIR

--stock is the folder of a Python environment with stock Magenta 2.1.4 (TensorFlow 2.9.1, Python
3.8); without it, Magenta's own classes run in this environment, and the tables say so. The sides
take turns, --repeats times. Tables of medians and their ratios go to stdout, every number to the
JSON file that --json names.
"""

import sys

from absl import flags

from pipelines.bench import _compare, _magenta, benchmarks
from pipelines.runtime import app, files
from pipelines.runtime.flags import path_flag

FLAGS = flags.FLAGS


def main(name: str) -> None:
    """Runs the benchmark of that name, or lists them all for none."""
    if not name:
        for each in benchmarks().values():
            print(f"{each.name:12} {each.summary}")
        return
    path = path_flag("json")

    def save(report):
        if path:
            files.write_json(path, report)

    print(_compare.table(_compare.compare(benchmarks()[name], FLAGS.repeats, FLAGS.scratch, save)))


def start() -> None:
    """Takes the benchmark's name off the command line, and with it defines its flags."""
    flags.DEFINE_integer("repeats", 3, "How often each side runs.", lower_bound=1)
    flags.DEFINE_string("json", None, "File for every number that was measured.")
    flags.DEFINE_string("scratch", None, "Folder for temporary files; the system's by default.")
    name = sys.argv.pop(1) if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else ""
    required: tuple[str, ...] = ()
    if name and name not in benchmarks():
        # What is wrong is the name, and not the flags after it.
        del sys.argv[1:]
    if name in benchmarks():
        define_flags, required = benchmarks()[name].define_flags, benchmarks()[name].required
        define_flags()
        for module in (sys.modules[define_flags.__module__], _magenta):
            flags.adopt_module_key_flags(module)
    app.run(lambda: main(name), required=required)


if __name__ == "__main__":
    start()
