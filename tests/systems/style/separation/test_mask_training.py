"""The network that separates drums from the rest: learning from rendered sounds, and its use."""

import dataclasses
import json

import numpy as np
import pytest
import soundfile

from configs.separation import Hparams
from pipelines import runs
from pipelines.audio import separation
from pipelines.runtime.app import UserError
from pipelines.systems.style.separation import mask_folders, mixtures
from tests.support.sounds import clicks, tone

pytestmark = pytest.mark.keras3

RATE = 8_000
SMALL = Hparams(
    rate=RATE,
    channels=(4, 4),
    units=8,
    dilations=(1, 2),
    num_steps=6,
    batch_size=2,
    seconds=0.5,
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    from pipelines.systems.style.separation.mask_training import Folders

    root = tmp_path_factory.mktemp("rendered")
    for split in ("train", "validation"):
        for name, samples in (("drums", clicks(RATE, 3.0)), ("rest", tone(440, RATE, 3.0))):
            folder = root / name / split
            folder.mkdir(parents=True)
            soundfile.write(folder / "one.wav", samples, RATE)
    return Folders([str(root / "drums")], [str(root / "rest")])


def train(folders, run_dir, hparams=SMALL, seed=1):
    from pipelines.systems.style.separation import mask_training

    mask_training.train(folders, str(run_dir), hparams, seed)


@pytest.fixture
def saved_often(monkeypatch):
    from pipelines.systems.style.separation import mask_training

    monkeypatch.setattr(mask_training, "_SAVE_STEPS", 2)


@pytest.fixture(scope="module")
def trained(folders, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("runs") / "run"
    train(folders, run_dir, dataclasses.replace(SMALL, num_steps=60, learning_rate=1e-2))
    return run_dir


@pytest.fixture(scope="module")
def separator(trained):
    from pipelines.systems.style.separation import mask_model

    return mask_model.separator(mask_model.open_model(trained))


def test_a_batch_depends_on_its_number_alone(folders):
    sounds = mixtures.find(*folders, "train")
    first = mixtures.batch(sounds, SMALL, 1, 3)
    for one, other in zip(first, mixtures.batch(sounds, SMALL, 1, 3)):
        assert np.array_equal(one, other)
    assert not np.array_equal(first.magnitudes, mixtures.batch(sounds, SMALL, 1, 4).magnitudes)
    # A window of 64 ms has 512 frames, so 256 bins without the last.
    frames = 1 + (RATE // 2 - 512) // 128
    assert {each.shape for each in first} == {(2, frames, 256)}
    assert {each.dtype for each in first} == {np.dtype("float32")}


def test_the_spectra_of_a_batch_belong_together(folders):
    found = mixtures.batch(mixtures.find(*folders, "train"), SMALL, 1, 0)
    assert np.allclose(np.square(found.magnitudes), found.mixtures, rtol=1e-4)
    # Cauchy and Schwarz: the real part of a product is at most the product of the magnitudes.
    assert (np.abs(found.crosses) <= np.sqrt(found.mixtures * found.sources) * 1.001 + 1e-6).all()
    # The energy of what is left by taking the drums away is that of the rest, so not negative.
    rest = found.mixtures - 2 * found.crosses + found.sources
    assert (rest >= -1e-3 * (found.mixtures + found.sources + 1)).all()
    # The rest is up to 8 dB softer or louder, and some more by the colours of both.
    ratio = 10 * np.log10(found.sources.sum(axis=(1, 2)) / rest.sum(axis=(1, 2)))
    assert (np.abs(ratio) < 8 + 4 * SMALL.equalizer_db).all()


def test_it_learns_to_tell_clicks_from_tones(separator):
    wanted = 8 * clicks(RATE, 3.0), tone(500, RATE, 3.0)
    mixed = sum(wanted)[:, np.newaxis]
    chunks = list(separation.separate([mixed], RATE, separator))
    for found, truth in zip(zip(*chunks), wanted):
        before = separation.si_sdr(mixed[:, 0], truth)
        assert separation.si_sdr(np.concatenate(found)[:, 0], truth) > before + 5


@pytest.mark.parametrize("rate", [RATE, 4_000, 22_050])
def test_the_chunks_change_nothing(separator, rate):
    samples = (clicks(rate, 2.0) + tone(300, rate, 2.0))[:, np.newaxis]
    whole, parts = (
        np.concatenate([first for first, _ in separation.separate([samples], rate, separator, s)])
        for s in (10.0, 0.3)
    )
    assert whole.shape == samples.shape
    assert np.abs(whole - parts).max() < 1e-4


def test_a_run_that_was_killed_goes_on_exactly(folders, tmp_path, monkeypatch, saved_often):
    from pipelines.systems.style.separation import mask_training

    train(folders, tmp_path / "whole")
    taken = mask_training._State.train

    def killed(self, batch):
        if self.steps == 5:
            raise KeyboardInterrupt
        return taken(self, batch)

    monkeypatch.setattr(mask_training._State, "train", killed)
    with pytest.raises(KeyboardInterrupt):
        train(folders, tmp_path / "killed")
    monkeypatch.setattr(mask_training._State, "train", taken)
    train(folders, tmp_path / "killed")
    whole, again = (
        (tmp_path / each / mask_folders.WEIGHTS).read_bytes() for each in ("whole", "killed")
    )
    assert whole == again
    kept = json.loads((tmp_path / "whole" / runs.METADATA).read_text())
    assert kept["finished"] and kept["kind"] == "separator" and kept["validation_sdr_db"] > 0


def test_another_run_in_its_folder_is_refused(folders, trained):
    with pytest.raises(UserError, match="begun with another hparams and seed"):
        train(folders, trained, seed=2)


def test_folders_that_cannot_be_used(folders, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no folder 'train' in it; name a folder that"):
        train(folders._replace(drums=[str(tmp_path / "empty")]), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_models_that_are_damaged(trained, tmp_path):
    from pipelines.systems.style.separation import mask_model

    with pytest.raises(UserError, match="no run of separator is there; .* train_separator"):
        mask_folders.require(tmp_path)
    metadata = json.loads((trained / runs.METADATA).read_text())
    runs.write(tmp_path, mask_folders.KIND, metadata)
    with pytest.raises(UserError, match=r"no mask\.safetensors in it yet"):
        mask_folders.require(tmp_path)
    (tmp_path / mask_folders.WEIGHTS).write_bytes((trained / mask_folders.WEIGHTS).read_bytes())
    metadata["hparams"]["units"] = 9
    runs.write(tmp_path, mask_folders.KIND, metadata)
    with pytest.raises(UserError, match=r"variables are not those of the network"):
        mask_model.open_model(tmp_path)
    for damage in ({}, {**metadata["hparams"], "channels": [4] * 12}):
        runs.write(tmp_path, mask_folders.KIND, {**metadata, "hparams": damage})
        with pytest.raises(UserError, match=r"run\.json is damaged"):
            mask_model.open_model(tmp_path)
