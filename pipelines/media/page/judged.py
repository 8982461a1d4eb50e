"""Makes a page of tunes that were judged: the tunes, `judge.json` and the page in one folder."""

import os
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

from pipelines.media import judgement, sound
from pipelines.media.judgement import Judgement, Opinion
from pipelines.media.page import folder, sounds, writing
from pipelines.music import formats
from pipelines.music.abc.tunebook import TuneText
from pipelines.runtime import files
from pipelines.runtime.app import UserError

_ENDING = ".abc"


class Judged(NamedTuple):
    """A tune and what is said of it.

    Attributes:
      file: the path of the file that it was read from.
      number: which tune of that file it is, from 1.
      text: its text in ABC notation, whatever the file is.
      verdict, opinions: as of `judgement.Judgement`.
    """

    file: str
    number: int
    text: TuneText
    verdict: str
    opinions: tuple[Opinion, ...]


def write(
    directory: str, tunes: Sequence[Judged], overwrite: bool = False, audio: str = "none"
) -> str:
    """Puts tunes and judgements into a folder, and makes its page.

    Files of ABC notation are copied as they are, also the tunes in them that were not judged. Of
    MIDI and MusicXML the notation is written.

    Args:
      directory: the folder; it is made where it is not there.
      tunes: those of one file one after another.
      overwrite: whether other music of the same name, and a page of the user's own, are replaced.
      audio: which sound is made of tunes that have none: one of `sound.CHOICES`.

    Returns:
      The path of the page.

    Raises:
      UserError: where there is no tune, or other music or another page is in the way.
    """
    if not tunes:
        raise UserError("no page: none of the files has a tune that can be shown")
    root = pathlib.Path(directory)
    root.mkdir(parents=True, exist_ok=True)
    writing.require_replaceable(root / writing.FILE, overwrite)
    ours = {known.file for known in judgement.read(directory).values()}
    names = _names(list(dict.fromkeys(tune.file for tune in tunes)))
    for file, name in names.items():
        content = _content(file, [tune.text for tune in tunes if tune.file == file])
        path = root / name
        if path.exists() and path.read_bytes() != content:
            if name not in ours and not overwrite:
                raise UserError(
                    f"{path} exists and holds other music; name another folder for the page, or "
                    "move it away"
                )
        elif path.exists():
            continue
        with files.replacing(path) as unfinished:
            unfinished.write(content)
        sound.remove(path)  # That of other music.
    judgement.write(
        root,
        (
            Judgement(
                names[tune.file],
                tune.number,
                folder.notation_hash(folder.notation_of(tune.text)),
                tune.verdict,
                tune.opinions,
            )
            for tune in tunes
        ),
    )
    pieces = folder.read(directory, deep=True)
    if sounds.make(directory, pieces, audio):
        pieces = folder.read(directory, deep=True)
    return writing.write(directory, deep=True, overwrite=overwrite, pieces=pieces)


def _names(paths: Sequence[str]) -> dict[str, str]:
    """A name in the folder for each file; of files of one name the later ones have a number."""
    found: dict[str, str] = {}
    for path in paths:
        stem = os.path.splitext(os.path.basename(path))[0]
        name, number = stem + _ENDING, 1
        while name in found.values():
            number += 1
            name = f"{stem}-{number}{_ENDING}"
        found[path] = name
    return found


def _content(path: str, texts: Sequence[TuneText]) -> bytes:
    data = pathlib.Path(path).read_bytes()
    if not formats.has_score(path, data[: formats.LOOKED_AT]):
        return data
    return "\n".join(map(folder.notation_of, texts)).encode("utf-8")
