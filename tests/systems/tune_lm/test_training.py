"""Training language models of tunes: what is learnt, the same again, going on, bad input."""

import dataclasses
import json
import math
import os
import shutil
import signal

import numpy as np
import pytest
import tensorflow as tf

from configs import hparams as config_hparams
from configs.tune_lm import HPARAMS
from pipelines import runs
from pipelines.examples import written_tunes
from pipelines.representations.abc_tokens import vocabulary
from pipelines.runtime.app import UserError
from pipelines.systems.tune_lm import batches, evaluation, exporting, model, training
from tests.support import tune_corpus
from tests.support.jobs import error_of, job

pytestmark = pytest.mark.keras3

CONFIG = "tune_lm-lstm"
TINY = dataclasses.replace(
    HPARAMS[CONFIG], units=12, depth=2, embedding=4, batch_tokens=512, dropout=0.2, num_epochs=3
)
SMALL_TRANSFORMER = dataclasses.replace(TINY, network="transformer", heads=2)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return tune_corpus.make(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def run(corpus, tmp_path_factory):
    """A run of a few steps."""
    run_dir = tmp_path_factory.mktemp("runs") / "run"
    train(corpus, run_dir)
    return run_dir


def train(corpus, run_dir, hparams=TINY, config=CONFIG, **options):
    training.train(
        config,
        hparams,
        str(run_dir),
        corpus.examples("train"),
        [str(corpus.books)],
        corpus.examples("validation"),
        training.Options(**{"save_checkpoint_secs": 1e-9, **options}),
    )


def weights_of(run_dir, checkpoint=None):
    network = model.open_run(run_dir, checkpoint or str(runs.train_dir(run_dir))).network
    return {weight.path: weight.numpy() for weight in network.weights}


def last_step(run_dir):
    return int(tf.train.latest_checkpoint(runs.train_dir(run_dir)).rpartition("-")[2])


def validations(run_dir):
    """Bits a note on held-out tunes, and the step, in the order of the files."""
    return [
        (float(tf.make_ndarray(value.tensor)), event.step)
        for path in sorted((run_dir / "validation").glob("events*"))
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
    ]


def tunes_of(corpus, split):
    return written_tunes.read(corpus.records, [str(corpus.books)]).of(split)


def test_batches_have_each_tune_once_and_nothing_else(corpus):
    training_tunes = tunes_of(corpus, "train")
    examples = batches.Examples(training_tunes, 512)
    assert examples.notes == sum(int(each.steps.is_note.sum()) for each in training_tunes)
    for epoch in (0, 1):
        found = examples.epoch(5, epoch)
        assert sorted(np.concatenate(found).tolist()) == list(range(len(training_tunes)))
        assert [x.tolist() for x in found] == [x.tolist() for x in examples.epoch(5, epoch)]
    assert len(examples.epoch(5, 0)) > 1
    for batch in examples.in_order():
        assert len(batch.tunes) * max(examples.steps[batch.tunes]) <= 512
        for row, tune in enumerate(batch.tunes):
            steps = training_tunes[tune].steps
            size = len(steps.tokens)
            assert batch.there[row].tolist() == [1.0] * size + [0.0] * (batch.there.shape[1] - size)
            pairs = zip(batch.kinds[row, :size].tolist(), batch.pitches[row, :size].tolist())
            made = [vocabulary.joined(vocabulary.of_kind_and_pitch(*pair)) for pair in pairs]
            assert made == steps.tokens.tolist()


@pytest.mark.slow
@pytest.mark.parametrize("hparams", [TINY, SMALL_TRANSFORMER], ids=["lstm", "transformer"])
def test_a_few_tunes_are_learnt_by_heart(hparams, corpus, tmp_path):
    learnt = tunes_of(corpus, "train")[:2]
    fast = dataclasses.replace(
        hparams, units=32, dropout=0.0, learning_rate=0.01, num_epochs=100, warmup=5
    )
    training.fit(str(tmp_path), learnt, learnt, fast, training.Options())
    runs.write(tmp_path, model.KIND, {"hparams": model.as_json(fast)})
    found = model.probabilities(model.open_run(tmp_path).network, learnt)
    bits = sum(-np.log2(each).sum() for each in found) / sum(each.size for each in found)
    # Each step of these random walks has 2.5 bits or more, and an untrained model some 14.
    assert bits < 2


def test_the_same_seed_gives_the_same_weights(run, corpus, tmp_path):
    train(corpus, tmp_path / "again")
    one, other = weights_of(run), weights_of(tmp_path / "again")
    assert one.keys() == other.keys()
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name])
    train(corpus, tmp_path / "seeded", seed=1)
    assert any(
        (values != one[name]).any() for name, values in weights_of(tmp_path / "seeded").items()
    )


@pytest.mark.parametrize("step", [1, 4, 5, 6])
def test_a_run_that_was_killed_goes_on_as_if_it_had_not(step, run, corpus, tmp_path, monkeypatch):
    class Killed(Exception):
        pass

    take = training._State.train

    def killed(self, batch):
        if self.step == step:
            raise Killed
        return take(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(training._State, "train", killed)
        with pytest.raises(Killed):
            train(corpus, tmp_path / "run")
    train(corpus, tmp_path / "run")
    assert runs.read(tmp_path / "run", model.KIND)["finished"] is True
    for checkpoint in (None, "best"):
        again = weights_of(tmp_path / "run", checkpoint)
        for name, values in weights_of(run, checkpoint).items():
            np.testing.assert_array_equal(values, again[name])


@pytest.mark.parametrize("step", [3, "last of an epoch", "last of all"])
def test_a_run_that_is_terminated_saves_first(step, run, corpus, tmp_path, monkeypatch):
    an_epoch = len(batches.Examples(tunes_of(corpus, "train"), TINY.batch_tokens).epoch(0, 0))
    step = {"last of an epoch": an_epoch - 1, "last of all": last_step(run) - 1}.get(step, step)

    class Terminated(Exception):
        pass

    def terminate(number, frame):
        raise Terminated

    take = training._State.train

    def terminated(self, batch):
        if self.step == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return take(self, batch)

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(training._State, "train", terminated)
            with pytest.raises(Terminated):
                train(corpus, tmp_path / "run", save_checkpoint_secs=3600)
    finally:
        signal.signal(signal.SIGTERM, before)
    # The step that the signal came in is done, and none after it.
    assert last_step(tmp_path / "run") == step + 1
    train(corpus, tmp_path / "run")
    for checkpoint in (None, "best"):
        again = weights_of(tmp_path / "run", checkpoint)
        for name, values in weights_of(run, checkpoint).items():
            np.testing.assert_array_equal(values, again[name])
    # No validation was passed over.
    assert validations(tmp_path / "run") == validations(run)


def test_the_best_checkpoint_is_the_best_on_the_validation_tunes(run, corpus):
    held_out = tunes_of(corpus, "validation")
    notes = sum(int(each.steps.is_note.sum()) for each in held_out)
    curve = validations(run)
    assert len(curve) == TINY.num_epochs
    best = model.open_run(run)
    assert (best.step, best.source) == (min(curve)[1], str(run / "best" / f"ckpt-{best.step}"))
    found = model.probabilities(best.network, held_out)
    bits = sum(-np.log2(each).sum() for each in found) / notes
    assert bits == pytest.approx(min(curve)[0], rel=1e-4)


def test_a_finished_run_has_nothing_left_to_do(run, corpus, capsys):
    train(corpus, run)
    assert "nothing left to do" in capsys.readouterr().err


def test_another_seed_or_config_is_another_run(run, corpus):
    with pytest.raises(UserError, match=r"was begun with another seed \(seed 0\); name another"):
        train(corpus, run, seed=3)
    with pytest.raises(UserError, match="another hparams"):
        train(corpus, run, dataclasses.replace(TINY, units=13))


def test_num_steps_end_the_run(corpus, tmp_path):
    train(corpus, tmp_path / "run", num_steps=2)
    assert model.open_run(tmp_path / "run").step == 2


def test_bad_input_ends_in_one_line(corpus, run, tmp_path):
    with pytest.raises(UserError, match="is to train and to validate on"):
        training._read(
            corpus.examples("train"), corpus.examples("train"), [str(corpus.books)], False
        )
    with pytest.raises(UserError, match="the loss is nan"):
        train(corpus, tmp_path / "nan", dataclasses.replace(TINY, learning_rate=1e30))
    runs.write(tmp_path / "other", "titles", {})
    with pytest.raises(UserError, match="is a run of titles, not of tune_lm"):
        model.open_run(tmp_path / "other")
    runs.write(tmp_path / "damaged", model.KIND, {"hparams": {"units": 3}})
    with pytest.raises(UserError, match=r"run\.json is damaged"):
        model.open_run(tmp_path / "damaged")


def test_a_run_goes_on_with_the_tunes_that_it_was_begun_with(run, corpus, tmp_path):
    metadata = {**runs.read(run, model.KIND), "finished": False}
    begun = runs.read(run, model.KIND)
    for name, other in (("validation_splits", ["test"]), ("tunes", 1), ("validation_tunes", 1)):
        runs.write(tmp_path, model.KIND, {**metadata, name: other})
        with pytest.raises(UserError, match=rf"was begun with other tunes \({name} .*; name the"):
            train(corpus, tmp_path)
        assert runs.read(tmp_path, model.KIND) == {**begun, "finished": False, name: other}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("examples_path", None), ("validation_path", 3), ("splits", []), ("splits", "train"),
        ("validation_splits", [["validation"]]), ("highest", "yes"), ("records", None),
    ],
)  # fmt: skip
def test_a_run_that_does_not_tell_its_data_is_damaged(name, value, run, tmp_path):
    metadata = runs.read(run, model.KIND)
    model.require_data(metadata, run)
    with pytest.raises(UserError, match=rf"run\.json is damaged: {name} is .*; restore it, or"):
        model.require_data({**metadata, name: value}, run)
    with pytest.raises(UserError, match=f"{name} is None"):
        model.require_data({each: metadata[each] for each in metadata if each != name}, run)


@pytest.mark.parametrize(
    ("name", "value"),
    [("units", 12.0), ("units", True), ("depth", "2"), ("dropout", math.nan), ("network", 3)],
)
def test_hparams_of_other_types_are_damage(name, value, tmp_path):
    hparams = {**model.as_json(TINY), "summary": "", name: value}
    with pytest.raises(UserError, match=rf"run\.json is damaged .*{name} must be"):
        model.read_hparams({"hparams": hparams}, tmp_path)


def test_a_checkpoint_of_another_config_is_named(run, corpus, tmp_path):
    runs.write(tmp_path, model.KIND, {"hparams": model.as_json(dataclasses.replace(TINY, units=5))})
    with pytest.raises(UserError, match="damaged or of another config"):
        model.open_run(tmp_path, str(run / "best"))


def test_an_exported_model_is_the_run_in_half_precision(run, corpus, tmp_path):
    folder = exporting.export_run(str(run), None, tmp_path / "mine")
    opened, before = model.open_pretrained(str(folder)), model.open_run(run)
    assert opened.step == before.step
    assert opened.hparams == before.hparams == dataclasses.replace(TINY, summary="")
    for one, other in zip(opened.network.weights, before.network.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy().astype(np.float16))
    assert opened.metadata["examples_path"] == "records/train.tfrecord*"
    assert "--pretrained=mine" in (folder / "CARD.md").read_text()
    runs.write(folder, model.KIND, {"hparams": model.as_json(dataclasses.replace(TINY, units=5))})
    with pytest.raises(UserError, match="these are not the weights of the network"):
        model.open_pretrained(str(folder))


def test_models_are_measured_beside_baselines(run, corpus):
    held_out, validation = tunes_of(corpus, "test"), tunes_of(corpus, "validation")
    found = evaluation.measured(model.open_run(run), held_out, validation)
    baseline = evaluation.of_baseline("kneser_ney", held_out, tunes_of(corpus, "train"), validation)
    result = evaluation.report({"kneser_ney": baseline, **found}, held_out, seed=1)
    assert list(result["bits"]) == ["kneser_ney", "model", "model+ppm"]
    notes = sum(int(each.steps.is_note.sum()) for each in held_out)
    for name, each in {"kneser_ney": baseline, **found}.items():
        bits = sum(-math.log2(p) for tune in each for p in tune) / notes
        assert result["bits"][name]["all"]["bits_per_note"] == pytest.approx(bits, abs=1e-4)
        if name != "kneser_ney":
            saved = result["bits"]["kneser_ney"]["all"]["bits_per_note"] - bits
            assert result["saved"][name]["bits_per_note"] == pytest.approx(saved, abs=1e-3)
    with pytest.raises(UserError, match="did you mean kneser_ney"):
        evaluation.require_baseline("kneser-ney")


def test_hparams_are_replaced_by_their_types():
    made = config_hparams.replaced(TINY, CONFIG, "units=8, dropout=0.5,network=transformer")
    assert (made.units, made.dropout, made.network) == (8, 0.5, "transformer")
    assert config_hparams.replaced(TINY, CONFIG, "") == TINY
    for text, message in (
        ("unit=7", "no hparam is named 'unit'; did you mean units"),
        ("units", "no hparam is named 'units'"),
        ("units=0.5", "units must be a whole number"),
        ("dropout=much", "dropout must be a number"),
        ("dropout=nan", "dropout must be finite"),
        ("units=0", "units must be 1 or more, not 0"),
        ("dropout=1", "dropout must be from 0 to less than 1, not 1.0"),
        ("network=gru", "network must be lstm or transformer, not 'gru'"),
        ("learning_rate=0", "learning_rate must be more than 0"),
        ("network=transformer,heads=5", "5 heads do not divide 12 units"),
        ("warmup=-1", "^--hparams=warmup=-1: warmup must be 0 or more, not -1"),
        ("weight_decay=-1", "weight_decay must be 0 or more"),
        ("units=1000000000", "units must be at most 8192"),
    ):
        with pytest.raises(UserError, match=message):
            config_hparams.replaced(TINY, CONFIG, text)


@pytest.mark.slow
def test_records_without_validation_tunes_cannot_be_measured(run, corpus, tmp_path):
    lists = corpus.records / "tunes.jsonl"
    lines = [line for line in lists.read_text().splitlines(True) if '"validation"' not in line]
    shutil.copytree(corpus.records, tmp_path / "records")
    (tmp_path / "records" / "tunes.jsonl").write_text("".join(lines))
    done = job(
        "evaluate", f"--run_dir={run}", f"--tunebooks={corpus.books}",
        f"--examples_path={tmp_path}/records/test.tfrecord*",
    )  # fmt: skip
    assert "no tune of the split validation" in error_of(done)


@pytest.mark.slow
def test_figures_are_kept_where_no_sample_is_a_tune(run, corpus):
    done = job(
        "evaluate", f"--run_dir={run}", f"--tunebooks={corpus.books}", "--samples=1",
        f"--examples_path={corpus.records}/test.tfrecord*", "--temperature=1000",
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: none of the 1 samples is a tune; ")
    printed = json.loads(done.stdout)
    (path,) = (run / "eval").glob("*.json")
    assert printed["bits"] == json.loads(path.read_text())["bits"] and "samples" not in printed
