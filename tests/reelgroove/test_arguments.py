"""What a model refuses before it makes music; the bounds are those of the flags of `generate`."""

import math
from typing import cast

import pytest

import reelgroove

# Arguments are looked at before the model, which would take TensorFlow.
MODEL = cast("reelgroove.Model", None)


@pytest.mark.parametrize(
    "given, message",
    [
        ({"temperature": 0}, "temperature=0: must be a finite number, at least 1e-06"),
        ({"temperature": -1}, "temperature=-1"),
        ({"temperature": math.nan}, "temperature=nan"),
        ({"temperature": math.inf}, "temperature=inf"),
        ({"qpm": 0}, "qpm=0: must be a finite number, from 4 to 1000"),
        ({"qpm": -5}, "qpm=-5"),
        ({"qpm": 5000}, "qpm=5000"),
        ({"qpm": math.nan}, "qpm=nan"),
    ],
)
def test_temperatures_and_tempos_out_of_range(given, message):
    piece = reelgroove.NoteSequence()
    for make in (
        lambda: reelgroove.sample(MODEL, **given),
        lambda: reelgroove.reconstruct(MODEL, piece, **given),
        lambda: reelgroove.interpolate(MODEL, piece, piece, **given),
        lambda: reelgroove.edit(MODEL, piece, {"swing": 1}, **given),
        lambda: reelgroove.average(MODEL, [piece, piece], **given),
        lambda: reelgroove.grid(MODEL, [piece] * 4, **given),
    ):
        with pytest.raises(reelgroove.Error, match=message):
            make()


@pytest.mark.parametrize("number", [0, -1])
def test_numbers_of_pieces_are_positive(number):
    piece = reelgroove.NoteSequence()
    message = f"number={number}: must be a finite number, at least 1"
    with pytest.raises(reelgroove.Error, match=message):
        reelgroove.sample(MODEL, number)
    with pytest.raises(reelgroove.Error, match=message):
        reelgroove.interpolate(MODEL, piece, piece, number)
    with pytest.raises(reelgroove.Error, match=message):
        reelgroove.grid(MODEL, [piece] * 4, number)


def test_averages_grids_and_edits_need_enough_to_go_on():
    piece = reelgroove.NoteSequence()
    with pytest.raises(reelgroove.Error, match="an average is of two or more pieces, not 1"):
        reelgroove.average(MODEL, [piece])
    with pytest.raises(reelgroove.Error, match="a grid has four corners, not 3"):
        reelgroove.grid(MODEL, [piece] * 3)
    with pytest.raises(reelgroove.Error, match="an edit needs the amounts of attributes, as in"):
        reelgroove.edit(MODEL, piece, {})
    with pytest.raises(reelgroove.Error, match="swing=nan: the amount of an attribute must be a"):
        reelgroove.edit(MODEL, piece, {"density": 1, "swing": math.nan})


def test_seeds_are_not_negative():
    with pytest.raises(reelgroove.Error, match="seed=-1: must be a finite number, at least 0"):
        reelgroove.sample(MODEL, seed=-1)


def test_what_load_needs():
    with pytest.raises(reelgroove.Error, match="^give run_dir or checkpoint_file, or pretrained$"):
        reelgroove.load()
    with pytest.raises(reelgroove.Error, match="^give run_dir or checkpoint_file, or pretrained$"):
        reelgroove.load("run", pretrained="groove_4bar")
    with pytest.raises(reelgroove.Error, match="batch_size=0: must be"):
        reelgroove.load("run", batch_size=0)
