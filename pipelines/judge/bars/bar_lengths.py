"""Which bars of a tune are too short or too long, with pickups and endings reckoned with.

In the middle of a strain a bar is as long as the meter says. At the edges of a strain it need not
be: a pickup and the last bar before a repeat make up one bar, so do two parts of a bar on both
sides of a double bar line, and some tunes end with a full bar in spite of their pickup. `Habits`
counts how often tunes do each of these. The faults of a tune are the fewest changes that make it
likely: a change is accepted if it makes the edges likelier by more than a fault costs.
"""

import collections
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pipelines.music.abc import fields
from pipelines.music.abc.fields import Meter
from pipelines.music.abc.grid import WHOLE
from pipelines.representations.abc_tokens.steps import measure
from pipelines.representations.abc_tokens.written import Bar, Tune

SHORT, LONG, NO_LINE, LINE = "short", "long", "no bar line", "bar line"

# What faults cost, in nats: by a whole beat, by another length, in a bar line. They were chosen on
# validation tunes: with lower ones more faults are found, and more right tunes are called faulty.
_BEAT_COST, _OTHER_COST, _LINE_COST = 3.0, 7.0, 6.0
# What a wrong bar costs where no tune has one: more than any two faults.
_IMPOSSIBLE = 20.0
# What is added to the counts of a context, shared by the counts of the context that backs it.
_SMOOTHING = 0.2
# How many lengths pickups and last bars have.
_LENGTHS = 20
_ROUNDS = 12


def beat(meter: Meter | None) -> int:
    """The length of a beat in parts of a whole note; 0 in free meter.

    It is a dotted quarter in 6/8, 9/8 and 12/8, and else what the lower number says: a quarter in
    4/4, a half note in 2/2, an eighth in 3/8.
    """
    if meter is None:
        return 0
    thirds = 3 if fields.in_threes(meter) and meter[0] > 3 else 1
    return WHOLE * thirds // meter[1]


class Fault(NamedTuple):
    """A bar with a wrong length.

    Attributes:
      bar: its index in `Tune.bars`.
      kind: SHORT or LONG; NO_LINE for two bars without a bar line between them; LINE for a bar that
        a bar line cuts in two, which is the line after this bar.
      by: how much it is too short or too long, in parts of a whole note; 0 of bar lines.
      gain: how much likelier the tune is without the fault, in nats.
    """

    bar: int
    kind: str
    by: int
    gain: float


class _Choice(NamedTuple):
    """What a tune does at an edge.

    Attributes:
      contexts: where, from the most exact description to the vaguest.
      outcome: what it does there.
      outcomes: how many outcomes are possible.
    """

    contexts: tuple[str, ...]
    outcome: str
    outcomes: int


class Habits:
    """How often tunes have which lengths at the edges of their strains.

    Args:
      counts: how often, by context and outcome.
    """

    def __init__(self, counts: Mapping[tuple[str, str], int]):
        self._counts = dict(counts)
        self._totals: collections.Counter[str] = collections.Counter()
        for (context, _), count in counts.items():
            self._totals[context] += count
        self._costs: dict[_Choice, float] = {}

    @classmethod
    def learn(cls, tunes: Iterable[Tune]) -> "Habits":
        """Counts the edges of tunes."""
        counts: collections.Counter[tuple[str, str]] = collections.Counter()
        for tune in tunes:
            written = _Written(tune)
            for k in range(len(written.strains)):
                for choice in written.choices(k):
                    counts.update((context, choice.outcome) for context in choice.contexts)
        return cls(counts)

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "Habits":
        """The habits that `arrays` gave."""
        names = zip(arrays["contexts"].tolist(), arrays["outcomes"].tolist(), strict=True)
        return cls(dict(zip(names, arrays["counts"].tolist(), strict=True)))

    def arrays(self) -> dict[str, np.ndarray]:
        """The counts as arrays, each shaped [counts]: `contexts`, `outcomes`, `counts`."""
        rows = sorted(self._counts.items())
        return {
            "contexts": np.array([context for (context, _), _ in rows]),
            "outcomes": np.array([outcome for (_, outcome), _ in rows]),
            "counts": np.array([count for _, count in rows], np.int32),
        }

    def cost(self, choice: _Choice) -> float:
        """The negative log probability of a choice; vaguer contexts back the more exact ones."""
        found = self._costs.get(choice)
        if found is None:
            share = 1 / choice.outcomes
            for context in reversed(choice.contexts):
                count = self._counts.get((context, choice.outcome), 0)
                share = (count + _SMOOTHING * share) / (self._totals[context] + _SMOOTHING)
            found = self._costs[choice] = -math.log(share)
        return found


def faults(tune: Tune, habits: Habits) -> list[Fault]:
    """The faulty bars of a tune, the surest fault first, those of bar lines last.

    Bars in free meter have no faults.
    """
    written = _Written(tune)
    found = list(written.mend_inside())
    costs = [written.cost(k, habits) for k in range(len(written.strains))]
    touched = {fault.bar for fault in found}
    for _ in range(_ROUNDS):
        best: dict[int, tuple[float, _Edit]] = {}
        for k in range(len(costs)):
            around = sum(costs[max(k - 1, 0) : k + 2])
            if around <= min(_BEAT_COST, _LINE_COST, _OTHER_COST):
                continue
            for edit in written.edits(k, touched):
                gain = written.gain(k, edit, habits, costs)
                if gain > 0 and (k not in best or gain > best[k][0]):
                    best[k] = gain, edit
        if not best:
            break
        # Edits of strains that are not neighbours do not touch each other.
        done: set[int] = set()
        for k, (gain, edit) in sorted(best.items(), key=lambda item: -item[1][0]):
            if not done & {0, k - 2, k - 1, k, k + 1, k + 2} and (k or not done):
                done.add(k)
                touched |= edit.touches
                found.append(Fault(edit.bar, edit.kind, edit.by, gain))
                written.apply(k, edit)
        costs = [written.cost(k, habits) for k in range(len(written.strains))]
    return sorted(found, key=lambda one: (one.kind in (LINE, NO_LINE), -one.gain, one.bar))


class _Unit(NamedTuple):
    """A bar as it is meant: `bars` are several indices where bar lines cut it."""

    bars: tuple[int, ...]
    length: int
    size: int


class _Part(NamedTuple):
    """The bars of a strain, as indices; `lead` is a pickup that stands before its `|:`."""

    lead: int | None
    bars: tuple[int, ...]


class _Strain(NamedTuple):
    """A strain.

    Attributes:
      pickup: its length, 0 without one.
      meter: that of its first bar.
      passes: its bars as they are played each time, with a kind: "once", "repeated", "ending" or
        "last ending".
    """

    pickup: int
    meter: Meter | None
    passes: tuple[tuple[str, tuple[_Unit, ...]], ...]


class _Edit(NamedTuple):
    """A fault that may be there: `to` is the right length of the bar, 0 of bar lines."""

    bar: int
    kind: str
    by: int
    to: int
    cost: float

    @property
    def touches(self) -> set[int]:
        """The indices of the bars that it changes: a bar line stands between two."""
        return {self.bar, self.bar + 1} if self.kind == LINE else {self.bar}


class _Written:
    """The lengths of the bars of a tune, which can be mended."""

    def __init__(self, tune: Tune):
        self.bars = tune.bars
        self.sizes = [measure(bar.meter) for bar in tune.bars]
        self.lengths = [bar.length for bar in tune.bars]
        # Bars that belong together with the next one, and bars that are two.
        self.joined: set[int] = set()
        self.split: set[int] = set()
        self.parts = list(_parts(tune.bars, self.lengths, self.sizes))
        self._at_edges = [_near_edges(tune.bars, part.bars, 1) for part in self.parts]
        self._near = [_near_edges(tune.bars, part.bars, 2) for part in self.parts]
        self.strains = [self._strain(part) for part in self.parts]

    def _strain(self, part: _Part) -> _Strain:
        passes = tuple(self._passes(part.bars))
        first = passes[0][1][0]
        pickup = 0
        if part.lead is not None:
            pickup = self.lengths[part.lead]
        elif len(passes[0][1]) > 1 and first.length < first.size:
            pickup = first.length
        return _Strain(pickup, self.bars[part.bars[0]].meter, passes)

    def _passes(self, part: Sequence[int]) -> Iterator[tuple[str, tuple[_Unit, ...]]]:
        begins = [at for at, i in enumerate(part) if self.bars[i].ending]
        if not begins:
            closes = any(self.bars[i].closes for i in part)
            yield "repeated" if closes else "once", tuple(self._units(part, True))
            return
        common = self._units(part[: begins[0]], True)
        for begin, end in itertools.pairwise((*begins, len(part))):
            units = common + self._units(part[begin:end], False)
            at = len(common)
            if at > 1 and units[at - 1].length < units[at - 1].size:
                # The ending begins in the middle of a bar.
                units[at - 1 : at + 1] = [_together(units[at - 1], units[at])]
            yield "last ending" if end == len(part) else "ending", tuple(units)

    def _units(self, part: Sequence[int], begins_strain: bool) -> list[_Unit]:
        units: list[_Unit] = []
        for i in part:
            unit = _Unit((i,), self.lengths[i], self.sizes[i])
            if units and i - 1 in self.joined:
                units[-1] = _together(units[-1], unit)
            elif i in self.split:
                two = [
                    unit._replace(length=unit.length - unit.size),
                    unit._replace(length=unit.size),
                ]
                units += two if begins_strain and i == part[0] else two[::-1]
            else:
                units.append(unit)
        return units

    def choices(self, k: int) -> Iterator[_Choice]:
        """What the tune does at the edges of a strain."""
        strain, first = self.strains[k], self.strains[0].pickup
        if strain.meter is None:
            return
        pickup = strain.pickup
        known: dict[int, str] = {}
        if k:
            pattern, known = _pattern((self.strains[k - 1].pickup, first, 0))
            outcome = known.get(pickup, "x")
            yield _Choice((f"pickup {pattern}",), outcome, len(known) + 1)
        if pickup not in known:
            meter = fields.write_meter(strain.meter)
            yield _Choice((f"first {meter}", "first"), str(pickup), _LENGTHS)
        after = self.strains[k + 1].pickup if k + 1 < len(self.strains) else None
        for kind, units in strain.passes:
            if len(units) > 1 or pickup:
                yield from _end(kind, units, strain, first, after)

    def cost(self, k: int, habits: Habits) -> float:
        """How unlikely a strain is, in nats."""
        total = sum(map(habits.cost, self.choices(k)))
        wrong = set()
        for _, units in self.strains[k].passes:
            for at, unit in enumerate(units):
                if unit.size and unit.length != unit.size:
                    inside = 0 < at < len(units) - 1
                    if inside or unit.length > unit.size:
                        wrong.add(unit.bars)
        return total + _IMPOSSIBLE * len(wrong)

    def mend_inside(self) -> Iterator[Fault]:
        """Mends bars that stand so far inside a strain that no edge explains their length."""
        for k, part in enumerate(self.parts):
            inside = {i for i in part.bars if i not in self._near[k] and self._is_wrong(i)}
            for i in sorted(inside):
                if i - 1 not in self.joined:
                    yield self._mend(i, i + 1 in inside)
            if inside:
                self.strains[k] = self._strain(part)

    def _is_wrong(self, i: int) -> bool:
        return bool(self.sizes[i]) and self.lengths[i] != self.sizes[i]

    def _mend(self, i: int, next_is_wrong: bool) -> Fault:
        size, length = self.sizes[i], self.lengths[i]
        if next_is_wrong and length + self.lengths[i + 1] == size:
            self.joined.add(i)
            return Fault(i, LINE, 0, _IMPOSSIBLE)
        if length == 2 * size:
            self.split.add(i)
            return Fault(i, NO_LINE, 0, _IMPOSSIBLE)
        self.lengths[i] = size
        kind = SHORT if length < size else LONG
        return Fault(i, kind, abs(length - size), _IMPOSSIBLE)

    def edits(self, k: int, touched: set[int]) -> Iterator[_Edit]:
        """The faults that may be at the edges of a strain."""
        part = self.parts[k]
        places = self._at_edges[k] | {i for i in self._near[k] if self._is_wrong(i)}
        if part.lead is not None:
            places.add(part.lead)
        around = self.strains[max(k - 1, 0) : k + 2]
        usual = {one.pickup for one in (*around, self.strains[0])}
        usual |= {units[-1].length for one in around for _, units in one.passes}
        for i in sorted(places - touched):
            if self.sizes[i]:
                yield from self._edits_of(i, usual, i == part.lead)
                if i + 1 in part.bars and i + 1 not in touched:
                    if self.lengths[i] < self.sizes[i] and self.lengths[i + 1] < self.sizes[i + 1]:
                        yield _Edit(i, LINE, 0, 0, _LINE_COST)

    def _edits_of(self, i: int, usual: set[int], is_lead: bool) -> Iterator[_Edit]:
        size, length = self.sizes[i], self.lengths[i]
        one = beat(self.bars[i].meter)
        short = {part for part in usual if 0 < part < size}
        targets = {length - one, length + one} | short | {size - part for part in short}
        if not is_lead:
            targets.add(size)
        for to in sorted(targets - {length}):
            if 0 < to < size or (to == size and not is_lead):
                by = abs(to - length)
                cost = _BEAT_COST if by == one else _OTHER_COST
                yield _Edit(i, SHORT if length < to else LONG, by, to, cost)
        if size < length <= 2 * size:
            yield _Edit(i, NO_LINE, 0, 0, _LINE_COST)

    def apply(self, k: int, edit: _Edit) -> None:
        """Mends a fault in a strain."""
        if edit.kind == LINE:
            self.joined.add(edit.bar)
        elif edit.kind == NO_LINE:
            self.split.add(edit.bar)
        else:
            self.lengths[edit.bar] = edit.to
        self.strains[k] = self._strain(self.parts[k])

    def gain(self, k: int, edit: _Edit, habits: Habits, costs: Sequence[float]) -> float:
        """How much likelier the tune is with a fault mended, less what the fault costs."""
        before, length = self.strains[k], self.lengths[edit.bar]
        self.apply(k, edit)
        if self.strains[k].pickup == before.pickup:
            near: Iterable[int] = (k,)
        elif k == 0:
            near = range(len(costs))
        else:
            near = range(k - 1, min(k + 2, len(costs)))
        gain = sum(costs[one] - self.cost(one, habits) for one in near)
        self.strains[k], self.lengths[edit.bar] = before, length
        self.joined.discard(edit.bar)
        self.split.discard(edit.bar)
        return gain - edit.cost


def _parts(bars: Sequence[Bar], lengths: Sequence[int], sizes: Sequence[int]) -> Iterator[_Part]:
    """The strains; a part of a bar that is a strain by its signs is a pickup of the next one."""
    runs: list[list[int]] = [[0]]
    for i, (bar, after) in enumerate(itertools.pairwise(bars), start=1):
        ends = bar.closes or bar.ends_section or after.opens or after.part
        if ends and not after.ending:
            runs.append([])
        runs[-1].append(i)
    lead: int | None = None
    for number, run in enumerate(runs, start=1):
        first = run[0]
        alone = len(run) == 1 and number < len(runs) and not bars[first].closes
        if alone and lengths[first] < sizes[first] and lead is None:
            lead = first
            continue
        yield _Part(lead, tuple(run))
        lead = None


def _near_edges(bars: Sequence[Bar], part: Sequence[int], far: int) -> set[int]:
    """So many bars of a strain at both sides of its edges and of the begins of variant endings."""
    edges = [0, len(part), *(at for at, i in enumerate(part) if bars[i].ending)]
    return {
        part[at] for edge in edges for at in range(edge - far, edge + far) if 0 <= at < len(part)
    }


def _together(one: _Unit, other: _Unit) -> _Unit:
    return _Unit(one.bars + other.bars, one.length + other.length, one.size)


def _pattern(values: Iterable[int | None]) -> tuple[str, dict[int, str]]:
    """Which of some lengths are equal, such as "aab", and the letter of each; None is "-"."""
    names: dict[int, str] = {}
    text = ""
    for value in values:
        text += "-" if value is None else names.setdefault(value, "abcd"[len(names)])
    return text, names


def _end(
    kind: str, units: Sequence[_Unit], strain: _Strain, first: int, after: int | None
) -> Iterator[_Choice]:
    """How a strain ends: how many bars it has, and how long the last one is.

    Args:
      kind: that of the pass.
      units: the bars of the pass.
      strain: the strain.
      first: the pickup of the tune.
      after: the pickup of the next strain, None of the last one.
    """
    last = units[-1]
    if not last.size:
        return
    if kind != "ending":
        count = len(units) - (units[0].length < units[0].size)
        outcome = "4" if count % 4 == 0 else "2" if count % 2 == 0 else "1"
        yield _Choice(("bars with a pickup" if strain.pickup else "bars",), outcome, 3)
    # The last bar makes up a full one with a pickup, or is full itself.
    completes = (strain.pickup, after, first, 0)
    pattern, names = _pattern(None if part is None else last.size - part for part in completes)
    outcome = names.get(last.length, "x")
    contexts = (f"end {pattern} {kind}", f"end {pattern}", "end")
    yield _Choice(contexts, outcome, len(names) + 1)
    if outcome == "x":
        meter = fields.write_meter(strain.meter)
        yield _Choice((f"other end {meter}", "other end"), str(last.length), _LENGTHS)
