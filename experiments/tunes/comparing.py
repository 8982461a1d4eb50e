"""Compares what this project reads with what another reader gives: pitches and lengths.

Times of notes are not compared: this project puts a rest before a pickup. A wrong rest shows in
the bars of the NoteSequence, which have tests of their own.
"""

import hashlib
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

from experiments.tunes.readers import Reading
from pipelines.music.abc import notation, reader
from pipelines.music.abc.tunebook import TuneText

# Pitch and length, as a fraction of a whole note, of the notes of each voice.
Voices = list[list[tuple[int, Fraction]]]

# MIDI at 480 ticks a quarter.
_TICKS = 1920
_CONTEXT = 6


class Difference(NamedTuple):
    """Where two readings differ first.

    Attributes:
      kind: "voices", "count", "pitch" or "length": what differs first, in this order.
      voice, note: where, from 0.
      ours, theirs: up to six notes from there on.
      line: the file's line of our note; 0 if it cannot be told.
      bar: the number of the bar as written, from 1.
    """

    kind: str
    voice: int
    note: int
    ours: list[str]
    theirs: list[str]
    line: int
    bar: int


def played(tune: TuneText) -> Voices:
    """What this project plays.

    Raises:
      Rejected: if it does not read the tune.
    """
    voices: dict[int, list[tuple[float, int, Fraction]]] = {}
    for note in reader.read(tune).notes:
        length = Fraction(note.numerator, note.denominator)
        voices.setdefault(note.instrument, []).append((note.start_time, note.pitch, length))
    return [
        [(pitch, length) for _, pitch, length in sorted(voices[instrument])]
        for instrument in sorted(voices)
    ]


def written(tune: TuneText) -> Voices:
    """What this project reads, as written."""
    return [list(voice) for voice in reader.written(tune)]


def theirs(of: Reading) -> Voices:
    """The notes of another reader."""
    return [[(note.pitch, note.length) for note in voice] for voice in of.voices or []]


def digest(voices: Voices) -> str:
    """A digest of note lists: it tells them apart without holding the music."""
    text = "|".join(" ".join(f"{pitch}:{length}" for pitch, length in voice) for voice in voices)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def difference(tune: TuneText, ours: Voices, other: Voices, in_ticks: bool) -> Difference | None:
    """The first difference, or None.

    Args:
      in_ticks: whether the other reader's times are whole MIDI ticks: a length that is not a whole
        number of ticks may then differ by less than one.
    """
    if len(ours) != len(other):
        sizes = [str([len(voice) for voice in voices]) for voices in (ours, other)]
        return Difference("voices", 0, 0, sizes[:1], sizes[1:], 0, 0)
    for number, (mine, yours) in enumerate(zip(ours, other, strict=True)):
        if len(mine) == len(yours):
            unequal = (
                at
                for at, (a, b) in enumerate(zip(mine, yours, strict=True))
                if not _same(a, b, in_ticks)
            )
            at = next(unequal, None)
            if at is None:
                continue
            pitches = [pitch for pitch, _ in mine] == [pitch for pitch, _ in yours]
            kind = "length" if pitches else "pitch"
        else:
            kind = "count"
            at = 0
            while at < min(len(mine), len(yours)) and _same(mine[at], yours[at], in_ticks):
                at += 1
        line, bar = _place(tune, number, mine, at)
        some = slice(at, at + _CONTEXT)
        return Difference(
            kind, number, at, list(_said(mine[some])), list(_said(yours[some])), line, bar
        )
    return None


def _same(a: tuple[int, Fraction], b: tuple[int, Fraction], in_ticks: bool) -> bool:
    if a == b:
        return True
    off_grid = in_ticks and (a[1] * _TICKS).denominator != 1
    return off_grid and a[0] == b[0] and abs(a[1] - b[1]) * _TICKS < 1


def _said(notes: Sequence[tuple[int, Fraction]]) -> Iterator[str]:
    for pitch, length in notes:
        yield f"{pitch}:{length}"


def _place(tune: TuneText, voice: int, notes: Sequence[tuple[int, Fraction]], at: int):
    """Line and bar, as written, of a note: where the pitches before and after it stand."""
    voices = notation.notate(tune).voices
    if voice >= len(voices):
        return 0, 0
    written_pitches: list[int] = []
    places: list[tuple[int, int]] = []
    for number, bar in enumerate(voices[voice].bars, 1):
        for note in bar.notes:
            written_pitches.append(note[2])
            places.append((bar.line, number))
    for before, after in ((6, 3), (4, 1), (2, 1), (1, 0), (0, 1)):
        start = max(0, at - before)
        wanted = [pitch for pitch, _ in notes[start : at + after]]
        for place in range(len(written_pitches) - len(wanted) + 1):
            if wanted and written_pitches[place : place + len(wanted)] == wanted:
                return places[min(place + at - start, len(places) - 1)]
    return 0, 0
