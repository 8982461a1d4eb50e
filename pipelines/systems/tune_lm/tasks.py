"""What a model is to write: a new tune, what follows the begin of one, another strain, a version.

A task is a row of the grammar's items, so that whatever is given comes as it is, and the rest is
drawn under the same rules.
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

from pipelines.music.abc import fields
from pipelines.music.abc.grid import WHOLE
from pipelines.representations.abc_tokens import vocabulary
from pipelines.representations.abc_tokens.steps import Given, measure
from pipelines.representations.abc_tokens.vocabulary import FIRST_NOTE, NO_PITCH
from pipelines.representations.abc_tokens.written import Bar, Note, Tune
from pipelines.runtime.app import UserError
from pipelines.systems.tune_lm import conditions, forms, grammar
from pipelines.systems.tune_lm.conditions import Conditions
from pipelines.systems.tune_lm.grammar import Item

_MIDDLE_C = 60
_BARS_KEPT = re.compile(r"(\d{1,3})(?:-(\d{1,3}))?", re.ASCII)
RHYTHM = "rhythm"


class Task(NamedTuple):
    """A tune to write.

    Attributes:
      given: what is given before the first token.
      items: those of the grammar.
      cadences: the pitch classes above the tonic on which the tune may end.
      first_bar: how many bars are only there for the model to know, and left out of the tune.
    """

    given: Given
    items: Sequence[Item]
    cadences: tuple[int, ...] = (0,)
    first_bar: int = 0


class Asked(NamedTuple):
    """What a user asks of a tune that goes on from another; None is as the other one has it.

    Attributes:
      letters, bars, pickup: of the form.
      ending_bars: how many bars an ending has.
    """

    letters: str | None = None
    bars: int | list[int] | None = None
    pickup: int | None = None
    ending_bars: int = 1


def new(asked: Conditions, in_form: bool = True) -> Task:
    """A new tune.

    Args:
      asked: what it is to be like.
      in_form: whether the grammar holds; else the model writes what it likes, and only the meter,
        key and rhythm are given.
    """
    given = asked.given()
    if not in_form:
        return Task(given._replace(parts=""), [grammar.Anything()])
    return Task(given, grammar.items(asked.form))


def go_on(prompt: Tune, asked: Asked, source: str, in_form: bool = True) -> Task:
    """A tune that begins with the bars of another one.

    The form's signs count, so the prompt need have none; where it has some, they have to be those
    of the form.

    Args:
      prompt: the begin.
      asked: the form; by default the prompt's first strain and another one like it, or AABB.
      source: where the prompt is from, for messages.
      in_form: as of `new`.

    Raises:
      UserError: where the prompt does not fit the form.
    """
    _require_constant(prompt, source)
    found = _conditions(prompt, asked, source)
    given = found.given()
    if not in_form:
        return Task(given._replace(parts=""), [*_as_written(prompt.bars), grammar.Anything()])
    slots = found.form.bars
    if len(prompt.bars) > len(slots):
        raise UserError(
            f"{source} has {len(prompt.bars)} bars, and {found.letters} has {len(slots)} as "
            "written; give a longer form, or fewer bars by --prompt_bars"
        )
    items: list[Item] = []
    for number, (slot, bar) in enumerate(itertools.zip_longest(slots, prompt.bars), start=1):
        items += map(grammar.Given, slot.before)
        if bar is None:
            items.append(grammar.Bar(slot.length, cadence=slot.cadence))
            continue
        after = slots[number] if number < len(slots) else None
        is_last = number == len(prompt.bars)
        _require_fit(bar, slot, after, number, is_last, found.letters, source)
        items += _notes(bar.notes, bar)
        if bar.length < slot.length:
            rested = bar.notes[-1].pitch is None
            items.append(grammar.Bar(slot.length, bar.length, slot.cadence, rested))
    if not any(isinstance(item, grammar.Bar) for item in items):
        raise UserError(
            f"{source} fills the form {found.letters} already; give a longer form, or fewer bars "
            "by --prompt_bars"
        )
    return Task(given, [*items, *map(grammar.Given, found.form.after)])


def first_strain(prompt: Tune) -> Tune:
    """The tune to the end of its first strain."""
    return prompt._replace(bars=prompt.bars[: _strain_end(prompt.bars) or len(prompt.bars)])


def count_bars(strain: Sequence[Bar]) -> int:
    """How many bars a strain has when it is played once; a pickup and the last bar are one."""
    once = _once(strain)
    return max(sum(bar.length for bar in once) // measure(strain[0].meter), 1)


def _once(strain: Sequence[Bar]) -> Sequence[Bar]:
    """The bars without those of a second ending, which is played in place of the first one."""
    endings = [number for number, bar in enumerate(strain) if bar.ending]
    return strain[: endings[1]] if len(endings) > 1 else strain


def version(prompt: Tune, keep: str, source: str) -> Task:
    """Another version of a strain, which the model is shown first.

    Args:
      prompt: a tune of one strain.
      keep: "rhythm" keeps all lengths and draws the pitches; numbers of bars, such as 1,2,5-6, keep
        these and draw the others. A pickup has the number 0.
      source: where the strain is from, for messages.

    Raises:
      UserError: where `keep` names no bars, or the strain has endings.
    """
    _require_constant(prompt, source)
    bars = prompt.bars
    if any(bar.ending for bar in bars):
        raise UserError(
            f"{source}: a version of a strain with endings cannot be written; leave out --keep to "
            "have a second strain"
        )
    has_pickup = _pickup(bars) > 0
    kept = None if keep == RHYTHM else _bars_kept(keep, len(bars) - has_pickup)
    repeats = bars[-1].closes or bars[0].opens
    items: list[Item] = [grammar.Given(vocabulary.LINES[False, True, False])] * repeats
    for number, bar in enumerate(bars):
        items += [grammar.Given(vocabulary.LINES[False, False, False])] * bool(number)
        items += _notes(bar.notes, bar)
    items.append(grammar.Given(vocabulary.LINES[repeats, repeats, not repeats]))
    for number, bar in enumerate(bars):
        items += [grammar.Given(vocabulary.LINES[False, False, False])] * bool(number)
        ends = number == len(bars) - 1
        if kept is None:
            items += _rhythm(bar, ends)
        elif number + (not has_pickup) in kept:
            items += _notes(bar.notes, bar)
        else:
            items.append(grammar.Bar(bar.length, cadence=ends))
    items += [grammar.Given(vocabulary.LINES[True, False, False])] * repeats
    # A strain may end with a bar of rests.
    sounds = [note.pitch for bar in bars for note in bar.notes if note.pitch is not None]
    if not sounds:
        raise UserError(f"{source}: its first strain has no notes; give another tune")
    given = Given(bars[0].meter, bars[0].key, *prompt[1:])._replace(parts="")
    return Task(
        given,
        [*items, grammar.Given(vocabulary.END)],
        ((sounds[-1] - bars[0].key.tonic) % 12,),
        first_bar=len(bars),
    )


def _require_constant(prompt: Tune, source: str) -> None:
    """Raises UserError where the meter is free, or meter or key change."""
    first = prompt.bars[0]
    if first.meter is None:
        raise UserError(f"{source} is in free meter, which has no bars to fill; give another tune")
    if first.meter not in vocabulary.METERS:
        raise UserError(
            f"{source} is in {fields.write_meter(first.meter)}, which models do not know"
        )
    for number, bar in enumerate(prompt.bars, start=1):
        for what, changes in (("meter", bar.meter != first.meter), ("key", bar.key != first.key)):
            if changes:
                raise UserError(
                    f"{source}: the {what} changes in bar {number}; --prompt_bars takes fewer bars"
                )


def _pickup(bars: Sequence[Bar]) -> int:
    """The length of the pickup, 0 where there is none."""
    return bars[0].length if len(bars) > 1 and bars[0].length < measure(bars[0].meter) else 0


def _strain_end(bars: Sequence[Bar]) -> int | None:
    """How many bars, as written, the first strain has; None where it does not end."""
    for number, bar in enumerate(bars, start=1):
        after = bars[number] if number < len(bars) else None
        goes_on = after is not None and after.ending
        if after is None:
            return number if bar.closes or (bar.ending and max(bar.ending) > 1) else None
        if (bar.closes or bar.ends_section or after.opens or after.part) and not goes_on:
            return number
    return None


def _conditions(prompt: Tune, asked: Asked, source: str) -> Conditions:
    """What is asked of the whole tune."""
    first = prompt.bars[0]
    pickup = _pickup(prompt.bars)
    if asked.pickup is not None and len(prompt.bars) > 1 and asked.pickup != pickup:
        raise UserError(
            f"{source} begins with {Fraction(first.length, WHOLE)}, not with --pickup="
            f"{Fraction(asked.pickup, WHOLE)}; leave that out"
        )
    if len(prompt.bars) == 1 and asked.pickup:
        pickup = asked.pickup
    shape = _shape(prompt.bars)
    letters = asked.letters or shape.letters
    bars = asked.bars or shape.bars
    ending_bars = shape.ending_bars if asked.letters is None else asked.ending_bars
    return conditions.make(
        first.meter, first.key, prompt.rhythm, letters, bars, pickup, ending_bars, prompt.tempo
    )


class _Shape(NamedTuple):
    """The form that a tune suggests, by the signs in its first strain."""

    letters: str = conditions.DEFAULT_FORM
    bars: int = conditions.DEFAULT_BARS
    ending_bars: int = 1


def _shape(bars: Sequence[Bar]) -> _Shape:
    strain = bars[: _strain_end(bars) or 0]
    if not strain:
        return _Shape()
    endings = [number for number, bar in enumerate(strain) if bar.ending]
    count = count_bars(strain)
    if count > forms.MAX_BARS:
        return _Shape()
    if endings:
        return _Shape("AA'BB'", count, len(_once(strain)) - endings[0])
    repeats = strain[0].opens or strain[-1].closes
    return _Shape(conditions.DEFAULT_FORM if repeats else "AB", count)


def _require_fit(
    bar: Bar,
    slot: forms.Bar,
    after: forms.Bar | None,
    number: int,
    is_last: bool,
    letters: str,
    source: str,
) -> None:
    """Raises UserError where a bar of the prompt is not one of the form."""
    where = f"{source}, bar {number}"
    if bar.length > slot.length or (bar.length < slot.length and not is_last):
        raise UserError(
            f"{where} is {Fraction(bar.length, WHOLE)} of a whole note long, and {letters} has "
            f"{Fraction(slot.length, WHOLE)} there; give another form, or --bars"
        )
    ending = {forms.FIRST_ENDING: 1, forms.SECOND_ENDING: 2}.get((slot.before or (0,))[-1])
    if bar.ending and bar.ending != {ending}:
        raise UserError(
            f"{where} begins an ending, and {letters} has none there; write the form as AA'BB', "
            "with --ending_bars"
        )
    goes_on = after is not None and after.before == (vocabulary.LINES[False, False, False],)
    if (bar.closes or bar.ends_section) and goes_on:
        raise UserError(
            f"{where} ends a strain, and that of {letters} goes on; give another --form or --bars"
        )


def _as_written(bars: Sequence[Bar]) -> Iterator[Item]:
    """The tokens of bars with their lines, but for those of what follows."""
    if bars[0].opens:
        yield grammar.Given(vocabulary.LINES[False, True, False])
    for bar, after in zip(bars, [*bars[1:], None]):
        yield from _notes(bar.notes, bar)
        if after is not None:
            ends = bar.ends_section and not (bar.closes or after.opens)
            yield grammar.Given(vocabulary.LINES[bar.closes, after.opens, ends])


def _notes(notes: Sequence[Note], bar: Bar) -> list[grammar.Given]:
    """The tokens of the notes of a bar."""
    return [grammar.Given(*_kind_and_pitch(note, bar)) for note in notes]


def _rhythm(bar: Bar, ends: bool) -> Iterator[grammar.Given]:
    """The lengths of the notes of a bar; its last note ends the tune, where `ends`."""
    for number, note in enumerate(bar.notes, start=1):
        kind, _ = _kind_and_pitch(note, bar)
        is_cadence = ends and number == len(bar.notes)
        pitch = None if kind >= FIRST_NOTE else NO_PITCH
        yield grammar.Given(kind, pitch, is_cadence and pitch is None)


def _kind_and_pitch(note: Note, bar: Bar) -> tuple[int, int]:
    pitch = None if note.pitch is None else note.pitch - _MIDDLE_C - bar.key.tonic
    try:
        return vocabulary.kind_and_pitch(vocabulary.sound(pitch, note.length, note.tied))
    except KeyError:
        raise UserError(
            f"no token has a note of {Fraction(note.length, WHOLE)} of a whole note, {pitch} "
            "semitones above the tonic; give another tune"
        ) from None


def _bars_kept(keep: str, count: int) -> set[int]:
    """The numbers of bars."""
    found: set[int] = set()
    for part in keep.split(","):
        match = _BARS_KEPT.fullmatch(part.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not first <= last <= count:
            raise UserError(
                f"--keep={keep}: no bars of a strain of {count}; give {RHYTHM}, or bars such as "
                "1,2,5-6"
            )
        found |= set(range(first, last + 1))
    if len(found - {0}) == count:
        raise UserError(f"--keep={keep} keeps all {count} bars; leave some out")
    return found
