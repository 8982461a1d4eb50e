"""Training: what a run's folder holds, going on exactly, what is refused."""

import json
import shutil

import numpy as np
import pytest

from pipelines import runs
from pipelines.runtime.app import UserError
from pipelines.systems.curves import evaluation, hyperparameters, model, training
from tests.support.melodies import records

pytestmark = [pytest.mark.keras3, pytest.mark.slow]

SMALL = "units=8,batch_size=4,num_epochs=4"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    splits = [("train", 9), ("validation", 3), ("test", 3)]
    return records(tmp_path_factory.mktemp("melodies") / "records", splits, bars=20)


def train(made, run_dir, name="curves", hparams=SMALL, **more):
    training.train(
        name,
        hyperparameters.merge(name, hparams),
        f"{made}/train.tfrecord*",
        str(run_dir),
        f"{made}/validation.tfrecord*",
        **more,
    )


def weights(run_dir, checkpoint_file=None):
    return [
        np.asarray(one) for one in model.open_run(str(run_dir), checkpoint_file).network.weights
    ]


@pytest.fixture(scope="module", params=["curves", "curves-faithful"])
def run(request, made, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("runs") / request.param
    train(made, run_dir, request.param)
    return run_dir


def test_a_run_says_what_it_is(run, made):
    told = json.loads((run / "run.json").read_text())
    assert told["kind"] == "curves" and told["config"] == run.name and told["finished"]
    assert told["hparams"]["units"] == 8 and told["tunes"] == 9
    assert told["examples_path"] == f"{made}/train.tfrecord*"
    opened = model.open_run(str(run))
    assert opened.checkpoint == str(run / "train" / "ckpt-4")
    assert len(opened.vocabulary) == opened.network.output_layer.units
    assert len(list((run / "best").glob("*.index"))) == 1
    for folder in ("train", "validation"):
        assert list((run / folder).glob("events.out.tfevents*"))


def test_a_checkpoint_has_all_weights(run):
    untrained = model.open_run(str(run))
    fresh = model.untrained(untrained.name, untrained.hparams, untrained.vocabulary)
    # All that training changes: a bias of an LSTM begins as zeros and ones.
    assert all(
        np.abs(np.asarray(one) - np.asarray(other)).max() > 0
        for one, other in zip(untrained.network.weights, fresh.network.weights, strict=True)
    )


def test_a_run_that_was_stopped_goes_on_exactly(run, made, tmp_path, monkeypatch):
    save, saved = training._State.save, []

    def stop_at_the_third(state):
        if len(saved) == 2:
            raise KeyboardInterrupt
        saved.append(save(state))

    monkeypatch.setattr(training._State, "save", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        train(made, tmp_path / "run", run.name)
    assert not json.loads((tmp_path / "run" / "run.json").read_text())["finished"]
    monkeypatch.undo()
    train(made, tmp_path / "run", run.name)
    for checkpoint in (None, runs.BEST):
        pairs = zip(weights(run, checkpoint), weights(tmp_path / "run", checkpoint), strict=True)
        for one, other in pairs:
            np.testing.assert_array_equal(one, other)


def test_a_finished_run_stays(run, made):
    before = weights(run)
    train(made, run, run.name)
    np.testing.assert_array_equal(before[0], weights(run)[0])
    with pytest.raises(UserError, match="was begun with another hparams"):
        train(made, run, run.name, "units=9,batch_size=4,num_epochs=4")
    with pytest.raises(UserError, match="was begun with another seed"):
        train(made, run, run.name, seed=1)


def test_evaluation_is_on_the_same_curves_for_all(run, made):
    result = evaluation.measure(str(run), f"{made}/test.tfrecord*", runs.BEST)
    assert result["tunes"] == 3 and list(result["sections"]) == ["all", "next_eight_bars"]
    assert (run / "eval").glob("test-*.json")
    for section in result["sections"].values():
        scorers = section["scorers"]
        assert list(scorers) == [run.name, "most_frequent", "3-gram", "2-gram_in_place"]
        for figures in scorers.values():
            low, high = figures["interval"]
            assert 0 < low <= figures["bits_per_note"] <= high
            assert 0 <= figures["accuracy"] <= 1
        assert "accuracy_eight_ahead" in scorers[run.name]
    everything, following = result["sections"].values()
    assert everything["curves"] > following["curves"] > 0
    assert everything["curves"] <= result["curves"] - result["unknown"] - 3 * 8
    table = evaluation.table(result)
    assert f"| {run.name} |" in table and "### Next eight bars" in table
    assert f" {result['curves']} curves: the first 8 of each tune and {result['unknown']}" in table


def test_a_checkpoint_of_another_config(run, made, tmp_path):
    other = "curves" if run.name == "curves-faithful" else "curves-faithful"
    train(made, tmp_path / "run", other, "units=8,batch_size=4,num_epochs=1")
    with pytest.raises(UserError, match="ckpt-1: a checkpoint of another config"):
        model.open_run(str(run), str(tmp_path / "run" / "train" / "ckpt-1"))
    # Also where the run would go on from it.
    shutil.copytree(run, tmp_path / "mixed")
    told = json.loads((tmp_path / "mixed" / "run.json").read_text())
    (tmp_path / "mixed" / "run.json").write_text(json.dumps({**told, "finished": False}))
    shutil.rmtree(tmp_path / "mixed" / "train")
    shutil.copytree(tmp_path / "run" / "train", tmp_path / "mixed" / "train")
    with pytest.raises(UserError, match="a checkpoint of another config"):
        train(made, tmp_path / "mixed", run.name)


def test_a_damaged_checkpoint(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    data = next((tmp_path / "run" / "train").glob("ckpt-*.data*"))
    data.write_bytes(data.read_bytes()[:100])
    with pytest.raises(UserError, match="damaged"):
        model.open_run(str(tmp_path / "run"))


@pytest.mark.parametrize("damage", ["config", "vocabulary", "hparams"])
def test_a_damaged_run_json(run, tmp_path, damage):
    shutil.copytree(run, tmp_path / "run")
    path = tmp_path / "run" / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), damage: [[1, "x"]]}))
    with pytest.raises(UserError, match=r"run.json is damaged"):
        model.open_run(str(tmp_path / "run"))


def test_fewer_tunes_than_a_batch(made, tmp_path):
    with pytest.raises(UserError, match="its 9 tunes make 9 tunes, and a batch has 16") as error:
        train(made, tmp_path / "run", hparams="units=8,longest=1000")
    assert str(error.value).endswith("--hparams=batch_size=9 takes fewer")
    with pytest.raises(UserError, match="windows, and a batch has 5000"):
        train(made, tmp_path / "run", "curves-faithful", "batch_size=5000")
    assert not (tmp_path / "run").exists()


def test_an_empty_run(tmp_path):
    with pytest.raises(UserError, match="no run of curves is there"):
        model.open_run(str(tmp_path))
    runs.write(tmp_path, "musicvae", {})
    with pytest.raises(UserError, match="a run of musicvae, not of curves"):
        model.open_run(str(tmp_path))
