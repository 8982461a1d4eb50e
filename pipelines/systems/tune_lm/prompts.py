"""Reads the tunes that a user gives a model: ABC notation, MIDI or MusicXML, of one voice."""

import os
import pathlib
from collections.abc import Sequence

from pipelines.media import reading
from pipelines.music import formats, keys
from pipelines.music.abc import tunebook, writer
from pipelines.music.abc.notation import notate
from pipelines.music.limits import Rejected
from pipelines.music.note_sequence import NoteSequence
from pipelines.representations.abc_tokens import written
from pipelines.representations.abc_tokens.written import Bar, Key, Tune
from pipelines.runtime.app import UserError, say

_Mode = NoteSequence.KeySignature.Mode
# The reasons of `written.LeftOut` for which another tune has to be given.
_ONE_VOICE = {"voices", "chord"}


def read(path: str, key: Key | None = None) -> Tune:
    """Reads a tune as it is written; of a tunebook the first one.

    Bars of MIDI are those of its meter, which is 4/4 where the file tells none; its notes have to
    be on the grid of musical time. Where the file tells no key, it is found from the notes.

    Args:
      path: the file.
      key: the key, whatever the file says.

    Raises:
      UserError: where it has no tune, or one that the tokens cannot say.
    """
    text, is_notation = _text(path)
    try:
        tune = written.from_score(notate(text))
    except Rejected as error:
        raise UserError(f"{path}: {error.detail}; give another tune") from error
    except written.LeftOut as error:
        fix = "give a tune of one voice" if error.reason in _ONE_VOICE else "give another tune"
        raise UserError(f"{path}: {error.detail}: {fix}") from error
    if not is_notation:
        tune = tune._replace(bars=_without_last_rest(tune.bars))
    if key or any(bar.key.mode == _Mode.Name(_Mode.NOT_SPECIFIED) for bar in tune.bars):
        found = key or _guess(tune)
        tune = tune._replace(bars=tuple(bar._replace(key=found) for bar in tune.bars))
    return tune


def _text(path: str) -> tuple[tunebook.TuneText, bool]:
    """The text of the first tune of a file, and whether the file has it; else it was made of notes.

    MIDI and MusicXML are written in ABC notation, by which bars, pickups and keys are found.
    """
    if os.path.isdir(path):
        raise UserError(f"{path} is a folder; name a .mid, .abc or .musicxml file in it")
    data = pathlib.Path(path).read_bytes()
    if formats.has_score(path, data[: formats.LOOKED_AT]):
        sequence = reading.read_piece(path)
        try:
            notation = writer.write(sequence)
        except ValueError as error:
            raise UserError(f"{path}: {error}") from error
        return next(tunebook.tunes(notation)), False
    try:
        found = list(tunebook.tunes(tunebook.decode(data)))
    except Rejected as error:
        raise UserError(
            f"{path} is neither MIDI nor MusicXML nor text ({error.detail}); give a .mid, an .abc "
            "or a .musicxml file"
        ) from error
    if not found:
        raise UserError(f"{path} has no tune in it; give a .mid, an .abc or a .musicxml file")
    if len(found) > 1:
        say(f"{path}: {len(found)} tunes; the first is taken")
    return found[0], True


def _without_last_rest(bars: Sequence[Bar]) -> tuple[Bar, ...]:
    """The bars without the rest that only fills the last one: a model goes on at the last note."""
    *others, last = bars
    if last.notes[-1].pitch is not None:
        return tuple(bars)
    notes = last.notes[:-1]
    return (*others, last._replace(notes=notes)) if notes else tuple(others)


def _guess(tune: Tune) -> Key:
    """The key that the notes of a tune suggest."""
    notes = [note for bar in tune.bars for note in bar.notes]
    sounds = [(note.pitch, note.length) for note in notes if note.pitch is not None]
    tonic, mode = keys.guess_tonic(keys.weigh(sounds), sounds[-1][0])
    return Key(tonic, _Mode.Name(mode))
