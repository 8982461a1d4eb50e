"""Reads the tunes that a user gives a model: ABC notation, MIDI or MusicXML, of one voice."""

from collections.abc import Sequence

from pipelines.media import tune_texts
from pipelines.music import keys
from pipelines.music.abc import tunebook
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
    """The text of the first tune of a file, and whether the file has it, rather than notes."""
    found = tune_texts.read(path)
    if len(found.tunes) > 1:
        say(f"{path}: {len(found.tunes)} tunes; the first is taken")
    return found.tunes[0], found.as_written


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
