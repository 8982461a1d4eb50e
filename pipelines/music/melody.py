"""The melody of a piece: one rule for whatever reads melodies.

The melody is the first voice: of the instruments that have notes, drums aside, the lowest,
whatever its program. In tunebooks it is the tune; second parts, basses and chords follow it.

Where its notes begin or sound together, it depends on the purpose what is done, and each way has a
name here: tunes are compared by the highest note of each chord (`highest`); a model of single notes
cannot learn from such a piece at all (`is_polyphonic`).
"""

import numpy as np

from pipelines.music.note_sequence import NoteSequence

# Times are rounded to doubles, so that what is meant to be half a step may be a little more.
_EPSILON = 1e-6


def is_pitched(sequence: NoteSequence) -> bool:
    """Whether a piece has notes, and no drums among them."""
    return bool(sequence.notes) and not any(note.is_drum for note in sequence.notes)


def first_voice(sequence: NoteSequence) -> list[NoteSequence.Note]:
    """The notes of the melody in the order of the sequence; none where it has drums alone."""
    notes = [note for note in sequence.notes if not note.is_drum]
    voice = min((note.instrument for note in notes), default=0)
    return [note for note in notes if note.instrument == voice]


def highest(onsets: np.ndarray, pitches: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Picks the highest of the notes that begin together, and of one pitch the longest.

    Args:
      onsets: integers shaped [notes], in any order; equal ones begin together.
      pitches, ends: of the same notes; ends in any unit.

    Returns:
      Indices of the picked notes, one for each different onset, in the order of onsets.
    """
    order = np.lexsort((-ends, -pitches, onsets))
    return order[np.unique(onsets[order], return_index=True)[1]]


def is_polyphonic(starts: np.ndarray, ends: np.ndarray, least: float) -> bool:
    """Whether two notes sound at once, for over `least` or for over half of the shorter one.

    Less than that is how a player ties one note to the next.

    Args:
      starts, ends: shaped [notes], at least one, sorted by the starts.
      least: in the unit of both.
    """
    # The note before each one that lasts longest.
    last = np.maximum.accumulate(ends)[:-1]
    which = np.maximum.accumulate(np.where(ends[:-1] == last, np.arange(len(last)), 0))
    lengths = ends - starts
    shorter = np.minimum(lengths[1:], lengths[:-1][which])
    shared = np.minimum(last, ends[1:]) - starts[1:]
    return bool((shared > np.minimum(least, shorter / 2) + _EPSILON).any())
