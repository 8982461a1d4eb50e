"""Measures this project beside stock Magenta.

    ./run.sh bench                    lists the benchmarks
    ./run.sh bench train --config=hierdec-groove_16bar --hparams=enc_rnn_size=[256] --stock=DIR

--stock is the folder of a Python environment with stock Magenta 2.1.4 (TensorFlow 2.9.1, Python
3.8); without it, Magenta's own classes run in this environment, and the tables say so. The sides
take turns, --repeats times. Tables of medians and their ratios go to stdout, every number to the
JSON file that --json=FILE names. --json alone prints that JSON instead of the tables.
"""

import sys
from collections.abc import Sequence

from absl import flags

from pipelines.bench import _compare, _magenta, benchmarks
from pipelines.runtime import app, files
from pipelines.runtime.flags import path_flag
from pipelines.runtime.terminal import shown_json

FLAGS = flags.FLAGS
_STDOUT = "-"


def main(name: str) -> None:
    """Runs the benchmark of that name, or lists them all for none."""
    path = path_flag("json")
    if not name:
        listed = [{"name": each.name, "summary": each.summary} for each in benchmarks().values()]
        rows = (f"{each['name']:12} {each['summary']}" for each in listed)
        print(shown_json({"benchmarks": listed}) if path == _STDOUT else "\n".join(rows))
        return

    def save(report):
        if path and path != _STDOUT:
            files.write_json(path, report)

    report = _compare.compare(benchmarks()[name], FLAGS.repeats, FLAGS.scratch, save)
    print(shown_json(report) if path == _STDOUT else _compare.table(report))


def start() -> None:
    """Takes the benchmark's name off the command line, and with it defines its flags."""
    flags.DEFINE_integer("repeats", 3, "How often each side runs.", lower_bound=1)
    flags.DEFINE_string(
        "json", None, "File for every number that was measured; - or nothing: stdout."
    )
    flags.DEFINE_string("scratch", None, "Folder for temporary files; the system's by default.")
    name = sys.argv.pop(1) if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else ""
    sys.argv[1:] = _with_file(sys.argv[1:])
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


def _with_file(arguments: Sequence[str]) -> list[str]:
    """The arguments, where --json without a file after it means stdout."""
    following = [*arguments[1:], "--"]
    return [
        f"--json={_STDOUT}" if word == "--json" and after.startswith("-") and after != "-" else word
        for word, after in zip(arguments, following)
    ]


if __name__ == "__main__":
    start()
