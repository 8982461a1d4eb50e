"""What differs between a piece and a copy of it, note by note."""

from collections.abc import Hashable

import numpy as np

from pipelines.media import pianoroll
from pipelines.music.note_sequence import NoteSequence
from pipelines.music.timing import TempoMap

# Half a sixteenth, in quarter notes: the same step of the grid.
TOLERANCE = 0.125


def differences(original: NoteSequence, copy: NoteSequence) -> tuple[set[int], set[int]]:
    """Finds the notes of each that have no counterpart in the other.

    A counterpart is the same drum (a row of the piano roll) or the same pitch, and begins within
    half a sixteenth, in musical time: the tempos may differ. As many notes as possible are paired.

    Returns:
      The indices of the original's notes that the copy lacks, and of the copy's that are new.
    """
    first, second = _onsets(original), _onsets(copy)
    missing, new = set(range(len(original.notes))), set(range(len(copy.notes)))
    for key in first.keys() & second.keys():
        ours, theirs = first[key], second[key]
        i = j = 0
        while i < len(ours) and j < len(theirs):
            gap = ours[i][0] - theirs[j][0]
            if abs(gap) <= TOLERANCE:
                missing.discard(ours[i][1])
                new.discard(theirs[j][1])
            i, j = i + (gap <= TOLERANCE), j + (gap >= -TOLERANCE)
    return missing, new


def _onsets(sequence: NoteSequence) -> dict[Hashable, list[tuple[float, int]]]:
    """The onsets in quarter notes with the indices of the notes, sorted, by drum or pitch."""
    _, row_of = pianoroll.layout_rows(sequence.notes)
    starts = TempoMap(sequence.tempos)(np.array([note.start_time for note in sequence.notes]))
    onsets: dict[Hashable, list[tuple[float, int]]] = {}
    for index, (note, start) in enumerate(zip(sequence.notes, starts.tolist())):
        key = row_of[True, note.pitch].name if note.is_drum else note.pitch
        onsets.setdefault(key, []).append((start, index))
    for each in onsets.values():
        each.sort()
    return onsets
