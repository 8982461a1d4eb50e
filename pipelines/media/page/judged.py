"""Makes a page of tunes that were judged: the tunes, `judge.json` and the page in one folder."""

import os
import pathlib
from collections.abc import Mapping, Sequence
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
    texts: dict[str, list[TuneText]] = {}
    for tune in tunes:
        texts.setdefault(tune.file, []).append(tune.text)
    require_room(directory, texts, overwrite)
    root = pathlib.Path(directory)
    root.mkdir(parents=True, exist_ok=True)
    names = _names(list(texts))
    for file, name in names.items():
        path, content = root / name, _content(file, texts[file])
        if path.exists() and path.read_bytes() == content:
            continue
        with files.replacing(path) as unfinished:
            unfinished.write(content)
        sound.remove(path)  # That of other music.
    others = [
        known for known in judgement.read(directory).values() if known.file not in names.values()
    ]
    made = [
        Judgement(
            names[tune.file],
            tune.number,
            folder.notation_hash(folder.notation_of(tune.text)),
            tune.verdict,
            tune.opinions,
        )
        for tune in tunes
    ]
    judgement.write(root, [*others, *made])
    pieces = folder.read(directory, deep=True)
    if sounds.make(directory, pieces, audio):
        pieces = folder.read(directory, deep=True)
    return writing.write(directory, deep=True, overwrite=overwrite, pieces=pieces)


def require_room(
    directory: str, texts: Mapping[str, Sequence[TuneText]], overwrite: bool = False
) -> None:
    """Finds what is in the way of a page, before anything is written.

    Args:
      directory, overwrite: as of `write`.
      texts: the tunes by file.

    Raises:
      UserError: as `write`.
    """
    if not texts:
        raise UserError("no page: none of the files has a tune that can be shown")
    root = pathlib.Path(directory)
    for path in (root, *root.parents):
        if path.exists() and not path.is_dir():
            raise UserError(f"{path} is a file; name another folder for the page, or move it away")
    writing.require_replaceable(root / writing.FILE, overwrite)
    if (root / judgement.FILE).is_dir():
        raise UserError(f"{root / judgement.FILE} is a folder; move it away")
    ours = {known.file for known in judgement.read(directory).values()} if root.is_dir() else set()
    for file, name in _names(list(texts)).items():
        path = root / name
        if path.is_dir():
            raise UserError(
                f"{path} is a folder; name another folder for the page, or move it away"
            )
        if overwrite or name in ours or not path.exists():
            continue
        if path.read_bytes() != _content(file, texts[file]):
            raise UserError(
                f"{path} exists and holds other music; name another folder for the page, or move "
                "it away"
            )


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
