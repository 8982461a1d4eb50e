"""Written tunes to ABC notation, with their repeats, endings and parts."""

from collections.abc import Iterator
from itertools import pairwise

from pipelines.music import keys
from pipelines.music.abc import fields, grid
from pipelines.music.abc.grid import WHOLE, Music
from pipelines.music.abc.rhythm import Piece
from pipelines.music.abc.voices import bar_texts
from pipelines.music.note_sequence import NoteSequence
from pipelines.representations.abc_tokens.written import Bar, Key, Note, Tune

_BARS_A_LINE = 4


def write(tune: Tune, number: int = 1) -> str:
    """Writes a tune in ABC notation.

    Args:
      tune: the tune.
      number: the value of its `X:` field.
    """
    music = _music(tune)
    head = [f"X:{number}", f"T:{fields.write_text(tune.title) or 'Untitled'}"]
    if tune.rhythm:
        head.append(f"R:{fields.write_text(tune.rhythm)}")
    if tune.parts:
        head.append(f"P:{tune.parts}")
    meter = tune.bars[0].meter
    head.append(f"M:{fields.write_meter(meter)}")
    head.append(f"L:1/{WHOLE // music.unit}")
    head.append(f"Q:{fields.write_tempo(float(tune.tempo), meter)}")
    if tune.program:
        head.append(f"%%MIDI program {tune.program}")
    head.append(f"K:{_key(tune.bars[0].key).name}")
    return "\n".join([*head, *_lines(tune, _texts(tune, music))]) + "\n"


def bars(tune: Tune) -> list[str]:
    """Writes each bar of a tune in ABC notation, without its bar lines."""
    return _texts(tune, _music(tune))


def _texts(tune: Tune, music: Music) -> list[str]:
    return list(bar_texts(music, zip(music.bars, _pieces(tune), strict=True)))


def _key(key: Key) -> keys.Key:
    mode = NoteSequence.KeySignature.Mode.Value(key.mode)
    return keys.from_signature(NoteSequence.KeySignature(key=key.tonic, mode=mode))


def _music(tune: Tune) -> Music:
    """The tune's bars one after another; a bar is as long as its notes."""
    bars: list[grid.Bar] = []
    changes: list[tuple[int, keys.Key]] = []
    at = 0
    before: Key | None = None
    for bar in tune.bars:
        bars.append(grid.Bar(at, at, at + bar.length, bar.meter))
        if bar.key != before:
            changes.append((at, _key(bar.key)))
            before = bar.key
        at += bar.length
    lengths = [note.length for bar in tune.bars for note in bar.notes]
    return Music([(0, float(tune.tempo))], changes, bars, [], [], grid.unit_for(lengths))


def _pieces(tune: Tune) -> Iterator[list[Piece]]:
    """The notes and rests of each bar."""
    before: Note | None = None
    for bar in tune.bars:
        pieces: list[Piece] = []
        at = 0
        for note in bar.notes:
            goes_on = before is not None and before.tied and before.pitch == note.pitch
            pitches = () if note.pitch is None else (note.pitch,)
            pieces.append(Piece(at, at + note.length, pitches, goes_on, note.tied))
            at += note.length
            before = note
        yield pieces


def _lines(tune: Tune, texts: list[str]) -> Iterator[str]:
    """The lines of music; a part begins a line with its label."""
    line = "|:" if tune.bars[0].opens else ""
    labels = iter("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    count = 0
    for (bar, after), text in zip(pairwise((*tune.bars, None)), texts, strict=True):
        assert bar is not None
        if bar.part:
            # After the sign of a repeat a field of its own line would stand in the bar.
            yield from [line] * bool(line)
            yield f"P:{next(labels, 'Z')}"
            line, count = "", 0
        if bar.ending:
            line += f"[{','.join(map(str, sorted(bar.ending)))} "
        line += text + _bar_line(bar, after)
        count += 1
        if count == _BARS_A_LINE or after is None or bar.closes or after.opens:
            # A line ends with its bar line, and the next begins without one.
            yield line
            line, count = "", 0


def _bar_line(bar: Bar, after: Bar | None) -> str:
    if bar.closes:
        return "::" if after is not None and after.opens else ":|"
    if after is None:
        return "|]"
    return "|:" if after.opens else "||" if bar.ends_section else "|"
