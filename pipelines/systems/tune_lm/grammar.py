"""A grammar for decoding: every bar full, every strain as long as asked, and no dead end.

The form of a tune is a row of bars with the signs between them. It is compiled once to a table of
states and classes of tokens; a class has the tokens that the grammar does not tell apart, such as
the notes of one length. While a model writes, what may come next is one look-up in the table.

A state is a place in a bar, or a sign that has to come next. States from which the end cannot be
reached are found backward from the end and left out, so that a model is never stuck.

The grammar is for decoding alone: bits a written note are measured without it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from math import gcd
from typing import NamedTuple

import numpy as np

from pipelines.music.abc import fields, score
from pipelines.music.abc.fields import Meter
from pipelines.music.abc.grid import WHOLE
from pipelines.representations.abc_tokens import vocabulary

# A length of so many parts of a whole note is one of a single note, not of a tuplet.
_BINARY = WHOLE // 2**8
_NEVER = -1


class Bar(NamedTuple):
    """A bar to be written.

    Attributes:
      length: in parts of a whole note.
      before: the signs that stand before it, in their order.
      cadence: whether its last note has to be one of those that end a tune.
    """

    length: int
    before: tuple[int, ...] = ()
    cadence: bool = False


class Form(NamedTuple):
    """The bars of a tune, and the signs after the last one: a repeat may close, then it ends."""

    bars: list[Bar]
    after: tuple[int, ...] = (vocabulary.END,)


def form(letters: str, bars: int, meter: Meter, pickup: int = 0) -> Form:
    """The bars of a form such as AABB, in which AA is a strain that is repeated.

    Args:
      letters: a letter for each time that a strain is played; a strain is repeated by two of the
        same letter, one after another. A letter that comes back later is another strain.
      bars: of each strain.
      meter: of all bars.
      pickup: the length of the pickup to each strain, in parts of a whole note; the last bar of
        each strain is shorter by it.

    Raises:
      ValueError: where the form cannot be written so.
    """
    measure = _measure(meter)
    if not letters or bars < 1:
        raise ValueError(f"a form of {letters!r} with {bars} bars a strain is no tune")
    if not 0 <= pickup < measure or (pickup and bars < 2):
        raise ValueError(f"a pickup of {Fraction(pickup, WHOLE)} does not fit the form")
    made: list[Bar] = []
    at = 0
    closes = False
    while at < len(letters):
        times = len(letters[at:]) - len(letters[at:].lstrip(letters[at]))
        if times > 2:
            raise ValueError(f"{letters[at] * times} plays a strain more than twice")
        opens = times == 2
        lengths = [measure] * (bars - 1) + [measure - pickup]
        lengths = [pickup, *lengths] if pickup else lengths
        first = vocabulary.LINES[closes, opens, not (closes or opens)]
        # A tune that does not begin with a repeat begins with its first note.
        before = (first,) if made or opens else ()
        made.append(Bar(lengths[0], before))
        line = vocabulary.LINES[False, False, False]
        made += [Bar(length, (line,)) for length in lengths[1:]]
        closes = opens
        at += times
    made[-1] = made[-1]._replace(cadence=True)
    last = (vocabulary.LINES[True, False, False],) if closes else ()
    return Form(made, (*last, vocabulary.END))


def _measure(meter: Meter) -> int:
    return int(fields.measure(meter) or 0) * WHOLE // score.WHOLE


class Grammar(NamedTuple):
    """A compiled grammar; the functions take arrays, a tune a row.

    Attributes:
      following: int32 array shaped [states, classes]: the next state, -1 where the class may not
        come.
      class_of: int32 array shaped [SIZE]: the class of each token.
      holds: bool array shaped [states]: whether a tie leads into the state, so that a note of the
        same pitch has to come.
      what: int32 array shaped [SIZE]: what each token is, without its length.
      begin, end: the first state, and that in which the tune is over.
    """

    following: np.ndarray
    class_of: np.ndarray
    holds: np.ndarray
    what: np.ndarray
    begin: int
    end: int

    def allowed(self, states: np.ndarray, last: np.ndarray) -> np.ndarray:
        """Bool array shaped [tunes, SIZE]: which tokens may come next.

        Args:
          states, last: int arrays shaped [tunes]: the states, and the last notes, as `step` gives
            them; at the begin of a tune any token.
        """
        may = self.following[states][:, self.class_of] >= 0
        same = self.what == self.what[last][:, None]
        return may & (same | ~self.holds[states][:, None])

    def step(
        self, states: np.ndarray, last: np.ndarray, tokens: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The states and last notes after tokens; a state is -1 where its token was not allowed."""
        after = self.following[states, self.class_of[tokens]]
        return after, np.where(self.what[tokens] >= vocabulary.SIGNS, tokens, last)


class _State(NamedTuple):
    """Where a tune is: in a bar after some of it, or before the next of its signs.

    Attributes:
      bar: the number of the bar.
      sign: how many of the signs before it are written.
      place: how much of the bar is over.
      tied: of a note that a tie leads to, whether it is one that may end a tune; else None. Only
        the pitch of the note before the tie may follow, so this is known of it.
    """

    bar: int
    sign: int
    place: int
    tied: bool | None = None


class _Class(NamedTuple):
    """Tokens that the grammar does not tell apart.

    Attributes:
      sign: the sign, or -1.
      length: of notes and rests.
      rests, tied: of these.
      cadence: whether they are notes that may end a tune.
    """

    sign: int
    length: int = 0
    rests: bool = False
    tied: bool = False
    cadence: bool = False


def compiled(
    of: Form,
    lengths: Iterable[int],
    cadences: Iterable[int] = (0,),
    pitches: tuple[int, int] = (vocabulary.LOWEST, vocabulary.HIGHEST),
) -> Grammar:
    """Compiles a grammar.

    Args:
      of: the form of the tune.
      lengths: the lengths that notes and rests may have, of those of the vocabulary.
      cadences: the pitch classes above the tonic on which the last note of a bar with a cadence may
        be; that bar does not end with a rest.
      pitches: the lowest and the highest pitch, in semitones from the tonic.

    Raises:
      ValueError: where no tune has these bars with these lengths.
    """
    classes, class_of = _classes(frozenset(lengths), frozenset(cadences), pitches)
    begin, end = _State(0, 0, 0), _State(len(of.bars), len(of.after), 0)
    moves: dict[_State, dict[int, _State]] = {}
    waiting = [begin]
    while waiting:
        state = waiting.pop()
        if state not in moves:
            moves[state] = dict(_moves(state, of, classes)) if state != end else {}
            waiting += moves[state].values()
    alive = list(_alive(moves, end))
    number = {state: i for i, state in enumerate(alive)}
    if begin not in number:
        raise ValueError("no notes of these lengths make such bars full")
    following = np.full((len(alive), len(classes)), _NEVER, np.int32)
    for state, row in number.items():
        for each, after in moves[state].items():
            following[row, each] = number.get(after, _NEVER)
    holds = np.array([state.tied is not None and not _signs(state, of) for state in alive])
    what = np.array([vocabulary.split(token).what for token in range(vocabulary.SIZE)], np.int32)
    return Grammar(following, class_of, holds, what, number[begin], number[end])


def _alive(moves: Mapping[_State, Mapping[int, _State]], end: _State) -> set[_State]:
    """The states from which the end is reached, found backward from it."""
    before: dict[_State, set[_State]] = defaultdict(set)
    for state, row in moves.items():
        for after in row.values():
            before[after].add(state)
    alive: set[_State] = set()
    waiting = [end]
    while waiting:
        state = waiting.pop()
        if state not in alive:
            alive.add(state)
            waiting += before[state]
    return alive


def _classes(
    lengths: frozenset[int], cadences: frozenset[int], pitches: tuple[int, int]
) -> tuple[list[_Class], np.ndarray]:
    """The classes, the first of which has the tokens that never come, and that of each token."""
    numbers: dict[_Class, int] = {_Class(_NEVER): 0}
    class_of = np.zeros(vocabulary.SIZE, np.int32)
    for token in range(vocabulary.SIZE):
        what, length = vocabulary.split(token)
        if what < vocabulary.SIGNS:
            found = _Class(what)
        else:
            size, tied = vocabulary.length_of(length)
            pitch = vocabulary.pitch_of(what)
            if size not in lengths or (pitch is not None and not pitches[0] <= pitch <= pitches[1]):
                continue
            cadence = pitch is not None and pitch % 12 in cadences
            found = _Class(_NEVER, size, pitch is None, tied, cadence)
        class_of[token] = numbers.setdefault(found, len(numbers))
    return list(numbers), class_of


def _moves(state: _State, of: Form, classes: Sequence[_Class]) -> Iterator[tuple[int, _State]]:
    """The classes that may come in a state, and the states that they lead to."""
    if signs := _signs(state, of):
        yield classes.index(_Class(signs[0])), state._replace(sign=state.sign + 1)
        return
    bar = of.bars[state.bar]
    for number, each in enumerate(classes):
        place = state.place + each.length
        if not each.length or place > bar.length or not _fits(state.place, each.length):
            continue
        over = place == bar.length
        # A tie leads over a bar line; inside a bar the two notes would be one.
        ties_nothing = each.tied and (not over or state.bar == len(of.bars) - 1)
        ends_badly = over and bar.cadence and not each.cadence
        if ties_nothing or ends_badly or not _continues(each, state.tied):
            continue
        if over:
            yield number, _State(state.bar + 1, 0, 0, each.cadence if each.tied else None)
        else:
            yield number, _State(state.bar, state.sign, place)


def _signs(state: _State, of: Form) -> tuple[int, ...]:
    """The signs that have to come next, in their order."""
    signs = of.after if state.bar == len(of.bars) else of.bars[state.bar].before
    return signs[state.sign :]


def _continues(notes: _Class, tied: bool | None) -> bool:
    """Whether one of some notes may be what a tie leads to."""
    return tied is None or (not notes.rests and notes.cadence == tied)


def _fits(place: int, length: int) -> bool:
    """Whether a length may stand at a place: a tuplet goes on until its notes fill plain time."""
    off = place % _BINARY
    if not off:
        return True
    # Both are thirds, fifths or sevenths of plain lengths.
    return gcd(off, _BINARY) == gcd(length, _BINARY)
