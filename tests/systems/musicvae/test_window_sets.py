"""Sets of windows: which windows stay, and what is measured of them."""

import types

import numpy as np
import pytest

from pipelines import representations
from pipelines.music.note_sequence import NoteSequence
from pipelines.representations.contract import Example
from pipelines.representations.groove_converter import GrooveConverter
from pipelines.runtime.app import UserError
from pipelines.systems.musicvae import window_sets

STEPS = 32
MEASURE = window_sets.Measure(representations.of(GrooveConverter(split_bars=2)), 16)
CONFIG = types.SimpleNamespace(hparams=types.SimpleNamespace(max_seq_len=STEPS))


def window(*hits, steps=STEPS):
    """A window with hits on these steps, the first on the kick, the second on the snare, ..."""
    array = np.zeros((steps, 27), np.float32)
    for drum, step in enumerate(hits):
        array[step, [drum, 9 + drum]] = 1, 0.5
    return array


class Records:
    """Stands for opened records: the windows of each piece are given."""

    source = "a.tfrecord"

    def __init__(self, *pieces):
        self._pieces = pieces

    def examples_by_piece(self, config, counts):
        for windows in self._pieces:
            counts.records += 1
            yield (
                NoteSequence(),
                [Example(each, each, np.zeros((STEPS, 0)), STEPS) for each in windows],
            )


def of_records(*pieces, windows_a_piece=3, number=100, seed=0):
    rng = np.random.default_rng(seed)
    return window_sets.of_records(MEASURE, CONFIG, Records(*pieces), windows_a_piece, number, rng)


def test_long_pieces_are_cut():
    # Twenty windows with one hit each, all different; none; one window with two hits.
    found, all_notes = of_records([window(step) for step in range(20)], [], [window(3, 5)])
    assert found.pieces.tolist() == [0, 0, 0, 2]
    assert found.values["density"].tolist() == [1 / 2, 1 / 2, 1 / 2, 2 / 2]
    # The windows of a piece are different ones, in their order.
    steps = [np.argmax(each[:, 0]) for each in found.windows]
    assert steps[:3] == sorted(set(steps[:3])) and steps[3] == 3
    # Notes are kept of all windows, and of those that stay beside their features.
    assert np.unpackbits(all_notes, axis=1).sum(axis=1).tolist() == [1] * 20 + [2]
    notes = np.unpackbits(found.notes, axis=1, count=STEPS * 9).reshape(-1, STEPS, 9)
    np.testing.assert_array_equal(notes, found.windows[..., :9])
    # A profile counts bars with a hit; the second piece with windows has one kick.
    kicks = found.counts_by_piece("kick_profile").sum(axis=1)
    assert kicks.tolist() == [3, 1]


def test_what_stays_is_drawn():
    piece = [window(step) for step in range(20)]
    first, again, other = (of_records(piece, seed=seed)[0].windows for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_no_more_windows_are_kept_than_asked_for():
    found, _ = of_records(*[[window(step)] for step in range(20)], number=4)
    assert len(found.windows) == 4 and len(found) == 20
    # How many are kept has no influence on which windows of a piece are measured.
    piece = [window(step) for step in range(20)]
    few, many = (of_records(piece, piece, number=number)[0].notes for number in (1, 100))
    np.testing.assert_array_equal(few, many)


def test_chunks_change_nothing(monkeypatch):
    pieces = [[window(step, 7), window(step)] for step in range(10)]
    whole, _ = of_records(*pieces)
    array = np.concatenate(pieces)
    monkeypatch.setattr(window_sets, "_CHUNK", 3)
    parts, _ = of_records(*pieces)
    for kind in ("values", "counts"):
        for name, expected in getattr(whole, kind).items():
            np.testing.assert_array_equal(getattr(parts, kind)[name], expected)
            made = getattr(window_sets.of_windows(MEASURE, array), kind)[name]
            np.testing.assert_array_equal(made, expected)


def test_records_without_windows():
    with pytest.raises(UserError, match=r"a\.tfrecord: nothing to compare samples with; 0 exam"):
        of_records([], [])


def test_windows_of_other_lengths():
    with pytest.raises(UserError, match=r"a\.tfrecord: a window of 16 steps.*here 32"):
        of_records([window(0, steps=16)])


def test_random_bars():
    rng = np.random.default_rng(0)
    # Four different bars: each window has a hit on its own step of both bars.
    windows = np.stack([window(0, 16), window(1, 17)])
    bars = windows.reshape(4, 16, 27)
    made = window_sets.random_bars(windows, 50, 16, rng)
    assert made.shape == (50, STEPS, 27)
    which = [[(bar == bars).all(axis=(1, 2)) for bar in each.reshape(2, 16, 27)] for each in made]
    assert np.sum(which, axis=2).min() == 1
    # All are used, in either place.
    assert np.any(which, axis=0).all()
