"""The layout of the roll, against numbers that were worked out by hand."""

import json

import pytest

from pipelines.media import pianoroll
from pipelines.media.page import roll
from tests.support.pieces import drums, tune

TEAL, RED, BLUE = (pianoroll.INSTRUMENT_COLOURS.index(c) for c in ("#2a8c82", "#b23a48", "#3b6ea8"))


def test_a_hit_is_a_mark_at_its_time_as_high_as_it_is_hard():
    # At 120, a sixteenth is 0.125 s, and a mark 0.4 of it. Rows are 18 pixels high; the kick is the
    # ninth (from 144), the closed hi-hat the fourth (from 54). A full mark is 16 pixels high.
    laid = roll.layout(drums([(0.5, 36, 127), (1.0, 42, 0)]))
    assert laid["marks"] == [
        [RED, 7, 0, "M0.5 145h0.05v16h-0.05z"],
        [TEAL, 0, 0, "M1 66.2h0.05v4.8h-0.05z"],
    ]
    assert laid["height"] == 9 * 18
    assert laid["first"] == 0.5
    assert laid["rows"][8] == ["Kick", 144, 18, 1]
    assert laid["seconds"] == 1.05
    assert laid["text"] == "2 notes in 1.05 seconds, Closed hi-hat 1, Kick 1"
    assert laid["cut"] == ""


def test_a_note_is_as_long_as_it_sounds_but_for_a_little_paper():
    # Rows from C4 + 1 down to C4 - 1, of 10 pixels: C4 is the second.
    laid = roll.layout(tune([(60, 4, 8)]))
    assert laid["marks"] == [[BLUE, 5, 0, "M0.5 11h0.99v8h-0.99z"]]
    assert laid["text"] == "1 note in 1.5 seconds, from C4 to C4"


def test_bars_and_beats_are_in_seconds_of_the_sound():
    # Three quarters a bar at 90: a quarter is two thirds of a second.
    laid = roll.layout(tune([(60, 0, 24)], meter=(3, 4), qpm=90.0))
    assert laid["bars"] == [0, 2]
    assert laid["beats"] == [0.667, 1.333, 2.667, 3.333]


def test_notes_of_one_colour_and_loudness_are_one_path():
    laid = roll.layout(drums([(at / 4, 42, 100) for at in range(64)]))
    assert len(laid["marks"]) == 1
    assert laid["marks"][0][3].count("M") == 64


def test_marked_notes_stand_out():
    laid = roll.layout(drums([(0, 36, 100), (1, 36, 100)]), marked={1})
    assert [(marked, path[:3]) for _, _, marked, path in laid["marks"]] == [(0, "M0 "), (1, "M1 ")]


def test_three_hours_are_cut_and_said_to_be():
    laid = roll.layout(drums([(at, 36, 100) for at in range(0, 10_800, 2)]))
    assert laid["seconds"] == roll.MAX_SECONDS == 900
    assert sum(path.count("M") for *_, path in laid["marks"]) == 450
    assert laid["cut"] == "The picture shows the first 15 of 180 minutes, 450 of 5,400 notes."
    assert len(laid["bars"]) == 450


@pytest.mark.parametrize("meter, qpm", [((1, 64), 120.0), ((255, 64), 1e6), (None, 120.0)])
def test_it_stays_small_whatever_the_meter(meter, qpm):
    hits = [(at, 36, 100) for at in range(0, 900, 2)]
    laid = roll.layout(drums(hits, meter=meter, qpm=qpm))
    assert len(laid["bars"]) <= roll.MAX_BARS and len(laid["beats"]) <= roll.MAX_BEATS
    assert len(json.dumps(laid, allow_nan=False)) < 150_000
