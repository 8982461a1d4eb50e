"""NoteSequences in musical time: seconds become places on the grid of the meter.

Times have to be within a microsecond of the grid, whole notes divided by 2^8 * 3^2 * 5 * 7. Scores,
quantized music and the output of models with steps are. A free performance is not, and is refused:
it would have to be quantized first.
"""

import bisect
import itertools
from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from pipelines.music import keys as spelling
from pipelines.music.abc import fields
from pipelines.music.abc.fields import Meter
from pipelines.music.note_sequence import NoteSequence
from pipelines.music.timing import TempoMap

# In parts of a whole note, which make up its halves, quarters and so on to 1/256, and the thirds,
# fifths, sevenths and ninths of these. The reader's ticks are so fine that any time would fit one.
BINARY = 3**2 * 5 * 7
WHOLE = 2**8 * BINARY
_TOLERANCE = 1e-6
_MAX_BARS = 100_000
# How much music in free meter goes on a line.
_FREE_LINE = 2 * WHOLE
# The denominators of meters that ABC can write.
_DENOMINATORS = (1, 2, 4, 8, 16, 32, 64, 128)
_CHORD = NoteSequence.TextAnnotation.CHORD_SYMBOL


class Sound(NamedTuple):
    """A note or chord: pitches from the lowest; `start` and `end` in parts of a whole note."""

    start: int
    end: int
    pitches: tuple[int, ...]


class Voice(NamedTuple):
    """Sounds one after another, with the instrument's name and program."""

    name: str
    program: int
    sounds: list[Sound]


class Bar(NamedTuple):
    """A bar of the grid: `begin` is later than `start` where only a pickup is written."""

    start: int
    begin: int
    end: int
    meter: Meter | None


class _Clock:
    """Seconds to parts of a whole note.

    Raises:
      ValueError: where a tempo changes between two places of the grid.

    Attributes:
      tempos: places and quarter notes a minute, the first at 0.
    """

    def __init__(self, sequence: NoteSequence):
        self._quarters = TempoMap(sequence.tempos)
        places = self.places([time for time, _ in self._quarters.changes])
        # Where two tempos round to one place, the later holds there.
        self.tempos = list(dict(zip(places, (qpm for _, qpm in self._quarters.changes))).items())

    def place(self, time: float) -> int:
        """Where on the grid a time is; raises ValueError where it is between two places."""
        return self.places([time])[0]

    def places(self, times: Sequence[float]) -> list[int]:
        """Where on the grid times are; raises ValueError where one is between two places."""
        seconds = np.array(times, np.float64)
        # A time and the latest that still counts as the same, in parts of a whole note.
        with np.errstate(over="ignore", invalid="ignore"):
            exact, latest = self._quarters(np.stack([seconds, seconds + _TOLERANCE])) * (WHOLE / 4)
            places = np.rint(exact)
            is_on_grid = np.abs(exact - places) <= latest - exact
        for off in np.flatnonzero(~is_on_grid).tolist():
            raise ValueError(
                f"{times[off]:g} s is on no grid of musical time; quantize the music before "
                "writing ABC"
            )
        return [int(place) for place in places]


class Music(NamedTuple):
    """Music in parts of a whole note, as it is written.

    Attributes:
      tempos: places and quarter notes a minute.
      keys: places and keys.
      bars: those of the whole piece.
      voices: their sounds do not overlap.
      chord_symbols: places and texts.
      unit: the unit note length.
    """

    tempos: list[tuple[int, float]]
    keys: list[tuple[int, spelling.Key]]
    bars: list[Bar]
    voices: list[Voice]
    chord_symbols: list[tuple[int, str]]
    unit: int

    def meter_at(self, place: int) -> Meter | None:
        """The meter of the bar at a place."""
        return self.bars[bisect.bisect_right(self.bars, place, key=lambda bar: bar.start) - 1].meter


def of_sequence(sequence: NoteSequence) -> Music:
    """Puts a sequence on the grid.

    Raises:
      ValueError: where its times are not on the grid, or ABC cannot write its meters.
    """
    clock = _Clock(sequence)
    voices = _voices(sequence, clock)
    sounds = [sound for voice in voices for sound in voice.sounds]
    end = max(sound.end for sound in sounds)
    keys = _keys(sequence, clock, voices)
    bars = _bars(_meters(sequence, clock), clock.tempos, voices, end)
    chord_symbols = [
        (clock.place(annotation.time), text)
        for annotation in sorted(sequence.text_annotations, key=lambda one: one.time)
        if annotation.annotation_type == _CHORD
        and (text := fields.write_chord_symbol(annotation.text))
    ]
    unit = unit_for([sound.end - sound.start for sound in sounds])
    return Music(clock.tempos, keys, bars, voices, chord_symbols, unit)


def unit_for(lengths: Sequence[int]) -> int:
    """The unit note length that suits notes of these lengths: an eighth or a sixteenth."""
    # An eighth of a triplet counts as an eighth.
    short = sum(length < WHOLE // 12 for length in lengths)
    return WHOLE // (16 if 2 * short > len(lengths) else 8)


def _voices(sequence: NoteSequence, clock: _Clock) -> list[Voice]:
    together: dict[tuple[int, int, int], list[int]] = defaultdict(list)
    programs: dict[int, int] = {}
    starts = clock.places([note.start_time for note in sequence.notes])
    ends = clock.places([note.end_time for note in sequence.notes])
    for note, start, end in zip(sequence.notes, starts, ends, strict=True):
        if start < 0 or end <= start:
            raise ValueError(
                f"a note from {note.start_time:g} to {note.end_time:g} s has no length"
            )
        together[note.instrument, start, end].append(note.pitch)
        programs.setdefault(note.instrument, note.program)
    names = {info.instrument: info.name for info in sequence.instrument_infos}
    layers: dict[int, list[list[Sound]]] = {instrument: [] for instrument in sorted(programs)}
    order = sorted(together, key=lambda key: (key[1], -max(together[key]), key))
    for instrument, start, end in order:
        sound = Sound(start, end, tuple(sorted(together[instrument, start, end])))
        for layer in layers[instrument]:
            if layer[-1].end <= start:
                layer.append(sound)
                break
        else:
            layers[instrument].append([sound])
    return [
        Voice(names.get(instrument, ""), programs[instrument], layer)
        for instrument, of_instrument in layers.items()
        for layer in of_instrument
    ]


def _meters(sequence: NoteSequence, clock: _Clock) -> list[tuple[int, Meter | None]]:
    from_abc = sequence.source_info.encoding_type == NoteSequence.SourceInfo.ABC
    meters: dict[int, Meter | None] = {0: None if from_abc else (4, 4)}
    for signature in sorted(sequence.time_signatures, key=lambda one: one.time):
        numerator, denominator = signature.numerator, signature.denominator
        if not 0 < numerator <= 256 or denominator not in _DENOMINATORS:
            raise ValueError(f"{numerator}/{denominator} is no meter")
        meters[clock.place(signature.time)] = numerator, denominator
    return list(meters.items())


def _keys(
    sequence: NoteSequence, clock: _Clock, voices: Sequence[Voice]
) -> list[tuple[int, spelling.Key]]:
    """The keys that the sequence names; one that does not fit its notes gives way to a guess."""
    given: dict[int, spelling.Key | None] = {0: None}
    for signature in sorted(sequence.key_signatures, key=lambda one: one.time):
        given[clock.place(signature.time)] = spelling.from_signature(signature)
    sounds = sorted(sound for voice in voices for sound in voice.sounds)
    keys: list[tuple[int, spelling.Key]] = []
    for start, end in zip(given, [*given, sounds[-1].end + 1][1:], strict=True):
        low, high = (bisect.bisect_left(sounds, (place,)) for place in (start, end))
        heard = sounds[low:high]
        weights = spelling.weigh(
            (pitch, sound.end - sound.start) for sound in heard for pitch in sound.pitches
        )
        key = given[start]
        if heard and (key is None or not spelling.fits(key, weights)):
            key = spelling.guess(weights, heard[-1].pitches[0])
        key = key or spelling.Key("C", 0)
        if not keys or keys[-1][1] != key:
            keys.append((start, key))
    return keys


def _bars(
    meters: Sequence[tuple[int, Meter | None]],
    tempos: Sequence[tuple[int, float]],
    voices: Sequence[Voice],
    end: int,
) -> list[Bar]:
    """The bars of the grid that reach to `end`, the first one from its first note on."""
    bars: list[Bar] = []
    for (start, meter), limit in zip(meters, [*(at for at, _ in meters), end][1:], strict=True):
        limit = min(limit, end)
        if meter is None:
            edges = _free_edges(voices, start, limit)
        elif (limit - start) // _measure(meter) > _MAX_BARS:
            raise ValueError(f"it is longer than {_MAX_BARS} bars")
        else:
            edges = [*range(start, limit, _measure(meter)), limit]
        bars += [Bar(at, at, to, meter) for at, to in itertools.pairwise(edges) if at < to]
        if limit < end and bars and meter and bars[-1].end - bars[-1].start < _measure(meter):
            # Readers fill up a short bar before another meter, unless the bar has a meter so short.
            short = Fraction(limit - bars[-1].start, WHOLE)
            if short.denominator not in _DENOMINATORS:
                raise ValueError(f"a bar before another meter is {short} of a whole note long")
            bars[-1] = bars[-1]._replace(meter=(short.numerator, short.denominator))
    first = min(voice.sounds[0].start for voice in voices)
    if _has_pickup(bars, first) and not any(0 < place <= first for place, _ in tempos):
        bars[0] = bars[0]._replace(begin=first)
    elif bars[-1].meter:
        # Without a pickup the last bar is a whole one.
        bars[-1] = bars[-1]._replace(end=bars[-1].start + _measure(bars[-1].meter))
    return bars


def _measure(meter: Meter) -> int:
    """How long a bar is."""
    return WHOLE * meter[0] // meter[1]


def _has_pickup(bars: Sequence[Bar], first: int) -> bool:
    """Whether the rest before the first sound, at `first`, may be left out: readers put it back.

    They do so where a full bar in the same meter follows the short one.
    """
    if len(bars) == 1 or bars[0].meter is None or not bars[0].start < first < bars[0].end:
        return False
    return bars[1].meter == bars[0].meter and bars[1].end - bars[1].start == _measure(bars[0].meter)


def _free_edges(voices: Sequence[Voice], start: int, end: int) -> list[int]:
    """Where free meter can be cut into lines: at places over which no sound is held."""
    edges = [start]
    sounds = sorted(sound for voice in voices for sound in voice.sounds)
    silent_from = 0
    for sound in sounds:
        if silent_from <= sound.start < end and sound.start - edges[-1] >= _FREE_LINE:
            edges.append(sound.start)
        silent_from = max(silent_from, sound.end)
    return [*edges, end]
