"""Music in TensorBoard while training: what is written when, and that training stays the same."""

import collections
import io
import shutil
import types

import numpy as np
import pytest
import soundfile
import tensorflow.compat.v1 as tf
from PIL import Image

from configs import ConfigRef
from pipelines import checkpoints, runs
from pipelines.audio import synthesis
from pipelines.examples import reading
from pipelines.systems.musicvae import media_hook, media_summaries
from pipelines.systems.musicvae.preview import Preview
from pipelines.systems.musicvae.run import open_run
from pipelines.systems.musicvae.validation import read_windows
from pipelines.systems.musicvae.variable_values import values_of
from tests.support.pieces import drums
from tests.support.trained import TINY, train_run

PICTURES = ["held_out/1b_decoded", "held_out/2b_decoded", "held_out/3b_decoded"]
SAMPLES = ["samples/1", "samples/2", "samples/3"]
ORIGINALS = ["held_out/1a_original", "held_out/2a_original", "held_out/3a_original"]


@pytest.fixture
def held_out(groove_records):
    return f"{groove_records}/validation.tfrecord*"


@pytest.fixture(scope="module")
def windows(groove_records):
    records = reading.open_note_sequences(f"{groove_records}/validation.tfrecord*")
    return read_windows(records, ConfigRef("flat-groove_4bar", hparams=TINY).build(), 9).examples


def written(run_dir):
    """The pictures and the sounds of a run: {tag: {step: value}} of each kind."""
    found = {"image": collections.defaultdict(dict), "audio": collections.defaultdict(dict)}
    for path in sorted((run_dir / "media").glob("events*")):
        for event in tf.train.summary_iterator(str(path)):
            for value in event.summary.value:
                found[value.WhichOneof("value")][value.tag].setdefault(event.step, []).append(value)
    return found["image"], found["audio"]


@pytest.mark.slow
def test_pictures_and_sound_of_held_out_windows_and_samples(groove_records, held_out, tmp_path):
    options = {"validation_path": held_out, "media_every": 2}
    train_run(groove_records, tmp_path, num_steps=5, **options)
    images, sounds = written(tmp_path)
    assert sorted(images) == sorted(PICTURES + SAMPLES + ORIGINALS)
    # Before the first step, every second step, and after the last; what stays as it is, once.
    for tag in PICTURES + SAMPLES:
        assert list(images[tag]) == [0, 2, 4, 5]
    for tag in ORIGINALS:
        assert list(images[tag]) == [0]
        # The grooves of the corpus are not silent.
        [sound] = sounds[f"{tag}_sound"][0]
        samples, rate = soundfile.read(io.BytesIO(sound.audio.encoded_audio_string))
        assert samples.shape == (sound.audio.length_frames,)
        assert rate == sound.audio.sample_rate == media_summaries.RATE
        assert sound.audio.num_channels == 1 and 0.05 < np.abs(samples).max() < 1
    assert {tag.removesuffix("_sound") for tag in sounds} <= set(images)
    for values in images.values():
        for [value] in values.values():
            picture = Image.open(io.BytesIO(value.image.encoded_image_string))
            assert picture.size == (value.image.width, value.image.height)
    # A run that goes on writes what is new, and shows each step once.
    train_run(groove_records, tmp_path, num_steps=6, **options)
    images, _ = written(tmp_path)
    assert [len(each) for each in images["samples/1"].values()] == [1, 1, 1, 1, 1]
    assert list(images["samples/1"]) == [0, 2, 4, 5, 6]
    # What was due when a run was killed is played by the one that goes on.
    shutil.rmtree(tmp_path / "media")
    train_run(groove_records, tmp_path, num_steps=7, **options)
    images, _ = written(tmp_path)
    assert list(images["samples/1"]) == [6, 7]
    assert list(images["held_out/1a_original"]) == [6]


@pytest.mark.slow
def test_training_is_the_same_with_and_without_media(groove_records, tmp_path):
    for name, every in (("without", 0), ("with", 1)):
        train_run(groove_records, tmp_path / name, media_every=every)
    assert not (tmp_path / "without" / "media").exists()
    images, _ = written(tmp_path / "with")
    # Without held-out records there are samples alone.
    assert sorted(images) == SAMPLES
    before, after = (
        tf.train.load_checkpoint(checkpoints.latest(str(tmp_path / name / "train")))
        for name in ("without", "with")
    )
    for name in before.get_variable_to_shape_map():
        np.testing.assert_array_equal(before.get_tensor(name), after.get_tensor(name))


@pytest.mark.slow
def test_training_goes_on_without_what_cannot_be_drawn(
    groove_records, tmp_path, monkeypatch, capsys
):
    def odd(*_):
        raise ValueError("odd music")

    monkeypatch.setattr(media_summaries, "picture", odd)
    assert train_run(groove_records, tmp_path, media_every=1) == 3
    warning = "warning: no more music for TensorBoard, training goes on: ValueError: odd music"
    assert capsys.readouterr().err.count(warning) == 1


@pytest.mark.slow
def test_pictures_without_a_synthesiser(groove_records, tmp_path, monkeypatch):
    monkeypatch.setattr(synthesis, "is_installed", lambda: False)
    train_run(groove_records, tmp_path, num_steps=1, media_every=1)
    images, sounds = written(tmp_path)
    assert sorted(images) == SAMPLES and not sounds


@pytest.mark.slow
def test_a_preview_plays_the_windows_and_the_same_latent_vectors(tiny_run, windows):
    run = open_run(str(tiny_run))
    preview = Preview(run, windows[:2], 4)
    originals = preview.originals()
    for original, (qpm, example) in zip(originals, windows[:2], strict=True):
        # Each class of drums that is struck in a step is a note.
        assert len(original.notes) == (example.outputs[:, :9] > 0.5).sum()
        assert original.total_time == pytest.approx(16 * 60 / qpm)
    held_out, samples = preview.play()
    assert (len(held_out), len(samples)) == (2, 4)
    assert {sample.total_time for sample in samples} == {8.0}
    assert [each.total_time for each in held_out] == [each.total_time for each in originals]
    # The weights of what the decoder gives are 0 and its biases are large: every drum is struck at
    # every step, whatever is decoded.
    values = {name: np.zeros(v.shape) for name, v in preview.variables.items()}
    [bias] = [name for name in values if name.endswith("output_projection/bias")]
    values[bias][:9] = 50.0
    preview.load(values)
    for played in preview.play():
        assert {len(each.notes) for each in played} == {64 * 9}
    np.testing.assert_array_equal(preview._z, Preview(run, [], 4)._z)


def test_values_are_moved_between_sessions():
    with tf.Graph().as_default() as graph:
        tf.Variable([1.0, 2.0], name="a")
        tf.Variable(3.0, name="b")
        with tf.Session(graph=graph) as session:
            session.run(tf.global_variables_initializer())
            assert values_of(session, ["b"]) == {"b": 3.0}


def test_the_middle_and_both_ends_of_the_windows_are_played():
    held_out = list(range(101))
    hook = media_hook.MediaHook("run", "name", None, held_out, 10, 0)
    assert hook._held_out == [0, 50, 100]
    assert media_hook.MediaHook("run", "name", None, [7], 10, 0)._held_out == [7]
    assert media_hook.MediaHook("run", "name", None, [7, 8], 10, 0)._held_out == [7, 8]
    assert media_hook.MediaHook("run", "name", None, [], 10, 0)._held_out == []


@pytest.mark.parametrize(("control_depth", "z_size", "shown"), [(0, 4, True), (12, 4, False)])
def test_where_music_cannot_be_shown_it_is_said(control_depth, z_size, shown, capsys):
    config = types.SimpleNamespace(
        data_converter=types.SimpleNamespace(control_depth=control_depth),
        hparams=types.SimpleNamespace(z_size=z_size),
    )
    assert media_hook.told("RUN", config, 500) is shown
    told = capsys.readouterr().err
    assert (f"every 500 steps (--media_every): {runs.media_dir('RUN')}" in told) is shown
    assert ("no music in TensorBoard" in told) is not shown


def test_long_pieces_are_cut_and_faded_out():
    sequence = drums([(i / 4, 42, 110) for i in range(120)])
    value = media_summaries.audio("a", sequence)
    samples, rate = soundfile.read(io.BytesIO(value.audio.encoded_audio_string))
    assert len(samples) == value.audio.length_frames == 15 * rate
    assert samples[-1] == 0 and np.abs(samples[-2 * rate :]).max() > 0.02
    short, _ = soundfile.read(
        io.BytesIO(media_summaries.audio("a", drums([(0.0, 42, 110)])).audio.encoded_audio_string)
    )
    assert len(short) < 5 * rate


def test_the_title_stands_over_the_picture():
    sequence = drums([(0.0, 36, 90)])
    first, same, other = (media_summaries.picture("a", sequence, title) for title in "xxy")
    assert first == same != other
