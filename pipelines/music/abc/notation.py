"""The text of a tune to a score: what is written, not how it is played.

The ABC standard 2.1, https://abcnotation.com/wiki/abc:standard:v2.1, has fields in chapter 3, signs
in 4 and voices in 7; chapter 8 has what older standards allowed, which tunebooks are full of.
A sign that cannot be read is left out with a warning; only too many notes raise.
"""

import re
from collections.abc import Callable, Mapping
from fractions import Fraction

from pipelines.music.abc import fields, lines, repeats, tokens, tuplets
from pipelines.music.abc.headers import Headers
from pipelines.music.abc.lines import Macros
from pipelines.music.abc.score import WHOLE, Key, Score, Voice, bounded, scaled
from pipelines.music.abc.tokens import Note
from pipelines.music.abc.tunebook import TuneText
from pipelines.music.abc.voice_state import VoiceState
from pipelines.music.limits import MAX_NOTES, Rejected

_MIDI = re.compile(r"\s*MIDI[ =]+(program|transpose)\s+(?:\d+\s+)?(-?\d{1,3})\s*$")
# abc2midi's word for music without bar lines, in which nothing would end an accidental.
_NO_BAR_LINES = re.compile(r"\s*MIDI[ =]+nobarlines\b")
_PROPAGATE = re.compile(r"\s*propagate-accidentals\s+(not|octave|pitch)", re.I)
_MAX_WARNINGS = 20
# Bar lines that begin a repeat, or end one where nothing follows.
_OPENING_OR_CLOSING = frozenset(("|:|", "|:|]", "|:||"))
# Bars of rests in a tune, `Z` counting as many as it says.
_MAX_RESTS = 999


def notate(tune: TuneText, max_notes: int = MAX_NOTES) -> Score:
    """Reads the text of a tune.

    Raises:
      Rejected: "too_many_notes" where more are written.
    """
    read = _Notation(tune, max_notes, {})
    if readings := read.better_readings():
        read = _Notation(tune, max_notes, readings)
    return read.score


class _Notation:
    """Reads a tune.

    Args:
      tune: its text.
      max_notes: how many notes it may have.
      readings: how to read doubtful tuplets, as `tuplets.decide` gives it.
    """

    def __init__(self, tune: TuneText, max_notes: int, readings: Mapping[int, int]):
        self.score = Score()
        self._headers = Headers()
        self._readings = readings
        self._tuplets = self._doubtful = 0
        # How many labels of parts there were, and the last of them.
        self._labels, self._label = 0, ""
        self._slips = repeats.Slips()
        self._max_notes = max_notes
        self._notes = 0
        self._rests_left = _MAX_RESTS
        self._line = tune.line
        self._in_header = True
        self._has_unit = False
        self._accidentals_hold = "pitch"
        self._macros = Macros()
        self._voices: dict[str, VoiceState] = {}
        self._voice_fields: dict[str, str] = {}
        self._voice_names: dict[str, str] = {}
        # What the header says, for all voices.
        self._state = VoiceState(Voice(), tune.line)
        self._here = self._state
        for text in tune.file_header:
            field = lines.field(text)
            if field is None or field[0] not in "XK":
                self._read_line(text)
        first_music = lines.first_music(tune.lines)
        for number, text in enumerate(tune.lines):
            self._line = tune.line + number
            if self._in_header and number == first_music:
                self._warn("the key (K:) is missing; read without sharps and flats")
                self._end_header()
            self._read_line(text)
        if tune.left_over:
            self._line = tune.left_over
            self._warn("music after the empty line that ends the tune is left out")
        self._finish()

    def _warn(self, what: str) -> None:
        warnings = self.score.warnings
        if len(warnings) < _MAX_WARNINGS:
            warnings.append((self._line, what))

    def _told(self, what: str) -> None:
        """Warns, if that was not said of this line before."""
        if (self._line, what) not in self.score.warnings:
            self._warn(what)

    def better_readings(self) -> dict[int, int]:
        """How to read the tune's doubtful tuplets instead; empty where they are read well.

        Where a tune has too many, they are read as the standard has it.
        """
        if self._doubtful > tuplets.MAX_DOUBTFUL:
            return {}
        bars = [settled for state in self._voices.values() for settled in state.settled]
        return tuplets.decide(bars) if bars and not self._readings else {}

    def _finish(self) -> None:
        for state in self._voices.values():
            if state.long_overlay:
                self._warn("(& has no &) after it")
                self._end_long_overlay(state)
            state.end_bar(self._line)
            for line, what in repeats.mend(state.voice.bars, state.bar, self._slips):
                self._line = line
                self._warn(what)
        self.score.headers = self._headers.fields
        self.score.voices = [
            state.voice for state in self._voices.values() if any(b.notes for b in state.voice.bars)
        ]

    # Lines

    def _read_line(self, text: str) -> None:
        if "%" in text:
            if text.lstrip().startswith("%%"):
                self._instruction(text.lstrip()[2:])
                return
            text = lines.without_comment(text)
        if lines.is_blank(text):
            return
        if field := lines.field(text):
            self._field(*field)
            return
        if self._in_header:
            self._headers.continue_last(text)
            return
        for prepare in (lines.music_in, self._macros.expand, lines.without_words):
            text, warnings = prepare(text)
            for what in warnings:
                self._warn(what)
        self._music(text)
        self._require_few_notes()

    def _require_few_notes(self) -> None:
        if self._notes > self._max_notes:
            raise Rejected("too_many_notes", f"more than {self._max_notes} are written")

    def _end_header(self) -> None:
        self._in_header = False
        first = next(iter(self._voice_fields), "1")
        self._here = self._voice(first)

    def _voice(self, name: str) -> VoiceState:
        state = self._voices.get(name)
        if state is None:
            voice = Voice(self._voice_names.get(name))
            state = self._voices[name] = VoiceState(voice, self._line, self._state)
            state.labels = self._labels
            shift = fields.transposition(self._voice_fields.get(name, ""))
            if shift is not None:
                state.transposition = shift
        return state

    # Fields

    def _field(self, letter: str, value: str, inline: bool = False) -> None:
        value = value.strip()
        if not inline:
            self._headers.add(letter, value, self._in_header)
        read = _FIELDS.get(letter)
        if read:
            try:
                read(self, value)
            except ValueError as error:
                self._warn(f"{error}; left out")

    def _key(self, value: str) -> None:
        # A key that cannot be read still ends the header.
        targets = [self._state, *self._voices.values()] if self._in_header else [self._here]
        try:
            for state in targets:
                try:
                    state.key = fields.key(value, state.key)
                except fields.UnknownModeError as error:
                    state.key = error.key
                    if state is self._here:
                        self._warn(str(error))
                shift = fields.transposition(value)
                if shift is not None:
                    state.transposition = shift
        finally:
            if self._in_header:
                self._end_header()
        self._changed(self._here, key=self._here.key)

    def _meter(self, value: str) -> None:
        meter = fields.meter(value)
        self._here.meter, self._here.measure = meter, fields.measure(meter)
        if not self._has_unit and (self._in_header or not self._has_music()):
            self._here.unit = fields.default_unit(meter)
        if self._here.is_empty():
            self._here.show()

    def _has_music(self) -> bool:
        return bool(self._here.voice.bars) or not self._here.is_empty()

    def _unit(self, value: str) -> None:
        self._here.unit = fields.unit(value)
        self._has_unit = True

    def _tempo(self, value: str) -> None:
        tempo = fields.tempo(value, self._here.unit)
        if tempo is not None:
            self._here.tempo = tempo
            self._changed(self._here, tempo=tempo)

    def _changed(self, state: VoiceState, tempo: Fraction | None = None, key: Key | None = None):
        if state.is_empty():
            state.show()
        else:
            state.bar.changes.append((state.position, tempo, key))

    def _parts(self, value: str) -> None:
        if self._in_header:
            self.score.parts = fields.parts(value)
        elif value:
            label = value.strip('" .')[:1]
            if not self._here.is_empty():
                self._here.end_bar(self._line)
            self._labels += 1
            self._label = label
            self._begin_part(self._here)

    def _begin_part(self, state: VoiceState) -> None:
        """Lets the latest part begin in a voice too; the others do so when they go on."""
        if state.labels < self._labels:
            state.labels = self._labels
            if state.is_empty():
                state.bar.part = self._label

    def _voice_field(self, value: str) -> None:
        identifier, name = fields.voice(value)
        if name:
            self._voice_names[identifier] = name
        if self._in_header:
            self._voice_fields.setdefault(identifier, value)
            return
        known = identifier in self._voices
        self._voice_fields.setdefault(identifier, value)
        self._here = self._voice(identifier)
        self._begin_part(self._here)
        shift = fields.transposition(value) if known else None
        if shift is not None:
            self._here.transposition = shift

    def _instruction(self, value: str) -> None:
        """An `I:` field, or a line that begins with %%."""
        if match := _PROPAGATE.match(value):
            self._accidentals_hold = match[1].lower()
        elif _NO_BAR_LINES.match(value):
            self._accidentals_hold = "not"
        elif match := _MIDI.match(value):
            self._midi(match[1], int(match[2]))

    def _midi(self, what: str, value: int) -> None:
        """%%MIDI of abc2midi's manual: programs and transposition."""
        if what == "program" and 0 <= value <= 127:
            self._here.program = value
            if self._here.is_empty():
                self._here.show()
        elif what == "transpose" and -60 <= value <= 60:
            self._here.transposition = value

    def _macro(self, value: str) -> None:
        self._macros.define(value)

    # Music

    def _music(self, text: str) -> None:
        here = self._here
        if here.is_empty():
            # A bar line may end the line before.
            here.bar.line = self._line
        for match in tokens.TOKEN.finditer(text):
            kind = match.lastgroup
            if kind == "note":
                note = tokens.note(match.group())
                length = here.takes(note.numerator, note.denominator)
                pitch = self._pitch(here, note)
                if here.tied:
                    here.tied = {}
                if pitch is None:
                    here.passes(length, [])
                else:
                    heard = [here.position, length, pitch, False, here.overlay, note.staff]
                    here.bar.notes.append(heard)
                    self._notes += 1
                    here.passes(length, [heard])
            elif kind not in tokens.SILENT:
                getattr(self, f"_{kind}")(match.group())
                here = self._here

    def _pitch(self, here: VoiceState, note: Note) -> int | None:
        accidental = note.accidental
        if accidental is not None:
            if self._accidentals_hold != "not":
                here.accidentals[self._holds_for(note)] = accidental
        elif note.staff in here.tied:
            # A tied note keeps its accidental over the bar line.
            return here.tied[note.staff]
        else:
            accidental = here.accidentals.get(self._holds_for(note)) if here.accidentals else None
            if accidental is None:
                accidental = here.key.accidentals[note.step]
        pitch = note.natural + accidental + here.transposition
        if not 0 <= pitch <= 127:
            self._warn("a note is higher or lower than MIDI goes; left out")
            return None
        return pitch

    def _holds_for(self, note: Note) -> int:
        """What an accidental holds for until the bar line: all octaves, or one (11.3)."""
        return note.step if self._accidentals_hold == "pitch" else note.staff

    def _bar(self, token: str) -> None:
        here = self._here
        here.end_bar(self._line)
        # A line may be as long as the file.
        self._require_few_notes()
        if token == "|":
            return
        line = tokens.bar_line(token)
        if here.voice.bars:
            before = here.voice.bars[-1]
            before.closes_repeat = max(before.closes_repeat, line.closes)
            before.ends_section |= line.thick
            if line.opens and here.bar in self._slips.opening_or_closing:
                self._slips.closes(before)
        here.bar.opens_repeat |= line.opens
        if token in _OPENING_OR_CLOSING:
            self._slips.opening_or_closing.add(here.bar)

    def _rest(self, token: str) -> None:
        here = self._here
        here.passes(here.takes(*tokens.length(token[1:])), [])
        here.tied = {}

    def _rests(self, token: str) -> None:
        here = self._here
        count = int(token[1:] or 1)
        if self._rests_left < count:
            self._warn(f"{token} is left out: more than {_MAX_RESTS} bars of rests")
            self.score.rests_left_out += count
            return
        self._rests_left -= count
        for number in range(count):
            if number:
                here.end_bar(self._line)
            here.passes(here.measure or WHOLE, [])
        here.tied = {}

    def _text(self, token: str) -> None:
        text = token[1:-1].strip()
        if tokens.CHORD_SYMBOL.match(text):
            self._here.bar.chord_symbols.append((self._here.position, text))

    def _broken(self, token: str) -> None:
        here = self._here
        if here.last_length is None:
            self._warn(f"{token} has no note before it; left out")
            return
        if here.broken:
            # Each sign would scale the same note again: lengths, and time to read, without limit.
            self._warn(f"{token[:20]} follows another > or < without a note between them; left out")
            return
        power = min(len(token), 6)
        short, long = (1, 2 ** (power + 1) - 1)
        before, after = (long, short) if token[0] == ">" else (short, long)
        length = scaled(here.last_length, before, 2**power)
        for note in here.last:
            note[1] = scaled(note[1], before, 2**power)
        if here.doubts:
            here.doubts.scale_last(before, 2**power)
        here.position = bounded(here.position + length - here.last_length)
        here.last_length = length
        here.broken = after, 2**power

    def _tie(self, _: str) -> None:
        for note in self._here.last:
            note[3] = True
        self._here.tied = {note[5]: note[2] for note in self._here.last}

    def _tuplet(self, token: str) -> None:
        here = self._here
        compound = fields.is_compound(here.meter)
        try:
            notes, time, covers = tokens.tuplet(token, compound)
        except ValueError as error:
            self._warn(f"{error}; left out")
            return
        _, *written = token.split(":")
        sign = tuplets.Sign(
            notes,
            time,
            covers,
            free=not compound and notes in (5, 7, 9) and not any(written[:1]),
            counted=any(written[1:]),
        )
        self._tuplets += 1
        reading = self._readings.get(self._tuplets, 0)
        if reading:
            self._told(tuplets.READINGS[reading].told(token, notes))
        elif len(here.tuplets) == tuplets.MAX_DEPTH:
            self._told(f"{token} is inside too many tuplets; it ends them")
        if not self._readings and (sign.free or here.tuplets or here.doubts):
            self._doubt(sign)
        tuplets.begin(here.tuplets, sign, tuplets.READINGS[reading])

    def _doubt(self, sign: tuplets.Sign) -> None:
        """Begins a doubtful tuplet, while the tune has not too many of them."""
        here = self._here
        self._doubtful += 1
        if self._doubtful > tuplets.MAX_DOUBTFUL:
            here.doubts = None
            return
        here.doubts = here.doubts or tuplets.Doubts(here.tuplets)
        here.doubts.begin(self._tuplets, sign)

    def _grace(self, token: str) -> None:
        here = self._here
        for note in tokens.notes_in(token[1:-1]):
            self.score.grace_notes += 1
            if note.accidental is not None and self._accidentals_hold != "not":
                here.accidentals[self._holds_for(note)] = note.accidental

    def _named(self, token: str) -> None:
        """A decoration with a name; only the jumps among them would change what is played."""
        if token[1:-1].lower().rstrip(".") in tokens.JUMPS:
            self._warn(f"{token} is not played out")

    def _plus(self, token: str) -> None:
        """Between plus signs a chord, as the first standards had it, or a decoration."""
        if tokens.OLD_CHORD.fullmatch(token):
            self._chord(f"[{token[1:-1]}]")
        else:
            self._named(token)

    def _overlay(self, _: str) -> None:
        self._here.begin_overlay(self._line)

    def _long_overlay(self, token: str) -> None:
        """Begins or ends an overlay of several bars: an `&` in it goes back to its begin."""
        here = self._here
        if token == "(&":
            here.begin_long_overlay()
        elif here.long_overlay:
            self._end_long_overlay(here)
        else:
            here.begin_overlay(self._line)

    def _end_long_overlay(self, state: VoiceState) -> None:
        if not state.end_long_overlay():
            self._warn("an overlay has more bars than its voice; they are left out")

    def _ending(self, token: str) -> None:
        here = self._here
        if not here.is_empty():
            here.end_bar(self._line)
        bar, passes = here.bar, tokens.ending(token)
        if by_digits := tokens.ending_by_digits(token):
            self._slips.by_digits[bar] = token, by_digits
        if bar.opens_repeat and here.voice.bars and 1 not in (by_digits or passes):
            # Nothing begins with its second ending.
            bar.opens_repeat = False
            self._slips.closes(here.voice.bars[-1])
        bar.ending = passes

    def _inline(self, token: str) -> None:
        self._field(token[1], token[3:-1], inline=True)

    def _chord(self, token: str) -> None:
        here = self._here
        inner, _, outer = token[1:].rpartition("]")
        numerator, denominator = tokens.length(outer)
        read = tokens.notes_in(inner)
        if not read:
            if inner.strip():
                self._warn(f"[{inner[:20]}] is no chord; left out")
            return
        pitches = [self._pitch(here, note) for note in read]
        # A chord lasts as long as its first note, whatever the others say (4.17).
        first = read[0]
        length = here.takes(first.numerator * numerator, first.denominator * denominator)
        notes: list[list] = [
            [here.position, length, pitch, note.ties, here.overlay, note.staff]
            for note, pitch in zip(read, pitches, strict=True)
            if pitch is not None
        ]
        here.tied = {note[5]: note[2] for note in notes if note[3]}
        here.bar.notes += notes
        self._notes += len(notes)
        here.passes(length, notes)

    def _microtone(self, _: str) -> None:
        self._warn("quarter tones are read as the whole note beside them")

    def _number(self, token: str) -> None:
        """A number by itself: of a variant ending, where nothing but a bar line is before it."""
        if self._here.is_empty():
            self._ending(token)
        else:
            self._other(token)

    def _fraction(self, token: str) -> None:
        self._other(token)

    def _other(self, token: str) -> None:
        if token != ":":
            self._warn(f"{token!r} has no meaning here; left out")


_FIELDS: dict[str, Callable[[_Notation, str], None]] = {
    "K": _Notation._key,
    "M": _Notation._meter,
    "L": _Notation._unit,
    "Q": _Notation._tempo,
    "P": _Notation._parts,
    "V": _Notation._voice_field,
    "I": _Notation._instruction,
    "m": _Notation._macro,
}
