"""A tune of one voice as it is written: bars of notes and rests, with repeats and endings.

Lengths are whole numbers of parts of a whole note, of which there are `grid.WHOLE`.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from pipelines.music.abc import fields, score
from pipelines.music.abc.fields import Meter
from pipelines.music.abc.grid import WHOLE
from pipelines.music.abc.score import Score

_TICKS = score.WHOLE // WHOLE
_LABELS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class LeftOut(Exception):
    """A tune that the tokens cannot say, and why.

    Args:
      reason: one of a small set of words, to count by: "voices", "chord" ...
      detail: what exactly the tune has.
    """

    def __init__(self, reason: str, detail: str):
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Key(NamedTuple):
    """A key: the pitch class of its tonic, and a value of NoteSequence.KeySignature.Mode, by name.

    A tune without a key has tonic 0 and the mode "NOT_SPECIFIED".
    """

    tonic: int
    mode: str


class Note(NamedTuple):
    """A note, or a rest where the MIDI pitch is None; `tied` holds it on into the next bar."""

    pitch: int | None
    length: int
    tied: bool = False


class Bar(NamedTuple):
    """What stands between two bar lines.

    Attributes:
      notes: its notes and rests, one after another.
      meter: None is free meter.
      key: that of its notes.
      opens: whether `|:` stands before it.
      closes: whether `:|` stands after it.
      ends_section: whether a double bar line stands after it, where no sign of a repeat does.
      ending: the passes for which a variant ending begins here; empty where none does.
      part: whether the label of a part stands before it.
    """

    notes: tuple[Note, ...]
    meter: Meter | None
    key: Key
    opens: bool = False
    closes: bool = False
    ends_section: bool = False
    ending: frozenset[int] = frozenset()
    part: bool = False

    @property
    def length(self) -> int:
        """The length of its notes and rests."""
        return sum(note.length for note in self.notes)


class Tune(NamedTuple):
    """A tune as it is written.

    Attributes:
      bars: at least one of them has a note.
      rhythm: the value of its `R:` field in lower case, "" without one.
      tempo: quarter notes a minute.
      program: the MIDI program that plays it.
      parts: in which order its parts are played, by A for the first label; "" without an order.
      title: "" without one.
    """

    bars: tuple[Bar, ...]
    rhythm: str = ""
    tempo: Fraction = score.DEFAULT_TEMPO
    program: int = 0
    parts: str = ""
    title: str = ""


def from_score(read: Score, highest: bool = False) -> Tune:
    """The tune of a score.

    A tie inside a bar joins two notes to one, and a tie that no note of its pitch can follow is
    left out. A double bar line is left out where a sign of a repeat stands too, and at the end.

    Args:
      read: from `notation.notate`.
      highest: whether of several voices the first is taken, and of a chord its highest note.

    Raises:
      LeftOut: "voices", "chord", "fine_length", "tempo_change", "program_change",
        "key_inside_bar", "repeats", "parts" or "no_notes".
    """
    if not read.notes():
        raise LeftOut("no_notes", "there are no notes in it")
    if len(read.voices) > 1 and not highest:
        raise LeftOut("voices", f"{len(read.voices)} voices")
    bars = read.voices[0].bars
    _require_constant(bars)
    written = [_bar(bar, highest) for bar in bars]
    for i, (bar, after) in enumerate(pairwise(written)):
        written[i] = bar._replace(ends_section=bar.ends_section and not (bar.closes or after.opens))
    written[-1] = written[-1]._replace(ends_section=False)
    # The first value counts, as for the titles.
    named = {letter: value for letter, value in reversed(read.headers) if value}
    return Tune(
        tuple(_with_useful_ties(written)),
        " ".join(named.get("R", "").casefold().split()),
        bars[0].tempo,
        bars[0].program,
        _order_of_parts(read.parts, bars),
        named.get("T", ""),
    )


def _require_constant(bars: Sequence[score.Bar]) -> None:
    """Raises LeftOut for what changes in the middle of a tune and has no token."""
    for bar in bars:
        if any(key is not None for _, _, key in bar.changes):
            raise LeftOut("key_inside_bar", f"in the bar of line {bar.line}")
        if bar.changes or bar.tempo != bars[0].tempo:
            raise LeftOut("tempo_change", f"in the bar of line {bar.line}")
        if bar.program != bars[0].program:
            raise LeftOut("program_change", f"in the bar of line {bar.line}")
        if bar.closes_repeat > 1:
            raise LeftOut("repeats", f"played {bar.closes_repeat + 1} times, line {bar.line}")


def _bar(bar: score.Bar, highest: bool) -> Bar:
    sounds: dict[score.Ticks, Note] = {}
    for onset, length, pitch, tied, overlay, _ in bar.notes:
        if overlay and not highest:
            raise LeftOut("voices", f"two voices in the bar of line {bar.line}")
        before = sounds.get(onset)
        if before and not highest:
            raise LeftOut("chord", f"in the bar of line {bar.line}")
        if not overlay and (before is None or pitch > (before.pitch or 0)):
            sounds[onset] = Note(pitch, length, tied)
    notes: list[Note] = []
    at: score.Ticks = 0
    for onset, note in sorted(sounds.items()):
        if onset > at:
            notes.append(Note(None, _parts_of_whole(onset - at, bar)))
        notes.append(note._replace(length=_parts_of_whole(note.length, bar)))
        at = onset + note.length
    if bar.length > at:
        notes.append(Note(None, _parts_of_whole(bar.length - at, bar)))
    return Bar(
        tuple(_joined(notes)),
        bar.meter,
        Key(bar.key.tonic or 0, bar.key.mode),
        bar.opens_repeat,
        bool(bar.closes_repeat),
        bar.ends_section,
        bar.ending or frozenset(),
        bar.part is not None,
    )


def _parts_of_whole(ticks: score.Ticks, bar: score.Bar) -> int:
    length = Fraction(ticks) / _TICKS
    if length.denominator != 1:
        raise LeftOut("fine_length", f"{score.of_whole(ticks)} of a whole note, line {bar.line}")
    return length.numerator


def _joined(notes: Sequence[Note]) -> Iterator[Note]:
    """The notes of a bar, those that a tie joins as one."""
    held: Note | None = None
    for note in notes:
        if held and held.tied and held.pitch == note.pitch:
            held = Note(held.pitch, held.length + note.length, note.tied)
            continue
        if held:
            yield held._replace(tied=False)
        held = note
    if held:
        yield held


def _with_useful_ties(bars: Sequence[Bar]) -> Iterator[Bar]:
    """The bars with the ties that the next bar goes on, or one that a repeat may lead to."""
    for bar, after in pairwise((*bars, None)):
        assert bar is not None
        last = bar.notes[-1]
        leads_on = after is not None and (
            after.notes[0].pitch == last.pitch or bool(after.ending) or bar.closes
        )
        if last.tied and not leads_on:
            bar = bar._replace(notes=(*bar.notes[:-1], last._replace(tied=False)))
        yield bar


def _order_of_parts(order: str | None, bars: Sequence[score.Bar]) -> str:
    """The order of parts by A for the first label, and so on; "" where it plays no label."""
    labels = [bar.part for bar in bars if bar.part is not None]
    if not order or not labels or not set(order) <= set(labels):
        return ""
    if len(set(labels)) < len(labels) or len(labels) > len(_LABELS):
        raise LeftOut("parts", f"P:{order} with {len(labels)} labels of parts")
    return "".join(_LABELS[labels.index(label)] for label in order)


def to_score(tune: Tune) -> Score:
    """The score of a tune, which `reader.perform` plays out."""
    made = Score()
    if tune.title:
        made.headers.append(("T", tune.title))
    if tune.rhythm:
        made.headers.append(("R", tune.rhythm))
    made.parts = tune.parts or None
    voice = score.Voice()
    made.voices.append(voice)
    labels = iter(_LABELS)
    for bar in tune.bars:
        voice.bars.append(_score_bar(bar, tune, labels))
    return made


def _score_bar(bar: Bar, tune: Tune, labels: Iterator[str]) -> score.Bar:
    made = score.Bar(0)
    at = 0
    for note in bar.notes:
        length = note.length * _TICKS
        if note.pitch is not None:
            made.notes.append([at, length, note.pitch, note.tied, 0, 0])
        at += length
    made.length = at
    made.meter, made.measure = bar.meter, fields.measure(bar.meter)
    tonic = None if bar.key.mode == score.NO_KEY.mode else bar.key.tonic
    made.key = score.Key(tonic, bar.key.mode, score.NO_KEY.accidentals)
    made.tempo, made.program = tune.tempo, tune.program
    made.opens_repeat, made.closes_repeat = bar.opens, int(bar.closes)
    made.ends_section = bar.ends_section
    made.ending = bar.ending or None
    # More labels than letters: then there is no order, and the letter does not matter.
    made.part = next(labels, "Z") if bar.part else None
    return made
