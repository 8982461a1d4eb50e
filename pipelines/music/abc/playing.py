"""A score to the notes that are heard: repeats, variant endings, parts, pickups and ties.

Bars are put on the grid of their meter: a bar that is as long as the meter says begins at a
multiple of that length. Shorter ones, a pickup or the last bar before a repeat, end or begin at
such a point, and a rest fills what is missing. Where a pickup after a repeat completes the bar
before the repeat, nothing is missing.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

from pipelines.music.abc.score import Bar, Key, Score, Ticks, bounded
from pipelines.music.limits import MAX_NOTES, Rejected

_MAX_BARS = 50_000
_MAX_PASSES = 100


class PlayedNote(NamedTuple):
    """A note as it is heard; `start` and `end` in ticks from the tune's begin."""

    start: Ticks
    end: Ticks
    pitch: int
    instrument: int
    program: int


class PlayedBar(NamedTuple):
    """A bar of the first voice as it is heard.

    Attributes:
      bar: its index in the voice.
      start, end: in ticks from the tune's begin; a rest that fills up the bar is not in it.
    """

    bar: int
    start: Ticks
    end: Ticks


class Performance(NamedTuple):
    """A tune as it is heard; all times in ticks.

    Attributes:
      notes: those of one voice after another, each voice in the order of starts.
      names: the names of the instruments; None where the tune gives none.
      chord_symbols: times and texts.
      sections: times and numbers; a section has the same number each time it is played.
      meters, keys, tempos: times and values: one at 0, and one at each change.
      warnings: pairs (line of the file, what is wrong).
      bars: those of the first voice in the order in which they are played, each as often as that.
    """

    notes: list[PlayedNote]
    names: list[str | None]
    chord_symbols: list[tuple[Ticks, str]]
    sections: list[tuple[Ticks, int]]
    meters: list[tuple[Ticks, tuple[int, int] | None]]
    keys: list[tuple[Ticks, Key]]
    tempos: list[tuple[Ticks, Fraction]]
    warnings: list[tuple[int, str]]
    bars: list[PlayedBar]


def play(score: Score, max_notes: int = MAX_NOTES) -> Performance:
    """Plays a score.

    Raises:
      Rejected: "no_notes"; "too_long" or "too_many_notes" where repeats and parts make it endless.
    """
    if not score.voices:
        raise Rejected("no_notes", "there are no notes in it")
    warnings: list[tuple[int, str]] = []
    lead = score.voices[0].bars
    order = _order(lead, score.parts, warnings)
    together = [voice.bars for voice in score.voices if len(voice.bars) == len(lead)]
    lengths = _lengths(together, order)
    starts, meters = _grid(lead, order, lengths, warnings)
    bars = [
        PlayedBar(place, start, bounded(start + length))
        for place, start, length in zip(order, starts, lengths, strict=True)
    ]
    played = Performance([], [], [], [], meters, [], [], warnings, bars)
    for voice in score.voices:
        if len(voice.bars) == len(lead):
            _perform(played, voice.bars, order, starts, voice.name, max_notes)
        else:
            warnings.append((voice.bars[0].line, "the voices have different numbers of bars"))
            own = _order(voice.bars, score.parts, [])
            own_starts, _ = _grid(voice.bars, own, _lengths([voice.bars], own), [])
            _perform(played, voice.bars, own, own_starts, voice.name, max_notes)
    if not played.notes:
        raise Rejected("no_notes", "none of its notes is in a part that is played")
    _follow(played, lead, order, starts)
    return played


# The order of bars


def _order(bars: Sequence[Bar], parts: str | None, warnings: list) -> list[int]:
    """The indices of the bars in the order in which they are played."""
    labels = {place: bar.part for place, bar in enumerate(bars) if bar.part}
    labelled = list(labels)
    ranges: dict[str, tuple[int, int]] = {}
    for place, end in zip(labelled, [*labelled, len(bars)][1:], strict=True):
        # A label that comes again only names the part once more.
        ranges.setdefault(labels[place], (place, end))
    if parts and labelled:
        if labelled[0] > 0 and len(parts) == 1 and parts not in ranges:
            pass  # The header names the part that comes first.
        elif set(parts) <= ranges.keys():
            order = list(range(labelled[0]))
            if never := sorted(ranges.keys() - set(parts)):
                warnings.append(
                    (bars[0].line, f"P:{parts[:20]} never plays part {never[0]}; left out")
                )
            for label in parts:
                order += _repeated(bars, *ranges[label], warnings)
                if len(order) > _MAX_BARS:
                    raise Rejected("too_long", f"its parts play more than {_MAX_BARS} bars")
            return order
        else:
            missing = sorted(set(parts) - ranges.keys())
            warnings.append(
                (bars[0].line, f"P:{parts[:20]} asks for part {missing[0]}, which is not there")
            )
    return _repeated(bars, 0, len(bars), warnings)


def _repeated(bars: Sequence[Bar], begin: int, end: int, warnings: list) -> list[int]:
    """The bars from `begin` to `end` with their repeats (4.8 to 4.10).

    A repeat without a begin goes back to the last double bar line or end of a repeat, as the
    standard says, or to the label of a part.
    """
    order: list[int] = []
    at = begin
    while at < end:
        section = _section(bars, at, end)
        for number in range(1, section.passes + 1):
            skips = False
            for place in range(at, section.end):
                ending = bars[place].ending
                if ending is not None:
                    skips = number not in ending
                if not skips:
                    order.append(place)
            if len(order) > _MAX_BARS:
                raise Rejected("too_long", f"its repeats play more than {_MAX_BARS} bars")
        if section.unclosed is not None:
            line = bars[section.unclosed].line
            warnings.append((line, "a variant ending without a repeat sign; played as with one"))
        at = section.end
    return order


class _Section(NamedTuple):
    """Bars that are played `passes` times; `unclosed` is an ending that lacks its repeat sign."""

    end: int
    passes: int
    unclosed: int | None


def _section(bars: Sequence[Bar], begin: int, end: int) -> _Section:
    """The section that begins at `begin`; it ends where the next one, repeated apart, begins."""
    highest = 0  # The highest number of its variant endings.
    closes = 0
    unclosed = None
    ending: int | None = None  # Where the current variant ending began.
    first_length = 0  # How many bars the first variant ending has.
    spans = begin  # Up to where the section goes on whatever parts begin there.
    for place in range(begin, end):
        bar = bars[place]
        if place > begin and bar.part and not bar.opens_repeat and place > spans:
            if bars[begin].opens_repeat and not (closes or highest):
                spans = _closes(bars, place, end)
        if place > begin and (bar.opens_repeat or (bar.part and place > spans)):
            return _Section(place, max(highest, closes + 1), unclosed)
        if bar.ending is not None:
            if ending is not None:
                if not first_length:
                    first_length = place - ending
                if not bars[place - 1].closes_repeat:
                    unclosed = ending
            if bar.ending:
                highest = max(highest, *bar.ending)
            ending = place
        closes = max(closes, bar.closes_repeat)
        follows = bars[place + 1].ending if place + 1 < end else None
        if follows and (min(follows) > 1 or ending is None):
            continue
        # The last ending is over at a repeat or double bar line, or else when it is as long as the
        # first.
        as_long = ending is not None and place - ending + 1 == first_length
        if bar.closes_repeat or bar.ends_section or (as_long and _opens_late(bars, place + 1, end)):
            return _Section(place + 1, max(highest, closes + 1), unclosed)
    return _Section(end, max(highest, closes + 1), unclosed)


def _closes(bars: Sequence[Bar], begin: int, end: int) -> int:
    """The bar before the next `:|`; -1 where a section ends or a repeat begins before that."""
    for place in range(begin, end):
        bar = bars[place]
        if bar.opens_repeat:
            return -1
        if bar.closes_repeat:
            return place
        if bar.ends_section:
            return -1
    return -1


def _opens_late(bars: Sequence[Bar], begin: int, end: int) -> bool:
    """Whether a repeat ends later on that has no begin of its own."""
    for place in range(begin, end):
        bar = bars[place]
        if bar.opens_repeat or bar.part or bar.ends_section:
            return False
        if bar.closes_repeat or bar.ending:
            return place > begin or bool(bar.closes_repeat)
    return False


# The grid


def _lengths(voices: Sequence[Sequence[Bar]], order: Sequence[int]) -> list[Ticks]:
    """The length of each bar that is played: that of the voice in which it is longest."""
    longest = [max(bar.length for bar in bars) for bars in zip(*voices, strict=True)]
    return [longest[place] for place in order]


def _grid(
    bars: Sequence[Bar], order: Sequence[int], lengths: Sequence[Ticks], warnings: list
) -> tuple[list[Ticks], list[tuple[Ticks, tuple[int, int] | None]]]:
    """When each bar that is played begins, and when each meter begins.

    Bars that are not full make up a run. A rest fills the run up when a full bar or another meter
    follows. A meter begins before the rest that leads in to its pickup, so that its bars count from
    there.
    """
    starts: list[Ticks] = []
    meters: list[tuple[Ticks, tuple[int, int] | None]] = []
    time: Ticks = 0
    run = 0  # Where the run begins in `order`.
    filled: Ticks = 0  # How long it is.
    measure = bars[order[0]].measure
    wrong: set[int] = set()
    full_bars = 0
    for played, place in enumerate(order):
        bar, length = bars[place], lengths[played]
        measured = bar.measure
        full = measured is not None and length >= measured and not length % measured
        full_bars += full
        if filled and measure and (full or bar.measure != measure):
            if missing := -filled % measure:
                where = _gap(bars, order, run, played)
                if where is None:
                    wrong.update(order[run:played])
                    where = played
                if where and _ties_over(bars[order[where - 1]]):
                    # A rest would cut the note in two; it may go before the next bar.
                    missing = 0
                for later in range(where, played):
                    starts[later] = bounded(starts[later] + missing)
                time = bounded(time + missing)
            filled = 0
        measure = bar.measure
        if not meters or bar.meter != meters[-1][1]:
            meters.append((time - filled % measure if measure else time, bar.meter))
        starts.append(time)
        time = bounded(time + length)
        if not measure or full:
            filled = 0
            run = played + 1
        else:
            if not filled:
                run = played
            filled = bounded(filled + length)
            if not filled % measure:
                filled = 0
                run = played + 1
    for place in sorted(wrong)[:5]:
        warnings.append((bars[place].line, "a bar is shorter or longer than the meter says"))
    if measure and not full_bars and len(order) > 2:
        warnings.append((bars[0].line, "no bar is as long as the meter says"))
    return starts, meters


def _gap(bars: Sequence[Bar], order: Sequence[int], run: int, end: int) -> int | None:
    """The bar of a run before which its rest belongs; None where a bar is simply wrong.

    The rest goes between the last bar before a repeat or double bar line and the pickup after it;
    before a run that is a pickup alone; after a run that is only such a last bar (then `end`).
    """
    if run == 0:
        return 0
    for played in [*range(end - 1, run, -1), run, end]:
        before, place = bars[order[played - 1]], bars[order[played]]
        if (
            order[played] != order[played - 1] + 1
            or place.opens_repeat
            or place.part
            or before.closes_repeat
            or before.ends_section
            or place.measure != before.measure
        ):
            return played
    return None


def _ties_over(bar: Bar) -> bool:
    """Whether a note of the bar is tied to one in the next."""
    return any(ties and onset + length == bar.length for onset, length, _, ties, *_ in bar.notes)


# Notes


def _perform(
    played: Performance,
    bars: Sequence[Bar],
    order: Sequence[int],
    starts: Sequence[Ticks],
    name: str | None,
    max_notes: int,
) -> None:
    """Adds a voice: one instrument, and one more for each overlay."""
    first = len(played.names)
    played.names.append(name)
    notes = played.notes
    # The indices in `notes` of notes that are tied to the next one, by pitch and end: two may be in
    # unison.
    tied: dict[tuple[int, Ticks], list[int]] = {}
    for place, time in zip(order, starts, strict=True):
        bar = bars[place]
        for onset, length, pitch, ties, overlay, _ in bar.notes:
            start = time + onset
            if tied and (waiting := tied.get((pitch, start))):
                at = waiting.pop(0)
                notes[at] = notes[at]._replace(end=start + length)
                if ties:
                    tied.setdefault((pitch, start + length), []).append(at)
                continue
            if ties:
                tied.setdefault((pitch, start + length), []).append(len(notes))
            instrument = first + overlay
            notes.append(PlayedNote(start, start + length, pitch, instrument, bar.program))
            if overlay:
                while len(played.names) <= instrument:
                    played.names.append(name)
        if len(notes) > max_notes:
            raise Rejected("too_many_notes", f"more than {max_notes} are played")
        for onset, text in bar.chord_symbols:
            played.chord_symbols.append((time + onset, text))


def _follow(
    played: Performance, bars: Sequence[Bar], order: Sequence[int], starts: Sequence[Ticks]
) -> None:
    """Adds the sections, keys and tempos of the first voice."""
    numbers = _sections(bars)
    first = bars[order[0]]
    played.keys.append((0, first.key))
    played.tempos.append((0, first.tempo))
    for place, time in zip(order, starts, strict=True):
        bar = bars[place]
        if place in numbers:
            played.sections.append((time, numbers[place]))
        if bar.key != played.keys[-1][1]:
            played.keys.append((time, bar.key))
        if bar.tempo != played.tempos[-1][1]:
            played.tempos.append((time, bar.tempo))
        for onset, tempo, key in bar.changes:
            if tempo is not None and tempo != played.tempos[-1][1]:
                played.tempos.append((time + onset, tempo))
            if key is not None and key != played.keys[-1][1]:
                played.keys.append((time + onset, key))


def _sections(bars: Sequence[Bar]) -> dict[int, int]:
    """The numbers of the sections by the bars at which they begin.

    A section begins at a repeat sign, at a part's label, and after a repeat or double bar line,
    unless a variant ending follows there.
    """
    starts = [0]
    for place in range(1, len(bars)):
        bar, before = bars[place], bars[place - 1]
        if bar.ending is not None:
            continue
        ended = before.closes_repeat or before.ends_section
        if bar.opens_repeat or bar.part or ended:
            starts.append(place)
    return {place: number for number, place in enumerate(starts)}


def written_notes(bars: Sequence[Bar]) -> Iterator[tuple[int, Ticks]]:
    """Pitches and lengths of a voice as written, without repeats, tied notes joined."""
    played = Performance([], [], [], [], [], [], [], [], [])
    starts: list[Ticks] = []
    time: Ticks = 0
    for bar in bars:
        starts.append(time)
        time = bounded(time + bar.length)
    _perform(played, bars, range(len(bars)), starts, None, MAX_NOTES)
    notes = sorted(played.notes, key=lambda note: (note.start, note.pitch))
    return ((note.pitch, note.end - note.start) for note in notes)
