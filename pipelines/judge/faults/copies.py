"""Copies of tunes as people disguise them, or write them in other books: to see which are found.

Each function takes a tune, and those that draw at random a generator, and returns the copy.
"""

import itertools
from collections.abc import Callable, Sequence

import numpy as np

from pipelines.judge.faults.tune_faults import NoPlace
from pipelines.music.abc.fields import Meter
from pipelines.representations.abc_tokens.written import Bar, Note, Tune

# In semitones: a changed note is at most a fifth from the right one.
_FURTHEST = 7
_GRACE = 8
_MAJOR_SEVENTH = 11


def notes_changed(tune: Tune, rng: np.random.Generator, share: float) -> Tune:
    """Gives a share of the notes another pitch, and leaves their rhythm.

    The notes are drawn without replacement, as many as the share of them rounds to. Each gets, with
    equal chances, one of the other pitches that are at most a fifth away and whose pitch class is
    in the tune.
    """
    chosen = _chosen(tune, rng, share)
    scale = _scale(tune)

    def change(note: Note, number: int) -> Sequence[Note]:
        """The note, or where it is drawn another pitch."""
        if number not in chosen:
            return (note,)
        return (note._replace(pitch=_other(note, scale, rng), tied=False),)

    return _each_note(tune, change)


def notes_edited(tune: Tune, rng: np.random.Generator, share: float) -> Tune:
    """Changes, drops or adds notes, a share of them, so that the bars stay as long.

    Each of the chosen notes, with equal chances: gets another pitch, as in `notes_changed`; becomes
    part of the note before it in its bar; or becomes two notes of half its length, the second with
    another pitch, as in `notes_changed`. The first note of a bar is not dropped but changed.
    """
    chosen = _chosen(tune, rng, share)
    scale = _scale(tune)
    kinds = rng.integers(3, size=len(_notes(tune)))
    dropped = {number for number in chosen if kinds[number] == 1}

    def change(note: Note, number: int) -> Sequence[Note]:
        """The note, or where it is drawn another pitch, or two notes in its time."""
        if number not in chosen:
            return (note,)
        other = note._replace(pitch=_other(note, scale, rng), tied=False)
        if kinds[number] < 2 or note.length % 2:
            return (other,)
        half = note.length // 2
        return note._replace(length=half, tied=False), other._replace(length=half)

    def drop(bar: Bar, first: int) -> Bar:
        """The bar, whose dropped notes join those before them; `first` numbers its first note."""
        notes: list[Note] = []
        number = first
        for note in bar.notes:
            if note.pitch is not None and number in dropped and notes:
                notes[-1] = notes[-1]._replace(length=notes[-1].length + note.length)
            else:
                notes.extend(change(note, number) if note.pitch is not None else (note,))
            number += note.pitch is not None
        return bar._replace(notes=tuple(notes))

    bars, first = [], 0
    for bar in tune.bars:
        bars.append(drop(bar, first))
        first += sum(note.pitch is not None for note in bar.notes)
    return _without_idle_ties(tune._replace(bars=tuple(bars)))


def transposed(tune: Tune, by: int) -> Tune:
    """Moves a tune by some semitones, with its keys."""
    bars = []
    for bar in tune.bars:
        notes = tuple(
            note if note.pitch is None else note._replace(pitch=note.pitch + by)
            for note in bar.notes
        )
        key = bar.key._replace(tonic=(bar.key.tonic + by) % 12)
        bars.append(bar._replace(notes=notes, key=key))
    return tune._replace(bars=tuple(bars))


def in_mixolydian(tune: Tune) -> Tune:
    """Lowers the sevenths of a tune in major: what is D major in one book is mixolydian in another.

    Raises:
      NoPlace: where the tune is not in major throughout or has no seventh.
    """
    if any(bar.key.mode != "MAJOR" for bar in tune.bars):
        raise NoPlace("it is not in major")
    bars = []
    for bar in tune.bars:
        notes = tuple(
            note._replace(pitch=note.pitch - 1)
            if note.pitch is not None and (note.pitch - bar.key.tonic) % 12 == _MAJOR_SEVENTH
            else note
            for note in bar.notes
        )
        bars.append(bar._replace(notes=notes, key=bar.key._replace(mode="MIXOLYDIAN")))
    if all(a.notes == b.notes for a, b in zip(bars, tune.bars, strict=True)):
        raise NoPlace("it has no seventh")
    return tune._replace(bars=tuple(bars))


# In another meter's notation: bars joined or divided, and lengths doubled or halved.
_NOTATIONS: dict[Meter, list[tuple[Meter, int, int, int]]] = {
    # The new meter, how many bars are joined to one, into how many one is divided, and how long
    # notes become, in halves of what they were.
    (6, 8): [((12, 8), 2, 1, 2), ((6, 4), 1, 1, 4), ((3, 4), 1, 1, 2), ((3, 8), 1, 2, 2)],
    (12, 8): [((6, 8), 1, 2, 2)],
    (9, 8): [((3, 8), 1, 3, 2)],
    (3, 4): [((3, 8), 1, 1, 1), ((6, 8), 1, 1, 2), ((6, 4), 2, 1, 2)],
    (2, 4): [((4, 4), 1, 1, 4), ((4, 4), 2, 1, 2), ((2, 2), 1, 1, 4)],
    (4, 4): [((2, 4), 1, 1, 1), ((2, 4), 1, 2, 2), ((2, 2), 1, 1, 2)],
    (2, 2): [((2, 4), 1, 1, 1), ((2, 4), 1, 2, 2), ((4, 4), 1, 1, 2)],
}


def in_other_meter(tune: Tune, rng: np.random.Generator) -> Tune:
    """Writes a tune in another meter: 6/8 as 12/8, 6/4, 3/4 or 3/8, 4/4 as 2/4 or 2/2, and so on.

    Raises:
      NoPlace: where its meter changes or is in no list here, a length cannot be halved, or a tie
        or a bar stands in the way.
    """
    meter = tune.bars[0].meter
    if meter not in _NOTATIONS or any(bar.meter != meter for bar in tune.bars):
        raise NoPlace("its meter is written in one way")
    options = _NOTATIONS[meter]
    new, joins, parts, halves = options[rng.integers(len(options))]
    bars = []
    for bar in tune.bars:
        if any(note.length * halves % 2 for note in bar.notes):
            raise NoPlace("a length is odd")
        notes = tuple(note._replace(length=note.length * halves // 2) for note in bar.notes)
        bars.append(bar._replace(notes=notes, meter=new))
    if joins > 1:
        bars = _joined(bars, joins)
    if parts > 1:
        size = max(bar.length for bar in bars) // parts
        before = [None, *bars]
        bars = [
            part
            for bar, last in zip(bars, before)
            for part in _divided(bar, size, last is None or last.closes or last.ends_section)
        ]
    return tune._replace(bars=tuple(bars))


def _joined(bars: Sequence[Bar], count: int) -> list[Bar]:
    """Joins bars where no sign stands between them; a short first bar stays alone."""
    full = max(bar.length for bar in bars)
    made: list[Bar] = []
    held = 0
    for bar in bars:
        signs = bar.opens or bar.ending or bar.part
        before = made[-1] if made else None
        if (
            before is None
            or signs
            or before.closes
            or before.ends_section
            or held == count
            or before.length < full
        ):
            made.append(bar)
            held = 1
            continue
        made[-1] = before._replace(
            notes=before.notes + bar.notes, closes=bar.closes, ends_section=bar.ends_section
        )
        held += 1
    return made


def _divided(bar: Bar, size: int, begins_strain: bool) -> list[Bar]:
    """Divides a bar into bars of a size; a note that goes over their line is tied."""
    # The first bar of a strain is a pickup where it is short, and ends where a bar would.
    at = -bar.length % size if begins_strain else 0
    parts: list[list[Note]] = [[]]
    for note in bar.notes:
        left = note.length
        while left:
            if at == size:
                parts.append([])
                at = 0
            length = min(left, size - at)
            goes_on = left > length and note.pitch is not None
            parts[-1].append(Note(note.pitch, length, goes_on or (left == length and note.tied)))
            left -= length
            at += length
    made = [Bar(tuple(notes), bar.meter, bar.key, ending=frozenset()) for notes in parts]
    made[0] = made[0]._replace(opens=bar.opens, ending=bar.ending, part=bar.part)
    made[-1] = made[-1]._replace(closes=bar.closes, ends_section=bar.ends_section)
    return made


def ornamented(tune: Tune, rng: np.random.Generator, share: float) -> Tune:
    """Ornaments a share of the notes, so that the bars stay as long.

    With equal chances: a grace note a step above takes an eighth of the note; a passing note, a
    step towards the next one, takes its second half; or the note becomes a triplet with its upper
    neighbour in the middle. Notes that are tied are left alone.
    """
    chosen = _chosen(tune, rng, share)
    scale = sorted(_scale(tune))
    pitches = [note.pitch for note in _notes(tune)]

    def ornament(note: Note, number: int) -> Sequence[Note]:
        """The note, or where it is drawn the notes of its ornament."""
        if number not in chosen or note.tied or note.length % (3 * _GRACE):
            return (note,)
        assert note.pitch is not None
        after = pitches[number + 1] if number + 1 < len(pitches) else note.pitch
        assert after is not None
        above = _step(note.pitch, scale, up=True)
        kind = rng.integers(3)
        if kind == 0:
            short = note.length // _GRACE
            return Note(above, short), Note(note.pitch, note.length - short)
        if kind == 1:
            passing = _step(note.pitch, scale, up=after >= note.pitch)
            return Note(note.pitch, note.length // 2), Note(passing, note.length // 2)
        third = note.length // 3
        return Note(note.pitch, third), Note(above, third), Note(note.pitch, third)

    return _each_note(tune, ornament)


def _notes(tune: Tune) -> list[Note]:
    return [note for bar in tune.bars for note in bar.notes if note.pitch is not None]


def _chosen(tune: Tune, rng: np.random.Generator, share: float) -> set[int]:
    """The numbers of a share of the notes."""
    count = len(_notes(tune))
    return set(rng.choice(count, round(share * count), replace=False).tolist())


def _scale(tune: Tune) -> set[int]:
    """The pitch classes of a tune."""
    return {note.pitch % 12 for note in _notes(tune) if note.pitch is not None}


def _other(note: Note, scale: set[int], rng: np.random.Generator) -> int:
    """Another pitch for a note, at most a fifth away; a step away where the scale has no other."""
    assert note.pitch is not None
    near = range(note.pitch - _FURTHEST, note.pitch + _FURTHEST + 1)
    others = [pitch for pitch in near if pitch != note.pitch and pitch % 12 in scale]
    return int(rng.choice(others)) if others else note.pitch + 2


def _step(pitch: int, scale: Sequence[int], up: bool) -> int:
    """The next pitch of a scale above or below."""
    way = 1 if up else -1
    return next(p for p in range(pitch + way, pitch + 13 * way, way) if p % 12 in scale)


def _each_note(tune: Tune, change: Callable[[Note, int], Sequence[Note]]) -> Tune:
    """The tune with other notes for each of its notes, which are numbered from 0."""
    number = 0
    bars = []
    for bar in tune.bars:
        notes: list[Note] = []
        for note in bar.notes:
            if note.pitch is None:
                notes.append(note)
                continue
            notes.extend(change(note, number))
            number += 1
        bars.append(bar._replace(notes=tuple(notes)))
    return _without_idle_ties(tune._replace(bars=tuple(bars)))


def _without_idle_ties(tune: Tune) -> Tune:
    """The tune without ties to notes that have another pitch now."""
    bars = list(tune.bars)
    for number, (bar, after) in enumerate(itertools.pairwise(tune.bars)):
        last = bar.notes[-1]
        if last.tied and after.notes[0].pitch != last.pitch:
            notes = (*bar.notes[:-1], last._replace(tied=False))
            bars[number] = bar._replace(notes=notes)
    return tune._replace(bars=tuple(bars))
