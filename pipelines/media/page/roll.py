"""Lays out the piano roll of a piece for the page: what its script draws as SVG.

Rightwards are seconds of the sound, so that a cursor moves evenly; downwards are pixels. The rows,
their colours and the height of a drum's mark are those of the picture (`media.pianoroll`).

The marks of one colour and loudness are one path: a page of 1,000 pieces has a few elements for
each, and not one for each note.
"""

from collections import Counter
from collections.abc import Collection
from typing import Any

import numpy as np

from pipelines.media import pianoroll
from pipelines.music.note_sequence import NoteSequence
from pipelines.music.timing import TempoMap

# What is beyond these is left out of the roll, and said so; it is heard all the same.
MAX_SECONDS, MAX_NOTES, MAX_BARS, MAX_BEATS = 900.0, 20_000, 2_000, 8_000
# Loudness is shown in so many steps.
LOUDNESSES = 8
# A hit has no length that matters: its mark is so much of a sixteenth wide.
_HIT = 0.4
# In seconds: the least width of a mark, and the paper between repeated notes.
_LEAST, _PAPER = 0.02, 0.01


def layout(sequence: NoteSequence, marked: Collection[int] = ()) -> dict[str, Any]:
    """Lays out the roll of a piece.

    Args:
      sequence: not quantized.
      marked: indices of its notes that are to stand out.

    Returns:
      JSON values. `seconds` and `height`: the size. `first`: where the first note begins. `rows`:
      [name, top, height, whether shaded] of each. `marks`: [colour, loudness, whether marked, path]
      of each group of notes; a colour is an index in `pianoroll.INSTRUMENT_COLOURS`. `bars`,
      `beats`: where they begin, in seconds. `text`: what a screen reader says. `cut`: "", or what
      is left out.
    """
    quarters = TempoMap(sequence.tempos)
    notes = sorted(enumerate(sequence.notes), key=lambda each: each[1].start_time)
    length = max([sequence.total_time, *(note.end_time for _, note in notes), 0.1])
    seconds = min(length, MAX_SECONDS)
    shown = [each for each in notes if each[1].start_time < seconds][:MAX_NOTES]
    rows, row_of = pianoroll.layout_rows([note for _, note in shown])
    hit = _HIT / 4 * 60 / quarters.changes[0][1]
    paths: dict[tuple[int, int, int], list[str]] = {}
    for index, note in shown:
        row = row_of[note.is_drum, note.pitch]
        loudness = min(note.velocity, 127) / 127
        top, bottom = row.top + 1, row.bottom - 1
        if note.is_drum:
            top += (bottom - top) * 0.7 * (1 - loudness)
            width = hit
        else:
            width = max(min(note.end_time, seconds) - note.start_time - _PAPER, _LEAST)
        key = (
            _colour(row, note.instrument),
            min(int(loudness * LOUDNESSES), LOUDNESSES - 1),
            int(index in marked),
        )
        paths.setdefault(key, []).append(
            f"M{note.start_time:.6g} {top:.4g}h{width:.4g}v{bottom - top:.4g}h{-width:.4g}z"
        )
    bars, beats = _grid(sequence, quarters, seconds)
    return {
        "seconds": round(seconds, 3),
        "height": rows[-1].bottom,
        "first": round(notes[0][1].start_time, 3) if notes else 0,
        "rows": [
            [row.name, round(row.top, 2), round(row.bottom - row.top, 2), int(row.shaded)]
            for row in rows
        ],
        "marks": [[*key, "".join(paths[key])] for key in sorted(paths)],
        "bars": bars,
        "beats": beats,
        "text": _text(sequence, rows, row_of, length),
        "cut": _cut(length, seconds, len(shown), len(notes)),
    }


def _colour(row: pianoroll.Row, instrument: int) -> int:
    """The index of a mark's colour."""
    colours = pianoroll.INSTRUMENT_COLOURS
    return colours.index(row.colour) if row.colour else instrument % len(colours)


def _grid(
    sequence: NoteSequence, quarters: TempoMap, seconds: float
) -> tuple[list[float], list[float]]:
    """Where bars and the other beats begin, in seconds."""
    end = float(quarters(np.array([seconds]))[0]) - 1e-6
    bars, _ = pianoroll.bars_until(end, sequence.time_signatures, quarters, MAX_BARS)
    starts = [bar.start for bar in bars]
    beats = [
        bar.start + at
        for bar in bars
        for at in np.arange(bar.beat, bar.length - 1e-6, bar.beat).tolist()
        if bar.start + at < end
    ]

    def seconds_of(places: list[float]) -> list[float]:
        return [round(each, 3) for each in quarters.seconds(np.array(places)).tolist()]

    return seconds_of(starts), seconds_of(beats[:MAX_BEATS])


def _text(sequence: NoteSequence, rows, row_of, length: float) -> str:
    """Says in words what the roll shows."""
    count = len(sequence.notes)
    words = [f"{count} note{'s' * (count != 1)} in {length:.3g} seconds"]
    drums = Counter(
        row_of[True, note.pitch].name
        for note in sequence.notes
        if note.is_drum and (True, note.pitch) in row_of
    )
    words += [f"{row.name} {drums[row.name]}" for row in rows if drums[row.name]]
    pitches = [note.pitch for note in sequence.notes if not note.is_drum]
    if pitches:
        words.append(f"from {pitch_name(min(pitches))} to {pitch_name(max(pitches))}")
    return ", ".join(words)


def pitch_name(pitch: int) -> str:
    """The name of a MIDI pitch, such as C4 for 60."""
    names = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "G♯", "A", "B♭", "B")
    return f"{names[pitch % 12]}{pitch // 12 - 1}"


def _cut(length: float, seconds: float, shown: int, notes: int) -> str:
    """Says what the roll leaves out."""
    if shown == notes and seconds == length:
        return ""
    return (
        f"The picture shows the first {seconds / 60:.0f} of {length / 60:.0f} minutes, "
        f"{shown:,} of {notes:,} notes."
    )
