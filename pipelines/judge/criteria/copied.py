"""Is it copied? The tunes of an index that it is most like, and the bars that match.

Free of key, of bar lines and meter, of halved and doubled lengths, of major and mixolydian, and of
most ornaments: tunes are compared by their skeletons (`pipelines.judge.copying.skeletons`).
"""

import itertools
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from pipelines.judge import shapes
from pipelines.judge.copying import passages, skeletons
from pipelines.judge.copying.passages import Copy
from pipelines.judge.copying.skeletons import Notes
from pipelines.judge.copying.tune_index import TuneIndex
from pipelines.judge.finding import Arrays, CannotBeJudged, Criterion, Finding, Known, Mark
from pipelines.music.note_sequence import NoteSequence
from pipelines.representations.abc_tokens import notation
from pipelines.representations.abc_tokens.written import Bar, Key, Note, Tune
from pipelines.tunes import title_text

# Fewer notes are in many tunes.
MIN_NOTES = 8
# Scales and repeated notes, which move by fewer kinds of steps, are in many tunes, too.
MIN_INTERVALS = 3
# Of damaged indexes, more bars would fill the memory.
_MOST_BARS = 1 << 16
# How many tunes are told.
_TOLD = 3
# A tune is spoken of as a copy, and its bars are marked, from this similarity on.
_COPY = 0.55


def index_of(tunes: Sequence[Known]) -> Arrays:
    """An index of tunes, as `CRITERION.open` takes it."""
    notes = skeletons.notes_of(known.tune for known in tunes)
    lengths, which = np.unique(notes.length, return_inverse=True)
    first = [known.tune.bars[0] for known in tunes]
    modes = [NoteSequence.KeySignature.Mode.Value(bar.key.mode) for bar in first]
    return {
        "pitch": notes.pitch.astype(np.int8),
        "lengths": lengths.astype(np.int32),
        "length": which.astype(np.uint16),
        "bar_steps": _steps(notes.bar, notes.starts),
        "notes": np.diff(notes.starts).astype(np.int32),
        "meter": np.array([bar.meter or (0, 0) for bar in first], np.int16).reshape(-1, 2),
        "tonic": np.array([bar.key.tonic for bar in first], np.int8),
        "mode": np.array(modes, np.int8),
        "id": np.array([known.id for known in tunes], np.str_),
        "title": np.array([known.tune.title for known in tunes], np.str_),
        "corpus": np.array([known.corpus for known in tunes], np.str_),
        "group": np.array([known.group for known in tunes], np.int32),
    }


def _steps(bar: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """By how much the number of a note's bar is higher than that of the note before in its tune."""
    steps = np.diff(bar, prepend=0)
    steps[starts[:-1]] = bar[starts[:-1]]
    return steps.astype(np.uint16)


def _from_steps(steps: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The numbers of bars that `_steps` was made from."""
    total = np.cumsum(steps, dtype=np.int64)
    first = starts[:-1]
    return total - np.repeat(total[first] - steps[first], np.diff(starts))


def _require_index(arrays: Arrays) -> None:
    """Raises KeyError or ValueError for arrays that `index_of` does not make."""
    tunes, notes = arrays["notes"].shape, arrays["pitch"].shape
    of_notes = {"pitch": ("notes",), "length": notes, "bar_steps": notes, "lengths": ("lengths",)}
    of_tunes = {"notes": ("tunes",), "meter": (*tunes, 2)}
    of_tunes |= {name: tunes for name in ("tonic", "mode", "group")}
    shapes.require(arrays, {**of_notes, **of_tunes}, shapes.NUMBERS)
    shapes.require(arrays, {name: tunes for name in ("id", "title", "corpus")}, shapes.WORDS)
    bounds = {
        "notes": (1, None), "lengths": (1, None), "length": (0, len(arrays["lengths"]) - 1),
        "pitch": (skeletons.REST, 127), "tonic": (0, 11), "meter": (0, None),
    }  # fmt: skip
    for name, (low, high) in bounds.items():
        values = arrays[name]
        if values.size and (values.min() < low or high is not None and values.max() > high):
            raise ValueError(f"{name} has values outside of what tunes have")
    if arrays["notes"].sum(dtype=np.int64) != len(arrays["pitch"]):
        raise ValueError("its tunes have another number of notes than there are")
    if not np.isin(arrays["mode"], NoteSequence.KeySignature.Mode.values()).all():
        raise ValueError("a tune of the index is in no mode")


class CopyJudge:
    """Finds the tunes that a tune is like.

    Args:
      arrays: from `index_of`.

    Raises:
      KeyError, ValueError: for arrays that `index_of` does not make.
    """

    def __init__(self, arrays: Arrays):
        _require_index(arrays)
        self._arrays = arrays
        starts = np.concatenate([[0], np.cumsum(arrays["notes"], dtype=np.int64)])
        bars = _from_steps(arrays["bar_steps"], starts)
        if bars.max(initial=0) >= _MOST_BARS:
            raise ValueError(f"a tune of the index has more than {_MOST_BARS} bars")
        self._notes = Notes(
            arrays["pitch"].astype(np.int16), arrays["lengths"][arrays["length"]], bars, starts
        )
        self._index = None
        if len(starts) > 1:
            found = skeletons.skeletons(self._notes, skeletons.levels(self._notes))
            self._index = TuneIndex(found)

    def __call__(self, tune: Tune, left_out: Collection[int] = ()) -> Finding:
        """Judges a tune.

        Args:
          tune: the tune.
          left_out: groups of tunes of the index that it is not compared with.

        Raises:
          CannotBeJudged: where it has too few notes, or there is no tune to compare it with.
        """
        copies = self.nearest(tune, left_out)
        if not copies:
            return Finding(1.0, "like no tune of the index", {"similarity": 0.0, "nearest": []})
        best = copies[0]
        told = [self._told(tune, copy) for copy in copies[:_TOLD]]
        evidence: dict[str, Any] = {
            "similarity": told[0]["similarity"],
            "nearest": told,
            "side_by_side": self._side_by_side(tune, best),
        }
        found = best.copied >= _COPY
        name = self.name(best.tune)
        marks = tuple(Mark(here, f"bar {there + 1} of {name}") for here, there in best.bars)
        return Finding(
            1 - best.copied, _says(told[0], name, found), evidence, marks if found else ()
        )

    def name(self, tune: int) -> str:
        """What a tune of the index is called: its title and corpus, or its id."""
        title, corpus = str(self._arrays["title"][tune]), str(self._arrays["corpus"][tune])
        if not title:
            return str(self._arrays["id"][tune])
        return f'"{title}" ({corpus})' if corpus else f'"{title}"'

    def nearest(self, tune: Tune, left_out: Collection[int] = ()) -> list[Copy]:
        """The most similar tunes of the index, the most similar one first.

        Args, raises: as of `__call__`.
        """
        notes = skeletons.notes_of([tune])
        heard = int((notes.pitch != skeletons.REST).sum())
        if heard < MIN_NOTES:
            has = "one note" if heard == 1 else f"{heard} notes"
            raise CannotBeJudged(f"it has {has}; copies are told from {MIN_NOTES} on")
        if self._index is None:
            raise CannotBeJudged("there is no tune to compare it with")
        if intervals(notes) < MIN_INTERVALS:
            raise CannotBeJudged(
                f"its notes move by fewer than {MIN_INTERVALS} intervals; many tunes have these"
            )
        away = np.isin(self._arrays["group"], list(left_out)) if left_out else None
        found: dict[int, Copy] = {}
        for level in skeletons.possible_levels(notes):
            query = skeletons.skeletons(notes, np.array([level]))
            for copy in passages.copies(self._index, query, away):
                if copy.tune not in found or found[copy.tune].copied < copy.copied:
                    found[copy.tune] = copy
        return sorted(found.values(), key=lambda copy: (-copy.copied, copy.tune))

    def _told(self, tune: Tune, copy: Copy) -> dict[str, Any]:
        """A tune of the index as JSON values; bars are numbered from 1."""
        number = copy.tune
        title = str(self._arrays["title"][number])
        return {
            "title": title,
            "corpus": str(self._arrays["corpus"][number]),
            "id": str(self._arrays["id"][number]),
            "similarity": round(copy.similarity, 3),
            "best_stretch": round(copy.stretch, 3),
            "semitones_above": copy.above,
            "same_notes": self._has_same_notes(tune, number),
            "same_title": _is_same_title(tune.title, title),
            "matching_bars": [[here + 1, there + 1] for here, there in copy.bars],
        }

    def _has_same_notes(self, tune: Tune, number: int) -> bool:
        """Whether a tune of the index has the same intervals and lengths, in any key."""
        ours = skeletons.notes_of([tune])
        begin, end = self._notes.starts[number : number + 2]
        pitch, length = self._notes.pitch[begin:end], self._notes.length[begin:end]
        rests = pitch == skeletons.REST
        if not np.array_equal(ours.length, length) or not np.array_equal(
            ours.pitch == skeletons.REST, rests
        ):
            return False
        return len(np.unique((pitch - ours.pitch)[~rests])) == 1

    def _side_by_side(self, tune: Tune, copy: Copy) -> list[dict[str, Any]]:
        """The bars that match, in ABC notation."""
        other = self.written(copy.tune)
        ours, theirs = notation.bars(tune), notation.bars(other)
        return [
            {"bar": here + 1, "notes": ours[here], "of_other": there + 1, "other": theirs[there]}
            for here, there in copy.bars
        ]

    def written(self, number: int) -> Tune:
        """A tune of the index, without its signs of repeats, endings and changes of key."""
        begin, end = self._notes.starts[number : number + 2].tolist()
        numerator, denominator = self._arrays["meter"][number].tolist()
        meter = (numerator, denominator) if denominator else None
        mode = NoteSequence.KeySignature.Mode.Name(int(self._arrays["mode"][number]))
        key = Key(int(self._arrays["tonic"][number]), mode)
        numbers = self._notes.bar[begin:end].tolist()
        notes: list[list[Note]] = [[] for _ in range(numbers[-1] + 1)]
        for bar, pitch, length in zip(
            numbers,
            self._notes.pitch[begin:end].tolist(),
            self._notes.length[begin:end].tolist(),
            strict=True,
        ):
            notes[bar].append(Note(None if pitch == skeletons.REST else pitch, length))
        bars = tuple(Bar(tuple(some), meter, key) for some in notes)
        return Tune(bars, title=str(self._arrays["title"][number]))


def intervals(notes: Notes) -> int:
    """By how many different diatonic steps, up or down, the notes of a tune move.

    Args:
      notes: those of one tune, of which one or more is no rest.
    """
    found = skeletons.skeletons(notes, skeletons.levels(notes))
    steps = np.diff(found.step[found.onset])
    return len(np.unique(steps[steps != 0]))


def _is_same_title(one: str, other: str) -> bool:
    """Whether two titles name one tune."""
    first, second = (
        {title_text.fold(words) for words in title_text.title_words(title)}
        for title in (one, other)
    )
    return bool(first & second)


def _says(told: dict[str, Any], name: str, is_copy: bool) -> str:
    if told["same_notes"]:
        return f"the notes of {name}"
    share = f"{told['similarity']:.0%}"
    if not is_copy:
        return f"nearest is {name}, {share} of the notes"
    bars = _ranges([here for here, _ in told["matching_bars"]])
    return f"{share} of the notes of {name}" + (f", bars {bars}" if bars else "")


def _ranges(numbers: Sequence[int]) -> str:
    """Numbers in words: 1-4, 7."""
    runs = []
    for _, run in itertools.groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        first, *others = [number for _, number in run]
        runs.append(f"{first}-{others[-1]}" if others else str(first))
    return ", ".join(runs)


def _learn(train: Sequence[Known], validation: Sequence[Known]) -> Arrays:
    del validation  # By these, people's tunes are measured.
    return index_of(train)


CRITERION = Criterion(
    "copied",
    "Is it copied? How much of it the most similar tune of an index has.",
    1,
    _learn,
    CopyJudge,
    rejects=0.05,
    keeps_tunes=True,
)
