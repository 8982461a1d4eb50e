"""Training of timbre transfer: each model learns, converts and goes on exactly."""

import dataclasses
import json
import pathlib
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from configs.style import MODELS
from pipelines import checkpoints
from pipelines.audio import files
from pipelines.media import events
from pipelines.runtime.app import UserError
from pipelines.systems.style.training import (
    batches,
    learners,
    learning,
    mel_training,
    trained,
    validation,
)
from pipelines.systems.style.transfer import methods, transfers
from tests.support.sounds import clicks, tone

pytestmark = [pytest.mark.keras3, pytest.mark.slow]

SMALL = {
    "width": 8,
    "critic_width": 8,
    "vector": 4,
    "piece": 8,
    "batch_size": 2,
    "num_steps": 30,
    "minutes": 0.5,
    "every": 10,
    "warm_up": 10,
    "identity_steps": 20,
}


def small(name, **changes):
    return dataclasses.replace(MODELS[name], **{**SMALL, **changes})


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Clicks over a tone, and the same clicks over another; pairs in all splits."""
    folder = tmp_path_factory.mktemp("pairs")
    for split, number in (("train", 4), ("validation", 2)):
        for role, hertz in (("source", 300), ("target", 900)):
            (folder / role / split).mkdir(parents=True)
            for at in range(number):
                sound = 0.5 * tone(hertz) + np.roll(clicks(), 700 * at)
                files.write(folder / role / split / f"{at}.wav", 0.5 * sound, 16_000, 1)
    return folder


def train(pairs, run_dir, name, hparams=None, **more):
    mel_training.train(
        name,
        hparams or small(name),
        str(pairs / "source"),
        str(pairs / "target"),
        str(run_dir),
        **more,
    )


def variables(checkpoint):
    """All numbers of a checkpoint: of networks, optimisers and the state of training."""
    reader = tf.train.load_checkpoint(str(checkpoint))
    return {
        name: reader.get_tensor(name)
        for name, kind in reader.get_variable_to_dtype_map().items()
        if kind != tf.string and name != "save_counter/.ATTRIBUTES/VARIABLE_VALUE"
    }


@pytest.fixture(scope="module")
def runs(pairs, tmp_path_factory):
    """The run of a model, made where it is first asked for."""
    folder = tmp_path_factory.mktemp("runs")

    def run(name):
        if not (folder / name).exists():
            train(pairs, folder / name, name, seed=3)
        return folder / name

    return run


@pytest.mark.parametrize("name", MODELS)
def test_each_model_learns_thirty_steps_and_converts(name, runs):
    run = runs(name)
    told = json.loads((run / "run.json").read_text())
    assert told["kind"] == "style" and told["model"] == name and told["finished"]
    for part in ("train", "validation", "media"):
        assert list((run / part).glob("events.out.tfevents*"))
    for frames in (1, 4, 81):
        mels = transfers.mels(clicks())[:frames]
        made = trained.open_transfer(str(run)).convert(mels)
        assert made.shape == (frames, transfers.BANDS) and made.dtype == np.float32
        assert np.isfinite(made).all() and made.min() >= transfers.FLOOR_DB
    silence = np.full((9, transfers.BANDS), transfers.FLOOR_DB, np.float32)
    np.testing.assert_array_equal(trained.open_transfer(str(run)).convert(silence), silence)


def test_what_learns_of_pairs_gets_nearer(pairs, tmp_path, capsys):
    hparams = small("paired", num_steps=60, start="none", average=0.0, width=16)
    train(pairs, tmp_path / "run", "paired", hparams)
    said = capsys.readouterr().err
    best = float(said.split("true targets: ")[-1].split(" dB")[0])
    first = float(said.split("before training ")[-1].split(")")[0])
    assert best < 0.7 * first


def test_what_learns_of_a_method_without_pairs_does_as_that(pairs, tmp_path):
    hparams = small("pseudopaired", num_steps=300, start="none", average=0.0, width=32)
    train(pairs, tmp_path / "run", "pseudopaired", hparams)
    paths = [sorted((pairs / side / "train").iterdir()) for side in ("source", "target")]
    known = [batches.read(pairs, each, 24, 0.5, "sounds") for each in paths]
    teacher = methods.methods()["knn"].fit(*([*each.values()] for each in known))
    [mels, *_] = known[0].values()
    wanted = teacher.convert(mels)
    found = trained.open_transfer(str(tmp_path / "run"), str(tmp_path / "run" / "train")).convert(
        mels
    )
    assert np.abs(found - wanted).mean() < 0.5 * np.abs(mels - wanted).mean()


@pytest.mark.parametrize("name", ["melganvc", "cyclegan", "pseudopaired-drums"])
def test_a_run_that_was_stopped_goes_on_exactly(name, runs, pairs, tmp_path, monkeypatch):
    take = learning.State.train

    def killed(state, batch):
        if state.steps == 17:
            raise KeyboardInterrupt
        return take(state, batch)

    monkeypatch.setattr(learning.State, "train", killed)
    with pytest.raises(KeyboardInterrupt):
        train(pairs, tmp_path / "parts", name, seed=3)
    monkeypatch.undo()
    train(pairs, tmp_path / "parts", name, seed=3)
    whole, parts = (
        variables(run / "train" / "ckpt-30") for run in (runs(name), tmp_path / "parts")
    )
    assert whole.keys() == parts.keys() and len(whole) > 30
    for key, value in whole.items():
        np.testing.assert_array_equal(value, parts[key], err_msg=key)


def scalars(folder, tag):
    """The values of a tag in TensorBoard's files, by their steps."""
    curve = events.read(folder)[tag]
    return dict(zip(curve.steps, curve.values))


def test_a_job_out_of_time_leaves_the_rest_to_the_next(runs, pairs, tmp_path):
    run = tmp_path / "run"
    train(pairs, run, "paired", seed=3, limits=mel_training.Limits(1e-9))
    assert not json.loads((run / "run.json").read_text())["finished"]
    train(pairs, run, "paired", seed=3)
    assert json.loads((run / "run.json").read_text())["finished"]
    # As if it had never been stopped: nothing was validated where the first job ended.
    tag = "log_spectral_distance_db"
    validated = scalars(run / "validation", tag)
    assert list(validated) == [0, 10, 20, 30]
    assert validated == scalars(runs("paired") / "validation", tag)
    kept = [checkpoints.latest(folder / "best") for folder in (run, runs("paired"))]
    assert len({pathlib.Path(path).name for path in kept}) == 1


def test_without_an_average_the_generator_is_kept_as_it_was_trained_last(pairs, tmp_path):
    hparams = small("paired", num_steps=2, every=2, average=0.0)
    train(pairs, tmp_path / "run", "paired", hparams)
    found = variables(tmp_path / "run" / "train" / "ckpt-2")
    kept = {key: value for key, value in found.items() if key.startswith("generator/")}
    assert len(kept) > 5
    for key, value in kept.items():
        np.testing.assert_array_equal(value, found[f"networks/{key}"], err_msg=key)


def test_a_run_goes_on_with_the_sounds_it_was_begun_with(pairs, tmp_path):
    folder = shutil.copytree(pairs, tmp_path / "pairs")
    hparams = small("pseudopaired", num_steps=20, minutes=1.0)
    train(folder, tmp_path / "run", "pseudopaired", hparams, limits=mel_training.Limits(1e-9))
    another = 0.25 * tone(500) + 0.25 * np.roll(clicks(), 300)
    files.write(folder / "source" / "train" / "0.wav", another, 16_000, 1)
    with pytest.raises(UserError, match="begun with other sounds"):
        train(folder, tmp_path / "run", "pseudopaired", hparams)
    (folder / "source" / "train" / "0.wav").unlink()
    with pytest.raises(UserError, match=r"begun with \[4, 4\] sounds of .* \[3, 4\] now"):
        train(folder, tmp_path / "run", "pseudopaired", hparams)


def test_a_pair_of_validation_that_cannot_be_read_is_left_out(pairs, tmp_path, capsys):
    folder = shutil.copytree(pairs, tmp_path / "pairs")
    (folder / "target" / "validation" / "0.wav").write_text("no sound")
    held_out = validation.held_out(str(folder / "source"), str(folder / "target"))
    assert [each.name for each in validation.read(held_out)] == ["1"]
    assert "left out of validation" in capsys.readouterr().err


def test_losses_of_the_steps_that_had_them_are_shown(pairs, tmp_path, monkeypatch):
    monkeypatch.setattr(learning, "_SUMMARY_STEPS", 4)
    noted = []
    monkeypatch.setattr(learning.Losses, "note", lambda self, losses: noted.append(losses))
    monkeypatch.setattr(learning.Losses, "means", lambda self: {"all": len(noted)})
    train(pairs, tmp_path / "run", "melganvc", small("melganvc", num_steps=4))
    assert [len(losses) for losses in noted] == [5, 1, 5, 1]  # The critic learns in all.
    assert scalars(tmp_path / "run" / "train", "losses/all") == {4: 4.0}
    monkeypatch.undo()
    losses = learning.Losses()
    for each in ({"critic": 1.0, "travel": 4.0}, {"critic": 2.0}):
        losses.note(each)
    assert losses.means() == {"critic": 1.5, "travel": 4.0} and losses.means() == {}


def test_the_average_by_hand():
    learnt, averaged = (keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]) for _ in "ab")
    learnt.set_weights([np.float32([[2.0]]), np.float32([4.0])])
    average = learners.Averaged(learnt, averaged, 0.5)
    np.testing.assert_array_equal(averaged.get_weights()[0], [[2.0]])
    learnt.set_weights([np.float32([[6.0]]), np.float32([4.0])])
    average.update(1)  # 2 / 11 of the average stay at first.
    np.testing.assert_allclose(averaged.get_weights()[0], [[2 * 2 / 11 + 6 * 9 / 11]], rtol=1e-6)
    learnt.set_weights(averaged.get_weights())
    learnt.set_weights([np.float32([[0.0]]), np.float32([4.0])])
    before = averaged.get_weights()[0]
    average.update(1000)
    np.testing.assert_allclose(averaged.get_weights()[0], before / 2, rtol=1e-6)
    np.testing.assert_allclose(averaged.get_weights()[1], [4.0], rtol=1e-6)


@pytest.mark.parametrize("start", ["none", "eq", "knn", "onsets", "quantile"])
def test_the_method_before_the_network_comes_back(start, pairs, tmp_path):
    hparams = small("melganvc", num_steps=1, every=1, start=start, learning_rate=0.0)
    train(pairs, tmp_path / "run", "melganvc", hparams)
    mels = transfers.mels(0.25 * tone(300) + 0.5 * clicks())
    found = trained.open_transfer(str(tmp_path / "run")).convert(mels)
    # A network that learnt nothing changes nothing, so what comes is the method's.
    wanted = mels
    if start != "none":
        paths = [sorted((pairs / side / "train").iterdir()) for side in ("source", "target")]
        known = [batches.read(pairs, each, 24, 0.5, "sounds") for each in paths]
        method = methods.methods()[start].fit(*([*each.values()] for each in known))
        wanted = np.maximum(method.convert(mels), transfers.FLOOR_DB)
    np.testing.assert_allclose(found, wanted, atol=1e-3)


def test_training_ends_where_it_gets_no_nearer(pairs, tmp_path, capsys):
    hparams = small("paired", learning_rate=0.0, every=1, patience=3)
    train(pairs, tmp_path / "run", "paired", hparams)
    assert "training ends at step 3" in capsys.readouterr().err


def test_another_seed_or_model_in_a_folder_is_refused(pairs, tmp_path):
    train(pairs, tmp_path / "run", "paired", small("paired", num_steps=1))
    with pytest.raises(UserError, match="begun with another model and hparams"):
        train(pairs, tmp_path / "run", "cyclegan")


def test_a_loss_that_is_not_finite_ends_in_a_line(pairs, tmp_path):
    hparams = small("paired", learning_rate=1e30)
    with pytest.raises(UserError, match=r"the loss loss is .* lower the learning rate"):
        train(pairs, tmp_path / "run", "paired", hparams)


def test_the_same_recordings_on_both_sides_are_refused(pairs, tmp_path):
    with pytest.raises(UserError, match="same recording"):
        mel_training.train(
            "melganvc",
            small("melganvc"),
            str(pairs / "source"),
            str(pairs / "source"),
            str(tmp_path / "run"),
        )
    assert not (tmp_path / "run").exists()


def test_sounds_that_are_too_short_are_refused(tmp_path):
    files.write(tmp_path / "short.wav", tone(300, seconds=0.1), 16_000, 1)
    with pytest.raises(UserError, match="give longer ones"):
        batches.read(tmp_path, [tmp_path / "short.wav"], 24, 1, "sounds")


def test_batches_of_a_number_are_the_same_and_pairs_belong_together():
    rng = np.random.default_rng(0)
    mels = {str(at): rng.normal(size=(40 + at, 3)).astype(np.float32) for at in range(3)}
    doubled = {name: 2 * each for name, each in mels.items()}
    drawn = batches.Batches(mels, doubled, True, 12, 5, seed=1)
    np.testing.assert_array_equal(2 * drawn[4].source, drawn[4].target)
    np.testing.assert_array_equal(drawn[4].source, drawn[4].source)
    assert np.abs(drawn[4].source - drawn[5].source).max() > 0
    free = batches.Batches(mels, doubled, False, 12, 5, seed=1)
    assert np.abs(2 * free[4].source - free[4].target).max() > 0


def test_no_pairs_to_learn_from_is_an_error():
    mels = np.zeros((40, 3), np.float32)
    with pytest.raises(UserError, match="no pairs"):
        batches.Batches({"a": mels}, {"b": mels}, True, 12, 5, seed=1)
