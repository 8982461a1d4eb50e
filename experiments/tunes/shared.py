"""The tunes of the shared corpora."""

import hashlib
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

from pipelines.music.abc import tunebook
from pipelines.music.abc.tunebook import TuneText
from pipelines.runtime.app import UserError

CORPORA = ("nottingham", "oneills1850", "ryansMammoth", "airdsAirs", "litten-ms")


class Place(NamedTuple):
    """Where a tune is: its corpus, its file, and its first line there."""

    corpus: str
    file: str
    line: int


def tunes(folder: pathlib.Path) -> Iterator[tuple[Place, TuneText]]:
    """All tunes of the shared ABC corpora.

    Args:
      folder: that of the corpora, with `abc/` in it.
    """
    for corpus in CORPORA:
        files = sorted((folder / "abc" / corpus).glob("*.abc"))
        if not files:
            raise UserError(f"{folder}/abc/{corpus} has no .abc files; set REELGROOVE_CORPORA")
        for file in files:
            for tune in tunebook.tunes(tunebook.decode(file.read_bytes())):
                yield Place(corpus, file.name, tune.line), tune


def text_digest(tune: TuneText) -> str:
    """A digest of a tune's text, to see without the text whether it is still the same."""
    text = "\n".join((*tune.file_header, *tune.lines))
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
