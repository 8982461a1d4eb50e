"""A run as a small folder: which variables it has, what run.json and the card say."""

import dataclasses
import hashlib
import json

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from configs import ConfigRef
from pipelines.exported import weights
from pipelines.runtime.app import UserError
from pipelines.systems.musicvae import exporting, losses, model
from pipelines.systems.musicvae.run import Run, open_run
from tests.support.jobs import error_of, job

pytestmark = pytest.mark.slow

SMALL = "enc_rnn_size=[8],dec_rnn_size=[8,8],z_size=4,batch_size=2"


def test_it_has_the_variables_that_were_trained_and_none_of_the_optimizers(tiny_run, tmp_path):
    folder = exporting.export(open_run(str(tiny_run)), tmp_path / "model")
    trained = tf.train.load_checkpoint(str(tiny_run / "train" / "model.ckpt-3"))
    slots = ("Adam", "Adam_1", "beta1_power", "beta2_power", "global_step")
    wanted = [n for n in trained.get_variable_to_shape_map() if n.rsplit("/")[-1] not in slots]
    read = weights.read(folder / "weights.safetensors")
    assert sorted(read.tensors) == sorted(wanted) and len(wanted) > 10
    for name in wanted:
        np.testing.assert_array_equal(read.tensors[name], trained.get_tensor(name).astype("f2"))


@pytest.mark.parametrize("name", ["hierdec-groove_4bar", "cat-mel_2bar_small", "flat-reel_2bar"])
def test_every_kind_of_model_comes_back(name, tmp_path):
    """What is exported is all that encoding and decoding restore."""
    config = ConfigRef(name, hparams=SMALL).build()
    first = losses.untrained(Run(name, config, "", None, {}), str(tmp_path), seed=1)
    folder = exporting.export(first, tmp_path / "model")
    again = open_run(name=str(folder))
    assert again.step == 0 and again.metadata["starts"] == []
    assert again.config.hparams.values() == config.hparams.values()
    steps = config.hparams.max_seq_len
    decoded = model.decode(model.load(again, 1, seed=0), np.zeros([1, 4]), steps, 1.0)
    assert decoded.shape[:2] == (1, steps)


def test_run_json_and_the_card_say_what_it_is(tiny_run, tmp_path):
    folder = exporting.export(open_run(str(tiny_run)), tmp_path / "mine")
    metadata = json.loads((folder / "run.json").read_text())
    before = json.loads((tiny_run / "run.json").read_text())
    # Where the records lay on the machine that trained it is nobody's business.
    assert before["starts"][0]["examples_path"].startswith("/")
    assert metadata["starts"][0]["examples_path"] == "records/train.tfrecord*"
    before["starts"][0]["examples_path"] = "records/train.tfrecord*"
    assert metadata == before
    card = (folder / "CARD.md").read_text()
    content = (folder / "weights.safetensors").read_bytes()
    assert f"sha256 `{hashlib.sha256(content).hexdigest()}`" in card
    assert "| training step | 3 |" in card and "--pretrained=mine " in card
    assert "`records/train.tfrecord*`" in card
    assert sorted(path.name for path in folder.iterdir()) == [
        *("CARD.md", "run.json", "weights.safetensors")
    ]


def test_what_lies_beside_the_checkpoint_goes_with_it(tiny_run, tmp_path):
    run = tmp_path / "run"
    (run / "train").mkdir(parents=True)
    (run / "run.json").write_bytes((tiny_run / "run.json").read_bytes())
    for path in (tiny_run / "train").glob("model.ckpt-3.*"):
        (run / "train" / path.name).write_bytes(path.read_bytes())
    (run / "attributes.json").write_text("{}")
    (run / "train" / "prior.safetensors").write_bytes(b"prior")
    (run / "train" / "other.json").write_text("{}")
    folder = exporting.export(open_run(str(run)), tmp_path / "model")
    assert (folder / "attributes.json").read_text() == "{}"
    assert (folder / "prior.safetensors").read_bytes() == b"prior"
    assert not (folder / "other.json").exists()


def test_what_float16_cannot_hold_leaves_nothing(tiny_run, tmp_path, monkeypatch):
    reader = tf.train.load_checkpoint(str(tiny_run / "train" / "model.ckpt-3"))

    class Large:
        def get_variable_to_shape_map(self):
            return reader.get_variable_to_shape_map()

        def get_tensor(self, name):
            return reader.get_tensor(name) * (1e9 if name == "encoder/mu/kernel" else 1)

    monkeypatch.setattr(tf.train, "load_checkpoint", lambda prefix: Large())
    with pytest.raises(UserError, match="cannot hold encoder/mu/kernel, whose largest number is"):
        exporting.export(open_run(str(tiny_run)), tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_of_another_config_is_refused(tiny_run, tmp_path):
    run = open_run(str(tiny_run))
    other = ConfigRef(run.name, hparams=SMALL.replace("z_size=4", "z_size=5")).build()
    with pytest.raises(UserError, match=r"does not fit .* is \[40, 32\] in the model and \[39, "):
        exporting.export(dataclasses.replace(run, config=other), tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_the_command(tiny_run, tmp_path):
    output = tmp_path / "model"
    done = job("pretrained", "export", f"--run_dir={tiny_run}", f"--output={output}")
    assert done.returncode == 0 and done.stdout == f"{output}\n", done.stderr
    assert open_run(name=str(output)).step == 3
    again = job("pretrained", "export", f"--run_dir={tiny_run}", f"--output={output}")
    assert "exists already; remove it or name another folder" in error_of(again)
