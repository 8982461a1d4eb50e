"""What the page shows of a judgement: its verdict, and marks on the bars of score and roll."""

import os
from typing import Any

from pipelines.media.judgement import Judgement, Key
from pipelines.media.page import folder
from pipelines.music.abc import reader, tunebook
from pipelines.music.abc.notation import notate
from pipelines.music.abc.score import Score
from pipelines.music.limits import Rejected
from pipelines.runtime.terminal import shown

# The notation and the sound of a piece are the same where they last equally long, in seconds.
_EQUAL = 0.01


def key(piece: folder.Piece) -> Key:
    """What names a piece in the judgements of its folder."""
    return os.path.basename(piece.notation), max(piece.number, 1), folder.notation_hash(piece.abc)


def shown_on_page(piece: folder.Piece, said: Judgement) -> dict[str, Any]:
    """The judgement of a piece as the script of the page takes it.

    Returns:
      JSON values. `verdict`; `criteria`: each with `name`, `score` (None where it cannot be
      judged), `says`, `fails` and `marks`, pairs of a bar's index and a text; `bars`: how many
      bars are written; `spans`: [bar, start, end] in seconds for each time that a marked bar is
      played, none where the sound is not that of the notation.
    """
    marked = {mark.bar for opinion in said.opinions for mark in opinion.marks}
    bars, spans = _bars(piece)
    return {
        "verdict": shown(said.verdict),
        "criteria": [
            {
                "name": shown(opinion.name),
                "score": opinion.score,
                "says": shown(opinion.says),
                "fails": opinion.fails,
                "marks": [[mark.bar, shown(mark.text)] for mark in opinion.marks],
            }
            for opinion in said.opinions
        ],
        "bars": bars,
        "spans": [
            [span.bar, round(span.start, 3), round(span.end, 3)]
            for span in spans
            if span.bar in marked
        ],
    }


def _bars(piece: folder.Piece) -> tuple[int, list[reader.BarSpan]]:
    """How many bars a piece has as it is written, and when they are heard."""
    score = _score(piece.abc)
    if score is None or not score.voices:
        return 0, []
    bars = len(score.voices[0].bars)
    try:
        spans = reader.bar_spans(score)
        seconds = reader.perform(score).total_time
    except Rejected:
        return bars, []
    if piece.sequence is None or abs(piece.sequence.total_time - seconds) > _EQUAL:
        return bars, []
    return bars, spans


def _score(abc: str) -> Score | None:
    try:
        return next((notate(tune) for tune in tunebook.tunes(abc)), None)
    except Rejected:
        return None
