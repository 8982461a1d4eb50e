"""Fuzzes the readers of MIDI, ABC and records by coverage, with Atheris (libFuzzer for Python).

    ./.venv/bin/python -m pip install --no-deps atheris==3.0.0
    ./.venv/bin/python -m experiments.faults.fuzz --reader=midi --inputs=1000000 --work=DIR

Inputs that reach code that no input reached before are kept, in DIR/READER, and changed further; a
later command begins with them. `readers` says what must hold. What fails is written to
DIR/READER-found, an input of each kind of failure and a text that says which; the counts go to
DIR/READER.json.

Atheris is no part of the environment because nothing but this command needs it.
"""

import functools
import hashlib
import pathlib
import sys
from collections import Counter

from absl import flags

from pipelines.runtime import app, files
from pipelines.runtime.app import UserError

FLAGS = flags.FLAGS
READERS = ("midi", "abc", "records")
# The longest input, in bytes. Growth with the length is measured by experiments.tunes.growth.
_LONGEST = {"midi": 1 << 14, "abc": 1 << 13, "records": 1 << 12}
# Reading ABC takes long: one input of so many is read twice.
_ABC_TWICE_IN = 8


def main() -> None:
    """Fuzzes one reader; libFuzzer ends the process."""
    try:
        import atheris
    except ImportError:
        raise UserError("Atheris is not installed; the command is in this module") from None
    # Comparisons of strings are looked into. The hook for regular expressions is broken in 3.0.0.
    atheris.enabled_hooks.add("str")
    with atheris.instrument_imports(include=["pipelines.music", "pipelines.records"]):
        from experiments.faults import readers
    name, work = FLAGS.reader, pathlib.Path(FLAGS.work)
    corpus, found = work / name, work / f"{name}-found"
    for folder in (corpus, found):
        folder.mkdir(parents=True, exist_ok=True)
    for data in readers.seeds(name):
        (corpus / hashlib.sha1(data).hexdigest()).write_bytes(data)
    check = readers.CHECKS[name]
    if name == "abc":
        check = functools.partial(readers.check_abc, twice_in=_ABC_TWICE_IN)
    counts: Counter[str] = Counter()
    kinds: set[str] = set()

    def one(data: bytes) -> None:
        counts["inputs"] += 1
        try:
            counts[check(data)] += 1
        except Exception as error:
            counts["failed"] += 1
            kind = f"{type(error).__name__}: {error}"[:200]
            if kind not in kinds:
                kinds.add(kind)
                path = found / hashlib.sha1(data).hexdigest()
                path.write_bytes(data)
                path.with_suffix(".txt").write_text(kind)
        if counts["inputs"] % 1_000 == 0 or counts["inputs"] >= FLAGS.inputs:
            files.write_json(work / f"{name}.json", {**counts, "kinds": sorted(kinds)})

    options = [
        f"-runs={FLAGS.inputs}",
        f"-max_len={FLAGS.longest or _LONGEST[name]}",
        f"-seed={FLAGS.seed}",
    ]
    atheris.Setup(
        [sys.argv[0], *options, "-timeout=60", f"-artifact_prefix={found}/", str(corpus)], one
    )
    atheris.Fuzz()


if __name__ == "__main__":
    flags.DEFINE_enum("reader", None, READERS, "The reader.")
    flags.DEFINE_integer("inputs", 1_000_000, "How many inputs.", lower_bound=1)
    flags.DEFINE_integer("longest", None, "The longest input, in bytes.", lower_bound=1)
    flags.DEFINE_integer("seed", 1, "Seeds the changes.", lower_bound=1)
    flags.DEFINE_string("work", None, "The folder for inputs and counts.")
    app.run(main, required=("reader", "work"))
