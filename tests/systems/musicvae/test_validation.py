"""Validation while training: curves, the best checkpoint, and stopping in time."""

import json
import shutil

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from configs import ConfigRef
from pipelines import checkpoints
from pipelines.examples import reading
from pipelines.runtime.app import UserError
from pipelines.systems.musicvae import evaluation
from pipelines.systems.musicvae.run import open_run
from pipelines.systems.musicvae.validation import Validation, active_units, read_windows
from pipelines.systems.musicvae.validation_hook import keep_only
from pipelines.systems.musicvae.validation_record import Record
from tests.support.datasets import write
from tests.support.jobs import error_of, job
from tests.support.pieces import drums
from tests.support.trained import TINY, train_run


@pytest.fixture
def held_out(groove_records):
    return f"{groove_records}/validation.tfrecord*"


def summaries_of(folder):
    """The scalars of a folder's event files: {tag: {step: value}}."""
    found = {}
    for path in sorted(folder.glob("events*")):
        for event in tf.train.summary_iterator(str(path)):
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    found.setdefault(value.tag, {})[event.step] = value.simple_value
    return found


def variables_of(prefix):
    reader = tf.train.load_checkpoint(prefix)
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def test_active_units_by_hand():
    # The variances of the three means are 1/4, 0 and 0.0025.
    assert active_units(np.array([[0.0, 3.0, 0.0], [1.0, 3.0, 0.1]])) == 1


def test_windows_are_drawn_once_and_keep_their_order(groove_records, held_out):
    config = ConfigRef("flat-groove_4bar", hparams=TINY).build()
    records = reading.open_note_sequences(held_out)
    every, some = read_windows(records, config, 0), read_windows(records, config, 9)
    assert len(some.examples) == 9 < len(every.examples)
    assert read_windows(records, config, 9).sha256 == some.sha256 != every.sha256
    keys = [example.outputs.tobytes() for _, example in every.examples]
    places = [keys.index(example.outputs.tobytes()) for _, example in some.examples]
    assert places == sorted(places)


def test_it_measures_what_evaluate_measures(tiny_run, held_out):
    """Magenta's loss over the same windows; only the noise of z differs."""
    run = open_run(str(tiny_run))
    records = reading.open_note_sequences(held_out)
    windows = read_windows(records, ConfigRef("flat-groove_4bar", hparams=TINY).build(), 0)
    measured = Validation(run.config, windows)
    measured.load(variables_of(run.checkpoint))
    result = measured.measure()
    assert measured.measure() == result
    expected = evaluation.evaluate(run, records)
    assert result["kl_bits"] == pytest.approx(expected["kl_bits"], rel=1e-4)
    for name in ("loss", "reconstruction_loss", "kl_beta"):
        assert result[name] == pytest.approx(expected[name], rel=0.01)
    assert result["reconstruction_bits"] == result["reconstruction_loss"] / np.log(2)
    # GrooVAE's config reaches its weight of the KL term at once.
    assert result["loss_at_max_beta"] == pytest.approx(result["loss"])
    assert result["teacher_forced"]["f1"] == pytest.approx(
        expected["teacher_forced"]["f1"], abs=0.02
    )
    assert 0 <= result["active_units"] <= 4


@pytest.mark.slow
def test_a_kill_while_the_best_is_kept_leaves_it(groove_records, held_out, tmp_path, monkeypatch):
    options = {"validation_path": held_out, "validation_every": 1}
    train_run(groove_records, tmp_path, num_steps=1, **options)
    before = json.loads((tmp_path / "validation" / "history.json").read_text())["best"]

    def killed(self):
        raise OSError("killed")

    monkeypatch.setattr(Validation, "measure", lambda self: {**measured, "loss_at_max_beta": 0.0})
    zero = ("loss", "reconstruction_loss", "reconstruction_bits", "kl_loss", "kl_bits", "kl_beta")
    measured = dict.fromkeys(zero, 0.0)
    monkeypatch.setattr(Record, "save", killed)
    with pytest.raises(OSError, match="killed"):
        train_run(groove_records, tmp_path, num_steps=2, **options)
    # What the record names is there, beside the one that it does not know yet.
    assert list((tmp_path / "best").glob(f"model.ckpt-{before[0]}.index"))


def test_checkpoints_behind_a_link_stay(tmp_path):
    (tmp_path / "other").mkdir()
    kept = tmp_path / "other" / "model.ckpt-7.index"
    kept.touch()
    (tmp_path / "best").symlink_to("other")
    with pytest.raises(UserError, match="best is a link"):
        keep_only(str(tmp_path / "best"), None)
    assert kept.exists()


@pytest.mark.slow
def test_training_is_the_same_with_and_without_validation(groove_records, held_out, tmp_path):
    for name, options in (("without", {}), ("with", {"validation_path": held_out})):
        train_run(groove_records, tmp_path / name, num_steps=4, validation_every=2, **options)
    before, after = (
        variables_of(checkpoints.latest(str(tmp_path / name / "train")))
        for name in ("without", "with")
    )
    assert before.keys() == after.keys()
    for name in before:
        np.testing.assert_array_equal(before[name], after[name])


@pytest.mark.slow
def test_curves_and_the_best_checkpoint(groove_records, held_out, tmp_path, capsys):
    run_dir = tmp_path / "run"
    options = {"validation_path": held_out, "validation_every": 2}
    train_run(groove_records, run_dir, num_steps=5, **options)
    curves = summaries_of(run_dir / "validation")
    names = {"loss", "losses/r_loss", "losses/r_bits", "losses/kl_bits", "active_units"}
    assert names <= curves.keys()
    assert "teacher_forced/f1" in curves
    # What lies over each other has the same name.
    assert names <= summaries_of(run_dir / "train").keys()
    # Before the first step, every second step, and after the last.
    assert list(curves["loss"]) == [0, 2, 4, 5]
    best = min(curves["loss"], key=curves["loss"].get)
    assert [path.name for path in (run_dir / "best").glob("*.index")] == [
        f"model.ckpt-{best}.index"
    ]
    assert f"best on {held_out}: step {best}" in capsys.readouterr().err
    run = open_run(str(run_dir), "best")
    assert (run.step, run.name) == (best, "flat-groove_4bar")
    assert run.metadata == open_run(str(run_dir)).metadata
    # All variables, the optimizer's too.
    newest = checkpoints.shapes(checkpoints.latest(str(run_dir / "train")))
    assert checkpoints.shapes(run.checkpoint) == newest
    # A run that goes on keeps what it found.
    history = json.loads((run_dir / "validation" / "history.json").read_text())["history"]
    train_run(groove_records, run_dir, num_steps=6, **options)
    after = json.loads((run_dir / "validation" / "history.json").read_text())["history"]
    assert after[:-1] == history and after[-1][0] == 6


@pytest.mark.slow
def test_the_projector_has_a_point_for_each_window(groove_records, held_out, tmp_path):
    train_run(groove_records, tmp_path, validation_path=held_out, validation_examples=9)
    folder = tmp_path / "validation"
    head, *points = [
        line.split("\t") for line in (folder / "projector-points.tsv").read_text().splitlines()
    ]
    records = reading.open_note_sequences(held_out)
    config = ConfigRef("flat-groove_4bar", hparams=TINY).build()
    windows = read_windows(records, config, 9)
    assert [dict(zip(head, point, strict=True))["id"] for point in points] == [
        facts["id"] for facts in windows.facts
    ]
    styles = {piece.id: set(piece.sequence_metadata.genre) for piece in records.pieces()}
    for point in points:
        facts = dict(zip(head, point))
        assert set(facts["style"].split(", ")) == styles[facts["id"]] and facts["meter"] == "4/4"
        assert facts["drummer"] and int(facts["tempo"]) > 40 and int(facts["window"]) > 0
    # The means are those of the best checkpoint.
    measured = Validation(config, windows)
    measured.load(variables_of(open_run(str(tmp_path), "best").checkpoint))
    measured.measure()
    written = np.loadtxt(folder / "projector-latent_means.tsv", delimiter="\t")
    np.testing.assert_allclose(written, measured.means, atol=1e-5)
    assert "projector-latent_means.tsv" in (folder / "projector_config.pbtxt").read_text()


@pytest.mark.slow
def test_patience_ends_a_run_and_a_kill_changes_nothing(
    groove_records, held_out, tmp_path, capsys, monkeypatch
):
    """The losses are made up, so that it is known when the patience is exhausted."""
    losses = {0: 9.0, 1: 5.0, 2: 4.0, 3: 4.2, 4: 4.1, 5: 3.0, 6: 2.0}
    monkeypatch.setattr(Validation, "load", lambda self, values: self.__dict__.update(now=values))

    def measure(self):
        step = int(self.now["global_step"])
        zero = dict.fromkeys(("reconstruction_loss", "kl_loss", "kl_bits", "kl_beta"), 0.0)
        loss = losses[step]
        return {**zero, "reconstruction_bits": 0.0, "loss": loss, "loss_at_max_beta": loss}

    monkeypatch.setattr(Validation, "measure", measure)
    options = {"validation_path": held_out, "validation_every": 1, "patience": 2}
    assert train_run(groove_records, tmp_path / "a", num_steps=9, **options) == 4
    said = capsys.readouterr().err
    assert "stopped at step 4: no better than at step 2 in 2 validations (--patience=2)" in said
    assert checkpoints.last_step(str(tmp_path / "a" / "train")) == 4
    assert checkpoints.last_step(str(tmp_path / "a" / "best")) == 2
    # The same command again has nothing to do; with more patience it goes on.
    assert train_run(groove_records, tmp_path / "a", num_steps=9, **options) == 0
    assert "nothing left to do" in capsys.readouterr().err
    options["patience"] = 3
    assert train_run(groove_records, tmp_path / "a", num_steps=6, **options) == 2
    assert checkpoints.last_step(str(tmp_path / "a" / "best")) == 6

    # Killed after step 4 was measured, before any checkpoint but the first was saved.
    options["patience"] = 2
    train_run(groove_records, tmp_path / "b", num_steps=4, **{**options, "patience": 9})
    for path in (tmp_path / "b" / "train").glob("model.ckpt-4.*"):
        path.unlink()
    # A kill may also leave a checkpoint in `best` that no record knows.
    for path in (tmp_path / "b" / "best").glob("model.ckpt-2.*"):
        shutil.copy(path, str(path).replace("ckpt-2", "ckpt-3"))
    assert train_run(groove_records, tmp_path / "b", num_steps=9, **options) == 4
    content = json.loads((tmp_path / "b" / "validation" / "history.json").read_text())
    assert content["history"] == [[step, losses[step]] for step in range(5)]
    assert content["best"] == [2, 4.0]
    assert len(list((tmp_path / "b" / "best").glob("*.index"))) == 1


def test_what_cannot_be_validated_with_is_named(groove_records, held_out, tmp_path):
    common = ["--config=flat-groove_4bar", f"--run_dir={tmp_path}/run", "--num_steps=1"]
    common.append(f"--examples_path={groove_records}/train.tfrecord*")
    assert "--patience needs --validation_path" in error_of(job("train", *common, "--patience=2"))
    absent = job("train", *common, f"--validation_path={tmp_path}/none*")
    assert "no file matches" in error_of(absent)


def test_a_run_without_a_best_checkpoint_says_so(tiny_run):
    with pytest.raises(UserError, match="no best checkpoint in it.*--validation_path"):
        open_run(str(tiny_run), "best")


def test_records_without_a_window_are_named(tmp_path):
    path = write(tmp_path / "validation.tfrecord", [drums([])])
    config = ConfigRef("flat-groove_4bar", hparams=TINY).build()
    with pytest.raises(UserError, match="nothing to validate with"):
        read_windows(reading.open_note_sequences(str(path)), config, 0)
