"""Records to training examples."""

import collections

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tensorflow_datasets
from magenta.models.music_vae import data
from note_seq.protobuf import music_pb2

import configs
from pipelines.examples import reading
from pipelines.examples.base import Batch, Counts, Draw
from pipelines.media import pieces as music
from pipelines.records import tfrecord
from pipelines.records.manifest import record_files
from pipelines.runtime import files
from pipelines.runtime.app import UserError
from tests.support.datasets import count, run_dataset, training_dataset, write
from tests.support.pieces import drums, melody


@pytest.fixture
def many_windows(tmp_path):
    """Two files with 40 and 30 bars: 37 + 27 = 64 windows of four bars, all different."""
    rng = np.random.default_rng(0)
    pieces = [
        drums(
            [
                (2.0 * bar + step / 8, 36 + 2 * int(rng.integers(2)), int(rng.integers(1, 128)))
                for bar in range(bars)
                for step in range(16)
            ]
        )
        for bars in (40, 30)
    ]
    write(tmp_path / "train.tfrecord-00000-of-00002", pieces[:1])
    write(tmp_path / "train.tfrecord-00001-of-00002", pieces[1:])
    return f"{tmp_path}/train.tfrecord*"


def windows_of(pattern, config):
    converter = config.data_converter
    converter.set_mode("train")
    return [
        window.tobytes()
        for path in record_files(pattern)
        for record in tfrecord.read(path)
        for window in converter.to_tensors(music_pb2.NoteSequence.FromString(record)).outputs
    ]


@pytest.mark.parametrize("cache", [False, True])
def test_an_epoch_has_every_window_once(many_windows, cache):
    config = configs.get("flat-groove_4bar")
    config.hparams.batch_size = 16
    epochs = run_dataset(lambda: training_dataset(config, many_windows, seed=3, cache=cache), 8)
    expected = collections.Counter(windows_of(many_windows, config))
    assert sum(expected.values()) == 64
    for epoch in (epochs[:4], epochs[4:]):
        seen = collections.Counter(
            window.astype(np.float32).tobytes() for batch in epoch for window in batch[1]
        )
        assert seen == expected
    first, second = ([b[1].tobytes() for b in epoch] for epoch in (epochs[:4], epochs[4:]))
    assert first != second  # The second epoch is in another order.
    inputs, outputs, controls, lengths = epochs[0]
    assert inputs.shape == outputs.shape == (16, 64, 27)
    assert controls.shape == (16, 64, 0)
    assert (lengths == 64).all()


def test_batches_mix_pieces_and_seeds_repeat(many_windows):
    config = configs.get("flat-groove_4bar")
    config.hparams.batch_size = 16

    def first(seed):
        return run_dataset(lambda: training_dataset(config, many_windows, seed=seed), 1)[0][1]

    np.testing.assert_array_equal(first(1), first(1))
    assert not np.array_equal(first(1), first(2))
    ordered = windows_of(many_windows, config)
    positions = [ordered.index(window.astype(np.float32).tobytes()) for window in first(1)]
    assert min(positions) < 37 <= max(positions)


@pytest.mark.parametrize("cache, fresh", [(False, True), (True, False)])
def test_augmentation_is_fresh_each_epoch_unless_cached(tmp_path, cache, fresh):
    config = configs.get("cat-mel_2bar_small")
    config.hparams.batch_size = 1
    assert config.note_sequence_augmenter is not None
    path = write(tmp_path / "a.tfrecord", [melody([60, 64, 67, 72] * 4)])
    epochs = run_dataset(lambda: training_dataset(config, path, seed=0, cache=cache), 12)
    assert (len({batch[1].tobytes() for batch in epochs}) > 1) == fresh


def test_counting_reconciles_and_says_why(tmp_path):
    long, short = ([(2.0 * bar, 36, 80) for bar in range(bars)] for bars in (6, 2))
    pieces = [drums(long), drums(short), drums(long, meter=(3, 4)), drums(long + [(0.5, 54, 80)])]
    path = write(tmp_path / "a.tfrecord", pieces)
    counts = count(configs.get("flat-groove_4bar"), path)
    assert (counts.records, counts.used, counts.examples) == (4, 2, 6)
    assert counts.unused == {"shorter than 4 bars": 1, "in 3/4; needs 4 quarter notes a bar": 1}
    assert counts.records == counts.used + sum(counts.unused.values())
    assert counts.notes["mapped"] == 1
    assert "notes mapped: 1" in counts.summary()


def test_fewer_examples_than_a_batch_are_refused():
    with pytest.raises(UserError, match="3 examples are fewer than a batch of 4"):
        Counts(records=1, used=1, examples=3).require_batch(4, "a.tfrecord")
    Counts(examples=4).require_batch(4, "a.tfrecord")


def test_no_example_at_all_says_why_and_nothing_of_batches(tmp_path):
    pieces = [music_pb2.NoteSequence() for _ in range(5)]
    for piece, rhythm in zip(pieces, ["Reel", "jig", "Jig", "", "Reel"]):
        piece.notes.add(pitch=60, velocity=80, end_time=1)
        if rhythm:
            piece.sequence_metadata.genre.append(rhythm)
    pieces[-1].ClearField("notes")
    path = write(tmp_path / "a.tfrecord", pieces)
    config = configs.ConfigRef("flat-reel_2bar", hparams="rhythm=reeel").build()
    with pytest.raises(UserError) as error:
        count(config, path).require_batch(512, "a.tfrecord")
    assert str(error.value) == (
        "a.tfrecord: 0 examples from 0 of 5 records (none from: 4 filtered by rhythm: its R: is no "
        "reeel, 1 no notes); change --hparams=rhythm=...: the rhythms here are 2 reel, 2 jig"
    )
    with pytest.raises(UserError, match=r"\(none from: 2 no notes\); choose another config"):
        Counts(records=2, unused=collections.Counter({"no notes": 2})).require_batch(
            512, "a.tfrecord"
        )


def test_every_held_out_example_is_yielded_once(many_windows):
    config = configs.get("flat-groove_4bar")
    counts = Counts()
    batches = list(reading.open_note_sequences(many_windows).batches(config, 10, counts))
    assert [len(batch.inputs) for batch in batches] == [10] * 6 + [4]
    seen = [window.tobytes() for batch in batches for window in batch.outputs]
    assert seen == windows_of(many_windows, config)
    assert counts.examples == 64 and counts.records == 2
    assert all((batch.qpm == 120.0).all() for batch in batches)
    assert (
        len(list(reading.open_note_sequences(many_windows).batches(config, 10, Counts(), 2))) == 2
    )


def test_a_tfds_dataset_stands_in_for_records(monkeypatch, tmp_path, capsys):
    """Its MIDI is read as `convert` reads it; what is not MIDI is left out with a message."""
    path = tmp_path / "a.mid"
    music.write(drums([(2.0 * bar, 36, 80) for bar in range(5)]), str(path), draw=False)
    contents = {"train": [path.read_bytes(), b"no MIDI"]}
    monkeypatch.setattr(
        tensorflow_datasets,
        "load",
        lambda name, split: tf.data.Dataset.from_tensor_slices({"midi": contents[split]}),
    )
    config = configs.get("flat-groove_4bar")
    config.hparams.batch_size = 2
    examples = reading.open_tfds("some/midionly")
    counts = examples.count(config)
    assert (counts.records, counts.examples) == (1, 2)
    assert "example 1 is left out: not a MIDI file" in capsys.readouterr().err
    [batch] = run_dataset(lambda: examples.training_dataset(config, Draw()), 1)
    assert batch[1][:, :, 0].sum(axis=1).tolist() == [4, 4]


def test_records_that_are_no_note_sequences_are_named(tmp_path):
    path = str(tmp_path / "a.tfrecord")
    with tf.io.TFRecordWriter(path) as writer:
        writer.write(b"\xff\xff\xff")
    with pytest.raises(UserError, match="a.tfrecord: its records are not NoteSequences"):
        count(configs.get("flat-groove_4bar"), path)


def test_padding_by_hand():
    padded = Batch.padded([np.ones((2, 3)), np.ones((1, 3))], 3, size=3)
    assert padded.shape == (3, 2, 3)
    assert padded.sum((1, 2)).tolist() == [6, 3, 0]


def test_the_same_examples_as_magentas_own_pipeline(many_windows):
    """An epoch is the same multiset as one of `data.get_dataset`, mended."""
    config = configs.get("groovae_4bar")
    config.hparams.batch_size = 4

    def epoch(make):
        # 40 and 30 bars without overlap: 10 + 7 windows, so 4 batches of 17 windows in each epoch.
        return collections.Counter(
            window.tobytes() for batch in run_dataset(make, 17) for window in batch[1]
        )

    ours = epoch(lambda: training_dataset(config, many_windows, seed=0))
    stock = epoch(
        lambda: data.get_dataset(
            config._replace(train_examples_path=many_windows), is_training=True
        )
    )
    assert sum(ours.values()) == 68  # Four epochs of 17.
    assert ours == stock


def test_records_of_another_kind_are_refused(tmp_path):
    path = write(tmp_path / "train.tfrecord-00000-of-00001", [drums([(0, 36, 80)])])
    files.write_json(str(tmp_path / "manifest.json"), {"kind": "tensors"})
    with pytest.raises(UserError, match="tensors"):
        reading.open_note_sequences(path)
    with pytest.raises(UserError, match="no file matches"):
        reading.open_note_sequences(str(tmp_path / "absent*"))
