"""Tunes as examples: those of the course, and those with context, by hand."""

import numpy as np
import pytest

from configs.curves import HPARAMS
from pipelines.records.manifest import open_records
from pipelines.representations import curves
from pipelines.representations.curves import Vocabulary
from pipelines.runtime.app import UserError
from pipelines.systems.curves import tunes
from tests.support.datasets import finish
from tests.support.melodies import piece, records

COURSE, MENDED = HPARAMS["curves-faithful"], HPARAMS["curves"]


def rising(notes: int) -> curves.Tune:
    """A tune whose i-th curve goes i + 1 semitones up after a quarter."""
    return curves.read(piece([(i, 20 + i * (i + 1) // 2) for i in range(notes)], key=(0, 0)))


@pytest.mark.parametrize(
    "curve_count, windows",
    # Of n curves n - 8 are inputs; of their whole windows of 8 the course leaves out the last.
    [(7, 0), (8, 0), (16, 0), (23, 0), (24, 1), (31, 1), (32, 2)],
)
def test_the_windows_of_the_course(curve_count, windows):
    tune = curves.Tune(np.arange(curve_count + 1) * 12, np.arange(curve_count + 1) % 3, ())
    vocabulary = Vocabulary.of(tune.music21_curves())
    assert len(tunes.examples(tune, vocabulary, COURSE)) == windows


def test_labels_are_eight_curves_later():
    tune = rising(15)  # Too high for MIDI from the fifteenth on.
    tune = tune._replace(
        onsets=np.arange(33) * 12, pitches=np.array([i * (i + 1) // 2 for i in range(33)])
    )
    vocabulary = Vocabulary.of(tune.music21_curves())
    first, second = tunes.examples(tune, vocabulary, COURSE)
    # The id of the i-th curve is i, since each goes up further than the one before.
    assert first.inputs.tolist() == [[i] for i in range(8)]
    assert first.labels.tolist() == list(range(8, 16))
    assert second.inputs.tolist() == [[i] for i in range(8, 16)]
    assert second.labels.tolist() == list(range(16, 24))


def test_with_context_each_note_foretells_the_curve_after_it():
    # C at the begin, E a half later, C on the second beat, in C major and 4/4.
    tune = curves.read(piece([(0, 60), (0.5, 64), (1, 60)], key=(0, 0)))
    vocabulary = Vocabulary.of(tune.curves())
    [example] = tunes.examples(tune, vocabulary, MENDED)
    down, up = 0, 1
    assert example.inputs.tolist() == [[-1, 1, 0, 5], [up, 7, 4, 5]]
    assert example.labels.tolist() == [up, down]


def test_long_tunes_are_cut():
    count = MENDED.longest + 2
    tune = curves.Tune(
        np.arange(count) * 6, np.arange(count) % 5 + 60, (curves.Signature(0, (4, 4), 0),)
    )
    vocabulary = Vocabulary.of(tune.curves())
    first, second = tunes.examples(tune, vocabulary, MENDED)
    assert len(first.labels) == MENDED.longest and len(second.labels) == 1
    # The second part knows the curve that leads to its first note.
    assert second.inputs[0, 0] == first.labels[-1]


def test_records_are_read_and_counted(tmp_path):
    pieces = {
        "one.mid": ("train", piece([(0, 60), (1, 62)])),
        "two.mid": ("train", piece([(0, 60)])),
    }
    folder = finish(tmp_path / "made", pieces)
    read = tunes.read(open_records(f"{folder}/train.tfrecord*"))
    assert [tune.id for tune in read.tunes] == ["one.mid"]
    assert read.summary() == "2 records: 1 tunes with a melody, 1 left out: too few notes"
    folder = finish(tmp_path / "none", {"two.mid": ("train", piece([(0, 60)]))})
    with pytest.raises(UserError, match="no tune with a melody .1 with too few notes"):
        tunes.read(open_records(f"{folder}/train.tfrecord*"))


def test_versions_of_a_tune_are_one_group(tmp_path):
    folder = records(tmp_path / "made", [("train", 3)])
    read = tunes.read(open_records(f"{folder}/train.tfrecord*"))
    assert len({tune.group for tune in read.tunes}) == 3
