"""Tunes of a few dances whose bars are full, with pickups and endings as people write them."""

import functools
import random

from pipelines.judge.criteria import rhythm
from pipelines.judge.finding import Arrays, Known
from pipelines.representations.abc_tokens.written import Tune
from tests.support.written_tunes import tune

# A dance: its meter, two bars in eighths, an upbeat, and a last bar that leaves the upbeat out.
_DANCES = {
    "jig": ("6/8", ("def gfe", "d3 e2f"), "A", "d3 d2"),
    "reel": ("4/4", ("defg agfe", "d2fd gdfd"), "AB", "d2d2 d2"),
    "hornpipe": ("4/4", ("d>ef>g a>gf>e", "d2f>d g>df>d"), "AB", "d2d2 d2"),
    "slip jig": ("9/8", ("def gfe d2e", "d3 efg a2f"), "A", "d3 d3 d2"),
}
# `.` is a full bar, `p` an upbeat, `e` the last bar that leaves the upbeat out.
_FORMS = (
    *("p|" + ".|" * 7 + "e:|:p|" + ".|" * 7 + "e:|",) * 6,
    *("p|" + ".|" * 7 + "e||p|" + ".|" * 7 + "e|]",) * 3,
    *("|:" + ".|" * 7 + ".:|:" + ".|" * 7 + ".:|",) * 3,
    "p|:" + ".|" * 7 + ".:|:" + ".|" * 7 + ".:|",
    "|:p|" + ".|" * 7 + "[1e:|[2e|]",
    "p|" + ".|" * 7 + ".||" + ".|" * 7 + "e|]",
)


def danced_tune(rng: random.Random, dance: str) -> Tune:
    """A tune of a dance in a form that people write, with its `R:` field."""
    meter, bars, upbeat, last = _DANCES[dance]
    signs = {"p": lambda: upbeat, "e": lambda: last, ".": lambda: rng.choice(bars)}
    body = "".join(signs[sign]() if sign in signs else sign for sign in rng.choice(_FORMS))
    return tune(body, meter, header=f"R:{dance}\n")


def danced_tunes(seed: int, count: int) -> list[Known]:
    """Tunes of all dances, by turns."""
    rng = random.Random(seed)
    names = list(_DANCES)
    return [Known(str(i), "", i, danced_tune(rng, names[i % len(names)])) for i in range(count)]


@functools.cache
def learned_rhythm() -> Arrays:
    """What the criterion of rhythm learns of such tunes."""
    return rhythm.CRITERION.learn(danced_tunes(1, 160), danced_tunes(2, 40))
