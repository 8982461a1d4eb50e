"""The towers: n-grams against counting by hand, padding, unit vectors, keys."""

import collections
import functools
import math
import random

import keras
import numpy as np
import pytest
import tensorflow as tf

from models import dual_tower
from models.dual_tower import DualTower, NGrams, TitleTower, TuneTower, Vocabulary
from pipelines.music.note_sequence import NoteSequence
from pipelines.representations import scale_degrees
from pipelines.representations.scale_degrees import METERS, MODES, NOTE_SIZES, Melody
from pipelines.systems.titles import towers

pytestmark = pytest.mark.keras3

# The kinds of n-grams in order, and the number of n-grams of each.
PITCHES, INTERVALS, LENGTHS, POSITIONS = NOTE_SIZES.values()
VOCABULARY = Vocabulary(PITCHES, INTERVALS, LENGTHS, POSITIONS, METERS, MODES)
KINDS = {
    "rhythm": LENGTHS**3,
    "melody": 12**3,
    "meter": POSITIONS * LENGTHS,
    "pitch_class": 12,
    "pitch": PITCHES,
    "interval": INTERVALS,
}


def random_notes(rng, count):
    """Notes shaped [count, 4], few of them different, so that n-grams recur."""
    columns = [rng.integers(1, PITCHES, 5), rng.integers(1, INTERVALS, 5),
               rng.integers(1, LENGTHS, 3), rng.integers(0, POSITIONS, 5)]  # fmt: skip
    return np.stack([rng.choice(column, count) for column in columns], axis=1).astype(np.uint8)


def random_melody(rng, count=40):
    return Melody(random_notes(rng, count), int(rng.integers(METERS)), int(rng.integers(MODES)), 0)


def padded(notes, length):
    rows = np.zeros((1, length, 4), np.uint8)
    rows[0, : len(notes)] = notes
    return rows


def counted(notes):
    """The n-grams of one melody: a Counter for each kind."""
    found = {kind: collections.Counter() for kind in KINDS}
    pitch, interval, length, position = (column.tolist() for column in notes.T)
    # Pitch 25 is the tonic.
    degree = [(one - 25) % 12 for one in pitch]
    for at in range(len(notes)):
        if at >= 2:
            found["rhythm"][tuple(length[at - 2 : at + 1])] += 1
            found["melody"][tuple(degree[at - 2 : at + 1])] += 1
        found["meter"][position[at], length[at]] += 1
        found["pitch_class"][degree[at],] += 1
        found["pitch"][pitch[at],] += 1
        found["interval"][interval[at],] += 1
    return found


@pytest.mark.parametrize("seed", range(20))
def test_ngrams_are_those_of_counting(seed):
    rng = np.random.default_rng(seed)
    notes = random_notes(rng, int(rng.integers(1, 60)))
    given = NGrams(VOCABULARY)(padded(notes, 64)).numpy()[0]
    assert given.shape == (sum(KINDS.values()),)
    bases = {
        "rhythm": (LENGTHS,) * 3, "melody": (12,) * 3, "meter": (POSITIONS, LENGTHS),
        "pitch_class": (12,), "pitch": (PITCHES,), "interval": (INTERVALS,),
    }  # fmt: skip
    start = 0
    for kind, grams in counted(notes).items():
        expected = np.zeros(KINDS[kind])
        for gram, count in grams.items():
            expected[np.ravel_multi_index(gram, bases[kind])] = math.sqrt(count / grams.total())
        part = given[start : start + KINDS[kind]]
        np.testing.assert_allclose(part, expected, atol=1e-6, err_msg=kind)
        start += KINDS[kind]


@pytest.mark.parametrize("count", range(4))
def test_melodies_of_a_few_notes(count):
    """With fewer notes than an n-gram, a kind's part has length 1, or 0 without an n-gram."""
    notes = random_notes(np.random.default_rng(count), count)
    for room in {max(count, 1), 3, 256}:
        given = np.split(
            NGrams(VOCABULARY)(padded(notes, room)).numpy()[0], np.cumsum(list(KINDS.values()))
        )
        for kind, part in zip(KINDS, given):
            there = int(count >= (3 if kind in ("rhythm", "melody") else 1))
            assert np.linalg.norm(part) == pytest.approx(there, abs=1e-6), kind


@pytest.fixture(scope="module")
def tower():
    keras.utils.set_random_seed(0)
    tower = TuneTower(VOCABULARY, 16, 32, 0.5)
    tower(towers.arrays([random_melody(np.random.default_rng(0))]))
    return tower


def vectors(tower, melodies):
    return tower(towers.arrays(melodies)).numpy()


def test_padding_makes_no_difference(tower):
    rng = np.random.default_rng(1)
    for count in (1, 2, 40, 100):
        one = random_melody(rng, count)
        inputs = towers.arrays([one])
        full = tower(inputs).numpy()
        for room in {count, count + 1, 2 * count, 300}:
            again = tower({**inputs, "notes": padded(one.notes, room)}).numpy()
            np.testing.assert_allclose(again, full, atol=1e-6)


def test_what_else_is_in_the_batch_makes_no_difference(tower):
    rng = np.random.default_rng(2)
    melodies = [random_melody(rng, int(rng.integers(4, 257))) for _ in range(9)]
    together = vectors(tower, melodies)
    assert together.shape == (9, 16)
    for row, one in zip(together, melodies):
        np.testing.assert_allclose(vectors(tower, [one])[0], row, atol=1e-6)


def test_vectors_have_length_one(tower):
    rng = np.random.default_rng(3)
    found = vectors(tower, [random_melody(rng, count) for count in (1, 4, 30, 256)])
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    titles = TitleTower(16, 0.5)
    found = titles(rng.standard_normal((7, 20)).astype(np.float32) * [[1e3], *[[0.1]] * 6]).numpy()
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_a_melody_of_no_notes_is_finite(tower):
    none = Melody(np.zeros((0, 4), np.uint8), 0, 0, 0)
    assert np.isfinite(vectors(tower, [none, none])).all()


def test_notes_beyond_any_number_are_counted_without_another_column():
    """The largest value of each column still has an index."""
    notes = np.array([[size - 1 for size in NOTE_SIZES.values()]] * 5, np.uint8)
    assert NGrams(VOCABULARY)(padded(notes, 8)).shape == (1, sum(KINDS.values()))


def test_meter_mode_and_each_column_count(tower):
    one = random_melody(np.random.default_rng(4))
    one = one._replace(meter=4, mode=1)
    others = [one._replace(meter=7), one._replace(mode=2)]
    for column in range(4):
        notes = one.notes.copy()
        notes[3:9, column] = notes[3:9, column] % 10 + 1
        others.append(one._replace(notes=notes))
    found = vectors(tower, [one, *others])
    assert (found[1:] @ found[0] < 1 - 1e-4).all()
    # The number of chords that were thinned out is not a feature.
    np.testing.assert_allclose(vectors(tower, [one._replace(chords=9)])[0], found[0], atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_a_transposed_tune_has_the_same_vector(tower, seed):
    """This goes from NoteSequences to vectors."""
    rng = random.Random(seed)
    steps = [rng.choice((0, 2, 4, 5, 7, 9, 11, 12)) for _ in range(50)]
    lengths = [rng.choice((0.25, 0.5, 1.0)) for _ in steps]

    def played(by):
        sequence = NoteSequence()
        sequence.time_signatures.add(numerator=4, denominator=4)
        sequence.key_signatures.add(key=by % 12)
        at = 0.0
        for step, length in zip(steps, lengths):
            sequence.notes.add(pitch=60 + step + by, start_time=at, end_time=at + length / 2)
            at += length / 2
        return scale_degrees.read(sequence)

    keys = [-24, -12, -7, -1, 1, 3, 12, 19, 24]
    # Each is a batch of the same shape, so that not even rounding differs.
    expected = vectors(tower, [played(0)])
    for by in keys:
        np.testing.assert_array_equal(vectors(tower, [played(by)]), expected)


def pairs(rng, count, size=20):
    batch = towers.arrays([random_melody(rng) for _ in range(count)])
    batch["title"] = rng.standard_normal((count, size)).astype(np.float32)
    batch["same"] = np.eye(count, dtype=bool)
    return batch


@pytest.mark.parametrize("loss", dual_tower.LOSSES)
def test_the_model_gives_the_loss_of_its_cosines(loss):
    keras.utils.set_random_seed(0)
    batch = pairs(np.random.default_rng(0), 6)
    model = DualTower(loss, VOCABULARY, 8, 16)
    given = float(model(batch))
    scores = model.tunes(batch).numpy() @ model.titles(batch["title"]).numpy().T
    assert given == pytest.approx(float(model.contrast(scores, batch["same"])), abs=1e-5)


def gradients(model, batch, training=False):
    with tf.GradientTape() as tape:
        loss = model(batch, training=training)
    return loss, tape.gradient(loss, model.trainable_variables)


@pytest.mark.parametrize("loss", dual_tower.LOSSES)
@pytest.mark.parametrize("what", ["titles", "notes", "both"])
def test_zeros_have_a_gradient_that_is_a_number(loss, what):
    """A title without features and a melody without notes, before the first step."""
    keras.utils.set_random_seed(0)
    batch = pairs(np.random.default_rng(0), 4)
    if what != "notes":
        batch["title"][1:] = 0
    if what != "titles":
        batch["notes"][:2] = 0
    model = DualTower(loss, VOCABULARY, 8, 16)
    value, found = gradients(model, batch)
    assert np.isfinite(value)
    assert all(np.isfinite(part).all() for part in found)
    assert max(np.abs(part).max() for part in found) < 1e4


@pytest.mark.parametrize("loss", dual_tower.LOSSES)
def test_a_batch_of_one_teaches_nothing(loss):
    keras.utils.set_random_seed(0)
    model = DualTower(loss, VOCABULARY, 8, 16)
    value, found = gradients(model, pairs(np.random.default_rng(0), 1), training=True)
    assert float(value) == 0
    for part in found:
        np.testing.assert_array_equal(part, 0)


def test_dropout_is_for_training_only():
    keras.utils.set_random_seed(0)
    batch = pairs(np.random.default_rng(0), 6)
    model = DualTower("infonce", VOCABULARY, 8, 16)
    still = {float(model(batch)) for _ in range(3)}
    moving = {float(model(batch, training=True)) for _ in range(3)}
    assert len(still) == 1 and len(moving) == 3


class Flat:
    """Stands in for embeddings: the length of a text and the number of its words plus 1."""

    dimensions = 2

    def __call__(self, texts):
        return np.array([[len(text), len(text.split()) + 1] for text in texts], np.float32)


def test_batches_of_every_size_are_put_together():
    keras.utils.set_random_seed(0)
    model = DualTower("hinge", VOCABULARY, 8, 16)
    towers.build(model, 2)
    trained = towers.Towers(model, Flat())
    rng = np.random.default_rng(0)
    melodies = [random_melody(rng) for _ in range(259)]
    alone = functools.partial(vectors, model.tunes)
    for count in (1, 2, 256, 257, 259):
        found = trained.tune_vectors(melodies[:count])
        assert found.shape == (count, 8) and found.dtype == np.float32
        np.testing.assert_allclose(found[-1], alone([melodies[count - 1]])[0], atol=1e-6)
    texts = ["a b", "c", "d e f"]
    np.testing.assert_allclose(
        trained.title_vectors(texts)[2], trained.title_vectors(texts[2:])[0], atol=1e-6
    )
