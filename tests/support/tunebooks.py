"""Tunebooks of made-up tunes, in which the same strains stand in different ways."""

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_LETTERS = [*"CDEFGABcdefgab", *(f"{letter}'" for letter in "cdefgab")]
_DEGREES = 14
# The eighths of a bar in each meter.
METERS = {"4/4": 8, "2/4": 4, "6/8": 6, "3/4": 6, "9/8": 9, "none": 1000}
_REEL = 8


class Tune(NamedTuple):
    """A made-up tune: two strains of eighths, as degrees of a scale."""

    title: str
    strains: tuple[tuple[int, ...], tuple[int, ...]]


def tunes(seed: int, count: int) -> list[Tune]:
    """Makes tunes that have nothing in common: random walks, eight bars of eighths a strain."""
    rng = random.Random(seed)
    made = []
    for number in range(count):
        first, second = (tuple(_walk(rng, 8 * _REEL)) for _ in range(2))
        made.append(Tune(f"Reel of the {number}th Kind", (first, second)))
    return made


def _walk(rng: random.Random, notes: int) -> Iterator[int]:
    degree = rng.randrange(4, 10)
    for _ in range(notes):
        yield degree
        degree = min(max(degree + rng.choice((-3, -2, -1, -1, 1, 1, 2, 4)), 0), _DEGREES - 1)


def abc(number: int, title: str, degrees: Sequence[int], meter: str = "4/4", key: str = "C") -> str:
    """Writes a tune of eighths in ABC notation, in the major key of a letter."""
    size = METERS[meter]
    letters = [_LETTERS[degree + "CDEFGAB".index(key)] for degree in degrees]
    bars = ["".join(letters[at : at + size]) for at in range(0, len(letters), size)]
    lines = ["|".join(bars[at : at + 4]) + "|" for at in range(0, len(bars), 4)]
    return f"X:{number}\nT:{title}\nM:{meter}\nL:1/8\nK:{key}\n" + "\n".join(lines) + "\n\n"


def in_other_meters(seed: int, made: Sequence[Tune]) -> str:
    """Each tune in every meter, note for note after a few others, under titles of their own."""
    rng = random.Random(seed)
    written = []
    for number, tune in enumerate(made):
        for meter in METERS:
            notes = [*_walk(rng, 5), *tune.strains[0], *tune.strains[1]]
            written.append(abc(number, f"{meter} {tune.title}", notes, meter))
    return "".join(written)


def in_sets(made: Sequence[Tune]) -> str:
    """Each tune by itself, and sets of three, where the second begins after bar 32."""
    played = [tune.strains[0] * 2 + tune.strains[1] * 2 for tune in made]
    alone = [abc(i, tune.title, notes) for i, (tune, notes) in enumerate(zip(made, played))]
    sets = [
        abc(len(made) + at, f"Set {at}", [note for notes in played[at : at + 3] for note in notes])
        for at in range(0, len(made), 3)
    ]
    return "".join([*alone, *sets])


def shifted(seed: int, made: Sequence[Tune]) -> str:
    """Each tune, and its second strain in another key and octave after some bars of its own.

    How many these are, with the length of a pickup, leaves no strain on the grid of four bars.
    """
    rng = random.Random(seed)
    books = []
    for number, tune in enumerate(made):
        books.append(abc(2 * number, tune.title, [*tune.strains[0], *tune.strains[1]]))
        before = list(_walk(rng, _REEL * rng.choice((1, 2, 3, 5)) + rng.choice((0, 2, 3, 4))))
        after = list(_walk(rng, 4 * _REEL))
        notes = [*before, *tune.strains[1], *after]
        books.append(abc(2 * number + 1, f"March {number}", notes, key=rng.choice("DEFGAB")))
    return "".join(books)


def polskas(seed: int, count: int) -> str:
    """Tunes that are not alike, under titles that name none of them."""
    rng = random.Random(seed)
    titles = ("Polonäs", "Polkett", "Svingedans", "Polska från Småland", "Efter Pelle Fors")
    return "".join(
        abc(number, rng.choice(titles), list(_walk(rng, 16 * METERS["3/4"])), "3/4")
        for number in range(count)
    )
