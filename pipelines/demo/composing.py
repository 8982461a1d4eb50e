"""Composes the tunes that the project makes itself.

A part has four units that question and answer each other over a plan of chords: an opening, an
answer, the opening again, and a closing that ends on the tonic. For each chord a note is chosen to
start from; a walk leads from one such note to the next, mostly by steps, with chord notes on the
strong beats. A figure may come back elsewhere, a unit may come back with another end, and both
parts may close alike.

How its tunes compare with the 940 reels and 1,577 jigs of the collections that it was tuned by:

                         reels  of these 940    jigs  of these 1,577
    same note again         10%            9%      9%            12%
    a step of the scale     48%           50%     53%            50%
    a third                 27%           27%     25%            25%
    a fourth or fifth       12%           11%     11%             9%
    notes a bar            6.9           7.0     5.3           5.3
    range, semitones        19            19      17            17
    bars that are unique   46%           54%     45%           49%
"""

import dataclasses
from collections.abc import Iterable, Sequence

from pipelines.demo import dances
from pipelines.demo.dances import HIGHEST, KEYS, LOWEST, Dance
from pipelines.demo.dice import Dice

# Weights of the walk's moves by the number of steps of the scale, from none to an octave.
INTERVALS = (20, 100, 34, 12, 7, 3, 1, 2)
# Weights of the moves between the notes that the chords start from.
LEAPS = (12, 13, 10, 5, 4, 2, 1, 2)
# Weights of a note by its distance from the middle of its phrase.
CENTRING = (12, 12, 12, 11, 9, 6, 3, 2, 1)
# The middle of a phrase rises and falls over the four units of a part.
ARCH = {"A": (0, 1, 0, -1), "B": (4, 5, 4, 1)}
# How often the figure of a unit's first slot comes back in each of the four.
RETURNS = (0, 0.1, 0.4, 0)
# The number of notes of each kind of sign.
COUNTS = {"": 1, "R": 1, "z": 0, "B": 2, "S": 2, "T": 3}


@dataclasses.dataclass(frozen=True)
class Note:
    """A diatonic step from middle C, and whether it is raised by a semitone."""

    step: int
    raised: bool = False


@dataclasses.dataclass(frozen=True)
class Sound:
    """A sign of the notation: a note, a rest, a pair in broken rhythm or a triplet.

    Attributes:
      kind: of `dances`' rhythms: "", "B", "S", "T", "R" or "z".
      length: in sixteenths, of all its notes together.
      notes: as many as COUNTS says.
      chord: the degree of the chord that begins here, from 1; 0 where none does.
      grace: notes before it that take no time.
      tied: to the next.
    """

    kind: str
    length: int
    notes: tuple[Note, ...]
    chord: int = 0
    grace: tuple[Note, ...] = ()
    tied: bool = False


Slot = tuple[Sound, ...]


@dataclasses.dataclass(frozen=True)
class Part:
    """A pickup, the bars that lead to the end, and one or two ends (first and second ending)."""

    name: str
    key: str
    pickup: Slot
    body: tuple[Sound, ...]
    endings: tuple[tuple[Sound, ...], ...]


def weighted(dice: Dice, choices: Iterable[tuple[object, int]]):
    """Draws one of the things; the chance of each is proportional to its weight, an integer."""
    choices = list(choices)
    at = dice.below(sum(weight for _, weight in choices))
    for thing, weight in choices:
        at -= weight
        if at < 0:
            return thing
    raise AssertionError("below() gives less than the sum")


class Composer:
    """Composes one tune: its range, its key and its dance hold throughout."""

    def __init__(self, dance: Dance, key: str, dice: Dice):
        self._dance = dance
        self._key = KEYS[key]
        self._dice = dice
        self._low = weighted(dice, ((1, 60), (LOWEST, 5), (-2, 6), (0, 10), (3, 15)))
        self._high = weighted(dice, ((HIGHEST, 35), (12, 40), (11, 15), (10, 10)))
        self._grace = self._dice.pick((0, 0, 0.01, 0.04))
        self._middle = self._low + (self._high - self._low) * 2 // 5

    def _tones(self, degree: int) -> list[int]:
        """The notes of a chord within the range."""
        root = self._key.tonic_step + degree - 1
        return [step for step in range(self._low, self._high + 1) if (step - root) % 7 in (0, 2, 4)]

    def _is_tritone(self, one: int, other: int) -> bool:
        return abs(self._key.semitones(one) - self._key.semitones(other)) == 6

    def _near(self, step: int, centre: int) -> int:
        return CENTRING[min(abs(step - centre), len(CENTRING) - 1)]

    def _skeleton(self, plan: str, centre: int, previous: int, closing: bool) -> list[int]:
        """The note on which each chord of a unit begins; a closing ends on the tonic."""
        steps = []
        for index, degree in enumerate(map(int, plan)):
            tones = self._tones(degree)
            if closing and index == 3:
                tones = [step for step in tones if (step - self._key.tonic_step) % 7 == 0]
                previous = min(tones, key=lambda step: (abs(step - previous), step))
            else:
                previous = weighted(
                    self._dice,
                    (
                        (step, LEAPS[min(abs(step - previous), 7)] * self._near(step, centre))
                        for step in tones
                    ),
                )
            steps.append(previous)
        return steps

    def _walk(
        self, start: int, count: int, degree: int, goal: int, centre: int, strong: Sequence[bool]
    ) -> list[int]:
        """`count` notes from `start` on, on the way to `goal`, which follows them."""
        steps = [start]
        if count == 4 and self._dice.chance(0.12):
            return self._rocked(start, degree)
        while len(steps) < count:
            on_chord = strong[len(steps)]
            choices = self._moves(steps, degree, goal, count - len(steps), centre, on_chord)
            if not any(weight for _, weight in choices):
                choices = [(steps[-1] + (goal > steps[-1]) - (goal < steps[-1]), 1)]
            steps.append(weighted(self._dice, choices))
        return steps

    def _rocked(self, start: int, degree: int) -> list[int]:
        """Four notes that rock on one note of the chord, as fiddlers do on an open string."""
        tones = self._tones(degree)
        pedal = self._dice.pick([step for step in tones if 2 <= abs(step - start) <= 5])
        upper = self._dice.pick([step for step in tones if abs(step - start) in (0, 2)])
        return [start, pedal, upper if upper != pedal else start, pedal]

    def _moves(
        self, steps: list[int], degree: int, goal: int, left: int, centre: int, strong: bool
    ) -> list[tuple[int, int]]:
        """The steps that may follow the last one, `left` moves before the goal; and weights."""
        tones = self._tones(degree)
        last = steps[-1]
        motion = last - steps[-2] if len(steps) > 1 else 0
        choices = []
        for step in range(max(self._low, last - 7), min(self._high, last + 7) + 1):
            move = step - last
            weight = 4 * INTERVALS[abs(move)] * self._near(step, centre)
            if step not in tones:
                weight = weight // 8 if strong else weight * 4 // 5
            if abs(motion) == 1 and move == motion:
                weight = weight * 3 // 2
            if abs(motion) >= 3 and move * motion > 0:
                weight //= 4
            if left == 1 and step == goal:
                weight //= 2
            if abs(move) in (3, 4) and self._is_tritone(last, step):
                weight //= 4
            choices.append((step, weight >> 2 * max(0, abs(goal - step) - 2 * left)))
        return choices

    def _slot(self, rhythm: str, start: int, degree: int, goal: int, centre: int) -> Slot:
        """The sounds of one chord."""
        signs = [(sign.rstrip("0123456789"), int(sign.lstrip("BSTRz"))) for sign in rhythm.split()]
        strong, at = [], 0
        for kind, length in signs:
            strong += [at % self._dance.strong == 0, False, False][: COUNTS[kind]]
            at += length
        steps = self._walk(start, len(strong), degree, goal, centre, strong)
        notes = [
            Note(step, self._dice.chance(0.12) and self._leads(step, following))
            for step, following in zip(steps, steps[1:] + [goal])
        ]
        sounds = []
        for kind, length in signs:
            sung, notes = tuple(notes[: COUNTS[kind]]), notes[COUNTS[kind] :]
            grace: tuple[Note, ...] = ()
            free = not kind and length >= 2 and sung[0].step + 2 <= HIGHEST
            if free and self._dice.chance(self._grace):
                # Two grace notes stand only before a long note, which has time for them.
                grace = (Note(sung[0].step + 1), *sung * (length >= 4))
            sounds.append(Sound(kind, length, sung, 0 if sounds else degree, grace))
        return tuple(sounds)

    def _leads(self, step: int, following: int) -> bool:
        """Whether a raised note would lead up: to the fifth in major, to the tonic elsewhere."""
        degree = (following - self._key.tonic_step) % 7
        return following - step == 1 and degree == (4 if self._key.mode == "major" else 0)

    def _unit(self, plan: str, centre: int, skeleton: Sequence[int], goal: int) -> list[Slot]:
        """Four slots; a later one may repeat the figure of the first, higher or lower."""
        slots = []
        for index, (degree, length) in enumerate(zip(map(int, plan), self._dance.slots)):
            start = skeleton[index]
            rhythm = weighted(self._dice, self._dance.rhythms[length])
            following = skeleton[index + 1] if index < 3 else goal
            slot = self._slot(rhythm, start, degree, following, centre)
            if self._dance.slots[0] == length and self._dice.chance(RETURNS[index]):
                slot = self._moved(slots[0], start - skeleton[0], degree) or slot
            slots.append(slot)
        return self._held(slots)

    def _again(self, unit: list[Slot], plan: str, centre: int, goal: int) -> list[Slot]:
        """The unit with another end, for its second time."""
        slot, degree = unit[3], int(plan[3])
        rhythm = weighted(self._dice, self._dance.rhythms[length_of(slot)])
        start = slot[0].notes[0].step
        return [*unit[:3], self._slot(rhythm, start, degree, goal, centre)]

    def _moved(self, slot: Slot, by: int, degree: int) -> Slot | None:
        """The slot's figure `by` steps higher, or None if that leaves the range."""
        if not by:
            return (dataclasses.replace(slot[0], chord=degree), *slot[1:])
        # A sharp leads to one degree only, and a grace note may leave the range.
        sounds = tuple(
            dataclasses.replace(
                sound, notes=tuple(Note(note.step + by) for note in sound.notes), grace=()
            )
            for sound in slot
        )
        steps = [note.step for sound in sounds for note in sound.notes]
        if min(steps) < self._low or max(steps) > self._high:
            return None
        return (dataclasses.replace(sounds[0], chord=degree), *sounds[1:])

    def _held(self, slots: list[Slot]) -> list[Slot]:
        """Ties some slots to the next, whose first note then takes the pitch of the last note."""
        # The fourth is left alone, since the end of a part may replace it.
        for index in range(2):
            last, first = slots[index][-1], slots[index + 1][0]
            if last.kind or first.kind or not self._dice.chance(self._dance.ties / 100):
                continue
            slots[index] = (*slots[index][:-1], dataclasses.replace(last, tied=True))
            held = dataclasses.replace(first, notes=last.notes, grace=())
            slots[index + 1] = (held, *slots[index + 1][1:])
        return slots

    def _close(self, length: int, tonic: int, centre: int) -> Slot:
        """The end of a part: the tonic, and the tonic again."""
        rhythm = weighted(self._dice, self._dance.endings[length])
        slot = self._slot(rhythm, tonic, 1, tonic, centre)
        plain = self._dice.chance(0.7)
        return tuple(
            dataclasses.replace(sound, notes=(Note(tonic),) * len(sound.notes), grace=())
            if plain or sound is slot[-1]
            else sound
            for sound in slot
        )

    def _back(self, length: int, degree: int, goal: int, centre: int) -> Slot:
        """The end of a first ending, which leads back to the part's beginning."""
        rhythm = weighted(self._dice, self._dance.rhythms.get(length, self._dance.endings[length]))
        start = min(self._tones(degree), key=lambda step: (abs(step - goal), step))
        return self._slot(rhythm, start, degree, goal, centre)

    def parts(self) -> tuple[Part, Part]:
        """The two parts, each played twice."""
        rhythm = weighted(self._dice, self._dance.pickups)
        first, closing = self._part("A", rhythm, None)
        other = self._dice.chance(0.05) and self._key.mode == "major"
        if other:
            self._key = KEYS[self._key.neighbour]
        rhymes = not other and self._dice.chance(0.5)
        second, _ = self._part("B", rhythm, closing if rhymes else None)
        return first, second

    def _part(self, name: str, pickup: str, closing: list[Slot] | None) -> tuple[Part, list[Slot]]:
        """A part, and its last unit without the end, which another part may close with too."""
        dice = self._dice
        roles = weighted(dice, dances.FORMS[name]).split()
        harmony = dances.HARMONY[self._key.mode]
        plans = {role: weighted(dice, harmony[role]) for role in dict.fromkeys(roles)}
        middle = min(self._middle + dice.below(3), self._high - 4)
        centres = [min(middle + up, self._high - 2) for up in ARCH[name]]

        units, skeletons, previous = {}, {}, self._middle
        if closing:
            units["closing"] = closing
            skeletons["closing"] = [slot[0].notes[0].step for slot in closing]
        for role, centre in zip(roles, centres):
            if role not in skeletons:
                skeletons[role] = self._skeleton(plans[role], centre, previous, role == "closing")
            previous = skeletons[role][3]
        slots = []
        for index, (role, centre) in enumerate(zip(roles, centres)):
            goal = skeletons[roles[(index + 1) % 4]][0]
            if role not in units:
                units[role] = self._unit(plans[role], centre, skeletons[role], goal)
            elif role != "closing" and dice.chance(0.4):
                units[role] = self._again(units[role], plans[role], centre, goal)
            slots += units[role]

        start = skeletons[roles[0]][0]
        lead = self._lead(pickup, start)
        left = self._dance.slots[3] - length_of(lead)
        ends = [self._close(left, skeletons["closing"][3], centres[3])]
        if dice.chance(0.3):
            goal = lead[0].notes[0].step if lead else start
            ends.insert(0, self._back(left, int(plans["answer"][3]), goal, centres[3]))
        num_last = 1 if self._dance.slots[3] == self._dance.bar else 2
        body, last = _joined(slots[:-num_last]), _joined(slots[-num_last:-1])
        endings = tuple((*last, *end) for end in ends)
        return Part(name, self._key.name, lead, body, endings), units["closing"]

    def _lead(self, rhythm: str, start: int) -> Slot:
        """A pickup: a run to the first note."""
        if not rhythm:
            return ()
        count = sum(COUNTS[sign.rstrip("0123456789")] for sign in rhythm.split())
        below = self._dice.chance(0.6) and start - count >= self._low
        first = max(self._low, start - count) if below else min(self._high, start + count)
        slot = self._slot(rhythm, first, 5, start, start)
        return (dataclasses.replace(slot[0], chord=0), *slot[1:])


def _joined(slots: Iterable[Slot]) -> tuple[Sound, ...]:
    return tuple(sound for slot in slots for sound in slot)


def length_of(sounds: Iterable[Sound]) -> int:
    """The length of all sounds together, in sixteenths."""
    return sum(sound.length for sound in sounds)


def another_version(part: Part, key: str, by: int, dice: Dice) -> Part:
    """The part as another player has it: in another key, and with other notes here and there."""

    def moved(sound: Sound) -> Sound:
        return dataclasses.replace(
            sound,
            notes=tuple(Note(note.step + by, note.raised) for note in sound.notes),
            grace=tuple(Note(note.step + by) for note in sound.grace),
        )

    def varied(sounds: Sequence[Sound]) -> tuple[Sound, ...]:
        done = []
        for sound in map(moved, sounds):
            if (sound.kind, sound.length, sound.tied) == ("", 4, False) and dice.chance(0.3):
                note = sound.notes[0]
                neighbour = Note(note.step + (-1 if note.step == HIGHEST else 1))
                if dice.chance(0.5):
                    notes = (note, neighbour, note)
                    sound = dataclasses.replace(sound, kind="T", notes=notes, grace=())
                else:
                    half = dataclasses.replace(sound, length=2)
                    done.append(half)
                    sound = Sound("", 2, (neighbour,))
            done.append(sound)
        return tuple(done)

    return dataclasses.replace(
        part,
        key=key,
        pickup=varied(part.pickup),
        body=varied(part.body),
        endings=tuple(map(varied, part.endings)),
    )


def steps_of(part: Part) -> list[int]:
    """The diatonic steps of all notes of a part, grace notes included."""
    return [
        note.step
        for sound in (*part.pickup, *part.body, *_joined(part.endings))
        for note in (*sound.notes, *sound.grace)
    ]
