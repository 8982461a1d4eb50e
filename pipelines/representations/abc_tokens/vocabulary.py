"""The tokens of written tunes, which are the same for every corpus.

A token is a note (a pitch above or below the tonic, a length, and whether a tie holds it), a rest,
or a sign. It has three forms, so that models may take any of them: `joined`, one id for all of it;
a pair of `what` (the sign, a rest, or the pitch) and `length`; and a pair of `kind` (the sign, or
whether it is a rest, its length and tie) and `pitch`, the rhythm before the melody.
"""

import itertools
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from pipelines.music.abc.fields import Meter
from pipelines.music.abc.grid import WHOLE
from pipelines.music.note_sequence import NoteSequence

# Semitones from the tonic, which lies in the octave above middle C. Tunes of the five shared
# corpora reach from -14 to 26.
LOWEST, HIGHEST = -24, 36
PITCHES = HIGHEST - LOWEST + 1
# Down to 1/64, with up to two dots; of two notes tied inside a bar; in triplets, nonuplets,
# quintuplets and septuplets.
LENGTHS: tuple[int, ...] = tuple(
    sorted(
        {
            int(WHOLE * Fraction(numerator, denominator) / 2**power)
            for numerator, denominator, powers in (
                (2, 1, 8), (3, 1, 8), (7, 2, 8), (1, 3, 6), (1, 9, 4), (1, 10, 3), (1, 7, 4),
                (5, 4, 5), (9, 4, 6),
            )
            for power in range(powers)
        }
    )
)  # fmt: skip
METERS: tuple[Meter | None, ...] = (
    None, (2, 4), (3, 4), (4, 4), (5, 4), (6, 4), (7, 4), (2, 2), (3, 2), (3, 8), (5, 8), (6, 8),
    (7, 8), (9, 8), (12, 8), (15, 8),
)  # fmt: skip
MODES: tuple[str, ...] = tuple(sorted(NoteSequence.KeySignature.Mode.keys()))
# Kinds of tunes, as `rhythm` finds them; the first is any other kind, or none that is told.
RHYTHMS = (
    "", "reel", "jig", "slip jig", "slide", "hornpipe", "polka", "waltz", "strathspey", "march",
    "air", "clog", "fling", "barndance", "mazurka", "schottische",
)  # fmt: skip

END = 0
# Signs that bars end with, by whether they close a repeat, open one, and end a section.
LINES = {
    (False, False, False): 1,
    (False, False, True): 2,
    (True, False, False): 3,
    (False, True, False): 4,
    (True, True, False): 5,
}
PART = 6
_PASSES = range(1, 5)
ENDINGS: tuple[frozenset[int], ...] = tuple(
    frozenset(passes)
    for count in range(1, len(_PASSES) + 1)
    for passes in itertools.combinations(_PASSES, count)
)
FIRST_ENDING = PART + 1
FIRST_METER = FIRST_ENDING + len(ENDINGS)
# A change of key: how many semitones the tonic goes up, 0 to 11, and the mode.
FIRST_KEY = FIRST_METER + len(METERS)
SIGNS = FIRST_KEY + 12 * len(MODES)
# The sizes of `what` and of `length`, where 0 is that of a sign, and of the joined ids.
REST = SIGNS
WHATS = SIGNS + 1 + PITCHES
LENGTH_IDS = 1 + 2 * len(LENGTHS)
SIZE = SIGNS + len(LENGTHS) + PITCHES * 2 * len(LENGTHS)

# The sizes of `kind` and of `pitch`, whose last value is that of signs and rests.
FIRST_REST = SIGNS
FIRST_NOTE = FIRST_REST + len(LENGTHS)
KINDS = FIRST_NOTE + 2 * len(LENGTHS)
NO_PITCH = PITCHES

_LENGTH_INDEX = {length: index for index, length in enumerate(LENGTHS)}


class Token(NamedTuple):
    """A token in two parts, as ids: what it is, and how long and whether tied, 0 of a sign."""

    what: int
    length: int = 0


def sound(pitch: int | None, length: int, tied: bool) -> Token:
    """The token of a note or rest.

    Args:
      pitch: semitones above the tonic; None of a rest, which is not tied.
      length: in parts of a whole note.

    Raises:
      KeyError: if no token has that pitch or length; the key says which of them.
    """
    if length not in _LENGTH_INDEX:
        raise KeyError("length")
    if pitch is not None and not LOWEST <= pitch <= HIGHEST:
        raise KeyError("pitch")
    what = REST if pitch is None else REST + 1 + pitch - LOWEST
    return Token(what, 1 + 2 * _LENGTH_INDEX[length] + tied)


def pitch_of(what: int) -> int | None:
    """The semitones above the tonic of a note; None of a rest."""
    return None if what == REST else what - REST - 1 + LOWEST


def length_of(length: int) -> tuple[int, bool]:
    """The length in parts of a whole note, and whether a tie holds it on, by the id of both."""
    return LENGTHS[(length - 1) // 2], bool((length - 1) % 2)


def is_note(what: np.ndarray) -> np.ndarray:
    """Which of some tokens are notes."""
    return what > REST


def joined(token: Token) -> int:
    """The one id of a token: signs first, then rests, then notes by their pitches."""
    if token.what < SIGNS:
        return token.what
    if token.what == REST:
        return SIGNS + (token.length - 1) // 2
    row = token.what - REST - 1
    return SIGNS + len(LENGTHS) + row * 2 * len(LENGTHS) + token.length - 1


def split(identifier: int) -> Token:
    """The token of a joined id.

    Raises:
      ValueError: if it is none.
    """
    if not 0 <= identifier < SIZE:
        raise ValueError(f"{identifier} is no token; there are {SIZE}")
    if identifier < SIGNS:
        return Token(identifier)
    identifier -= SIGNS
    if identifier < len(LENGTHS):
        return Token(REST, 1 + 2 * identifier)
    row, length = divmod(identifier - len(LENGTHS), 2 * len(LENGTHS))
    return Token(REST + 1 + row, 1 + length)


def kind_and_pitch(token: Token) -> tuple[int, int]:
    """The kind and the pitch of a token, as indices below KINDS and PITCHES; NO_PITCH if none."""
    if token.what < SIGNS:
        return token.what, NO_PITCH
    if token.what == REST:
        return FIRST_REST + (token.length - 1) // 2, NO_PITCH
    return FIRST_NOTE + token.length - 1, token.what - REST - 1


def of_kind_and_pitch(kind: int, pitch: int) -> Token:
    """The token of a kind and a pitch, which does not count for signs and rests."""
    if kind < FIRST_REST:
        return Token(kind)
    if kind < FIRST_NOTE:
        return Token(REST, 1 + 2 * (kind - FIRST_REST))
    return Token(REST + 1 + pitch, 1 + kind - FIRST_NOTE)


def rhythm(text: str) -> int:
    """The kind of a tune by its `R:` field: an index into RHYTHMS, 0 for any other kind.

    The last name counts that it has, so that a double jig is a jig; but a slip jig is its own kind.
    """
    folded = text.casefold().replace("slipjig", "slip jig")
    found = [(folded.rfind(name), len(name), i) for i, name in enumerate(RHYTHMS) if i]
    ends = [(at + size, size, i) for at, size, i in found if at >= 0]
    return max(ends)[2] if ends else 0
