"""What symusic plays: a JSON string of ABC a line on stdin, a JSON object a line on stdout.

It runs in an environment of its own with symusic in it, and imports nothing of this project.
"""

import importlib.metadata
import os
import re

import symusic
from answering import answer

# symusic plays grace notes as melody, and has no option not to.
_GRACE = re.compile(r"\{[^{}]*\}")


def read(abc: str) -> list[list[tuple[int, str, str]]]:
    """Pitch, onset and length (of a whole note) of the notes of each track."""
    score = symusic.Score.from_abc(_GRACE.sub("", abc))
    whole = 4 * score.tpq
    # Every note begins a tick late and ends in time.
    return [
        [(n.pitch, f"{n.time - 1}/{whole}", f"{n.duration + 1}/{whole}") for n in track.notes]
        for track in score.tracks
    ]


def main() -> None:
    """Answers."""
    # The engine prints to the process's stdout, past Python.
    answers = os.fdopen(os.dup(1), "w")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    answer(read, importlib.metadata.version("symusic"), answers)


if __name__ == "__main__":
    main()
