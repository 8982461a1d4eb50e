"""The rhythm of a bar as it can be written: pieces to tie, tuplets and single notes."""

import bisect
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from pipelines.music.abc.fields import Meter, in_threes
from pipelines.music.abc.grid import BINARY, WHOLE, Bar, Sound

# Tuplets: how many notes in the time of how many.
_TUPLETS = ((3, 2), (5, 4), (7, 4), (9, 8))
# Lengths of single notes, with up to two dots, from a breve down.
_SINGLE = sorted(
    (
        BINARY * dotted << power
        for dotted in (1, 3, 7)
        for power in range(10)
        if dotted << power <= 2 * 2**8
    ),
    reverse=True,
)


class Piece(NamedTuple):
    """A part of a sound or rest that one bar holds.

    Attributes:
      start, end: places from the start of the bar.
      pitches: those of its notes; empty for a rest.
      tied_from, tied_to: whether it continues what sounds before it, and is continued after it.
    """

    start: int
    end: int
    pitches: tuple[int, ...]
    tied_from: bool
    tied_to: bool


class Group(NamedTuple):
    """Pieces that make up a tuplet, `notes` in the time of `time`; 1 in 1 is no tuplet."""

    pieces: list[Piece]
    notes: int
    time: int


def cut(
    bars: Iterable[Bar], sounds: Sequence[Sound], signs: Sequence[int]
) -> Iterator[tuple[Bar, list[Piece]]]:
    """Cuts the sounds of a voice into the pieces of each bar, filled up with rests.

    Args:
      bars: those of the whole piece.
      sounds: those of one voice.
      signs: the places where a field or chord symbol has to stand, sorted; sounds are cut there.
    """
    first = 0
    for bar in bars:
        pieces: list[Piece] = []
        at = bar.begin
        while first < len(sounds) and sounds[first].start < bar.end:
            sound = sounds[first]
            start, end = max(sound.start, bar.begin), min(sound.end, bar.end)
            if at < start:
                pieces += _split(bar, signs, Sound(at, start, ()), at, start)
            pieces += _split(bar, signs, sound, start, end)
            at = end
            if sound.end > bar.end:
                break  # It goes on in the next bar.
            first += 1
        if at < bar.end:
            pieces += _split(bar, signs, Sound(at, bar.end, ()), at, bar.end)
        yield bar, pieces


def _split(bar: Bar, signs: Sequence[int], sound: Sound, start: int, end: int) -> Iterator[Piece]:
    """Splits what sounds from `start` to `end` where a sign has to stand."""
    low = bisect.bisect_right(signs, start)
    high = bisect.bisect_left(signs, end)
    edges = [start, *signs[low:high], end]
    for at, to in itertools.pairwise(edges):
        sounds = bool(sound.pitches)
        yield Piece(
            at - bar.start,
            to - bar.start,
            sound.pitches,
            sounds and at > sound.start,
            sounds and to < sound.end,
        )


def groups(pieces: Sequence[Piece]) -> Iterator[Group]:
    """Joins the pieces between two places of the binary grid to tuplets."""
    held: list[Piece] = []
    for piece in pieces:
        held.append(piece)
        if piece.end % BINARY == 0:
            yield from _tuplets(held)
            held = []
    yield from _tuplets(held)


def _tuplets(pieces: list[Piece]) -> Iterator[Group]:
    written = [piece.end - piece.start for piece in pieces]
    for notes, time in ((1, 1), *_TUPLETS):
        if all(length * notes % (time * BINARY) == 0 for length in written):
            if notes != 1:
                yield Group(pieces, notes, time)
                return
            break
    # Single notes, or lengths that no tuplet makes, which are written as fractions.
    for piece in pieces:
        yield Group([piece], 1, 1)


def lengths(piece: Piece, group: Group, meter: Meter | None) -> Iterator[int]:
    """The written lengths of single notes that make up a piece; they end on beats if they can."""
    left = (piece.end - piece.start) * group.notes // group.time
    if left % BINARY:
        yield left
        return
    beat = 0
    if meter and group.notes == 1:
        beat = WHOLE * (3 if in_threes(meter) else 1) // max(meter[1], 4)
    place = piece.start
    while left:
        fitting = [length for length in _SINGLE if length <= left]
        on_beat = [length for length in fitting if beat and (place + length) % beat == 0]
        length = fitting[0] if fitting[0] == left else (on_beat or fitting)[0]
        yield length
        place += length
        left -= length
