"""A written tune as arrays, a row for each token, and back.

A tune begins with `|:` where it has one, and ends with END. Between two bars stand their bar line,
the label of a part, a change of meter, a change of key and a variant ending, in this order, each
where there is one.
"""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from pipelines.music.abc import fields, score
from pipelines.music.abc.fields import Meter
from pipelines.music.abc.grid import WHOLE
from pipelines.representations.abc_tokens import vocabulary
from pipelines.representations.abc_tokens.vocabulary import Token
from pipelines.representations.abc_tokens.written import Bar, Key, LeftOut, Note, Tune

_MIDDLE_C = 60
_LINES = {sign: line for line, sign in vocabulary.LINES.items()}
_ENDINGS = {passes: i for i, passes in enumerate(vocabulary.ENDINGS)}


class Given(NamedTuple):
    """What is given of a tune before its first token.

    Attributes:
      meter, key: those of its first bar.
      rhythm, tempo, program, parts, title: as of `written.Tune`.
    """

    meter: Meter | None
    key: Key
    rhythm: str = ""
    tempo: Fraction = score.DEFAULT_TEMPO
    program: int = 0
    parts: str = ""
    title: str = ""


class Steps(NamedTuple):
    """A tune as arrays, each int32 shaped [tokens].

    `tokens` are joined ids of the vocabulary; `what` and `length` are the same in two parts. The
    others say what is known before the token: nothing in them looks ahead.

    Attributes:
      tokens, what, length: see above.
      strain: how many strains have begun before this one: at signs of a repeat, double bar lines
        and labels of parts, but not at variant endings.
      bar: how many bars of the strain are over; a bar that is not full at its begin does not count.
        A second ending counts from the bar at which the first one began.
      place: how much of the bar is over, in parts of a whole note.
      left: how much of a full bar is left, 0 in free meter and where the bar is longer.
      ending: the first pass for which this variant ending is played, 0 outside endings.
      meter, mode, rhythm: what holds, as indices into the lists of `vocabulary`.
    """

    tokens: np.ndarray
    what: np.ndarray
    length: np.ndarray
    strain: np.ndarray
    bar: np.ndarray
    place: np.ndarray
    left: np.ndarray
    ending: np.ndarray
    meter: np.ndarray
    mode: np.ndarray
    rhythm: np.ndarray

    @property
    def is_note(self) -> np.ndarray:
        """Bool array shaped [tokens]: whether the token begins a written note.

        A note that continues one of the bar before by a tie counts too, as it is written.
        """
        return vocabulary.is_note(self.what)


def given(tune: Tune) -> Given:
    """What is given of a tune."""
    first = tune.bars[0]
    return Given(first.meter, first.key, *tune[1:])


def encode(tune: Tune) -> Steps:
    """The arrays of a tune.

    Raises:
      LeftOut: "meter", "length", "pitch" or "ending", where no token has it.
    """
    conditions = given(tune)
    _require_meter(conditions.meter)
    tokens = list(_tokens(tune))
    follow = Follower(conditions)
    rows = []
    for token in tokens:
        rows.append((vocabulary.joined(token), *token, *follow.known()))
        follow.add(token)
    return Steps(*np.array(rows, np.int32).T)


def _require_meter(meter: Meter | None) -> None:
    if meter not in vocabulary.METERS:
        raise LeftOut("meter", fields.write_meter(meter))


def _tokens(tune: Tune) -> Iterator[Token]:
    before: Bar | None = None
    for bar in tune.bars:
        yield from _between(before, bar)
        for note in bar.notes:
            pitch = None if note.pitch is None else note.pitch - _MIDDLE_C - bar.key.tonic
            try:
                yield vocabulary.sound(pitch, note.length, note.tied)
            except KeyError as error:
                raise LeftOut(
                    error.args[0],
                    f"a note {pitch} semitones above the tonic, "
                    f"{Fraction(note.length, WHOLE)} of a whole note",
                ) from None
        before = bar
    if before and before.closes:
        yield Token(vocabulary.LINES[True, False, False])
    yield Token(vocabulary.END)


def _between(before: Bar | None, bar: Bar) -> Iterator[Token]:
    """The signs between two bars, or before the first one."""
    if before:
        yield Token(vocabulary.LINES[before.closes, bar.opens, before.ends_section])
    elif bar.opens:
        yield Token(vocabulary.LINES[False, True, False])
    if bar.part:
        yield Token(vocabulary.PART)
    if before and bar.meter != before.meter:
        _require_meter(bar.meter)
        yield Token(vocabulary.FIRST_METER + vocabulary.METERS.index(bar.meter))
    if before and bar.key != before.key:
        up = (bar.key.tonic - before.key.tonic) % 12
        mode = vocabulary.MODES.index(bar.key.mode)
        yield Token(vocabulary.FIRST_KEY + up * len(vocabulary.MODES) + mode)
    if bar.ending:
        if bar.ending not in _ENDINGS:
            raise LeftOut("ending", f"of the passes {sorted(bar.ending)}")
        yield Token(vocabulary.FIRST_ENDING + _ENDINGS[bar.ending])


def measure(meter: Meter | None) -> int:
    """The length of a full bar in parts of a whole note; 0 in free meter."""
    return int(fields.measure(meter) or 0) * WHOLE // score.WHOLE


class Follower:
    """What is known of a tune after each of its tokens.

    It takes any tokens in any order, so that models may write them one by one.

    Args:
      of: what is given before the first one.
    """

    def __init__(self, of: Given):
        self._meter = of.meter
        self._mode = vocabulary.MODES.index(of.key.mode)
        self._rhythm = vocabulary.rhythm(of.rhythm)
        self._strain = self._bar = self._place = self._ending = 0
        # The strain and bar that go on if an ending follows the bar line, where the line begins
        # another strain; and the bar at which the first ending began.
        self._goes_on: tuple[int, int] | None = None
        self._first_ending = 0
        self._any = False  # Whether there was a note or rest.

    def known(self) -> tuple[int, ...]:
        """The values of `Steps` from `strain` on, for the next token."""
        full = measure(self._meter)
        left = max(full - self._place, 0) if full else 0
        meter = vocabulary.METERS.index(self._meter)
        return (
            *(self._strain, self._bar, self._place, left, self._ending),
            *(meter, self._mode, self._rhythm),
        )

    def add(self, token: Token) -> None:
        """Takes the next token."""
        what = token.what
        if what >= vocabulary.SIGNS:
            self._place += vocabulary.length_of(token.length)[0]
            self._any = True
            self._goes_on = None
        elif what in _LINES:
            self._line(*_LINES[what])
        elif what == vocabulary.PART:
            if self._goes_on is None:
                self._begin_strain()
        elif what >= vocabulary.FIRST_KEY:
            self._mode = (what - vocabulary.FIRST_KEY) % len(vocabulary.MODES)
        elif what >= vocabulary.FIRST_METER:
            self._meter = vocabulary.METERS[what - vocabulary.FIRST_METER]
        elif what >= vocabulary.FIRST_ENDING:
            self._begin_ending(min(vocabulary.ENDINGS[what - vocabulary.FIRST_ENDING]))

    def _line(self, closes: bool, opens: bool, ends_section: bool) -> None:
        # A pickup is a bar that is not full, at the begin of a strain.
        if self._any and (self._bar or self._place >= measure(self._meter)):
            self._bar += 1
        self._place = 0
        if closes or opens or ends_section:
            self._begin_strain()

    def _begin_strain(self) -> None:
        if self._any:
            self._goes_on = self._strain, self._bar
            self._strain += 1
            self._bar = self._ending = 0

    def _begin_ending(self, first_pass: int) -> None:
        if self._goes_on is not None:
            self._strain, self._bar = self._goes_on
            self._goes_on = None
        if first_pass == 1:
            self._first_ending = self._bar
        else:
            self._bar = min(self._first_ending, self._bar)
        self._ending = first_pass


def decode(tokens: Iterable[Token], of: Given) -> Tune:
    """The tune of tokens.

    Args:
      tokens: those of a whole tune, to END.
      of: what is given of it.

    Raises:
      ValueError: where a token stands where it cannot, or END is missing.
    """
    read = _Reading(of)
    for number, token in enumerate(tokens):
        if read.ended:
            raise ValueError(f"token {number} stands after the end")
        read.add(number, token)
    if not read.ended:
        raise ValueError("the tune has no end")
    return Tune(tuple(read.bars), *of[2:])


class _Reading:
    """Reads the tokens of a tune."""

    def __init__(self, of: Given):
        self.bars: list[Bar] = []
        self.ended = False
        self._notes: list[Note] = []
        self._next = Bar((), of.meter, of.key)
        self._last_sign = 0  # Signs between two bars stand in the order of their numbers.

    def add(self, number: int, token: Token) -> None:
        what = token.what
        if what >= vocabulary.SIGNS:
            pitch = vocabulary.pitch_of(what)
            length, tied = vocabulary.length_of(token.length)
            if pitch is not None:
                pitch += _MIDDLE_C + self._next.key.tonic
            self._notes.append(Note(pitch, length, tied))
        elif what == vocabulary.END:
            self._end(number)
        elif what in _LINES:
            self._line(number, *_LINES[what])
        else:
            self._sign(number, what)

    def _end(self, number: int) -> None:
        if self._notes:
            self._end_bar(False, False)
        elif not self.bars or not self.bars[-1].closes or self._last_sign:
            raise ValueError(f"token {number} ends a tune without a bar")
        self.ended = True

    def _end_bar(self, closes: bool, ends_section: bool) -> None:
        notes = tuple(self._notes)
        bar = self._next._replace(notes=notes, closes=closes, ends_section=ends_section)
        self.bars.append(bar)
        self._notes = []
        self._last_sign = 0

    def _line(self, number: int, closes: bool, opens: bool, ends_section: bool) -> None:
        if self._notes:
            self._end_bar(closes, ends_section)
            self._next = Bar((), self._next.meter, self._next.key, opens)
        elif not self.bars and opens and not closes and not self._next.opens:
            self._next = self._next._replace(opens=True)
        else:
            raise ValueError(f"token {number} is a bar line without a bar before it")

    def _sign(self, number: int, what: int) -> None:
        order = (vocabulary.PART, vocabulary.FIRST_METER, vocabulary.FIRST_KEY)
        kind = 4 if vocabulary.FIRST_ENDING <= what < vocabulary.FIRST_METER else 0
        kind = kind or sum(what >= first for first in order)
        if self._notes or kind <= self._last_sign:
            raise ValueError(f"token {number} stands where its sign cannot")
        self._last_sign = kind
        if kind == 1:
            self._next = self._next._replace(part=True)
        elif kind == 2:
            meter = vocabulary.METERS[what - vocabulary.FIRST_METER]
            self._next = self._next._replace(meter=meter)
        elif kind == 3:
            up, mode = divmod(what - vocabulary.FIRST_KEY, len(vocabulary.MODES))
            tonic = (self._next.key.tonic + up) % 12
            self._next = self._next._replace(key=Key(tonic, vocabulary.MODES[mode]))
        else:
            ending = vocabulary.ENDINGS[what - vocabulary.FIRST_ENDING]
            self._next = self._next._replace(ending=ending)


def tokens_of(steps: Steps) -> list[Token]:
    """The tokens of arrays, as `decode` takes them."""
    return [Token(*pair) for pair in zip(steps.what.tolist(), steps.length.tolist())]
