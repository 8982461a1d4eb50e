"""A WaveNet that changes samples: trained, gone on with, used and measured."""

import dataclasses
import json

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from configs.wavenet_gan import MODELS
from models import wavenet, wavenet_gan
from pipelines import runs
from pipelines.audio import files
from pipelines.runtime.app import UserError
from pipelines.systems.style.measuring import evaluation
from pipelines.systems.style.training import (
    learning,
    opening,
    validation,
    waveform,
    waveform_training,
)
from pipelines.systems.style.transfer import converting, transfers
from tests.support.sounds import clicks, tone

pytestmark = [pytest.mark.keras3, pytest.mark.slow]

NAME = "wavenet-gan"
TINY = dataclasses.replace(
    MODELS[NAME], layers=3, stacks=1, channels=4, skip_channels=4, critic_width=8, vector=4,
    piece=8, batch_size=2, num_steps=30, minutes=0.5, every=10,
)  # fmt: skip


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Clicks over a tone, and the same clicks over another; other clicks in training."""
    folder = tmp_path_factory.mktemp("pairs")
    for split, number in (("train", 4), ("validation", 2), ("test", 3)):
        for role, hertz in (("source", 300), ("target", 900)):
            (folder / role / split).mkdir(parents=True)
            for at in range(number):
                shift = 700 * at + (350 if (role, split) == ("target", "train") else 0)
                sound = 0.25 * tone(hertz) + 0.5 * np.roll(clicks(), shift)
                files.write(folder / role / split / f"{at}.wav", sound, transfers.RATE, 1)
    return folder


def train(pairs, run_dir, hparams=TINY, **more):
    folders = str(pairs / "source"), str(pairs / "target")
    waveform_training.train(NAME, hparams, *folders, str(run_dir), **{"seed": 3, **more})


@pytest.fixture(scope="module")
def run(pairs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    train(pairs, folder)
    return folder


def variables(checkpoint):
    """All numbers of a checkpoint: of networks, optimisers and the state of training."""
    reader = tf.train.load_checkpoint(str(checkpoint))
    return {
        name: reader.get_tensor(name)
        for name, kind in reader.get_variable_to_dtype_map().items()
        if kind != tf.string and name != "save_counter/.ATTRIBUTES/VARIABLE_VALUE"
    }


def test_it_learns_thirty_steps_and_says_what_it_is(run):
    told = json.loads((run / "run.json").read_text())
    assert (told["kind"], told["model"], told["finished"]) == ("waveform", NAME, True)
    # Half a minute is that of three sounds, of which at least ten seconds are taken.
    assert told["sounds"] == [3, 3]
    for part in ("train", "validation", "media"):
        assert list((run / part).glob("events.out.tfevents*"))
    last = variables(run / "train" / "ckpt-30")
    assert last["steps/.ATTRIBUTES/VARIABLE_VALUE"] == 30
    changed = last["networks/generator/0/.ATTRIBUTES/VARIABLE_VALUE"]
    averaged = last["generator/0/.ATTRIBUTES/VARIABLE_VALUE"]
    assert changed.shape == averaged.shape and np.abs(changed - averaged).max() > 0


def test_a_run_that_was_stopped_goes_on_exactly(run, pairs, tmp_path, monkeypatch):
    take = learning.State.train

    def killed(state, batch):
        if state.steps == 17:
            raise KeyboardInterrupt
        return take(state, batch)

    monkeypatch.setattr(learning.State, "train", killed)
    with pytest.raises(KeyboardInterrupt):
        train(pairs, tmp_path / "parts")
    monkeypatch.undo()
    train(pairs, tmp_path / "parts")
    whole, parts = (variables(each / "train" / "ckpt-30") for each in (run, tmp_path / "parts"))
    assert whole.keys() == parts.keys() and len(whole) > 60
    for key, value in whole.items():
        np.testing.assert_array_equal(value, parts[key], err_msg=key)
    with pytest.raises(UserError, match="begun with another hparams"):
        train(pairs, tmp_path / "parts", dataclasses.replace(TINY, channels=5))


@pytest.mark.parametrize("length", [1, 15, 16, 17, 4321])
def test_what_it_makes_is_as_long_as_the_sound(run, length):
    transfer, _ = opening.open_run(str(run))
    samples = (clicks() + 0.3 * tone(300))[100 : 100 + length]
    made = transfers.converted(samples, transfer)
    assert made.shape == samples.shape and made.dtype == np.float32
    assert np.isfinite(made).all() and np.abs(made).max() <= 1


def test_silence_stays_silent_and_what_is_near_a_sound_does_not(run):
    transfer, _ = opening.open_run(str(run))
    silence = np.zeros(5000, np.float32)
    np.testing.assert_array_equal(transfer.convert_samples(silence), silence)
    samples = silence.copy()
    samples[2000:2100] = 0.5 * tone(300)[7:107]
    made = transfer.convert_samples(samples)
    far = wavenet_gan.seen(TINY.layers, TINY.stacks, TINY.group)
    np.testing.assert_array_equal(made[: 2000 - far], 0)
    np.testing.assert_array_equal(made[2100 + far :], 0)
    near = made[2000 - far : 2100 + far]
    np.testing.assert_allclose(near, wavenet.requantised(near), atol=1e-6)


def test_it_converts_and_is_measured_as_other_runs_are(run, pairs, tmp_path):
    transfer, told = opening.open_run(str(run))
    assert told == waveform.read_metadata(run)
    sounds = pairs / "source" / "test"
    summary = converting.convert(transfer, {}, str(sounds), tmp_path / "out")
    assert (summary["sounds"], summary["converted"], summary["rejected"]) == (3, 3, 0)
    made, rate = soundfile.read(tmp_path / "out" / "0.wav", dtype="float32")
    heard, _ = soundfile.read(sounds / "0.wav", dtype="float32")
    assert rate == transfers.RATE
    # Files have 16 bits.
    np.testing.assert_allclose(made, transfer.convert_samples(heard), atol=2e-4)
    settings = evaluation.Settings(most=2, seconds=1.0)
    rows = evaluation.evaluate(pairs, {"tiny": transfer}, settings)["rows"]
    # Thirty steps change little, but the levels alone do.
    assert 0 < rows["tiny"]["lsd_db"]["mean"] < rows[evaluation.INPUT]["lsd_db"]["mean"] + 5


def test_validation_measures_the_sound_that_is_made(pairs):
    class Kept:
        def convert_samples(self, samples):
            return samples

    folders = str(pairs / "source"), str(pairs / "target")
    examples = validation.read(validation.held_out(*folders))
    same = [each._replace(target=each.source) for each in examples]
    assert validation.distance(Kept(), same) == 0
    assert validation.distance(Kept(), examples) > 3


def test_damage_and_other_runs_are_told(run, tmp_path):
    with pytest.raises(UserError, match="no run of waveform is there"):
        waveform.open_transfer(str(tmp_path))
    content = runs.read(run, "waveform")
    runs.write(tmp_path / "damaged", "waveform", {**content, "hparams": {"layers": 3, "x": 1}})
    with pytest.raises(UserError, match=r"run\.json is damaged"):
        opening.open_run(str(tmp_path / "damaged"))
    runs.write(tmp_path / "other", "waveform", {**content, "hparams": {**content["hparams"],
                                                                      "channels": 7}})  # fmt: skip
    (tmp_path / "other" / "best").symlink_to(run / "best")
    with pytest.raises(UserError, match="damaged"):
        opening.open_run(str(tmp_path / "other"))


def test_a_loss_that_is_not_finite_ends_in_a_line(pairs, tmp_path):
    with pytest.raises(UserError, match=r"the loss \w+ is .* lower the learning rate"):
        train(pairs, tmp_path / "run", dataclasses.replace(TINY, learning_rate=1e30))
