"""The notes and the strains of a written tune, and whether its bars and strains are whole."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from pipelines.representations.abc_tokens.steps import measure
from pipelines.representations.abc_tokens.written import Bar, Tune


class Sound(NamedTuple):
    """A note with all that is tied to it: its pitch, its length, and where in its bar it begins."""

    pitch: int
    length: int
    bar: int
    place: int


def sounds(tune: Tune) -> list[Sound]:
    """The notes in the order in which they are written."""
    made: list[Sound] = []
    held = False
    for number, bar in enumerate(tune.bars):
        place = 0
        for note in bar.notes:
            if note.pitch is not None:
                if held and made[-1].pitch == note.pitch:
                    made[-1] = made[-1]._replace(length=made[-1].length + note.length)
                else:
                    made.append(Sound(note.pitch, note.length, number, place))
            held = note.tied
            place += note.length
    return made


class Strain(NamedTuple):
    """A strain as it is written.

    Attributes:
      repeats: whether signs of a repeat say that it is played twice.
      passes: the bars of each time that it is played differently: one, or one for each ending.
      ending_bars: how many bars each ending has; empty without endings.
    """

    repeats: bool
    passes: list[list[Bar]]
    ending_bars: tuple[int, ...]


def parts(tune: Tune) -> list[list[Bar]]:
    """The bars of each strain as they are written, with all its endings.

    Strains end at signs of a repeat, double bar lines and labels of parts.
    """
    found: list[list[Bar]] = [[tune.bars[0]]]
    for bar, after in itertools.pairwise(tune.bars):
        ends = bar.closes or bar.ends_section or after.opens or after.part
        if ends and not after.ending:
            found.append([])
        found[-1].append(after)
    return found


def strains(tune: Tune) -> list[Strain]:
    """The strains of a tune."""
    return list(map(_strain, parts(tune)))


def _strain(bars: Sequence[Bar]) -> Strain:
    begins = [number for number, bar in enumerate(bars) if bar.ending]
    closes = any(bar.closes for bar in bars)
    if not begins:
        return Strain(closes, [list(bars)], ())
    common = list(bars[: begins[0]])
    endings = [list(bars[a:b]) for a, b in itertools.pairwise((*begins, len(bars)))]
    return Strain(True, [common + ending for ending in endings], tuple(map(len, endings)))


def full_bars(tune: Tune) -> tuple[int, int]:
    """How many bars are full, and how many there are; (0, 0) in free meter.

    A pickup and the last bar of its strain are full together: where all bars of a strain add up to
    a whole number of bars. A bar that is played with each of two endings counts with both.
    """
    full = count = 0
    for strain in strains(tune):
        for bars in strain.passes:
            sizes = [measure(bar.meter) for bar in bars]
            if not all(sizes):
                continue
            count += len(bars)
            whole = sum(bar.length for bar in bars) % sizes[0] == 0
            for number, (bar, size) in enumerate(zip(bars, sizes, strict=True)):
                at_edge = number in (0, len(bars) - 1) and 0 < bar.length < size
                full += bar.length == size or (at_edge and whole)
    return full, count


def shape(tune: Tune) -> list[tuple[bool, int, tuple[int, ...]]] | None:
    """Of each strain: whether it repeats, its bars when played once, and those of its endings.

    None where a strain is no whole number of bars in each of its passes, or these differ.
    """
    found = []
    for strain in strains(tune):
        counts = set()
        for bars in strain.passes:
            size = measure(bars[0].meter)
            length = sum(bar.length for bar in bars)
            if not size or length % size or any(bar.meter != bars[0].meter for bar in bars):
                return None
            counts.add(length // size)
        if len(counts) > 1:
            return None
        found.append((strain.repeats, counts.pop(), strain.ending_bars))
    return found
