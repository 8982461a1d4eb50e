"""What differs between a piece and its copy."""

from pipelines.media.page.compare import differences
from tests.support.pieces import drums, tune


def test_a_piece_does_not_differ_from_itself():
    piece = drums([(0, 36, 100), (0.5, 38, 90), (0.5, 42, 80)])
    assert differences(piece, piece) == (set(), set())


def test_what_the_copy_lacks_and_what_is_new_in_it():
    original = drums([(0, 36, 100), (0.5, 38, 90), (1.0, 42, 80)])
    copy = drums([(0, 36, 100), (1.0, 46, 80)])
    assert differences(original, copy) == ({1, 2}, {1})


def test_timing_within_half_a_sixteenth_and_other_pads_of_a_drum_are_the_same():
    # At 120, half a sixteenth is 0.0625 s. 38 and 40 are both a snare.
    original = drums([(0.5, 38, 90), (1.0, 38, 90)])
    copy = drums([(0.56, 40, 30), (1.07, 38, 90)])
    assert differences(original, copy) == ({1}, {1})


def test_times_are_musical_where_the_tempo_differs():
    original = tune([(60, 0, 4), (62, 4, 4)], qpm=120.0)
    copy = tune([(60, 0, 4), (62, 4, 2)], qpm=60.0)
    assert differences(original, copy) == (set(), set())


def test_one_note_is_the_counterpart_of_one():
    original = drums([(0.5, 38, 90)])
    copy = drums([(0.48, 38, 90), (0.52, 38, 90)])
    missing, new = differences(original, copy)
    assert not missing
    assert len(new) == 1


def test_of_a_piece_without_notes_everything_is_missing():
    empty = drums([])
    piece = drums([(0, 36, 100)])
    assert differences(piece, empty) == ({0}, set())
    assert differences(empty, piece) == (set(), {0})
