"""What music21 reads, as written: a JSON string of ABC a line on stdin, an object on stdout.

It runs in an environment of its own with music21 in it, and imports nothing of this project.
"""

import re
import sys
from fractions import Fraction

import music21
from answering import answer
from music21 import converter, harmony

# Without it, music21 lets no accidental hold for the rest of its bar.
_VERSION = "%abc-2.1\n"
# music21 leaves grace notes out, and with them broken rhythm and triplets that they stand in.
_GRACE = re.compile(r"\{[^{}]*\}")


def read(abc: str) -> list[list[tuple[int, str, str]]]:
    """Pitch, onset and length (of a whole note) of the notes of each part, ties joined."""
    score = converter.parse(_VERSION + _GRACE.sub("", abc), format="abc")
    voices = []
    for part in list(score.parts) or [score]:
        notes = []
        for element in part.stripTies().flatten().notes:
            if isinstance(element, harmony.Harmony) or element.duration.isGrace:
                continue
            onset, length = (
                str(Fraction(quarters) / 4)
                for quarters in (element.offset, element.duration.quarterLength)
            )
            notes += [(pitch.midi, onset, length) for pitch in element.pitches]
        voices.append(notes)
    return voices


def main() -> None:
    """Answers, and keeps what music21 prints out of the answers."""
    answers, sys.stdout = sys.stdout, sys.stderr
    answer(read, music21.__version__, answers)


if __name__ == "__main__":
    main()
