"""Voices to lines of notation: notes, beams, bar lines, and the fields among them."""

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

from pipelines.music import keys
from pipelines.music.abc import fields
from pipelines.music.abc.grid import WHOLE, Bar, Music, Voice
from pipelines.music.abc.rhythm import Group, Piece, cut, groups, lengths

_BARS_A_LINE = 4


def voice_lines(music: Music, voice: Voice, is_first: bool) -> Iterator[str]:
    """Writes the lines of a voice, each with its bar lines.

    Args:
      music: the whole piece.
      voice: one of its voices.
      is_first: whether tempos and chord symbols are written in this voice.
    """
    return _Writer(music, is_first).lines(voice)


def bar_texts(music: Music, bars: Iterable[tuple[Bar, Sequence[Piece]]]) -> Iterator[str]:
    """Writes bars that are cut already, one after another, each without its bar lines.

    Args:
      music: the whole piece; its `voices` are not looked at.
      bars: each bar with its notes and rests, which fill it.
    """
    return _Writer(music, is_first=True).bars(bars)


class _Token(NamedTuple):
    """A note, chord or rest as text; `length` is as written, before its tuplet changes it."""

    place: int
    length: int
    text: str
    in_tuplet: bool


class _Writer:
    """Writes one voice."""

    def __init__(self, music: Music, is_first: bool):
        self._music = music
        self._accidentals = keys.Accidentals(music.keys[0][1])
        # What stands before the note at a place: fields and chord symbols; and the keys that begin.
        self._fields: dict[int, str] = defaultdict(str)
        self._chords: dict[int, str] = defaultdict(str)
        self._keys: dict[int, keys.Key] = {}
        begin = music.bars[0].begin
        for before, bar in itertools.pairwise(music.bars):
            if bar.meter != before.meter:
                self._fields[bar.start] += f"[M:{fields.write_meter(bar.meter)}]"
        for place, key in music.keys[1:]:
            place = max(place, begin)
            self._fields[place] += f"[K:{key.name}]"
            self._keys[place] = key
        if is_first:
            for place, qpm in music.tempos[1:]:
                self._fields[place] += f"[Q:{fields.write_tempo(qpm, music.meter_at(place))}]"
            for place, text in music.chord_symbols:
                self._chords[max(place, begin)] += f'"{text}"'
        self._places = sorted({*self._fields, *self._chords})

    def bars(self, bars: Iterable[tuple[Bar, Sequence[Piece]]]) -> Iterator[str]:
        """The bars as text, each without its bar lines."""
        for bar, pieces in bars:
            yield self._bar(bar, pieces)
            self._accidentals.bar()

    def lines(self, voice: Voice) -> Iterator[str]:
        """The lines of a voice, each with its bar lines."""
        written = list(self.bars(cut(self._music.bars, voice.sounds, self._places)))
        pickup = int(self._music.bars[0].begin > self._music.bars[0].start)
        at = 0
        while at < len(written):
            free = self._music.bars[at].meter is None
            to = at + (1 if free else _BARS_A_LINE + (pickup if at == 0 else 0))
            end = "|" if to < len(written) else "|]"
            yield "|".join(written[at:to]) + end
            at = to

    def _bar(self, bar: Bar, pieces: Sequence[Piece]) -> str:
        """The text of a bar without its bar lines."""
        tokens = [token for group in groups(pieces) for token in self._group(bar, group)]
        beam = _beams(bar.meter, tokens)
        compound = fields.in_threes(bar.meter)
        text = ""
        before: _Token | None = None
        for token in tokens:
            # People write "c2A G3" in 6/8 though there is no beam.
            joined = (
                before is not None
                and beam(before.place) == beam(token.place)
                and (max(before.length, token.length) < WHOLE // 4 or compound)
            )
            text += ("" if before is None or joined else " ") + token.text
            before = token
        return text

    def _group(self, bar: Bar, group: Group) -> Iterator[_Token]:
        """The notes of a tuplet, or a single note, rest or chord, with ties between its parts."""
        parts = [(piece, list(lengths(piece, group, bar.meter))) for piece in group.pieces]
        count = sum(len(written) for _, written in parts)
        prefix = ""
        if group.notes != group.time:
            short = (group.notes, group.time, count) == (3, 2, 3)
            prefix = "(3" if short else f"({group.notes}:{group.time}:{count}"
        for piece, written in parts:
            at = bar.start + piece.start
            if at in self._keys:
                self._accidentals.change(self._keys[at])
            # In the order of the standard: a tuplet's sign, then chord symbols (4.20).
            before = self._fields.get(at, "") + prefix + self._chords.get(at, "")
            prefix = ""
            place = piece.start
            for number, length in enumerate(written):
                last = number == len(written) - 1
                tie = "-" if piece.pitches and (piece.tied_to or not last) else ""
                sound = self._sound(piece.pitches, piece.tied_from or number > 0)
                text = f"{before}{sound}{_multiple(length, self._music.unit)}{tie}"
                yield _Token(place, length, text, group.notes != group.time)
                before = ""
                place += length * group.time // group.notes

    def _sound(self, pitches: Sequence[int], tied: bool) -> str:
        """A rest, note or chord without its length."""
        names = self._accidentals.sound(pitches, tied)
        return "z" if not names else names[0] if len(names) == 1 else f"[{''.join(names)}]"


def _multiple(length: int, unit: int) -> str:
    """A length in units: "", "2", "3/2", "/2"."""
    multiple = Fraction(length, unit)
    above = "" if multiple.numerator == 1 else str(multiple.numerator)
    return above if multiple.denominator == 1 else f"{above}/{multiple.denominator}"


def _beams(meter: fields.Meter | None, tokens: Iterable[_Token]) -> Callable[[int], int]:
    """Makes a function from a place in the bar to the number of the beam that its note belongs to.

    Beams are as long as a beat; in 4/4 and 2/2 as half a bar in which no note is shorter than an
    eighth.
    """
    quarter = WHOLE // 4
    if meter and fields.in_threes(meter):
        threes = 3 * WHOLE // meter[1]
        return lambda place: place // threes
    if meter not in ((4, 4), (2, 2)):
        return lambda place: place // quarter
    busy = {
        token.place // (2 * quarter)
        for token in tokens
        if token.in_tuplet or token.length < WHOLE // 8
    }

    def beam(place: int) -> int:
        half = place // (2 * quarter)
        return place // quarter if half in busy else 2 * half

    return beam
