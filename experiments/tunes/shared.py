"""The tunes of the shared corpora, and of any other folder."""

import hashlib
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

from pipelines.music.abc import tunebook
from pipelines.music.abc.tunebook import TuneText
from pipelines.music.limits import Rejected
from pipelines.runtime.app import UserError

CORPORA = ("nottingham", "oneills1850", "ryansMammoth", "airdsAirs", "litten-ms")


class Place(NamedTuple):
    """Where a tune is: its corpus, its file, and its first line there."""

    corpus: str
    file: str
    line: int


def tunes_in(folder: pathlib.Path) -> Iterator[tuple[Place, TuneText]]:
    """All tunes of the shared ABC corpora, or of the .abc files in any other folder.

    Args:
      folder: that of the shared corpora, with `abc/` and all of them in it; or any other, in which
        each folder is a corpus, and the files beside them are one.

    Raises:
      UserError: if it has no .abc files.
    """
    if all((folder / "abc" / corpus).is_dir() for corpus in CORPORA):
        yield from tunes(folder)
        return
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() == ".abc")
    if not files:
        raise UserError(f"{folder} has no .abc files; name a folder of tunebooks with --corpora")
    for file in files:
        inner = file.relative_to(folder)
        corpus = inner.parts[0] if len(inner.parts) > 1 else folder.name
        name = "/".join(inner.parts[1:] or inner.parts)
        for tune in _tunes_of(file):
            yield Place(corpus, name, tune.line), tune


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
            for tune in _tunes_of(file):
                yield Place(corpus, file.name, tune.line), tune


def _tunes_of(file: pathlib.Path) -> Iterator[TuneText]:
    try:
        text = tunebook.decode(file.read_bytes())
    except Rejected as rejected:
        raise UserError(f"{file}: {rejected.detail}; take it away") from rejected
    return tunebook.tunes(text)


def text_digest(tune: TuneText) -> str:
    """A digest of a tune's text, to see without the text whether it is still the same."""
    text = "\n".join((*tune.file_header, *tune.lines))
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
