"""A small tunebook, its records and a briefly trained dual tower, for the tests of titles."""

import os
import pathlib
import random
import subprocess
import sys
from typing import NamedTuple

from configs.titles import Hparams
from pipelines.corpora import conversion
from tests.support.trained import ROOT

PEOPLE = "Piper Miller Widow Tinker Sailor Weaver Fiddler Cobbler Shepherd Drover".split()
THINGS = "Hat Lantern Kettle Garden".split()
LADDIE = "Mullindough, or the Black Laddie"
IRISH = "Ó Néill's Cáit"
LONG = "x" * 10_000


class Titled(NamedTuple):
    """Where things are.

    Attributes:
      book: the tunebook.
      records: the folder of its records, all of them in `train`.
      run: a run of `titles train` on them.
    """

    book: pathlib.Path
    records: pathlib.Path
    run: pathlib.Path

    @property
    def examples(self) -> str:
        """The pattern of the records."""
        return f"{self.records}/train.tfrecord*"


def music(seed, bars=8, meter="4/4") -> str:
    """Random notes, as ABC."""
    rng = random.Random(seed)
    notes = {"4/4": 8, "6/8": 6, "3/4": 6}[meter]
    return "|".join("".join(rng.choices("DEFGABcdefg", k=notes)) for _ in range(bars)) + "|"


def tune(number, *titles, notes=None, meter="4/4", key="G", rhythm="") -> str:
    """A tune as ABC; its notes are random by its number unless given."""
    lines = [f"X:{number}", *(f"T:{title}" for title in titles)]
    lines += [f"R:{rhythm}"] if rhythm else []
    notes = notes or music(number, meter=meter)
    return "\n".join([*lines, f"M:{meter}", "L:1/8", f"K:{key}", notes, "", ""])


def book() -> str:
    """40 tunes with a title that names them, and nine that are odd."""
    plain = [f"The {one}'s {other}" for other in THINGS for one in PEOPLE]
    tunes = []
    for number, title in enumerate(plain, 1):
        rhythm, meter = [("reel", "4/4"), ("jig", "6/8"), ("waltz", "3/4")][number % 3]
        tunes.append(tune(number, title, meter=meter, rhythm=rhythm))
    return "".join(
        [
            *tunes,
            tune(50, LADDIE),
            tune(51, "The Maid's Fancy"),
            # The same a fourth higher, by another name of the same title.
            tune(52, "Maid's Fancy, The", notes=music(51), key="C"),
            tune(53, IRISH, key="Ador"),
            # Without a title that names them.
            tune(60),
            tune(61, ""),
            tune(62, LONG),
            tune(63, "🎻🎶"),
            tune(64, "Untitled"),
            # Without a melody.
            tune(70, "The Single Note", notes="G8|"),
        ]
    )


def make(base: pathlib.Path) -> Titled:
    """Makes all of it in a folder, or finds it there."""
    # Where TensorFlow is loaded already.
    from pipelines.systems.titles import training

    made = Titled(base / "titled.abc", base / "titled-records", base / "titled-run")
    if not made.run.exists():
        made.book.write_text(book(), encoding="utf-8")
        conversion.convert(
            "abc", str(made.book), str(made.records), num_shards=2, split_percent=(100, 0, 0)
        )
        hparams = Hparams(num_epochs=20, batch_size=16)
        training.train(made.examples, str(made.run), "builtin", hparams=hparams)
    return made


def command(*arguments, **kwargs) -> subprocess.CompletedProcess:
    """Runs `titles` in a process of its own, as run.sh does."""
    return subprocess.run(
        [sys.executable, "-m", "pipelines.systems.titles", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        **kwargs,
    )
