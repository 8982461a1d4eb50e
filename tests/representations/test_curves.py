"""Melody curves: the course's figures, and what can be worked out by hand."""

import zipfile
from fractions import Fraction

import numpy as np
import pytest

from pipelines.music.midi_reader import midi_to_note_sequence
from pipelines.music.note_sequence import NoteSequence
from pipelines.representations import curves
from pipelines.representations.curves import Signature, Tune, Vocabulary
from tests.support.melodies import piece

THIRD = Fraction(1, 3)


@pytest.fixture(scope="module")
def nottingham(corpora) -> list[NoteSequence]:
    with zipfile.ZipFile(corpora / "nottingham-melody-midi.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".mid")]
        return [midi_to_note_sequence(archive.read(name)) for name in names]


@pytest.mark.slow
def test_the_figures_of_the_course(nottingham):
    tunes = [curves.read(sequence) for sequence in nottingham]
    assert len(tunes) == 1034
    onsets = [{round(note.start_time * 2 * 1024) for note in one.notes} for one in nottingham]
    assert sum(map(len, onsets)) == 196_211  # At 120 quarters a minute, 1,024 ticks each.
    assert sum(len(one.notes) for one in nottingham) - sum(t.chords for t in tunes) == 196_211
    assert sum(len(tune.onsets) for tune in tunes) == 196_208
    as_in_course = [curve for tune in tunes for curve in tune.music21_curves()]
    assert len(as_in_course) == 195_174
    assert len(set(as_in_course)) == 422
    exact = [curve for tune in tunes for curve in tune.curves()]
    assert len(exact) == 195_174
    assert len(set(exact)) == 282
    # Each of the 422 is one of the 282 when it goes back to the grid.
    steps = map(tuple, Vocabulary.of(as_in_course).steps().tolist())
    assert set(steps) == set(map(tuple, Vocabulary.of(exact).steps().tolist()))


def test_the_nearest_fourth_or_third():
    ticks = np.array([0, 128, 129, 300, 340, 341, 342, 512, 683, 896, 897, 1024, 299])
    # 128 ticks are halfway from 0 to 1/4; 896 from 3/4 to 1. 300 is nearer to 1/3, at 341.3, than
    # to 1/4, at 256; 299 is nearer too. 1/4 and 1/3 are equally far from 298.67, 7/24.
    expected = [0, 0, 3, 4, 4, 4, 4, 6, 8, 9, 12, 12, 4]
    assert curves.on_grid(ticks * 12).tolist() == expected
    # Equally near to a fourth and a third: 7/24 to 1/4 and 1/3, 17/24 to 2/3 and 3/4.
    assert curves.on_grid(np.array([7, 17]) * 512).tolist() == [3, 8]
    # 1/6 is nearer to 1/4 than to 0 or 1/3, and so is 1/12 to 0.
    assert curves.on_grid(np.array([2, 1]) * 1024).tolist() == [3, 0]


def test_time_as_music21_keeps_it():
    onsets = np.array([0, 4, 8, 12, 16, 18])
    times = curves.music21_times(onsets)
    assert times == [THIRD - 0.0, THIRD, 1.0 - Fraction(2, 3), Fraction(4, 3) - 1.0, 1.5 - 4 / 3]
    assert list(map(type, times)) == [float, Fraction, float, float, float]
    # The same third of a quarter is four different numbers.
    assert len(set(times[:4])) == 4
    assert set(curves.exact_times(onsets[:5])) == {THIRD}


def test_a_tune_is_its_highest_notes_and_the_later_of_two_at_one_place():
    tune = curves.read(piece([(0, 60), (0, 67), (1, 62), (2, 64), (2.02, 65), (3, 60)]))
    assert tune.onsets.tolist() == [0, 12, 24, 36]
    assert tune.pitches.tolist() == [67, 62, 65, 60]
    assert tune.chords == 1
    assert tune.curves() == [(-5, 1), (3, 1), (-5, 1)]


@pytest.mark.parametrize(
    "notes, reason", [([], "too few"), ([(0, 60)], "too few"), ([(0, 60), (1e300, 62)], "broken")]
)
def test_no_curves(notes, reason):
    with pytest.raises(curves.NoCurvesError, match=reason):
        curves.read(piece(notes))


def test_what_is_known_of_notes():
    # A pickup of an eighth to 6/8 in D major: E, then D on the first beat.
    jig = curves.read(piece([(2.5, 64), (3, 62), (3.5, 66)], (6, 8), (2, 0)))
    assert jig.signatures == (Signature(0, (6, 8), 2),)
    assert jig.known().tolist() == [[31, 2, 7], [1, 0, 7], [7, 4, 7]]
    # The same in A minor's signature, which is that of C major.
    minor = piece([(0, 69), (1, 72)], (3, 4), (9, NoteSequence.KeySignature.MINOR))
    assert curves.read(minor).known().tolist() == [[1, 9, 4], [13, 0, 4]]
    free = curves.read(piece([(0, 69), (1, 72)], None, (0, 0), abc=True))
    assert free.known().tolist() == [[0, 9, 0], [0, 0, 0]]
    assert curves.read(piece([(0, 60), (1, 62)], None)).signatures[0].meter == (4, 4)
    assert curves.read(piece([(0, 60), (1, 62)], (5, 4))).known()[:, 2].tolist() == [1, 1]


def test_meter_and_key_change():
    sequence = piece([(0, 60), (5, 62), (8, 62), (9, 66)], (4, 4), (0, 0))
    sequence.key_signatures.add(time=5, key=2)
    sequence.time_signatures.add(time=8, numerator=3, denominator=4)
    tune = curves.read(sequence)
    # The key changes at the second beat of the second bar, which began at 48.
    assert tune.signatures == (
        Signature(0, (4, 4), 0), Signature(48, (4, 4), 2), Signature(96, (3, 4), 2)
    )  # fmt: skip
    assert tune.known().tolist() == [[1, 0, 5], [13, 0, 5], [1, 0, 4], [13, 4, 4]]


def test_a_signature_that_does_not_fit_is_guessed():
    c_major = [(i, 60 + step) for i, step in enumerate((0, 2, 4, 5, 7, 9, 11, 12, 7, 4, 0))]
    assert curves.read(piece(c_major)).signatures[0].fifths == 0
    # B major has five sharps, of which the tune has none.
    assert curves.read(piece(c_major, key=(11, 0))).signatures[0].fifths == 0


def test_unknown_curves_are_the_nearest_known_ones():
    known = Vocabulary.of([(2, Fraction(1, 2)), (-2, Fraction(1, 2)), (2, THIRD), (0, Fraction(4))])
    assert known.curves == [(-2, Fraction(1, 2)), (0, 4), (2, THIRD), (2, Fraction(1, 2))]
    assert [known.id(curve) for curve in known.curves] == [0, 1, 2, 3]
    # (2, 2/5) is 1/15 from a third and 1/10 from a half; (1, 1/2) is nearest to (2, 1/2);
    # (0, 1/2) is 2 away from two, of which the first is taken; (0, 3) is 1 from (0, 4).
    unknown = [(2, Fraction(2, 5)), (1, Fraction(1, 2)), (0, Fraction(1, 2)), (0, Fraction(3))]
    assert known.ids(unknown).tolist() == [2, 3, 0, 1]
    assert (0, Fraction(3)) not in known and (0, 4) in known


def test_a_vocabulary_comes_back_from_json():
    noisy = curves.music21_times(np.array([0, 4, 8, 12]))
    known = Vocabulary.of([(1, time) for time in noisy] + [(0, 0.5)])
    again = Vocabulary.from_json(known.to_json())
    assert again.curves == known.curves
    assert list(map(type, again.curves)) == list(map(type, known.curves))
    assert again.steps().tolist() == [[0, 6], [1, 4], [1, 4], [1, 4]]
    late = [[[1, "-1/2"]], [[1, "0"]], [[1, 1e-9]], [[1, "1e99"]], [[128, "1"]]]
    for broken in (*late, [], [[1, "x"]], [[1.5, 0.5]], [[1, 0.5], [1, 0.5]], [[1, float("nan")]]):
        with pytest.raises((ValueError, TypeError)):
            Vocabulary.from_json(broken)


def test_curves_go_back_to_notes_in_any_key():
    tune = curves.read(piece([(0, 60), (0.5, 64), (0.75, 62), (2, 67)]))
    known = Vocabulary.of(tune.curves())
    steps = known.steps()[known.ids(tune.curves())].tolist()
    assert list(curves.decode((0, 60), steps)) == [(6, 64), (9, 62), (24, 67)]
    assert list(curves.decode((48, 62), steps)) == [(54, 66), (57, 64), (72, 69)]


def test_a_cut_tune_keeps_what_holds():
    tune = Tune(np.array([0, 12, 24]), np.array([60, 62, 64]), (Signature(0, (4, 4), 0),))
    assert tune.cut(12, 24).onsets.tolist() == [12]
    assert tune.cut(12, 24).pitches.tolist() == [62]
