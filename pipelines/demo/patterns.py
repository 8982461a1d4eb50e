"""What the built-in corpus is made of: bars of many styles, fills, drums and drummers.

A groove is a family of bars, one string a drum and one character a sixteenth:

    X accent   x plain   o soft   g ghost   . rest
    p plain, and q ghost, which some bars have and others leave out

`|` separates alternatives.
"""

import dataclasses
from collections.abc import Mapping

# Sixteenths of a beat, moved by so many ticks. A shuffle's notes are the first and last of the
# triplet (ticks 0 and 320), which is where real recordings have them: nearest to the 4th sixteenth.
STRAIGHT = (0, 0, 0, 0)
LAZY = (0, 18, 0, 18)
SHUFFLE = (0, 40, 0, -40)


@dataclasses.dataclass(frozen=True)
class Groove:
    """A family of bars; `share` is its weight among the others."""

    style: str
    bpm: tuple[int, int]
    lanes: Mapping[str, str]
    feel: tuple[int, int, int, int] = STRAIGHT
    meter: str = "4-4"
    share: int = 1

    @property
    def steps(self) -> int:
        """Sixteenths in a bar."""
        beats, unit = map(int, self.meter.split("-"))
        return beats * 16 // unit


GROOVES = (
    Groove(
        "rock",
        (100, 138),
        {
            "kick": "X.......X.x.....|X......xX.......|X..p....X.x...p.|X.x.....x.X...p.",
            "snare": "....X.......X...|....X..q....X..q",
            "hat": "X.x.X.x.X.x.X.x.|XoxoXoxoXoxoXoxo",
        },
        share=4,
    ),
    Groove(
        "rock/halftime",
        (76, 140),
        {
            "kick": "X.....x.....x.p.|X..x..p...x.....",
            "snare": "........X.......|..q.....X..q.q..",
            "hat": "X.x.X.x.X.x.X.x.|X...x...X...x...",
            "open": "..............p.",
        },
        share=2,
    ),
    Groove(
        "rock/shuffle",
        (90, 150),
        {
            "kick": "X..p....X..x....|X..x....X..p....",
            "snare": "....X..q....X..q",
            "hat": "X..xX..xX..xX..x",
        },
        SHUFFLE,
    ),
    Groove(
        "rock/toms",
        (96, 132),
        {
            "kick": "X...X...X...X...|X.......X.....p.",
            "snare": "....X.......X...|............X...",
            "hi": "......xx........|......x......p..|..............xx",
            "mid": "..........xx....|..x.......x.....",
            "low": "X.xxX.......X.xx|XxxxXx..Xxxx..Xx|X..xX..xX..xX..x",
        },
    ),
    Groove(
        "funk",
        (88, 112),
        {
            "kick": "X..x..p...x..x..|X.x....x..x..p..|X.....x..xX.....",
            "snare": "....X..g.g..X..q|.q..X..g.q.gX.q.|....X..gqg..X..g",
            "hat": "X.x.X.x.X.x.X.x.|XoxoXoxoXoxoXoxo|X.xoX.xoX.xoX.xo",
            "open": "..............p.|......p.........",
        },
        LAZY,
        share=3,
    ),
    Groove(
        "funk/fast",
        (116, 138),
        {
            "kick": "X.x....x..x.....|X..x..x...x..p..",
            "snare": "....X..g.g..X..g|..g.X.gg.g..X.q.",
            "ride": "X.x.X.x.X.x.X.x.",
            "pedal": "....x.......x...",
        },
    ),
    Groove(
        "funk/purdieshuffle",
        (92, 130),
        {
            "kick": "X..p...x...x....|X......x.x.x....",
            "snare": ".g.qg.g.Xg.qg.q.|.g...g..Xg...g..",
            "hat": "X..xX..xX..xX..x",
        },
        SHUFFLE,
    ),
    Groove(
        "soul",
        (84, 108),
        {
            "kick": "X.....x.X.......|X..x....X.x.....|X.......x.x..p..",
            "snare": "....X.......X..q|x...X...x...X...",
            "hat": "X.x.X.x.X.x.X.x.|x.X.x.X.x.X.x.X.",
        },
        LAZY,
        share=2,
    ),
    Groove(
        "hiphop",
        (74, 98),
        {
            "kick": "X......x..x.....|X.x....x..X..p..|X..p.....xX.....",
            "snare": "....X.......X...|....X..g....X.q.",
            "hat": "X.x.X.x.X.x.X.x.|X.xoX.x.X.xoX.x.",
            "open": "......p.........|................",
        },
        LAZY,
        share=3,
    ),
    Groove(
        "punk",
        (148, 200),
        {
            "kick": "X..xX...X..xX...|X.x...x.X.x...p.|X...x...X...x...",
            "snare": "....X.......X...|..X...X...X...X.",
            "open": "X...X...X...X...|X.X.X.X.X.X.X.X.",
        },
    ),
    Groove(
        "pop",
        (96, 128),
        {
            "kick": "X...x...X...x...|X.....x.X.......|X.......x.X.....",
            "snare": "....X.......X...",
            "hat": "X.x.X.x.X.x.X.x.",
            "open": "..............p.|................",
        },
    ),
    Groove(
        "dance/disco",
        (112, 128),
        {
            "kick": "X...X...X...X...",
            "snare": "....X.......X...|....X.......X..q",
            "hat": "x.......x.......|xo..xo..xo..xo..",
            "open": "..X...X...X...X.",
        },
    ),
    Groove(
        "reggae",
        (70, 92),
        {
            "kick": "........X.......|X.......X.......",
            "stick": "........X.......|...q....X..q..q.",
            "hat": "x.X.x.X.x.X.x.X.|x..Xx..Xx..Xx..X",
            "open": "......p.........|..............p.",
        },
        LAZY,
    ),
    Groove(
        "jazz",
        (110, 176),
        {
            "kick": "o...o...o...o...|.......p....q...",
            "snare": ".......g...q....|...q.......g...q|.......p.......q",
            "ride": "x...X..xx...X..x|x...X..xx..xX...",
            "pedal": "....x.......x...",
        },
        SHUFFLE,
        share=3,
    ),
    Groove(
        "jazz",
        (120, 190),
        {
            "kick": "X...........|X......p....",
            "snare": "...q...g...q|.......q....",
            "ride": "x...X..xx...|x..xX...x..x",
            "pedal": "....x...x...|....x.......",
        },
        SHUFFLE,
        meter="3-4",
    ),
    Groove(
        "latin/bossa",
        (110, 144),
        {
            "kick": "X..xX..xX..xX..x|X..xX...X..xX...",
            "stick": "X..X..X...X..X..|..X..X..X..X..X.",
            "hat": "xoxoxoxoxoxoxoxo|x.x.x.x.x.x.x.x.",
        },
    ),
    Groove(
        "latin/samba",
        (92, 122),
        {
            "kick": "x..Xx..Xx..Xx..X",
            "snare": "g.gXg.X.gXg.Xg.g|X.gXg.gXgX.gX.gg",
            "low": "....X.......X...|............X...",
            "ride": "x.xxx.xxx.xxx.xx",
            "pedal": "....x.......x...|..x...x...x...x.",
        },
        share=2,
    ),
    Groove(
        "afrocuban/songo",
        (84, 116),
        {
            "kick": "...x..x....x..x.|...X..p....X....",
            "snare": "..X..g.g..X.g..g",
            "hi": "......p.......xx|................",
            "low": "...............p",
            "bell": "X...X...X...X...|X.X.xX.xX.X.xX.x",
            "pedal": "..x...x...x...x.",
        },
        share=2,
    ),
    Groove(
        "afrobeat",
        (96, 126),
        {
            "kick": "X..p..x...x.....|X.x...x...x...p.",
            "snare": "...g..g.X..g..X.|....g..X..g...X.",
            "hat": "XoxxXoxxXoxxXoxx",
            "open": "..p.............",
        },
    ),
    Groove(
        "neworleans/secondline",
        (84, 106),
        {
            "kick": "X..x...X..x.X...|X.....x.X..x....",
            "snare": "XggXggXgggXgXggg|Xg.XgqXgg.XgXqgg",
            "pedal": "....x.......x...",
        },
        LAZY,
        share=2,
    ),
    Groove(
        "country",
        (92, 132),
        {
            "kick": "X...X...X...X...|X.......X.......",
            "snare": "ogXgogXgogXgogXg|ooXoooXoooXoooXo",
            "pedal": "..x...x...x...x.",
        },
    ),
    Groove(
        "gospel",
        (100, 132),
        {
            "kick": "X..x..x...x..x.x|X.xx...x..x..p..",
            "snare": "....X..g....X.gg|..g.X.q.g...X..g",
            "hat": "X.x.X.x.X.x.X.x.|X.xxX.xxX.xxX.xx",
            "hi": "..............p.",
        },
        LAZY,
    ),
    Groove(
        "rock",
        (60, 84),
        {
            "kick": "X.....X.....|X...x...p...",
            "snare": "......X.....|....q.X...q.",
            "hat": "X.x.x.X.x.x.",
        },
        meter="6-8",
    ),
)

# Fills: a rhythm for each beat, and the drum that it is played on.
FILL_RHYTHMS = ("xxxx", "Xxxx", "X.xx", "Xx.x", "X..x", "X.x.", ".xxx", "Xooo", "..Xx", "X...")
FILL_ROUTES = ("ssss", "sshl", "shml", "slsl", "hhml", "sshh", "ssll", "hmls", "sshs", "llls")
FILL_DRUMS = {"s": "snare", "h": "hi", "m": "mid", "l": "low"}

# What is added to a bar now and then: drum, level, chance, and the grid in steps that it falls on.
EMBELLISHMENTS = (
    ("kick", "x", 0.5, 1),
    ("snare", "g", 0.7, 1),
    ("snare", "g", 0.5, 1),
    ("snare", "x", 0.4, 1),
    ("open", "o", 0.4, 2),
    ("hi", "o", 0.2, 1),
    ("crash", "x", 0.2, 8),
)

# Pitches as Roland's module sends them: where the stick usually lands, and the rim or edge.
PITCHES = {
    "kick": (36, 36),
    "snare": (38, 40),
    "stick": (37, 37),
    "hat": (42, 22),
    "open": (46, 26),
    "pedal": (44, 44),
    "ride": (51, 59),
    "bell": (53, 53),
    "hi": (48, 50),
    "mid": (45, 47),
    "low": (43, 58),
    "crash": (49, 55),
    "crash2": (57, 52),
}
# The hi-hat pedal's position, which the module sends before each stroke on the hi-hat.
PEDAL_CONTROL = 4
PEDAL_POSITIONS = {"hat": 90, "pedal": 90, "open": 10}

LEVELS = {"X": 110, "x": 78, "o": 46, "g": 24}
LOUDNESS = {
    "kick": 0.66,
    "snare": 1.08,
    "stick": 0.85,
    "hat": 0.85,
    "open": 0.9,
    "pedal": 0.7,
    "ride": 0.82,
    "bell": 0.9,
    "hi": 1.02,
    "mid": 1.1,
    "low": 1.08,
    "crash": 0.88,
    "crash2": 0.88,
}


@dataclasses.dataclass(frozen=True)
class Drummer:
    """How a drummer plays.

    Attributes:
      gain: factor on every velocity.
      accents: velocity added on the four sixteenths of a beat.
      lag: milliseconds behind the beat (negative: ahead) of everything.
      lags: the same, more, of single drums.
      swing: factor on a groove's feel.
      drift: standard deviation in ms of what wanders from step to step, all drums together.
      jitter: standard deviation in ms of each single hit.
      touch: standard deviation of each velocity.
      rim: chance that a stroke lands on a rim or an edge.
      ornament: chance of each optional ghost note, and that a bar is embellished.
    """

    gain: float
    accents: tuple[int, int, int, int]
    lag: float
    lags: Mapping[str, float]
    swing: float
    drift: float
    jitter: float
    touch: float
    rim: float
    ornament: float


DRUMMERS = {
    "drummer1": Drummer(
        1.00, (8, -6, 0, -6), -9, {"snare": 5, "kick": -2}, 1.0, 15, 12, 12, 0.35, 0.6
    ),
    "drummer2": Drummer(
        0.84, (4, -3, 6, -3), 2, {"snare": 10, "hat": -5}, 1.1, 18, 14, 15, 0.15, 0.4
    ),
    "drummer3": Drummer(
        1.12, (14, -8, -2, -8), -16, {"ride": -6, "kick": 4}, 0.8, 20, 15, 16, 0.5, 0.15
    ),
    "drummer5": Drummer(
        0.92, (2, -2, 8, -2), -6, {"snare": 7, "pedal": -8}, 1.0, 12, 10, 9, 0.25, 0.75
    ),
    "drummer7": Drummer(
        1.04, (7, -5, 2, -4), -12, {"hat": -4, "low": 6}, 0.9, 16, 12, 13, 0.4, 0.3
    ),
}
