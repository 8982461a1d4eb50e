"""What the built-in tunes are made of: keys, dances with their rhythms, harmony, words for titles.

A rhythm is a row of durations in sixteenths, filling its slot (the time of one chord):

    4      a note               B4  two notes in broken rhythm, a>b      S4  the same, a<b
    T4     a triplet            R6  a note with a roll, ~a         z2  a rest

Every entry comes with its weight among the others.
"""

import dataclasses

# Diatonic steps are counted from middle C; a fiddle in first position goes from G3 to B5.
LOWEST, HIGHEST = -3, 13
LETTERS = "CDEFGAB"
NATURALS = (0, 2, 4, 5, 7, 9, 11)
# Sharps of the major key on each letter, and how many fewer another mode has.
FIFTHS = dict(zip("FCGDAEB", range(-1, 6)))
MODES = {"major": 0, "mixolydian": -1, "dorian": -2, "minor": -3}


@dataclasses.dataclass(frozen=True)
class Key:
    """A key as fiddlers have it.

    Attributes:
      tonic: a letter.
      spellings: the ways in which tunebooks write it.
      neighbour: where a second part may go.
      share: its weight among the others.
    """

    name: str
    tonic: str
    mode: str
    spellings: tuple[str, ...]
    neighbour: str
    share: int

    @property
    def tonic_step(self) -> int:
        """The tonic in diatonic steps from C, 0 to 6."""
        return LETTERS.index(self.tonic)

    @property
    def sharps(self) -> str:
        """The letters that are sharp; no key here has flats."""
        return "FCGDAEB"[: FIFTHS[self.tonic] + MODES[self.mode]]

    def semitones(self, step: int) -> int:
        """Semitones from middle C to a diatonic step, as the signature has it."""
        octave, letter = divmod(step, 7)
        return 12 * octave + NATURALS[letter] + (LETTERS[letter] in self.sharps)


_KEYS = (
    Key("G", "G", "major", ("G", "G", "G", "Gmaj", "G major"), "D", 30),
    Key("D", "D", "major", ("D", "D", "D", "Dmaj", "D major"), "G", 30),
    Key("A", "A", "major", ("A", "A", "Amaj"), "D", 11),
    Key("Em", "E", "minor", ("Em", "Em", "E minor", "EMin"), "G", 9),
    Key("Ador", "A", "dorian", ("Ador", "Ador", "A dorian", "A Dor"), "G", 7),
    Key("Edor", "E", "dorian", ("Edor", "EDor", "E Dorian"), "D", 5),
    Key("Amix", "A", "mixolydian", ("Amix", "AMix", "A mixolydian"), "D", 4),
    Key("Bm", "B", "minor", ("Bm", "Bmin", "B min"), "D", 4),
)
KEYS = {key.name: key for key in _KEYS}

# Four chords fill a unit: degrees of the scale. A part begins with an opening, goes on with an
# answer that ends away from home, and closes on the tonic.
HARMONY = {
    "major": {
        "opening": (("1111", 5), ("1115", 3), ("1144", 3), ("1155", 2), ("1616", 1), ("1141", 2)),
        "answer": (("4415", 3), ("1155", 3), ("1455", 3), ("6625", 2), ("1125", 3), ("4145", 2)),
        "turn": (("4411", 2), ("6644", 2), ("5511", 2), ("1141", 2), ("4455", 2)),
        "closing": (("4151", 4), ("1451", 4), ("2551", 3), ("1551", 4)),
    },
    "mixolydian": {
        "opening": (("1111", 4), ("1177", 3), ("1117", 3), ("1171", 2)),
        "answer": (("7777", 3), ("1147", 2), ("4477", 2), ("1777", 2)),
        "turn": (("7711", 2), ("4417", 2), ("1144", 2)),
        "closing": (("1471", 3), ("4771", 3), ("1771", 4)),
    },
    "dorian": {
        "opening": (("1111", 4), ("1177", 3), ("1117", 3), ("1171", 2)),
        "answer": (("7777", 3), ("1177", 3), ("7717", 2), ("1157", 1)),
        "turn": (("7711", 2), ("3377", 2), ("3317", 2)),
        "closing": (("1771", 4), ("3771", 3), ("7171", 2)),
    },
    "minor": {
        "opening": (("1111", 4), ("1177", 3), ("1161", 2), ("1117", 3)),
        "answer": (("7777", 2), ("6677", 3), ("1177", 3), ("3377", 2)),
        "turn": (("3377", 3), ("7711", 2), ("6637", 2)),
        "closing": (("1771", 4), ("6771", 3), ("3771", 2)),
    },
}


@dataclasses.dataclass(frozen=True)
class Dance:
    """A kind of tune; lengths are in sixteenths.

    Attributes:
      name: the R: field.
      meters: as written, all of one length and beat.
      bar, beat: lengths; notes of one beat are written together.
      strong: the distance between the positions where a note of the chord is preferred.
      slots: how long each of the four chords of a unit lasts; a part has four units.
      rhythms: fill a slot, by its length.
      endings: fill the last slot of a part, by the length that the pickup of the next part leaves.
      pickups: what may come before the first bar.
      units: what L: may be, in sixteenths.
      bpm: the tempo, in beats.
      ties: how often (of 100 slots) the last note is held into the next slot.
      symbols: how often (of 100 tunes) chord symbols are written.
    """

    name: str
    meters: tuple[tuple[str, int], ...]
    bar: int
    beat: int
    strong: int
    slots: tuple[int, int, int, int]
    rhythms: dict[int, tuple[tuple[str, int], ...]]
    endings: dict[int, tuple[tuple[str, int], ...]]
    pickups: tuple[tuple[str, int], ...]
    units: tuple[tuple[int, int], ...] = ((2, 1),)
    bpm: tuple[int, int] = (100, 120)
    ties: int = 1
    symbols: int = 25


REEL = Dance(
    name="reel",
    meters=(("4/4", 5), ("C|", 5), ("C", 3)),
    bar=16,
    beat=8,
    strong=4,
    slots=(8, 8, 8, 8),
    rhythms={
        8: (
            ("2 2 2 2", 100),
            ("4 2 2", 50),
            ("2 2 4", 14),
            ("4 4", 8),
            ("T4 2 2", 4),
            ("2 2 T4", 2),
            ("R6 2", 4),
            ("6 2", 3),
            ("2 4 2", 3),
            ("2 1 1 2 2", 3),
            ("2 2 2 1 1", 3),
        ),
    },
    endings={
        8: (("4 4", 5), ("4 2 2", 3), ("8", 1)),
        6: (("4 2", 3), ("6", 3), ("4 z2", 1)),
        4: (("4", 1),),
    },
    pickups=(("", 4), ("2", 4), ("2 2", 4), ("T4", 1)),
    bpm=(92, 112),
)
JIG = Dance(
    name="jig",
    meters=(("6/8", 1),),
    bar=12,
    beat=6,
    strong=6,
    slots=(6, 6, 6, 6),
    rhythms={
        6: (
            ("2 2 2", 100),
            ("4 2", 27),
            ("2 4", 4),
            ("6", 4),
            ("R6", 4),
            ("2 1 1 2", 4),
            ("1 1 2 2", 3),
            ("3 1 2", 2),
        ),
    },
    endings={6: (("6", 4), ("4 2", 1)), 4: (("4", 1),), 2: (("2", 1),)},
    pickups=(("", 5), ("2", 7), ("2 2", 2), ("1 1", 1)),
    bpm=(104, 124),
)
HORNPIPE = Dance(
    name="hornpipe",
    meters=(("4/4", 3), ("C", 2)),
    bar=16,
    beat=8,
    strong=4,
    slots=(8, 8, 8, 8),
    rhythms={
        8: (
            ("B4 B4", 100),
            ("T4 B4", 16),
            ("B4 T4", 10),
            ("4 B4", 14),
            ("B4 4", 5),
            ("S4 B4", 3),
        ),
    },
    endings={8: (("4 4", 1),), 4: (("4", 1),)},
    pickups=(("", 2), ("B4", 5), ("T4", 2)),
    bpm=(66, 84),
)
POLKA = Dance(
    name="polka",
    meters=(("2/4", 1),),
    bar=8,
    beat=4,
    strong=4,
    slots=(4, 4, 4, 4),
    rhythms={
        4: (
            ("2 2", 80),
            ("1 1 1 1", 30),
            ("2 1 1", 24),
            ("1 1 2", 12),
            ("4", 9),
            ("3 1", 10),
            ("B4", 4),
        ),
    },
    endings={4: (("4", 4), ("2 2", 1)), 2: (("2", 1),)},
    pickups=(("", 3), ("2", 2), ("1 1", 2)),
    units=((2, 3), (1, 2)),
    bpm=(110, 132),
    symbols=40,
)
WALTZ = Dance(
    name="waltz",
    meters=(("3/4", 1),),
    bar=12,
    beat=4,
    strong=12,
    slots=(12, 12, 12, 12),
    rhythms={
        12: (
            ("4 4 4", 40),
            ("4 2 2 4", 24),
            ("4 4 2 2", 24),
            ("2 2 2 2 2 2", 14),
            ("4 2 2 2 2", 18),
            ("8 4", 18),
            ("8 2 2", 14),
            ("6 2 4", 12),
            ("12", 5),
            ("4 8", 3),
            ("8 T4", 4),
        ),
    },
    endings={12: (("12", 3), ("8 4", 1)), 8: (("8", 1),), 10: (("8 2", 1),)},
    pickups=(("", 4), ("4", 3), ("2 2", 4), ("2", 1)),
    units=((2, 3), (4, 2)),
    bpm=(110, 150),
    ties=12,
    symbols=75,
)
SLIP_JIG = Dance(
    name="slip jig",
    meters=(("9/8", 1),),
    bar=18,
    beat=6,
    strong=6,
    slots=(12, 6, 12, 6),
    rhythms={
        12: (
            ("2 2 2 2 2 2", 60),
            ("4 2 2 2 2", 30),
            ("2 2 2 4 2", 20),
            ("4 2 4 2", 22),
            ("R6 2 2 2", 8),
        ),
        6: (("2 2 2", 60), ("4 2", 24), ("6", 6), ("2 1 1 2", 4)),
    },
    endings={6: (("6", 3), ("4 2", 1)), 4: (("4", 1),)},
    pickups=(("", 3), ("2", 3)),
    bpm=(110, 130),
)

# The units of each part.
FORMS = {
    "A": (("opening answer opening closing", 6), ("opening opening answer closing", 1)),
    "B": (
        ("turn answer turn closing", 4),
        ("opening answer opening closing", 3),
        ("turn turn answer closing", 1),
    ),
}

PLACES_HEAD = ("Bally", "Kil", "Carrow", "Dun", "Inish", "Knock", "Drum", "Lis", "Clon", "Rath")
PLACES_TAIL = (
    "neel",
    "morna",
    "doolan",
    "vara",
    "sheen",
    "curra",
    "daragh",
    "brack",
    "lahan",
    "roe",
)
PEOPLE = (
    "Miller Piper Weaver Cobbler Ferryman Tinker Shepherd Blacksmith Thatcher Widow Sexton Fowler "
    "Drover Cooper Postman Lamplighter Sailor Dairymaid Beekeeper Ploughman"
).split()
THINGS = (
    "Lantern Apron Kettle Ladder Fiddle Bonnet Barrow Whistle Candle Waistcoat Hatchet Teapot "
    "Umbrella Feather Saddle Bellows Bucket Button Garter Gander"
).split()
NAMES = (
    "Seán Máire Nuala Páidí Bríd Fergus Nell Cormac Sorcha Dinny Jack Peadar Una Martin Biddy Hugh "
    "Kitty Owen Síle Tadhg"
).split()
SURNAMES = (
    "Harkin Mulvey Tansey Considine Geraghty Devanny Lavelle Moroney Quilty Scully Brosnan Tuohy "
    "Hegarty Cullinane Spillane Rafter"
).split()
ADJECTIVES = (
    "Crooked Silver Wandering Sleepless Frosty Merry Lonesome Speckled Windy Borrowed Barefoot "
    "Golden Reluctant Humming Tattered Midnight"
).split()
NOUNS = (
    "Heron Hayrick Doorstep Magpie Morning Bridge Harvest Otter Hearth Meadow Tide Thimble "
    "Turnpike Sparrow Lassie Chimney Hedgerow Kitchen"
).split()
DEEDS = (
    "Mending Crossing Chasing Painting Leaving Sweeping Finding Climbing Turning Counting Waking "
    "Burying"
).split()
