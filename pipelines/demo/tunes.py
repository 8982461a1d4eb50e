"""Writes the tunebooks that the project makes itself: Irish dance tunes as ABC notation.

`composing` invents the melodies, `engraving` writes them down. The books have what real ones have:
repeats, endings, pickups whose length the last bar lacks, parts, grace notes, titles as "Lantern,
The", several versions of one tune, prose between the tunes, a file in Latin-1 with CRLF.

Everything is plain arithmetic on `random.Random(text).random()`: the same seed gives the same
bytes on every machine.
"""

import dataclasses
import os
import pathlib
from collections.abc import Sequence

from pipelines.demo import dances
from pipelines.demo.composing import Composer, another_version, steps_of, weighted
from pipelines.demo.dances import HIGHEST, KEYS, LETTERS, LOWEST
from pipelines.demo.dice import Dice
from pipelines.demo.engraving import Notation, Tune
from pipelines.runtime.files import new_folder, writing

BOOKS = {
    "reels": ((dances.REEL, 160),),
    "jigs": ((dances.JIG, 90),),
    "others": (
        (dances.HORNPIPE, 25),
        (dances.POLKA, 25),
        (dances.WALTZ, 25),
        (dances.SLIP_JIG, 15),
    ),
}
SETTINGS = 25


class Words:
    """Draws titles and other fields; no title comes twice."""

    def __init__(self, dice: Dice):
        self._dice = dice
        self._used: set[str] = set()

    def title(self, dance: str) -> str:
        """A title that no tune has yet."""
        while True:
            title = self._title(dance)
            if title not in self._used:
                self._used.add(title)
                return title

    def _title(self, dance: str) -> str:
        pick = self._dice.pick
        person, thing, noun = pick(dances.PEOPLE), pick(dances.THINGS), pick(dances.NOUNS)
        whole = f"{pick(dances.NAMES)} {pick(dances.SURNAMES)}"
        return pick(
            (
                f"The {person}'s {thing}",
                f"The {person}'s {thing}",
                f"The {pick(dances.ADJECTIVES)} {noun}",
                f"The {pick(dances.ADJECTIVES)} {person}",
                f"The {noun} of {self.place()}",
                f"The Road to {self.place()}",
                f"The {person} and the {thing}",
                f"{pick(dances.DEEDS)} the {pick((noun, thing))}",
                f"{pick(dances.DEEDS)} the {pick((noun, thing))}",
                f"{whole}'s",
                f"{whole}'s {dance.title()}",
                f"{pick(dances.SURNAMES)}'s {pick(('Fancy', 'Favourite', 'Delight', 'Return'))}",
            )
        )

    def place(self) -> str:
        """A townland."""
        return self._dice.pick(dances.PLACES_HEAD) + self._dice.pick(dances.PLACES_TAIL)

    def person(self) -> str:
        """A musician."""
        return f"{self._dice.pick(dances.NAMES)} {self._dice.pick(dances.SURNAMES)}"

    def fields(self) -> tuple[str, ...]:
        """Who made it, who played it, where, and who wrote it down; each now and then."""
        texts = (
            (0.6, "C:trad."),
            (0.15, f"C:{self.person()}, {1880 + self._dice.below(120)}"),
            (0.4, f"S:{self.person()}, {self.place()}"),
            (0.2, f"N:Learnt at the session in {self.place()}."),
            (0.3, f"Z:{self.person()}"),
        )
        chosen = [text for chance, text in texts if self._dice.chance(chance)]
        return tuple(chosen)


def inverted(title: str) -> str:
    """`Lantern, The` for `The Lantern`, as lists are sorted."""
    return f"{title[4:]}, The" if title.startswith("The ") else title


def plan(seed: int) -> dict[str, list[Tune]]:
    """The tunes of each book by its name; `settings` has versions of tunes of the others."""
    dice = Dice(seed, "plan")
    words = Words(dice)
    keys = [(name, key.share) for name, key in KEYS.items()]
    books = {}
    for book, contents in BOOKS.items():
        books[book] = []
        for dance, count in contents:
            for _ in range(count):
                key, title = weighted(dice, keys), words.title(dance.name)
                titles = [inverted(title) if dice.chance(0.25) else title]
                if dice.chance(0.06):
                    titles.append(words.title(dance.name))
                fields = words.fields()
                # Each tune has its own random numbers, so that a change to one leaves the others.
                composer = Composer(dance, key, Dice(seed, title))
                books[book].append(Tune(dance, tuple(titles), fields, key, composer.parts()))
    everything = [tune for tunes in books.values() for tune in tunes]
    order = dice.rounds(everything)
    books["settings"] = [
        _other(next(order), words, Dice(seed, "setting", number)) for number in range(SETTINGS)
    ]
    return books


def _other(tune: Tune, words: Words, dice: Dice) -> Tune:
    """Another version of a tune, in another key of its mode in which a fiddle can play it."""
    steps = [step for part in tune.parts for step in steps_of(part)]
    low, high = LOWEST - min(steps), HIGHEST - max(steps)
    moves = [by for by in range(low, high + 1) if all(_moved_key(p.key, by) for p in tune.parts)]
    by = dice.pick(moves)
    parts = tuple(another_version(part, _moved_key(part.key, by), by, dice) for part in tune.parts)
    key = parts[0].key
    title = tune.titles[0]
    title = f"The {title[:-5]}" if title.endswith(", The") else inverted(title)
    return dataclasses.replace(tune, titles=(title,), fields=words.fields(), key=key, parts=parts)


def _moved_key(name: str, by: int) -> str:
    """The key of the same mode so many letters higher; "" if none of the keys is that one."""
    key = KEYS[name]
    tonic = LETTERS[(key.tonic_step + by) % 7]
    same = [other.name for other in KEYS.values() if (other.tonic, other.mode) == (tonic, key.mode)]
    return same[0] if same else ""


def write_titles(path: str | os.PathLike, count: int, seed: int = 1) -> None:
    """Writes titles, one a line; with a seed other than the corpus's most of them are new."""
    words = Words(Dice(seed, "titles"))
    titles = [words.title(dances.REEL.name) for _ in range(count)]
    with writing(pathlib.Path(path)) as file:
        file.write("\n".join([*titles, ""]).encode())


def to_abc(book: str, tunes: Sequence[Tune], seed: int) -> str:
    """A tunebook: a heading, then the tunes, with a remark between them now and then."""
    dice = Dice(seed, book)
    lines = ["%abc-2.1", f"% {book.title()} of the reelgroove demo, made by a program", ""]
    for number, tune in enumerate(tunes, 1):
        if dice.chance(0.03):
            lines += [f"The next one goes well after number {max(1, number - 1)}.", ""]
        lines += [*Notation(tune, dice).lines(number), ""]
    return "\n".join(lines)


def write_corpus(directory: str | os.PathLike, seed: int = 0) -> dict[str, int]:
    """Writes four tunebooks, `reels.abc`, `jigs.abc`, `others.abc` and `settings.abc`.

    The same seed gives the same bytes everywhere. Nothing appears at `directory` until all of it
    is written. `settings.abc` is in Latin-1 with CRLF, the others in UTF-8.

    Args:
      directory: where the files go; must not exist, or be empty.
      seed: chooses the tunes.

    Returns:
      How many tunes there are in each file, by its name.

    Raises:
      UserError: `directory` has something in it.
    """
    counts = {}
    with new_folder(directory) as unfinished:
        for book, tunes in plan(seed).items():
            text = to_abc(book, tunes, seed)
            if book == "settings":
                data = text.replace("\n", "\r\n").encode("latin-1")
            else:
                data = text.encode()
            (unfinished / f"{book}.abc").write_bytes(data)
            counts[f"{book}.abc"] = len(tunes)
    return counts
