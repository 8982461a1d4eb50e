"""A grammar for decoding: every bar full, every strain as long as asked, and no dead end.

A tune to be written is a row of items: a token that is given, or a bar that is free. Each different
item is compiled once to a few states, and all states are the rows of one table, which says for each
kind of a token what state follows and which pitches it may have. While a model writes, what may
come next is a look-up in that table, for the kind first and then for the pitch.

In a bar a state is a place, and what leads to it: a tie, a rest, a tuplet. States from which the
end of the bar cannot be reached are found backward and left out, and so are ties that the next bar
cannot go on with, so that a model is never stuck: there always is a kind, and each kind has a
pitch.

The grammar is for decoding alone: bits a written note are measured without it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import gcd
from typing import Any, NamedTuple

import numpy as np

from pipelines.music.abc.grid import BINARY, WHOLE
from pipelines.representations.abc_tokens import vocabulary
from pipelines.representations.abc_tokens.vocabulary import FIRST_NOTE, FIRST_REST, KINDS, PITCHES
from pipelines.systems.tune_lm.forms import Form

# The lengths that notes and rests may have: those of single notes in tunebooks, of two that are
# tied, and of the notes of triplets. Over 99.9% of the notes of 5,251 tunes have them.
LENGTHS: tuple[int, ...] = tuple(
    WHOLE * numerator // denominator
    for numerator, denominator in (
        (1, 32), (3, 32), (1, 16), (3, 16), (1, 8), (3, 8), (5, 8), (9, 8), (1, 4), (3, 4),
        (1, 2), (3, 2), (1, 1), (1, 48), (1, 24), (1, 12), (1, 6),
    )
)  # fmt: skip

# A tuplet has at most so many notes. Longer ones are hard to read, and music21 misreads those of
# ten and more.
_LONGEST_TUPLET = 6

# What follows in the table besides a state.
_NEVER, _OVER = -1, -2
# Which pitches a kind may have: rows of `Grammar.pitches`. A sign or a rest has any, since none is
# drawn. Rows from _FIXED on allow one pitch.
_ANY, _CADENCE, _HELD, _FIXED = range(4)
# What a tie leads from: from no note, from one of a pitch that may end a tune, from another one.
_FREE, _FROM_CADENCE, _FROM_OTHER = range(3)
_LINE = vocabulary.LINES[False, False, False]


class Given(NamedTuple):
    """A token that has to come.

    Attributes:
      kind: its kind.
      pitch: its pitch; NO_PITCH of a sign or rest. None leaves the pitch to the model.
      cadence: whether a pitch that the model finds has to be one that ends a tune.
    """

    kind: int
    pitch: int | None = vocabulary.NO_PITCH
    cadence: bool = False


class Bar(NamedTuple):
    """A bar, or the rest of one, that the model fills.

    Attributes:
      length: of the whole bar, in parts of a whole note.
      start: how much of it is over.
      cadence: whether its last note has to be one of those that end a tune.
      rested: whether a rest stands before `start`, which another one would only make longer.
    """

    length: int
    start: int = 0
    cadence: bool = False
    rested: bool = False


class Anything(NamedTuple):
    """Tokens as the model gives them, to END."""


Item = Given | Bar | Anything


def items(form: Form) -> list[Item]:
    """The items of a form: its signs are given, its bars are free."""
    made: list[Item] = []
    for bar in form.bars:
        made += map(Given, bar.before)
        made.append(Bar(bar.length, cadence=bar.cadence))
    return [*made, *map(Given, form.after)]


class Place(NamedTuple):
    """Where tunes are; arrays shaped [tunes] of int32.

    Attributes:
      program: the row of `Grammar.programs`.
      item: the item of the program.
      state: the row of the table.
      held: the pitch from which a tie leads on, or PITCHES where none does.
    """

    program: Any
    item: Any
    state: Any
    held: Any


class Grammar(NamedTuple):
    """Compiled programs. Its functions take NumPy as `xp`, or keras.ops inside a graph.

    Attributes:
      following: int32 array shaped [states, KINDS]: the next state; -1 where the kind may not come,
        -2 where the item is over.
      rule: int32 array shaped [states, KINDS]: the row of `pitches`.
      pitches: bool array shaped [rules, PITCHES].
      programs: int32 array shaped [programs, items, 3]: the state that each item begins with, by
        what a tie leads from. After its end a program goes on with ENDs.
      tie: int32 array shaped [PITCHES + 1]: the last index of `programs` for each held pitch.
    """

    following: np.ndarray
    rule: np.ndarray
    pitches: np.ndarray
    programs: np.ndarray
    tie: np.ndarray

    def begin(self, programs: np.ndarray) -> Place:
        """The places at the begin of programs, by their numbers."""
        numbers = np.asarray(programs, np.int32)
        nothing = np.zeros_like(numbers)
        return Place(numbers, nothing, self.programs[numbers, 0, _FREE], nothing + PITCHES)

    def kinds(self, xp: Any, place: Place) -> Any:
        """Bool array shaped [tunes, KINDS]: which kinds may come next."""
        return xp.take(self.following, place.state, axis=0) != _NEVER

    def pitches_of(self, xp: Any, place: Place, kinds: Any) -> Any:
        """Bool array shaped [tunes, PITCHES]: which pitches a token of these kinds may have."""
        rule = xp.take(self.rule.ravel(), place.state * KINDS + kinds)
        rule = xp.where(rule == _HELD, _FIXED + place.held, rule)
        return xp.take(self.pitches, rule, axis=0)

    def step(self, xp: Any, place: Place, kinds: Any, pitches: Any) -> Place:
        """The places after tokens, which were allowed."""
        following = xp.take(self.following.ravel(), place.state * KINDS + kinds)
        over = following == _OVER
        is_note = kinds >= FIRST_NOTE
        ties = is_note & ((kinds - FIRST_NOTE) % 2 == 1)
        # A sign leaves a tie as it is.
        unheld = xp.where(kinds >= FIRST_REST, PITCHES, place.held)
        held = xp.where(ties, pitches, unheld)
        count = self.programs.shape[1]
        item = xp.minimum(xp.where(over, place.item + 1, place.item), count - 1)
        row = (place.program * count + item) * 3 + xp.take(self.tie, held)
        begins = xp.take(self.programs.ravel(), row)
        return Place(place.program, item, xp.where(over, begins, following), held)


def compiled(
    programs: Sequence[Sequence[Item]],
    lengths: Iterable[int] = LENGTHS,
    cadences: Iterable[int] = (0,),
    pitches: tuple[int, int] = (vocabulary.LOWEST, vocabulary.HIGHEST),
) -> Grammar:
    """Compiles a grammar.

    Args:
      programs: for each tune, or kind of tunes, its items; the last one leads to END.
      lengths: the lengths that notes and rests of free bars may have, of those of the vocabulary.
      cadences: the pitch classes above the tonic on which the last note of a bar with a cadence may
        be; that bar does not end with a rest.
      pitches: the lowest and the highest pitch of free notes, in semitones from the tonic.

    Raises:
      ValueError: where no tune has these bars with these lengths.
    """
    cadences = frozenset(cadences)
    height = np.arange(PITCHES) + vocabulary.LOWEST
    is_cadence = np.isin(height % 12, sorted(cadences))
    inside = (pitches[0] <= height) & (height <= pitches[1])
    if not (inside & is_cadence).any():
        raise ValueError(f"no pitch from {pitches[0]} to {pitches[1]} ends a tune")
    table = _Table(sorted(set(lengths)), is_cadence)
    end = table.begins(Given(vocabulary.END), frozenset())
    rows = [_program(program, table, is_cadence) for program in programs]
    size = 1 + max(map(len, rows))
    padded = np.array([[*row, *[end] * (size - len(row))] for row in rows], np.int32)
    masks = np.stack([inside, inside & is_cadence, np.ones(PITCHES, bool)])
    return Grammar(
        np.array(table.following, np.int32),
        np.array(table.rule, np.int32),
        np.concatenate([masks, np.eye(PITCHES, dtype=bool), np.ones((1, PITCHES), bool)]),
        padded,
        np.array([*np.where(is_cadence, _FROM_CADENCE, _FROM_OTHER), _FREE], np.int32),
    )


class _Ahead(NamedTuple):
    """What can go on with a tie: the kinds of ties, and the pitch of a note that is given."""

    ties: frozenset[int] = frozenset()
    pitch: int | None = None


def _program(
    program: Sequence[Item], table: "_Table", is_cadence: np.ndarray
) -> list[tuple[int, int, int]]:
    """The states that the items begin with; found from the last, since ties look ahead."""
    made: list[tuple[int, int, int]] = []
    ahead = _Ahead()
    for item in reversed(program):
        if isinstance(item, Given) and _ties(item.kind) and not _leads_on(item, ahead, is_cadence):
            item = item._replace(kind=item.kind - 1)
        begins = table.begins(item, ahead.ties)
        made.append(begins)
        # A tie goes over a plain bar line alone, so that it holds when repeats are played.
        if item != Given(_LINE):
            pitch = item.pitch if isinstance(item, Given) and item.kind >= FIRST_NOTE else None
            taken = (_FROM_CADENCE, _FROM_OTHER) if _takes_ties(item) else ()
            ahead = _Ahead(frozenset(tie for tie in taken if begins[tie] != _NEVER), pitch)
    return made[::-1]


def _ties(kind: int) -> bool:
    return kind >= FIRST_NOTE and (kind - FIRST_NOTE) % 2 == 1


def _takes_ties(item: Item) -> bool:
    """Whether any pitch may be tied to the first note of an item."""
    if isinstance(item, Given):
        return item.kind >= FIRST_NOTE and item.pitch is None
    return isinstance(item, Bar) and not item.start


def _leads_on(item: Given, ahead: _Ahead, is_cadence: np.ndarray) -> bool:
    """Whether what follows can go on with the tie of a token."""
    if item.pitch is None:
        return bool(ahead.ties)
    needed = _FROM_CADENCE if is_cadence[item.pitch] else _FROM_OTHER
    return ahead.pitch == item.pitch or needed in ahead.ties


class _State(NamedTuple):
    """Where a bar is.

    Attributes:
      place: how much of it is over.
      tie: at its begin, what a tie leads from.
      rested: whether the last of it is a rest; another one would be one with it.
      tuplet: how many notes of a tuplet are there that is not complete.
    """

    place: int
    tie: int = _FREE
    rested: bool = False
    tuplet: int = 0


class _Table:
    """The rows of the table, which grow by what each new item needs.

    Args:
      lengths: those that notes and rests of free bars may have.
      is_cadence: for each pitch whether it may end a tune.
    """

    def __init__(self, lengths: Sequence[int], is_cadence: np.ndarray):
        self.following: list[np.ndarray] = []
        self.rule: list[np.ndarray] = []
        self._lengths = [(vocabulary.LENGTHS.index(length), length) for length in lengths]
        self._is_cadence = is_cadence
        self._known: dict[tuple[Item, frozenset[int]], tuple[int, int, int]] = {}
        self._rows: dict[tuple[tuple[int, tuple[int, int]], ...], int] = {}

    def begins(self, item: Item, ahead: frozenset[int]) -> tuple[int, int, int]:
        """The states that an item begins with, by what a tie leads from; -1 where none does.

        Args:
          item: the item.
          ahead: the ties with which what follows can go on.

        Raises:
          ValueError: where no notes make a bar full.
        """
        key = item, ahead
        if key not in self._known:
            if isinstance(item, Anything):
                made = (self._anything(),) * 3
            elif isinstance(item, Bar):
                made = self._bar(item, ahead)
            elif item.kind >= FIRST_NOTE and item.pitch is None:
                made = self._free_pitch(item, ahead)
            else:
                noted = item.kind >= FIRST_NOTE and item.pitch is not None
                rule = _FIXED + (item.pitch or 0) if noted else _ANY
                made = (self._row({item.kind: (_OVER, rule)}),) * 3
            self._known[key] = made
        return self._known[key]

    def _row(self, moves: Mapping[int, tuple[int, int]]) -> int:
        """The row with these moves: states and rules by kinds."""
        key = tuple(sorted(moves.items()))
        if key not in self._rows:
            following, rule = np.full(KINDS, _NEVER, np.int32), np.full(KINDS, _ANY, np.int32)
            for kind, (after, allowed) in moves.items():
                following[kind], rule[kind] = after, allowed
            self._rows[key] = len(self.following)
            self.following.append(following)
            self.rule.append(rule)
        return self._rows[key]

    def _anything(self) -> int:
        here = len(self.following)
        row = dict.fromkeys(range(KINDS), (here, _FIXED + PITCHES))
        return self._row({**row, vocabulary.END: (_OVER, _ANY)})

    def _free_pitch(self, item: Given, ahead: frozenset[int]) -> tuple[int, int, int]:
        found = []
        for tie in (_FREE, _FROM_CADENCE, _FROM_OTHER):
            rule = _rule(tie, _ties(item.kind), item.cadence, ahead)
            found.append(_NEVER if rule is None else self._row({item.kind: (_OVER, rule)}))
        return found[0], found[1], found[2]

    def _bar(self, bar: Bar, ahead: frozenset[int]) -> tuple[int, int, int]:
        begins = [_State(bar.start, _FREE, bar.rested)]
        begins += [_State(bar.start, tie) for tie in (_FROM_CADENCE, _FROM_OTHER)]
        moves: dict[_State, dict[int, tuple[_State | None, int]]] = {}
        waiting = list(begins)
        while waiting:
            state = waiting.pop()
            if state not in moves:
                moves[state] = dict(self._moves(state, bar, ahead))
                waiting += [after for after, _ in moves[state].values() if after]
        # A note leads on in the bar: from its end backward, what follows is known. Bars of other
        # lengths have the same rows, since what may come depends on what is left.
        rows: dict[_State, int] = {}
        for state in sorted(moves, reverse=True):
            alive = {
                kind: (rows[after] if after else _OVER, rule)
                for kind, (after, rule) in moves[state].items()
                if after is None or after in rows
            }
            if alive:
                rows[state] = self._row(alive)
        if begins[0] not in rows:
            raise ValueError("no notes of these lengths make such bars full")
        first, *tied = (rows.get(state, _NEVER) for state in begins)
        return first, tied[0], tied[1]

    def _moves(
        self, state: _State, bar: Bar, ahead: frozenset[int]
    ) -> Iterator[tuple[int, tuple[_State | None, int]]]:
        """The kinds that may come in a state; the state that follows, None after the bar."""
        for index, length in self._lengths:
            place = state.place + length
            if place > bar.length or not _fits(state.place, length):
                continue
            over = place == bar.length
            ends = over and bar.cadence
            tuplet = state.tuplet + 1 if place % BINARY else 0
            if tuplet == _LONGEST_TUPLET:
                continue
            if state.tie == _FREE and not state.rested and not ends:
                after = None if over else _State(place, rested=True, tuplet=tuplet)
                yield FIRST_REST + index, (after, _ANY)
            # A tie leads over a bar line; inside a bar the two notes would be one.
            for tied in (False, True)[: 1 + over]:
                rule = _rule(state.tie, tied, ends, ahead)
                if rule is not None:
                    kind = FIRST_NOTE + 2 * index + tied
                    yield kind, (None if over else _State(place, tuplet=tuplet), rule)


def _rule(tie: int, tied: bool, cadence: bool, ahead: frozenset[int]) -> int | None:
    """Which pitches a note may have; None where it may not come.

    Args:
      tie: what a tie leads from to the note.
      tied: whether a tie leads on from it.
      cadence: whether it ends a tune.
      ahead: the ties with which what follows can go on.
    """
    fitting = {_FROM_CADENCE, _FROM_OTHER}
    if tied:
        fitting &= ahead
    if cadence:
        fitting &= {_FROM_CADENCE}
    if tie != _FREE:
        return _HELD if tie in fitting else None
    if not fitting:
        return None
    return _ANY if _FROM_OTHER in fitting else _CADENCE


def _fits(place: int, length: int) -> bool:
    """Whether a length may stand at a place: a tuplet goes on until its notes fill plain time."""
    off = place % BINARY
    if not off:
        return True
    # Both are thirds, fifths or sevenths of plain lengths.
    return gcd(off, BINARY) == gcd(length, BINARY)
