"""Writes composed tunes in ABC notation, with the habits of transcribers."""

import dataclasses
from collections.abc import Iterator, Sequence
from fractions import Fraction

from pipelines.demo.composing import Note, Part, Sound, length_of, weighted
from pipelines.demo.dances import KEYS, LETTERS, Dance, Key
from pipelines.demo.dice import Dice

# The signs that open and close the first part, and the second.
SIGNS = {
    "repeats": (("|:", ":|"), ("|:", ":|")),
    "no opening": (("", ":|"), ("|:", ":|")),
    "double": (("|:", "::"), ("", ":|")),
    "parts": (("", "||"), ("", "||")),
    "no repeats": (("", "||"), ("", "|]")),
}


@dataclasses.dataclass(frozen=True)
class Tune:
    """A tune with the words above it."""

    dance: Dance
    titles: tuple[str, ...]
    fields: tuple[str, ...]
    key: str
    parts: tuple[Part, ...]


class Notation:
    """Writes a tune with the habits of one transcriber."""

    def __init__(self, tune: Tune, dice: Dice):
        self._dance = tune.dance
        self._tune = tune
        self._unit = weighted(dice, tune.dance.units)
        self._symbols = dice.chance(tune.dance.symbols / 100)
        self._sevenths = dice.pick(("", "7"))
        self._gap = dice.pick(("", " "))
        self._endings = dice.pick((("|1 ", ":|2 "), ("|1", ":|2"), ("|[1 ", ":|[2 ")))
        single = [len(part.endings) == 1 for part in tune.parts]
        self._signs = weighted(
            dice,
            (
                ("repeats", 6),
                ("no opening", 4),
                ("double", 2 * single[0]),
                ("parts", all(single)),
                ("no repeats", all(single)),
            ),
        )
        self._continued = dice.chance(0.1)
        low, high = tune.dance.bpm
        tempo = f"Q:{Fraction(tune.dance.beat, 16)}={low + dice.below(high - low + 1)}"
        self._header = [
            *(f"T:{title}" for title in tune.titles),
            f"R:{tune.dance.name}",
            *tune.fields,
            f"M:{weighted(dice, tune.dance.meters)}",
            f"L:{Fraction(self._unit, 16)}",
            *([tempo] if dice.chance(0.25) else []),
            *(["P:AABB"] if self._signs == "parts" else []),
            f"K:{dice.pick(KEYS[tune.key].spellings)}",
        ]

    def lines(self, number: int) -> Iterator[str]:
        """The tune's lines, the first of them X: with this number."""
        yield f"X:{number}"
        yield from self._header
        key = self._tune.key
        for part in self._tune.parts:
            if self._signs == "parts":
                yield f"P:{part.name}"
            if part.key != key:
                yield f"K:{part.key}"
                key = part.key
            yield from self._part(part)

    def _part(self, part: Part) -> Iterator[str]:
        key = KEYS[part.key]
        last = part is self._tune.parts[-1]
        opening, closing = SIGNS[self._signs][last]
        if len(part.endings) == 2:
            signs = (*self._endings, "|]" if last else "||")
        else:
            signs = ("|", closing)
        bars = [(text, "|") for text in self._bars(part.body, key)]
        bars[-1] = (bars[-1][0], signs[0])
        for ending, sign in zip(part.endings, signs[1:]):
            bars += [(text, sign) for text in self._bars(ending, key)]
        line = opening
        for text in self._bars(part.pickup, key, self._dance.bar - length_of(part.pickup)):
            line += f"{text}{self._gap}|"
        for index, (text, sign) in enumerate(bars):
            line += f"{text}{self._gap}{sign}"
            if index % 4 == 3 and len(bars) - index > 2 or index == len(bars) - 1:
                joined = self._continued and index % 8 == 3
                yield line + "\\" * joined
                line = ""
            elif not sign.endswith(" "):
                line += self._gap

    def _bars(self, sounds: Sequence[Sound], key: Key, at: int = 0) -> Iterator[str]:
        """The texts of the bars; `at` is where in its bar the first one begins."""
        text, raised, shown = "", set(), ""
        for sound in sounds:
            if text and at % self._dance.beat == 0:
                text += " "
            symbol = self._symbol(sound.chord, key) if self._symbols and sound.chord else shown
            grace = "".join(self._pitch(note, raised) for note in sound.grace)
            text += f"{{{grace}}}" if grace else ""
            text += f'"{symbol}"' if symbol != shown else ""
            text += self._sound(sound, raised)
            shown = symbol
            at += sound.length
            if at == self._dance.bar:
                yield text
                text, raised, at = "", set(), 0
        if text:
            yield text

    def _sound(self, sound: Sound, raised: set[str]) -> str:
        tie = "-" * sound.tied
        if sound.kind == "z":
            return f"z{self._times(sound.length)}"
        if sound.kind == "T":
            # Three in the time of two.
            times = self._times(Fraction(sound.length, 2))
            return "(3" + "".join(self._pitch(note, raised) + times for note in sound.notes)
        if sound.kind in ("B", "S"):
            times = self._times(Fraction(sound.length, 2))
            first, second = (self._pitch(note, raised) + times for note in sound.notes)
            return f"{first}{'>' if sound.kind == 'B' else '<'}{second}"
        roll = "~" * (sound.kind == "R")
        return f"{roll}{self._pitch(sound.notes[0], raised)}{self._times(sound.length)}{tie}"

    def _times(self, length: int | Fraction) -> str:
        times = Fraction(length) / self._unit
        text = f"{times.numerator}" if times.numerator > 1 else ""
        return text + (f"/{times.denominator}" if times.denominator > 1 else "")

    def _pitch(self, note: Note, raised: set[str]) -> str:
        octave, index = divmod(note.step, 7)
        letter = LETTERS[index]
        # Readers disagree on whether a sharp holds in other octaves too, so that every later note
        # of its letter in the bar has a sign. (No letter that is raised is in the signature.)
        sign = "^" if note.raised else "=" if letter in raised else ""
        if note.raised:
            raised.add(letter)
        if octave > 0:
            return sign + letter.lower() + "'" * (octave - 1)
        return sign + letter + "," * -octave

    def _symbol(self, degree: int, key: Key) -> str:
        root = key.tonic_step + degree - 1
        quality = "" if key.semitones(root + 2) - key.semitones(root) == 4 else "m"
        seventh = self._sevenths if degree == 5 and not quality else ""
        letter = LETTERS[root % 7]
        return f"{letter}{'#' * (letter in key.sharps)}{quality}{seventh}"
