"""NoteSequences to ABC notation that players and this project's own reader take back.

Bars, beams and line breaks follow the grid of the meter; what sounds over a bar line, or as long
as no single note can be, is tied. What the reader plays is written out: no repeat signs.

Times have to be on the grid of musical time, whole notes divided by 2^8 * 3^2 * 5 * 7, to within a
microsecond, which is so for scores, quantized music and what models with steps play. A performance
that somebody played freely is not: it would have to be quantized first, and is refused.
"""

import bisect
import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

from pipelines.abc import spelling
from pipelines.protos import NoteSequence

# Parts of a whole note: all halvings to 1/256, of these also thirds, fifths, sevenths, ninths.
_BINARY = 3**2 * 5 * 7
_WHOLE = 2**8 * _BINARY
_TOLERANCE = 1e-6
_MAX_BARS = 100_000
_DEFAULT_QPM = 120.0
_BARS_A_LINE = 4
# How much of free meter goes on a line.
_FREE_LINE = 2 * _WHOLE
# Notes in the time of how many others.
_TUPLETS = ((3, 2), (5, 4), (7, 4), (9, 8))
# Of meters.
_DENOMINATORS = (1, 2, 4, 8, 16, 32, 64, 128)
_HEADERS = "TCARODSBNHFGZ"
_CHORD = NoteSequence.TextAnnotation.CHORD_SYMBOL
_NO_TEXT = re.compile(r"\s*[\x00-\x1f\x7f\x85\u2028\u2029]+\s*")

Meter = tuple[int, int]


def is_melody(sequence: NoteSequence) -> bool:
    """Whether a sequence is what ABC notation is for: notes, and no drums among them."""
    return bool(sequence.notes) and not any(note.is_drum for note in sequence.notes)


def write(sequence: NoteSequence, title: str = "") -> str:
    """Writes a sequence as one tune.

    Each instrument is a voice; notes of one that overlap without beginning and ending together
    are spread over several. Without a time signature the meter is free where the sequence came
    from ABC, and 4/4, as in MIDI, elsewhere. Without a key signature that fits the notes the key
    is guessed from them. Header fields are taken from the annotations that the reader makes.

    Args:
      sequence: notes with times in seconds, not quantized.
      title: for a sequence that has none.

    Raises:
      ValueError: where it holds no notes, or drums, or its times are on no grid.
    """
    if not is_melody(sequence):
        raise ValueError("only music with notes and without drums can be written as ABC")
    music = _Music(sequence)
    head = _header(sequence, title)
    head.append(f"M:{_meter_text(music.bars[0].meter)}")
    head.append(f"L:1/{_WHOLE // music.unit}")
    head.append(f"Q:{_tempo(music.tempos[0][1], music.bars[0].meter)}")
    many = len(music.voices) > 1
    if many:
        head += [_voice_header(number, voice) for number, voice in enumerate(music.voices, 1)]
    elif music.voices[0].program:
        head.append(f"%%MIDI program {music.voices[0].program}")
    head.append(f"K:{music.keys[0][1].name}")
    body: list[str] = []
    for number, voice in enumerate(music.voices, 1):
        if many:
            body.append(f"V:{number}")
            if voice.program:
                body.append(f"%%MIDI program {voice.program}")
        body += _VoiceWriter(music, voice, is_first=number == 1).lines()
    return "\n".join([*head, *body]) + "\n"


# Header


def _header(sequence: NoteSequence, title: str) -> list[str]:
    """The fields before the meter."""
    fields = []
    for annotation in sequence.text_annotations:
        letter, colon, value = annotation.text.partition(":")
        if annotation.annotation_type != _CHORD and colon and len(letter) == 1:
            if letter in _HEADERS and not annotation.time:
                fields.append((letter, value))
    given = {letter for letter, _ in fields}
    metadata = sequence.sequence_metadata
    others = [("T", _text(metadata.title) or _text(title) or "Untitled")]
    others += [("C", composer) for composer in metadata.composers]
    others += [("R", genre) for genre in metadata.genre[:1]]
    fields += [field for field in others if field[0] not in given]
    # Titles come first; a program shows the first of them as the tune's name.
    fields.sort(key=lambda field: field[0] != "T")
    return [
        f"X:{max(sequence.reference_number, 1)}",
        *(f"{letter}:{_text(value)}" for letter, value in fields),
    ]


def _text(value: str) -> str:
    """A text as a field can hold it: on one line, and with no comment in it."""
    value = _NO_TEXT.sub(" ", value).strip()
    return re.sub(r"(?<!\\)%", r"\\%", value)


def _chord_text(text: str) -> str:
    """The text of a chord symbol; the signs left out would make it a remark on the page."""
    return _NO_TEXT.sub(" ", text).replace('"', "'").strip().lstrip("^_<>@ ")


def _voice_header(number: int, voice: "_Voice") -> str:
    name = _text(voice.name).replace('"', "'")
    return f'V:{number} name="{name}"' if name else f"V:{number}"


def _meter_text(meter: Meter | None) -> str:
    return "none" if meter is None else f"{meter[0]}/{meter[1]}"


def _tempo(qpm: float, meter: Meter | None) -> str:
    """The tempo with the beat of the meter, or with another that makes it a whole number."""
    beats = [Fraction(1, 4), Fraction(1, 8), Fraction(3, 8), Fraction(1, 2)]
    if meter and _is_compound(meter):
        beats.insert(0, Fraction(3, meter[1]))
    elif meter and meter[1] == 2:
        beats.insert(0, Fraction(1, 2))
    for beat in beats:
        count = qpm / 4 / beat
        if abs(count - round(count)) < 1e-6:
            return f"{beat.numerator}/{beat.denominator}={round(count)}"
    return f"1/4={qpm:.4f}".rstrip("0").rstrip(".")


def _is_compound(meter: Meter) -> bool:
    numerator, denominator = meter
    return denominator >= 8 and numerator % 3 == 0


# The sequence in musical time


class _Sound(NamedTuple):
    """A note or chord: pitches from the lowest; `start` and `end` in parts of a whole note."""

    start: int
    end: int
    pitches: tuple[int, ...]


class _Voice(NamedTuple):
    """Sounds one after another, with the instrument's name and program."""

    name: str
    program: int
    sounds: list[_Sound]


class _Bar(NamedTuple):
    """A bar of the grid: `begin` is later than `start` where only a pickup is written."""

    start: int
    begin: int
    end: int
    meter: Meter | None


class _Clock:
    """Seconds to parts of a whole note."""

    def __init__(self, sequence: NoteSequence):
        given = sorted((tempo.time, tempo.qpm) for tempo in sequence.tempos if tempo.qpm > 0)
        if not given or given[0][0] > 0:
            given.insert(0, (0.0, _DEFAULT_QPM))
        self.tempos: list[tuple[int, float]] = [(0, given[0][1])]
        self._times = [0.0]
        for time, qpm in given:
            place = self.place(time)
            if place == self.tempos[-1][0]:
                self.tempos.pop()
                self._times.pop()
            self.tempos.append((place, qpm))
            self._times.append(time)

    def place(self, time: float) -> int:
        """Where on the grid a time is.

        Raises:
          ValueError: if it is nowhere on it.
        """
        at = max(bisect.bisect_right(self._times, time) - 1, 0)
        start, qpm = self.tempos[at]
        rate = qpm / 240 * _WHOLE
        exact = (time - self._times[at]) * rate
        place = round(exact)
        if abs(exact - place) > _TOLERANCE * rate:
            raise ValueError(
                f"{time:g} s is on no grid of musical time; quantize the music before writing ABC"
            )
        return start + place


class _Music:
    """What a sequence holds, in parts of a whole note.

    Attributes:
      tempos: places and quarter notes a minute.
      keys: places and keys.
      bars: of the whole piece.
      voices: with sounds that do not overlap.
      chord_symbols: places and texts.
      unit: the unit note length.
    """

    def __init__(self, sequence: NoteSequence):
        clock = _Clock(sequence)
        self.tempos = clock.tempos
        self.voices = _voices(sequence, clock)
        sounds = [sound for voice in self.voices for sound in voice.sounds]
        end = max(sound.end for sound in sounds)
        self.keys = _keys(sequence, clock, self.voices)
        self.bars = _bars(_meters(sequence, clock), self.tempos, self.voices, end)
        self.chord_symbols = [
            (clock.place(annotation.time), text)
            for annotation in sorted(sequence.text_annotations, key=lambda one: one.time)
            if annotation.annotation_type == _CHORD and (text := _chord_text(annotation.text))
        ]
        # An eighth of a triplet counts as an eighth.
        short = sum(sound.end - sound.start < _WHOLE // 12 for sound in sounds)
        self.unit = _WHOLE // (16 if 2 * short > len(sounds) else 8)

    def meter_at(self, place: int) -> Meter | None:
        """The meter of the bar at a place."""
        return self.bars[bisect.bisect_right(self.bars, place, key=lambda bar: bar.start) - 1].meter


def _voices(sequence: NoteSequence, clock: _Clock) -> list[_Voice]:
    together: dict[tuple[int, int, int], list[int]] = defaultdict(list)
    programs: dict[int, int] = {}
    for note in sequence.notes:
        start, end = clock.place(note.start_time), clock.place(note.end_time)
        if start < 0 or end <= start:
            raise ValueError(
                f"a note from {note.start_time:g} to {note.end_time:g} s has no length"
            )
        together[note.instrument, start, end].append(note.pitch)
        programs.setdefault(note.instrument, note.program)
    names = {info.instrument: info.name for info in sequence.instrument_infos}
    layers: dict[int, list[list[_Sound]]] = {instrument: [] for instrument in sorted(programs)}
    order = sorted(together, key=lambda key: (key[1], -max(together[key]), key))
    for instrument, start, end in order:
        sound = _Sound(start, end, tuple(sorted(together[instrument, start, end])))
        for layer in layers[instrument]:
            if layer[-1].end <= start:
                layer.append(sound)
                break
        else:
            layers[instrument].append([sound])
    return [
        _Voice(names.get(instrument, ""), programs[instrument], layer)
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
    sequence: NoteSequence, clock: _Clock, voices: Sequence[_Voice]
) -> list[tuple[int, spelling.Key]]:
    """The keys that the sequence names and, where one does not fit the notes, the likely ones."""
    given = {0: None}
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
    voices: Sequence[_Voice],
    end: int,
) -> list[_Bar]:
    """The bars of the grid that reach to `end`, the first one from its first note on."""
    bars: list[_Bar] = []
    for (start, meter), limit in zip(meters, [*(at for at, _ in meters), end][1:], strict=True):
        limit = min(limit, end)
        if meter is None:
            edges = _free_edges(voices, start, limit)
        elif (limit - start) // _measure(meter) > _MAX_BARS:
            raise ValueError(f"it is longer than {_MAX_BARS} bars")
        else:
            edges = [*range(start, limit, _measure(meter)), limit]
        bars += [_Bar(at, at, to, meter) for at, to in itertools.pairwise(edges) if at < to]
        if limit < end and bars and meter and bars[-1].end - bars[-1].start < _measure(meter):
            # Readers fill a short bar up before another meter, unless its own meter says as much.
            short = Fraction(limit - bars[-1].start, _WHOLE)
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
    return _WHOLE * meter[0] // meter[1]


def _has_pickup(bars: Sequence[_Bar], first: int) -> bool:
    """Whether readers put back a rest before the first sound, at `first`, that is left out.

    They do where a full bar follows the short one, in the same meter.
    """
    if len(bars) == 1 or bars[0].meter is None or not bars[0].start < first < bars[0].end:
        return False
    return bars[1].meter == bars[0].meter and bars[1].end - bars[1].start == _measure(bars[0].meter)


def _free_edges(voices: Sequence[_Voice], start: int, end: int) -> list[int]:
    """Where free meter can be cut: nothing sounds on there, and a line's worth lies between."""
    edges = [start]
    sounds = sorted(sound for voice in voices for sound in voice.sounds)
    silent_from = 0
    for sound in sounds:
        if silent_from <= sound.start < end and sound.start - edges[-1] >= _FREE_LINE:
            edges.append(sound.start)
        silent_from = max(silent_from, sound.end)
    return [*edges, end]


# Bars to text


class _Piece(NamedTuple):
    """A part of a sound or rest that one bar holds.

    Attributes:
      start, end: places from the start of the bar.
      pitches: none for a rest.
      tied_from, tied_to: whether it goes on what was before, or is gone on with.
    """

    start: int
    end: int
    pitches: tuple[int, ...]
    tied_from: bool
    tied_to: bool


class _Token(NamedTuple):
    """A note, chord or rest as text; `length` as written, without the tuplet it is in."""

    place: int
    length: int
    text: str
    in_tuplet: bool


class _Group(NamedTuple):
    """Pieces that are a tuplet, `notes` in the time of `time`; 1 in 1 is none."""

    pieces: list[_Piece]
    notes: int
    time: int


class _VoiceWriter:
    """Writes one voice."""

    def __init__(self, music: _Music, voice: _Voice, is_first: bool):
        self._music = music
        self._voice = voice
        self._accidentals = spelling.Accidentals(music.keys[0][1])
        # What stands before the note at a place: fields, chord symbols, and what they do.
        self._fields: dict[int, str] = defaultdict(str)
        self._chords: dict[int, str] = defaultdict(str)
        self._keys: dict[int, spelling.Key] = {}
        begin = music.bars[0].begin
        for before, bar in itertools.pairwise(music.bars):
            if bar.meter != before.meter:
                self._fields[bar.start] += f"[M:{_meter_text(bar.meter)}]"
        for place, key in music.keys[1:]:
            place = max(place, begin)
            self._fields[place] += f"[K:{key.name}]"
            self._keys[place] = key
        if is_first:
            for place, qpm in music.tempos[1:]:
                self._fields[place] += f"[Q:{_tempo(qpm, music.meter_at(place))}]"
            for place, text in music.chord_symbols:
                self._chords[max(place, begin)] += f'"{text}"'
        self._places = sorted({*self._fields, *self._chords})

    def lines(self) -> Iterator[str]:
        """The lines of the voice, each with its bar lines."""
        written = []
        for bar, pieces in self._cut():
            written.append(self._bar(bar, pieces))
            self._accidentals.bar()
        pickup = int(self._music.bars[0].begin > self._music.bars[0].start)
        at = 0
        while at < len(written):
            free = self._music.bars[at].meter is None
            to = at + (1 if free else _BARS_A_LINE + (pickup if at == 0 else 0))
            end = "|" if to < len(written) else "|]"
            yield "|".join(written[at:to]) + end
            at = to

    def _cut(self) -> Iterator[tuple[_Bar, list[_Piece]]]:
        """The bars with what sounds in them, filled up with rests."""
        sounds = self._voice.sounds
        first = 0
        for bar in self._music.bars:
            pieces: list[_Piece] = []
            at = bar.begin
            while first < len(sounds) and sounds[first].start < bar.end:
                sound = sounds[first]
                start, end = max(sound.start, bar.begin), min(sound.end, bar.end)
                if at < start:
                    pieces += self._split(bar, _Sound(at, start, ()), at, start)
                pieces += self._split(bar, sound, start, end)
                at = end
                if sound.end > bar.end:
                    break  # It goes on in the next bar.
                first += 1
            if at < bar.end:
                pieces += self._split(bar, _Sound(at, bar.end, ()), at, bar.end)
            yield bar, pieces

    def _split(self, bar: _Bar, sound: _Sound, start: int, end: int) -> Iterator[_Piece]:
        """Splits what sounds from `start` to `end` where a sign has to stand."""
        low = bisect.bisect_right(self._places, start)
        high = bisect.bisect_left(self._places, end)
        edges = [start, *self._places[low:high], end]
        for at, to in itertools.pairwise(edges):
            sounds = bool(sound.pitches)
            yield _Piece(
                at - bar.start,
                to - bar.start,
                sound.pitches,
                sounds and at > sound.start,
                sounds and to < sound.end,
            )

    def _bar(self, bar: _Bar, pieces: Sequence[_Piece]) -> str:
        """The text of a bar without its bar lines."""
        tokens = [token for group in _groups(pieces) for token in self._group(bar, group)]
        beam = _beams(bar.meter, tokens)
        compound = bar.meter is not None and _is_compound(bar.meter)
        text = ""
        before: _Token | None = None
        for token in tokens:
            # People write "c2A G3" in 6/8 though there is no beam.
            joined = (
                before is not None
                and beam(before.place) == beam(token.place)
                and (max(before.length, token.length) < _WHOLE // 4 or compound)
            )
            text += ("" if before is None or joined else " ") + token.text
            before = token
        return text

    def _group(self, bar: _Bar, group: _Group) -> Iterator[_Token]:
        """The notes of a tuplet, or a single note, rest or chord, with ties between its parts."""
        parts = [(piece, list(_lengths(piece, group, bar.meter))) for piece in group.pieces]
        count = sum(len(lengths) for _, lengths in parts)
        prefix = ""
        if group.notes != group.time:
            short = (group.notes, group.time, count) == (3, 2, 3)
            prefix = "(3" if short else f"({group.notes}:{group.time}:{count}"
        for piece, lengths in parts:
            at = bar.start + piece.start
            if at in self._keys:
                self._accidentals.change(self._keys[at])
            # In the order of the standard: a tuplet's sign, then chord symbols (4.20).
            before = self._fields.get(at, "") + prefix + self._chords.get(at, "")
            prefix = ""
            place = piece.start
            for number, length in enumerate(lengths):
                last = number == len(lengths) - 1
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


def _groups(pieces: Sequence[_Piece]) -> Iterator[_Group]:
    """Puts pieces between two places of the binary grid together to tuplets."""
    held: list[_Piece] = []
    for piece in pieces:
        held.append(piece)
        if piece.end % _BINARY == 0:
            yield from _tuplets(held)
            held = []
    yield from _tuplets(held)


def _tuplets(pieces: list[_Piece]) -> Iterator[_Group]:
    lengths = [piece.end - piece.start for piece in pieces]
    for notes, time in ((1, 1), *_TUPLETS):
        if all(length * notes % (time * _BINARY) == 0 for length in lengths):
            if notes != 1:
                yield _Group(pieces, notes, time)
                return
            break
    # Single notes; or lengths that no tuplet makes, which are written as the fractions they are.
    for piece in pieces:
        yield _Group([piece], 1, 1)


# Lengths of single notes, with up to two dots, from a breve down.
_SINGLE = sorted(
    (
        _BINARY * dotted << power
        for dotted in (1, 3, 7)
        for power in range(10)
        if dotted << power <= 2 * 2**8
    ),
    reverse=True,
)


def _lengths(piece: _Piece, group: _Group, meter: Meter | None) -> Iterator[int]:
    """The lengths of single notes that make up a piece, as written, on the beat where they can."""
    left = (piece.end - piece.start) * group.notes // group.time
    if left % _BINARY:
        yield left
        return
    beat = 0
    if meter and group.notes == 1:
        beat = _WHOLE * (3 if _is_compound(meter) else 1) // max(meter[1], 4)
    place = piece.start
    while left:
        fitting = [length for length in _SINGLE if length <= left]
        on_beat = [length for length in fitting if beat and (place + length) % beat == 0]
        length = fitting[0] if fitting[0] == left else (on_beat or fitting)[0]
        yield length
        place += length
        left -= length


def _multiple(length: int, unit: int) -> str:
    """A length in units: "", "2", "3/2", "/2"."""
    multiple = Fraction(length, unit)
    above = "" if multiple.numerator == 1 else str(multiple.numerator)
    return above if multiple.denominator == 1 else f"{above}/{multiple.denominator}"


def _beams(meter: Meter | None, tokens: Iterable[_Token]) -> Callable[[int], int]:
    """A function from a place in the bar to the number of the beam that a note there belongs to.

    Beams are as long as a beat; in 4/4 and 2/2 half a bar where no note is shorter than an eighth.
    """
    quarter = _WHOLE // 4
    if meter and _is_compound(meter):
        return lambda place: place * meter[1] // (3 * _WHOLE)
    if meter not in ((4, 4), (2, 2)):
        return lambda place: place // quarter
    busy = {
        token.place // (2 * quarter)
        for token in tokens
        if token.in_tuplet or token.length < _WHOLE // 8
    }

    def beam(place: int) -> int:
        half = place // (2 * quarter)
        return place // quarter if half in busy else 2 * half

    return beam
