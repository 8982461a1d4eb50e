"""A new run that starts from the variables of a trained model."""

import json
import shutil

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from pipelines.runtime.app import UserError
from pipelines.systems.musicvae.progress_hook import ProgressHook
from pipelines.systems.musicvae.run import open_run
from tests.support.trained import TINY, make_model, train_run

pytestmark = pytest.mark.slow


@pytest.fixture
def losses(monkeypatch):
    """The losses of the training steps, in their order."""
    found = []
    real = ProgressHook.after_run

    def recorded(self, context, values):
        found.append(float(values.results["loss"]))
        return real(self, context, values)

    monkeypatch.setattr(ProgressHook, "after_run", recorded)
    return found


def variables(run_dir, step):
    """The variables of a checkpoint, without the optimizer's."""
    reader = tf.train.load_checkpoint(str(run_dir / "train" / f"model.ckpt-{step}"))
    names = reader.get_variable_to_shape_map()
    return {name: reader.get_tensor(name) for name in names if "Adam" not in name}


def last_start(run_dir):
    return json.loads((run_dir / "run.json").read_text())["starts"][-1]


@pytest.fixture(scope="module")
def trained(groove_records, tmp_path_factory):
    """A run that has learnt something: its loss is well under that of a new one."""
    run_dir = tmp_path_factory.mktemp("trained") / "run"
    train_run(groove_records, run_dir, num_steps=60)
    return run_dir


def test_the_loss_starts_where_the_model_was(trained, groove_records, tmp_path, losses, capsys):
    """Beside the model's own run that goes on, which draws another batch: by its step."""
    shutil.copytree(trained, tmp_path / "on")
    train_run(groove_records, tmp_path / "on", num_steps=61, seed=1)
    model = make_model(trained, tmp_path / "model")
    capsys.readouterr()
    for name, source in (("run", trained), ("model", model), ("new", None)):
        more = {"warm_start": str(source)} if source else {}
        train_run(groove_records, tmp_path / name, num_steps=1, seed=61, **more)
    on, from_run, from_model, new = losses
    assert from_run == pytest.approx(on, rel=0.05)
    # The weights of a model are rounded to 16 bits.
    assert from_model == pytest.approx(from_run, rel=1e-3)
    assert new > 1.2 * max(on, from_run)
    said = capsys.readouterr().err
    count = len(variables(trained, 60)) - 3  # the step and the optimizer's two powers
    assert f"warm start from {trained} (flat-groove_4bar): all {count} variables fit" in said
    assert f"warm start from {model} (flat-groove_4bar): all {count} variables fit" in said
    before, after = variables(trained, 60), variables(tmp_path / "run", 0)
    assert after["global_step"] == 0 and before["global_step"] == 60
    assert after["beta1_power"] > before["beta1_power"]  # Adam's estimates begin anew.
    for name in set(before) - {"global_step", "beta1_power", "beta2_power"}:
        np.testing.assert_array_equal(after[name], before[name])


def test_run_json_says_so(tiny_run, groove_records, tmp_path):
    model = make_model(tiny_run, tmp_path / "model")
    for source, sha256 in ((tiny_run, type(None)), (model, str)):
        run_dir = tmp_path / source.name / "new"
        train_run(groove_records, run_dir, num_steps=1, warm_start=str(source))
        said = last_start(run_dir)["warm_start"]
        assert isinstance(said.pop("sha256"), sha256)
        trained_on = said.pop("trained_on")
        assert [path.split("/")[-2:] for path in trained_on] == [["records", "train.tfrecord*"]]
        assert said == {
            "source": str(source),
            "checkpoint": "model.ckpt-3",
            "config": "flat-groove_4bar",
            "step": 3,
            "new": [],
        }
        assert set(trained_on) <= set(open_run(str(run_dir)).trained_on())


def test_what_does_not_fit_is_new(tiny_run, groove_records, tmp_path, capsys):
    run_dir = tmp_path / "run"
    other = TINY.replace("z_size=4", "z_size=5")
    source = str(tiny_run / "train" / "model.ckpt-3")
    train_run(groove_records, run_dir, num_steps=1, hparams=other, warm_start=source)
    line = next(line for line in capsys.readouterr().err.splitlines() if "warm start" in line)
    assert "variables fit: decoder/" in line and " and " in line
    assert "; new: decoder/" in line and "encoder/mu/bias [5] ([4] there)" in line
    before, after = variables(tiny_run, 3), variables(run_dir, 0)
    new = set(last_start(run_dir)["warm_start"]["new"])
    assert new == {name for name in after if before[name].shape != after[name].shape}
    assert 3 < len(new) < len(after) - 3
    for name in set(after) - new - {"global_step", "beta1_power", "beta2_power"}:
        np.testing.assert_array_equal(after[name], before[name])


def test_nothing_that_fits_is_refused(tiny_run, groove_records, tmp_path):
    hparams = "batch_size=8,enc_rnn_size=[6],dec_rnn_size=[5,5],z_size=3"
    with pytest.raises(UserError) as error:
        train_run(
            groove_records,
            tmp_path / "run",
            config="cat-mel_2bar_small",
            hparams=hparams,
            warm_start=str(tiny_run),
        )
    assert str(error.value).startswith(
        f"--warm_start={tiny_run} (flat-groove_4bar): none of its variables fits "
        "cat-mel_2bar_small and its hparams: new would be decoder/"
    )
    assert not (tmp_path / "run").exists()


def test_a_run_with_a_checkpoint_goes_on_from_it(tiny_run, groove_records, tmp_path, capsys):
    """So the same command goes on after a kill, even where the model has gone since."""
    model = make_model(tiny_run, tmp_path / "model")
    run_dir = tmp_path / "run"
    train_run(groove_records, run_dir, num_steps=2, warm_start=str(model))
    shutil.rmtree(model)
    # It was stopped before its second checkpoint, or after it.
    for step in (0, 1):
        if not step:
            for path in (run_dir / "train").glob("model.ckpt-2.*"):
                path.unlink()
        capsys.readouterr()
        train_run(groove_records, run_dir, num_steps=step + 1, warm_start=str(model))
        said = capsys.readouterr().err
        assert f"{run_dir} has a checkpoint and goes on from it; --warm_start={model} is" in said
        starts = json.loads((run_dir / "run.json").read_text())["starts"]
        assert [start["step"] for start in starts] == [0, *range(step + 1)]
        assert ["warm_start" in start for start in starts] == [True, *[False] * (step + 1)]


def test_a_damaged_model_is_named(tiny_run, groove_records, tmp_path):
    shutil.copytree(tiny_run, tmp_path / "damaged")
    data = tmp_path / "damaged" / "train" / "model.ckpt-3.data-00000-of-00001"
    data.write_bytes(bytes(len(data.read_bytes())))
    with pytest.raises(UserError, match=r"model\.ckpt-3 is damaged \(DataLossError\); copy it ag"):
        train_run(
            groove_records, tmp_path / "run", num_steps=1, warm_start=str(tmp_path / "damaged")
        )
