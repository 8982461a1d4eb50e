"""What a piece may not exceed, and how a reader says that it leaves a piece out."""

import math
from typing import NamedTuple

from pipelines.music.note_sequence import NoteSequence

MAX_SECONDS = 1800.0
MAX_NOTES = 100_000
# What a NoteSequence has at times, beside notes.
_TIMED = (
    *("tempos", "time_signatures", "key_signatures", "text_annotations"),
    *("section_annotations", "control_changes", "pitch_bends"),
)


class Limits(NamedTuple):
    """What a piece may not exceed."""

    max_seconds: float = MAX_SECONDS
    max_notes: int = MAX_NOTES


class Rejected(Exception):
    """A piece that is left out of the records, and why.

    Args:
      reason: one of a small set of words, to count by: "malformed", "too_long" ...
      detail: what exactly is wrong with this piece.
    """

    def __init__(self, reason: str, detail: str):
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def require_sound(sequence: NoteSequence, limits: Limits) -> None:
    """Raises Rejected for a piece that is beyond the limits, or that no reader should make.

    Raises:
      Rejected: "too_many_notes", "too_long", or "malformed": a time that is not finite or is
        negative, a note that ends before it begins, or a pitch or velocity that MIDI does not have.
    """
    if len(sequence.notes) > limits.max_notes:
        detail = f"{len(sequence.notes)} notes; the limit is {limits.max_notes}"
        raise Rejected("too_many_notes", detail)
    # NaN fails any comparison. Every note of every corpus comes by here, so this has to be quick.
    longest = limits.max_seconds
    for note in sequence.notes:
        if not (
            0 <= note.start_time <= note.end_time <= longest
            and 0 <= note.pitch <= 127
            and 0 <= note.velocity <= 127
        ):
            raise _rejected_note(note, limits)
    if limits.max_seconds < sequence.total_time < math.inf:
        raise _too_long(sequence.total_time, limits)
    if not 0 <= sequence.total_time < math.inf:
        raise Rejected("malformed", f"it ends at {sequence.total_time:g} s")
    for tempo in sequence.tempos:
        if not 0 < tempo.qpm < math.inf:
            raise Rejected("malformed", f"a tempo of {tempo.qpm:g} quarter notes a minute")
    for name in _TIMED:
        for event in getattr(sequence, name):
            if not 0 <= event.time < math.inf:
                raise Rejected("malformed", f"an entry of {name} at {event.time:g} s")


def _rejected_note(note: NoteSequence.Note, limits: Limits) -> Rejected:
    """What is wrong with a note."""
    if not 0 <= note.start_time <= note.end_time < math.inf:
        return Rejected("malformed", f"a note from {note.start_time:g} s to {note.end_time:g} s")
    if note.end_time > limits.max_seconds:
        return _too_long(note.end_time, limits)
    return Rejected("malformed", f"a note of pitch {note.pitch} and velocity {note.velocity}")


def _too_long(seconds: float, limits: Limits) -> Rejected:
    return Rejected("too_long", f"lasts {seconds:.0f} s; the limit is {limits.max_seconds:g}")
