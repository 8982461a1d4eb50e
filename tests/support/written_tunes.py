"""Tunes as they are written: of ABC notation, and random ones of everything that tokens can say."""

import random
from fractions import Fraction

from pipelines.music.abc import tunebook
from pipelines.music.abc.notation import notate
from pipelines.representations.abc_tokens import vocabulary, written
from pipelines.representations.abc_tokens.written import Bar, Key, Note, Tune

MODES = ("MAJOR", "MINOR", "DORIAN", "MIXOLYDIAN")


def tune(body: str, meter: str = "6/8", key: str = "D", header: str = "") -> Tune:
    """The tune of some music in ABC notation, in eighths, with other lines of the header."""
    (text,) = tunebook.tunes(f"X:1\n{header}M:{meter}\nL:1/8\nK:{key}\n{body}\n")
    return written.from_score(notate(text))


def random_tune(rng: random.Random) -> Tune:
    """A tune of random bars, notes, signs of repeats, endings, parts, meters and keys."""
    key = Key(rng.randrange(12), rng.choice(MODES))
    meter = rng.choice(vocabulary.METERS)
    bars: list[Bar] = []
    for number in range(rng.randrange(1, 12)):
        if number and rng.random() < 0.1:
            key = Key(rng.randrange(12), rng.choice(MODES))
        if number and rng.random() < 0.1:
            meter = rng.choice(vocabulary.METERS)
        ending = rng.choice(vocabulary.ENDINGS) if rng.random() < 0.15 else frozenset()
        bars.append(
            Bar(
                tuple(_note(rng, key) for _ in range(rng.randrange(1, 9))),
                meter,
                key,
                # What follows |: can be no second ending.
                opens=rng.random() < 0.2 and not ending,
                closes=rng.random() < 0.2,
                ending=ending,
                part=rng.random() < 0.1,
            )
        )
    bars[0] = bars[0]._replace(notes=(*bars[0].notes, Note(60 + key.tonic, vocabulary.LENGTHS[-1])))
    return Tune(tuple(_ruled(rng, bars)), rhythm="reel", tempo=Fraction(90), title="Random")


def _note(rng: random.Random, key: Key) -> Note:
    length = rng.choice(vocabulary.LENGTHS)
    if rng.random() < 0.1:
        return Note(None, length)
    return Note(60 + key.tonic + rng.randrange(-12, 25), length)


def _ruled(rng: random.Random, bars: list[Bar]) -> list[Bar]:
    """The bars with some double bar lines and ties where they can stand; rests are not in a row."""
    made: list[Bar] = []
    for bar, after in zip(bars, [*bars[1:], None]):
        notes = [bar.notes[0]]
        for note in bar.notes[1:]:
            if note.pitch is not None or notes[-1].pitch is not None:
                notes.append(note)
        last = notes[-1]
        if after and last.pitch is not None and after.notes[0].pitch == last.pitch:
            notes[-1] = last._replace(tied=True)
        double = after is not None and not bar.closes and not after.opens and rng.random() < 0.2
        made.append(bar._replace(notes=tuple(notes), ends_section=double))
    return made
