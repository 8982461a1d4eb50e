"""A WaveNet on mels: trained, stopped and gone on with, and what it draws."""

import dataclasses
import json
import pathlib

import keras
import numpy as np
import pytest

from configs.vocoder import MODELS
from pipelines import runs
from pipelines.audio import files
from pipelines.runtime.app import UserError
from pipelines.systems.style.transfer import transfers
from pipelines.systems.style.transfer.transfers import HOP, RATE
from pipelines.systems.style.vocoders import vocoder, vocoder_training

pytestmark = [pytest.mark.keras3, pytest.mark.slow]
TINY = dataclasses.replace(
    MODELS["wavenet"], layers=3, stacks=1, channels=4, skip_channels=8, frames=4, batch_size=2,
    num_steps=30, every=10,
)  # fmt: skip


def tone(hertz, seconds=1.0):
    times = np.arange(round(seconds * RATE)) / RATE
    return (0.5 * np.sin(2 * np.pi * hertz * times)).astype(np.float32)


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    root = tmp_path_factory.mktemp("target")
    for split, hertz in (("train", 220), ("train", 330), ("validation", 275)):
        (root / split).mkdir(exist_ok=True)
        files.write(root / split / f"{hertz}.wav", tone(hertz), RATE, channels=1)
    return str(root)


@pytest.fixture(scope="module")
def run_dir(target, tmp_path_factory):
    made = str(tmp_path_factory.mktemp("run"))
    vocoder_training.train("wavenet", TINY, target, made, seed=1)
    return made


def weights(run_dir):
    import tensorflow as tf

    latest = tf.train.latest_checkpoint(runs.train_dir(run_dir))
    reader = tf.train.load_checkpoint(latest)
    names = [name for name in reader.get_variable_to_shape_map() if not name.startswith("_")]
    return {name: reader.get_tensor(name) for name in names}


def test_it_learns_and_says_what_it_is(run_dir, target):
    with open(f"{run_dir}/run.json", encoding="utf-8") as file:
        told = json.load(file)
    assert told["finished"] is True and told["kind"] == "vocoder" and told["target"] == target
    state = vocoder_training._State(TINY, run_dir)
    assert state.steps == 30
    examples = vocoder_training.Examples(
        sorted((pathlib.Path(target) / "validation").iterdir()), TINY, 3
    )
    fresh = vocoder_training._State(TINY, run_dir + "-none")
    batches = [examples[number] for number in range(4)]
    # Of 256 levels that are equally likely there are 8 bits.
    assert state.measured(batches) < fresh.measured(batches) - 0.1


def test_a_run_that_was_stopped_goes_on_exactly(run_dir, target, tmp_path, monkeypatch):
    stopped, save = str(tmp_path / "run"), vocoder_training._State.save

    def save_and_stop(state):
        save(state)
        if state.steps == 10:
            raise KeyboardInterrupt

    monkeypatch.setattr(vocoder_training._State, "save", save_and_stop)
    with pytest.raises(KeyboardInterrupt):
        vocoder_training.train("wavenet", TINY, target, stopped, seed=1)
    monkeypatch.undo()
    keras.utils.set_random_seed(99)
    vocoder_training.train("wavenet", TINY, target, stopped, seed=1)
    one, other = weights(run_dir), weights(stopped)
    assert one.keys() == other.keys() and len(one) > 40
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], err_msg=name)
    with pytest.raises(UserError, match="begun with another seed"):
        vocoder_training.train("wavenet", TINY, target, stopped, seed=2)


@pytest.mark.parametrize("seconds", [0.1, 0.5, 1.3])
def test_what_it_draws_is_as_long_as_the_sound(run_dir, seconds):
    """Under a part, a part, and several parts."""
    opened = vocoder.open_vocoder(run_dir)
    samples = tone(220, seconds)
    mels = transfers.mels(samples)
    made = opened.sound(mels, len(samples), seed=4)
    assert made.shape == samples.shape and made.dtype == np.float32
    assert np.abs(made).max() <= 1.5 and np.any(made)
    np.testing.assert_array_equal(made, opened.sound(mels, len(samples), seed=4))
    assert np.any(made != opened.sound(mels, len(samples), seed=5))


def test_an_example_has_the_sample_before_its_first(target):
    examples = vocoder_training.Examples(
        sorted((pathlib.Path(target) / "train").iterdir()), TINY, 5
    )
    samples, mels = examples[7]
    assert samples.shape == (2, 4 * HOP + 1) and mels.shape == (2, 4, transfers.BANDS)
    again = examples[7]
    np.testing.assert_array_equal(samples, again[0])
    # Where the mels of an example are in the whole, its samples are.
    for sound, of_sound in examples._sounds:
        for part, of_part in zip(samples, mels):
            places = [
                at for at in range(len(of_sound) - 4)
                if np.array_equal(of_sound[at : at + 4], of_part)
            ]  # fmt: skip
            for at in places:
                begin = max(at * HOP - 1, 0)
                expected = sound[begin : (at + 4) * HOP]
                np.testing.assert_array_equal(part[-len(expected) :], expected)


def test_bad_folders_are_told(tmp_path, target, run_dir):
    (tmp_path / "short").mkdir()
    files.write(tmp_path / "short" / "a.wav", tone(220, 0.02), RATE, channels=1)
    (tmp_path / "short" / "b.wav").write_text("no sound")
    with pytest.raises(UserError, match=r"none of its sounds is longer than 0\.05 s"):
        vocoder_training.train("wavenet", TINY, str(tmp_path / "short"), str(tmp_path / "run"))
    with pytest.raises(UserError, match="style train --model=wavenet"):
        vocoder.open_vocoder(str(tmp_path / "nowhere"))
    content = runs.read(run_dir, "vocoder")
    runs.write(tmp_path / "damaged", "vocoder", {**content, "hparams": {"layers": 3, "x": 1}})
    with pytest.raises(UserError, match=r"run\.json is damaged"):
        vocoder.read_metadata(tmp_path / "damaged")
