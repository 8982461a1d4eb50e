"""A small tunebook with repeats, and its records, for the tests of language models of tunes."""

import pathlib
from typing import NamedTuple

from pipelines.corpora import conversion
from tests.support import tunebooks

_COUNT = 30


class TuneCorpus(NamedTuple):
    """The files of the tests.

    Attributes:
      books: the folder of the tunebook.
      records: the folder of its records, some in each split.
    """

    books: pathlib.Path
    records: pathlib.Path

    def examples(self, split: str) -> str:
        """The pattern of the records of a split."""
        return f"{self.records}/{split}.tfrecord*"


def make(folder: pathlib.Path) -> TuneCorpus:
    """Makes the tunebook and its records in a folder."""
    books, records = folder / "books", folder / "records"
    (books / "mine").mkdir(parents=True)
    written = []
    for number, tune in enumerate(tunebooks.tunes(seed=4, count=_COUNT), start=1):
        first, second = (tunebooks.abc(number, tune.title, notes[:32]) for notes in tune.strains)
        music = second.partition("K:C\n")[2].strip().rstrip("|")
        written.append(f"{first.strip().rstrip('|')}:||:{music}:|\n\n")
    written.append("X:99\nT:Chords\nM:4/4\nL:1/8\nK:C\n[CE]8|\n")
    (books / "mine" / "tunes.abc").write_text("".join(written))
    conversion.convert("abc", str(books), str(records), split_percent=(60, 20, 20))
    return TuneCorpus(books, records)
