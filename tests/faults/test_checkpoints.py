"""Checkpoints that are cut, emptied, swapped or of another config, for what loads and trains."""

import os
import shutil

import pytest
import tensorflow.compat.v1 as tf

from pipelines import checkpoints
from pipelines.runtime.app import UserError
from pipelines.systems.musicvae import model
from pipelines.systems.musicvae.run import open_run
from tests.support.trained import train_run

pytestmark = pytest.mark.slow

INDEX, DATA = "model.ckpt-3.index", "model.ckpt-3.data-00000-of-00001"


@pytest.fixture
def run(tiny_run, tmp_path):
    shutil.copytree(tiny_run, tmp_path / "run")
    return tmp_path / "run"


def cut(name, share):
    def change(train):
        whole = (train / name).read_bytes()
        (train / name).write_bytes(whole[: int(share * len(whole))])

    return change


def flip(name, place):
    """Changes one byte."""

    def change(train):
        content = bytearray((train / name).read_bytes())
        content[int(place * len(content))] ^= 0xFF
        (train / name).write_bytes(content)

    return change


def swap(name):
    """Puts a file of the checkpoint of step 0 in its place."""

    def change(train):
        shutil.copy(train / name.replace("ckpt-3", "ckpt-0"), train / name)

    return change


def of_another_model(train):
    """A checkpoint of the same step, with other variables."""
    with tf.Graph().as_default(), tf.Session() as session:
        tf.get_variable("global_step", initializer=tf.constant(3, tf.int64), trainable=False)
        tf.get_variable("other", [3])
        session.run(tf.global_variables_initializer())
        saver = tf.train.Saver(save_relative_paths=True)
        saver.save(session, str(train / "model.ckpt"), global_step=3)


DAMAGED = {
    "data cut": cut(DATA, 0.5),
    "data empty": cut(DATA, 0),
    "a byte of the data": flip(DATA, 0.3),
    "data of another step": swap(DATA),
    "index cut": cut(INDEX, 0.5),
    "index empty": cut(INDEX, 0),
    "a byte of the index": flip(INDEX, 0.5),
    "index of another step": swap(INDEX),
}


@pytest.mark.parametrize("change", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_checkpoint_is_named_and_the_one_before_still_loads(run, change):
    change(run / "train")
    with pytest.raises(UserError, match=r"model\.ckpt-3: damaged .*; remove .*ckpt-3\.\* to go on"):
        model.load(open_run(str(run)), 2, 0)
    for path in (run / "train").glob("model.ckpt-3.*"):
        path.unlink()
    assert open_run(str(run)).step == 0
    model.load(open_run(str(run)), 2, 0)


# Each builds a graph. A flipped byte is only found when the variables are restored.
@pytest.mark.parametrize("name", ["data cut", "a byte of the data", "index of another step"])
def test_training_names_its_damaged_checkpoint_and_goes_on_from_the_one_before(
    run, groove_records, name
):
    DAMAGED[name](run / "train")
    with pytest.raises(UserError, match=r"model\.ckpt-3: damaged .*; remove .*ckpt-3\.\* to go on"):
        train_run(groove_records, run, num_steps=4)
    for path in (run / "train").glob("model.ckpt-3.*"):
        path.unlink()
    assert train_run(groove_records, run, num_steps=4) == 4
    assert checkpoints.last_step(str(run / "train")) == 4


def test_a_checkpoint_of_another_config_is_named(run, groove_records):
    of_another_model(run / "train")
    with pytest.raises(UserError, match="does not fit the config"):
        model.load(open_run(str(run)), 2, 0)
    with pytest.raises(UserError, match=r"does not fit the config.*; remove .*ckpt-3\.\*"):
        train_run(groove_records, run, num_steps=4)


STATES = {
    "garbled": b"\xff\x00" * 50,
    "empty": b"",
    "of another folder": b'model_checkpoint_path: "/etc/passwd"\n',
    "of no checkpoint": b'model_checkpoint_path: "model.ckpt-99"\n',
}


@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
def test_without_a_sound_list_of_checkpoints_the_newest_is_found(run, state):
    (run / "train" / "checkpoint").write_bytes(state)
    assert open_run(str(run)).step == 3
    checkpoints.settle(str(run / "train"))
    assert tf.train.latest_checkpoint(str(run / "train")) == str(run / "train" / "model.ckpt-3")


def test_training_goes_on_without_a_sound_list_of_checkpoints(run, groove_records):
    (run / "train" / "checkpoint").write_bytes(STATES["garbled"])
    assert train_run(groove_records, run, num_steps=4) == 1
    assert checkpoints.last_step(str(run / "train")) == 4


def test_a_list_of_checkpoints_that_are_gone_does_not_stop_training(tmp_path):
    """TensorFlow itself fails on one that it cannot read."""
    (tmp_path / "checkpoint").write_bytes(STATES["garbled"])
    checkpoints.settle(str(tmp_path))
    assert os.listdir(tmp_path) == []
