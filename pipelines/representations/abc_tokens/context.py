"""What a language model is told before each token: where the tune is, and what it had there before.

Tunes repeat themselves a bar, two, four and eight bars later, and from strain to strain. `Context`
says what stood at the same place of those bars, like the lookback features of Magenta's LookbackRNN
(Waite, 2016, "Generating long-term structure in songs and stories"), and what followed the last
tokens when they stood together before, as PPM does. So a model need not learn to find it.
"""

import numpy as np

from pipelines.music.abc.grid import WHOLE
from pipelines.representations.abc_tokens import vocabulary
from pipelines.representations.abc_tokens.steps import Follower, Given, Steps, tokens_of
from pipelines.representations.abc_tokens.vocabulary import Token

# How many bars to look back in a strain; 0 finds the bars of an earlier variant ending.
LOOKBACKS = (0, 1, 2, 4, 8)
# How many tokens, at most, are compared with earlier ones.
LONGEST_MATCH = 8
_STRAINS, _BARS = 8, 32
# Places in a bar are told in 96ths of a whole note.
_PLACE = WHOLE // 96
_PLACES = 192

_TOKEN = (("kind", vocabulary.KINDS + 1), ("pitch", vocabulary.PITCHES + 1))
_LINES = frozenset(vocabulary.LINES.values())
_NOTHING = (vocabulary.KINDS, vocabulary.NO_PITCH)

# The columns of a row, in their order: what the values of each mean, and how many there are. The
# first token is the one before; then come the matched one, those of LOOKBACKS, and that at the same
# place of the strain before.
COLUMNS: tuple[tuple[str, int], ...] = (
    *_TOKEN,
    ("strain", _STRAINS), ("bar", _BARS), ("place", _PLACES), ("left", _PLACES),
    ("ending", max(map(max, vocabulary.ENDINGS)) + 1),
    ("meter", len(vocabulary.METERS)), ("mode", len(vocabulary.MODES)),
    ("rhythm", len(vocabulary.RHYTHMS)),
    ("matched", LONGEST_MATCH + 1),
    *_TOKEN * (1 + len(LOOKBACKS) + 1),
)  # fmt: skip


class Context:
    """What is known of a tune before its next token.

    It takes any tokens in any order, so that models may write them one by one.

    Args:
      given: what is given before the first one.
    """

    def __init__(self, given: Given):
        self._follower = Follower(given)
        self._before = _NOTHING
        self._recent: tuple[int, ...] = ()
        self._followed: dict[tuple[int, ...], tuple[int, int]] = {}
        self._stood: dict[tuple[int, ...], tuple[int, int]] = {}
        # How many signs but bar lines stand at this place before the next token.
        self._signs = 0
        self._known = self._follower.known()

    def known(self) -> tuple[int, ...]:
        """A value for each of COLUMNS, for the next token."""
        strain, bar, place, left, *rest = self._known
        matched, follows = self._match()
        here = place, self._signs
        looked = [self._stood.get((strain, bar - back, *here), _NOTHING) for back in LOOKBACKS]
        before = self._stood.get((strain - 1, bar, *here), _NOTHING)
        return (
            *self._before,
            *(min(strain, _STRAINS - 1), min(bar, _BARS - 1)),
            *(min(place // _PLACE, _PLACES - 1), min(left // _PLACE, _PLACES - 1)),
            *rest,
            *(matched, *follows),
            *(value for pair in looked for value in pair),
            *before,
        )

    def add(self, token: Token) -> None:
        """Takes the next token."""
        pair = vocabulary.kind_and_pitch(token)
        for size in range(1, len(self._recent) + 1):
            self._followed[self._recent[-size:]] = pair
        strain, bar, place, *_ = self._known
        self._stood[strain, bar, place, self._signs] = pair
        self._recent = (*self._recent, vocabulary.joined(token))[-LONGEST_MATCH:]
        self._before = pair
        self._follower.add(token)
        self._known = self._follower.known()
        is_mark = token.what < vocabulary.SIGNS and token.what not in _LINES
        self._signs = self._signs + 1 if is_mark else 0

    def _match(self) -> tuple[int, tuple[int, int]]:
        """How many of the last tokens stood together before, and what followed the last time."""
        for size in range(len(self._recent), 0, -1):
            found = self._followed.get(self._recent[-size:])
            if found:
                return size, found
        return 0, _NOTHING


def rows(steps: Steps, given: Given) -> np.ndarray:
    """What is known before each token of a tune: int16 shaped [tokens, len(COLUMNS)]."""
    context = Context(given)
    made = np.empty((len(steps.tokens), len(COLUMNS)), np.int16)
    for row, token in zip(made, tokens_of(steps)):
        row[:] = context.known()
        context.add(token)
    return made


def targets(steps: Steps) -> np.ndarray:
    """The kind and the pitch of each token: int16 shaped [tokens, 2]."""
    return np.array([vocabulary.kind_and_pitch(token) for token in tokens_of(steps)], np.int16)
