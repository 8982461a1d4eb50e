"""When written bars are heard: worked out by hand, and by the notes of the bars themselves."""

import random

import pytest

from pipelines.music.abc.notation import notate
from pipelines.music.abc.reader import bar_spans, perform
from pipelines.representations.abc_tokens import written
from pipelines.representations.abc_tokens.written import Note
from tests.support.abc_reading import HEADER, tune_of
from tests.support.written_tunes import random_tune


def spans(text: str, header: str = HEADER) -> list[tuple[int, float, float]]:
    """Bars, their starts and lengths in eighths at 120 quarters a minute."""
    found = bar_spans(notate(tune_of(header + text)))
    return [(bar, start * 4, (end - start) * 4) for bar, start, end in found]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("C8|D8|E8|]", [(0, 0, 8), (1, 8, 8), (2, 16, 8)]),
        ("|:C8|D8:|E8|]", [(0, 0, 8), (1, 8, 8), (0, 16, 8), (1, 24, 8), (2, 32, 8)]),
        # Endings, each played once.
        ("|:C8|[1D8:|[2E8|]", [(0, 0, 8), (1, 8, 8), (0, 16, 8), (2, 24, 8)]),
        # The rest before an upbeat is no part of it.
        ("C2|D8|E6:|", [(0, 6, 2), (1, 8, 8), (2, 16, 6), (0, 22, 2), (1, 24, 8), (2, 32, 6)]),
        # A bar that is too short is filled up by a rest.
        ("C8|D6|E8|F8|]", [(0, 0, 8), (1, 8, 6), (2, 16, 8), (3, 24, 8)]),
        # Half the tempo from the second bar on.
        ("C8|[Q:1/4=60]D8|E8|]", [(0, 0, 8), (1, 8, 16), (2, 24, 16)]),
    ],
)
def test_bars_by_hand(text, expected):
    assert spans(text) == expected


def test_parts_are_heard_in_their_order():
    header = HEADER.replace("K:", "P:ABA\nK:")
    assert [bar for bar, _, _ in spans("P:A\nC8|D8|\nP:B\nE8|]\nP:C\nF8|]\n", header)] == [
        0, 1, 2, 0, 1
    ]  # fmt: skip


def test_bars_sound_where_they_are_said_to_be():
    """The bars of random tunes, each given a pitch of its own, without ties."""
    rng = random.Random(11)
    for _ in range(60):
        tune = random_tune(rng)
        bars = tuple(
            bar._replace(
                notes=tuple(Note(n.pitch and 30 + i, n.length) for n in bar.notes),
            )
            for i, bar in enumerate(tune.bars)
        )
        if not any(note.pitch for bar in bars for note in bar.notes):
            continue
        score = written.to_score(tune._replace(bars=bars))
        notes = perform(score).notes
        sounding = [
            (span.bar, note.pitch)
            for span in bar_spans(score)
            for note in notes
            if span.start - 1e-9 <= note.start_time < span.end - 1e-9
        ]
        assert len(sounding) == len(notes)
        assert all(pitch == 30 + bar for bar, pitch in sounding)
