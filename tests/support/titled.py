"""A small tunebook, its records and a briefly trained dual tower, for the tests of titles."""

import pathlib
import random
import subprocess
from typing import NamedTuple

from configs.titles import Hparams
from pipelines.corpora import conversion
from pipelines.music.note_sequence import NoteSequence
from tests.support.jobs import job

PEOPLE = "Piper Miller Widow Tinker Sailor Weaver Fiddler Cobbler Shepherd Drover".split()
THINGS = "Hat Lantern Kettle Garden".split()
LADDIE = "Mullindough, or the Black Laddie"
IRISH = "Ó Néill's Cáit"
LONG = "x" * 10_000
SCALE = (67, 69, 71, 72, 74, 76, 78, 79)


class Titled(NamedTuple):
    """The files of the tests of titles.

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


def written(path: pathlib.Path, data: str | bytes) -> str:
    """Writes a file; returns its path."""
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return str(path)


def one_line(error) -> str:
    """The message of an error that was raised; fails where it is no short line."""
    assert "\n" not in str(error.value) and len(str(error.value)) < 700
    return str(error.value)


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
    # Imported here, because it loads TensorFlow.
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
    return job("titles", *arguments, **kwargs)


def sequence(*titles, pitches=SCALE, name="", mode=None, meter=(4, 4), genre="", is_drum=False):
    """Quarter notes at 120 a minute, with the annotations that the ABC reader makes."""
    made = NoteSequence(id=name)
    made.source_info.encoding_type = NoteSequence.SourceInfo.ABC
    made.tempos.add(qpm=120)
    if meter:
        made.time_signatures.add(numerator=meter[0], denominator=meter[1])
    if mode is not None:
        made.key_signatures.add(key=7, mode=mode)
    for title in titles:
        made.text_annotations.add(text=f"T:{title}")
    if genre:
        made.sequence_metadata.genre.append(genre)
    for place, pitch in enumerate(pitches):
        made.notes.add(
            pitch=pitch, velocity=80, start_time=place / 2, end_time=place / 2 + 0.5,
            is_drum=is_drum,
        )  # fmt: skip
    return made


def randomly(seed, count=40):
    """Random pitches of the scale, the same for the same seed."""
    rng = random.Random(seed)
    return [rng.choice(SCALE) for _ in range(count)]
