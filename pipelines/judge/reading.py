"""Reads the tunes that are to be judged, from files and folders of ABC notation, MIDI, MusicXML."""

import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from pipelines.judge.finding import MAX_BARS
from pipelines.media import tune_texts
from pipelines.music import formats
from pipelines.music.abc.notation import notate
from pipelines.music.abc.score import WHOLE, Score
from pipelines.music.abc.tunebook import TuneText
from pipelines.music.limits import Rejected
from pipelines.music.note_sequence import NoteSequence
from pipelines.representations.abc_tokens import written
from pipelines.representations.abc_tokens.written import Tune
from pipelines.runtime import storage
from pipelines.runtime.app import UserError, say

P = TypeVar("P", bound=pathlib.PurePath)

_ENDINGS = (".abc", *formats.SCORES)
_ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")
# In whole notes. Free tunes without bar lines are one long bar.
MAX_BAR = 1000
# The same of a tune: more than that, which ties may make a single note, criteria do not count.
MAX_LENGTH = 20_000


class Read(NamedTuple):
    """A tune that was read, or why it cannot be judged.

    Attributes:
      file: the path of its file.
      number: which tune of its file it is, from 1.
      name: what it is called there: its `X:` number, or its line.
      title: its title, or "".
      text: its text in ABC notation.
      tune: the tune; None where it cannot be judged.
      problem: why not, or "".
    """

    file: str
    number: int
    name: str
    title: str
    text: TuneText | None
    tune: Tune | None
    problem: str = ""


def no_music(folder: str) -> UserError:
    """What to raise where a folder has no file of music."""
    return UserError(f"{folder}: no file ends in {', '.join(_ENDINGS)}; name another folder")


def is_archive(path: str) -> bool:
    """Whether a path is, by its name, an archive, which `read` does not read."""
    return path.lower().endswith(_ARCHIVES) and not os.path.isdir(path)


def files_of(paths: Sequence[str]) -> list[str]:
    """The files with music at some paths: files themselves, and what is in folders.

    Raises:
      UserError: where there is nothing at a path, or no music in a folder.
    """
    found: list[str] = []
    for path in paths:
        if storage.is_address(path):
            raise UserError(
                f"{path}: only what is judged with --output=DIR is read from a bucket; add it, or "
                "copy the file to this machine"
            )
        if not os.path.isdir(path):
            found.append(path)
            continue
        inside = _inside(path)
        if not inside:
            raise no_music(path)
        found.extend(inside)
    for path in found:
        if is_archive(path):
            raise UserError(f"{path}: archives are judged with --output=DIR; add it, or unpack it")
        if not os.path.exists(path):
            raise UserError(f"{path}: there is no such file; name a .abc, .mid or .musicxml file")
    return found


def read(path: str) -> Iterator[Read]:
    """Reads the tunes of a file; one that cannot be read or judged is told as that.

    A file without a tune is one that cannot be judged.
    """
    try:
        found = tune_texts.read(path)
    except UserError as error:
        yield unread(path, _of_file(path, str(error)))
        return
    for number, text in enumerate(found.tunes, start=1):
        yield of_text(path, number, text)


def _inside(folder: str) -> list[str]:
    """The files with music in a folder; a score beside notation of its name is that tune again."""
    found = (each for each in pathlib.Path(folder).rglob("*") if each.is_file())
    return [str(each) for each in with_music(found)]


def with_music(paths: Iterable[P]) -> list[P]:
    """Those of the paths that are of music, in their order; a tune has one of them."""
    found = sorted(each for each in paths if each.name.lower().endswith(_ENDINGS))
    written = {each.with_suffix("") for each in found if each.suffix.lower() == ".abc"}
    return [
        each
        for each in found
        if each.suffix.lower() == ".abc" or each.with_suffix("") not in written
    ]


def unread(path: str, problem: str) -> Read:
    """A file without a tune that can be judged."""
    return Read(path, 1, "", "", None, None, problem)


def read_all(paths: Sequence[str]) -> Iterator[Read]:
    """Reads the tunes of files and folders, in their order."""
    for path in files_of(paths):
        yield from read(path)


def of_text(path: str, number: int, text: TuneText) -> Read:
    """Reads a tune of a file.

    Args:
      path, number: as of `Read`.
      text: its text.
    """
    name = text.reference or f"line{text.line}"
    try:
        score = notate(text)
    except Rejected as error:
        return Read(path, number, name, "", text, None, error.detail)
    except Exception as error:
        # Whatever one tune does to the reader, the other tunes of its book are judged.
        say(f"warning: {path}, tune {name}: the reader failed: {error!r}")
        return Read(path, number, name, "", text, None, f"the reader failed: {error!r}")
    title = dict(reversed(score.headers)).get("T", "")
    try:
        return Read(path, number, name, title, text, _tune(score))
    except written.LeftOut as error:
        return Read(path, number, name, title, text, None, error.detail)


def of_music(sequence: NoteSequence) -> Tune | None:
    """The tune of a piece of music, by the bars of its meter; None where it cannot be judged."""
    try:
        text = tune_texts.of_music(sequence)
    except ValueError:
        return None
    return of_text("", 1, text).tune


def _tune(score: Score) -> Tune:
    """The tune of a score; of a chord the highest note.

    Raises:
      LeftOut: where it is no tune of one voice.
    """
    if not score.notes():
        raise written.LeftOut("no_notes", "it has no notes")
    voices = len(score.voices)
    if voices > 1:
        raise written.LeftOut("voices", f"it has {voices} voices, and a tune has one")
    bars = score.voices[0].bars
    if any(note[4] for bar in bars for note in bar.notes):
        raise written.LeftOut("voices", "it has two voices in a bar, and a tune has one")
    if len(bars) > MAX_BARS:
        raise written.LeftOut("bars", f"it has {len(bars)} bars, and a tune at most {MAX_BARS}")
    for number, bar in enumerate(bars, start=1):
        if bar.length > MAX_BAR * WHOLE:
            raise written.LeftOut(
                "length",
                f"bar {number} lasts {bar.length // WHOLE} whole notes, and one lasts at most "
                f"{MAX_BAR}",
            )
    length = sum(bar.length for bar in bars) // WHOLE
    if length > MAX_LENGTH:
        raise written.LeftOut(
            "length", f"it lasts {length} whole notes, and a tune at most {MAX_LENGTH}"
        )
    if score.rests_left_out:
        raise written.LeftOut(
            "bars",
            f"it has more bars of rests than are read, by {score.rests_left_out}, so that its bars "
            "cannot be numbered",
        )
    return written.from_score(score, highest=True)


def _of_file(path: str, message: str) -> str:
    """The message without the path, which is told beside it."""
    return message.removeprefix(f"{path}: ").removeprefix(f"{path} ")
