"""Evaluation: the loss is Magenta's, every example counts, baselines are what they say."""

import json
import math
import tarfile

import note_seq
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tensorflow_probability as tfp

import configs
from pipelines.examples import reading
from pipelines.examples.base import Counts
from pipelines.media import pieces as music
from pipelines.representations.groove_converter import CLASS_NAMES
from pipelines.runtime.app import UserError
from pipelines.systems.musicvae import evaluation, generation, losses
from pipelines.systems.musicvae import model as trained_model
from pipelines.systems.musicvae.run import open_run
from tests.support.datasets import write
from tests.support.jobs import error_of, job
from tests.support.pieces import drums, random_tune, tune
from tests.support.trained import TINY, train_run

pytestmark = pytest.mark.slow


def evaluate(run, pattern, **options):
    return evaluation.evaluate(
        run, reading.open_note_sequences(pattern), evaluation.Options(**options)
    )


def evaluate_constant(run, baseline, held_out, training):
    opened = (reading.open_note_sequences(pattern) for pattern in (held_out, training))
    return evaluation.evaluate_constant(run, baseline, *opened)


@pytest.fixture(scope="module")
def held_out(groove_records):
    return f"{groove_records}/validation.tfrecord*"


@pytest.fixture(scope="module")
def measured(tiny_run, held_out):
    """The evaluation, in batches that do not divide the examples."""
    return evaluate(open_run(str(tiny_run)), held_out, batch_size=13, seed=5)


def test_every_example_counts_and_numbers_agree(measured, held_out):
    counts = Counts()
    for _ in reading.open_note_sequences(held_out).batches(
        configs.get("flat-groove_4bar"), 100, counts
    ):
        pass
    assert measured["examples"] == counts.examples and counts.examples % 13
    assert measured["step"] == 3 and measured["config"] == "flat-groove_4bar"
    assert measured["kl_nats"] == pytest.approx(measured["kl_bits"] * math.log(2))
    assert measured["loss"] == pytest.approx(
        measured["reconstruction_loss"] + measured["kl_beta"] * measured["kl_loss"]
    )
    for name in ("teacher_forced", "sampled", "thresholded"):
        assert measured[name]["hits"] == measured["sampled"]["hits"] > 0
        assert set(measured[name]["classes"]) == set(CLASS_NAMES)
    assert measured["sampled"]["temperature"] == 0.5


def test_the_batch_size_changes_nothing(measured, tiny_run, held_out):
    other = evaluate(open_run(str(tiny_run)), held_out, batch_size=64, seed=5)
    # Metrics that do not depend on draws are the same.
    assert other["kl_bits"] == pytest.approx(measured["kl_bits"], rel=1e-4)
    assert other["thresholded"]["f1"] == pytest.approx(measured["thresholded"]["f1"], abs=2e-3)


def test_the_same_seed_gives_the_same_numbers(measured, tiny_run, held_out):
    again = evaluate(open_run(str(tiny_run)), held_out, batch_size=13, seed=5)
    assert again == measured


@pytest.fixture(scope="module")
def hierdec_run(groove_records, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("hierdec")
    train_run(groove_records, run_dir, "hierdec-groove_4bar", num_steps=1)
    return run_dir


@pytest.mark.parametrize("which", ["tiny_run", "hierdec_run"])
def test_the_loss_is_magentas(which, held_out, request, monkeypatch):
    """Against MusicVAE.eval, Magenta's own graph, on the same full batch and the same z."""
    # The two graphs would draw z differently, so both take the mean.
    monkeypatch.setattr(tfp.distributions.MultivariateNormalDiag, "sample", lambda q_z: q_z.loc)
    run = open_run(str(request.getfixturevalue(which)))
    counts = Counts()
    [batch] = reading.open_note_sequences(held_out).batches(run.config, 8, counts, num_batches=1)
    ours = losses.Losses(run, 8, seed=0)
    ours.update(batch)
    result = ours.result()

    config = run.config
    config.hparams.batch_size = 8
    with tf.Graph().as_default():
        config.model.build(config.hparams, 27, is_training=False)
        sequence = tf.constant(np.array(batch.inputs), tf.float32)
        updates = config.model.eval(sequence, sequence, tf.fill([8], 64))
        variables = tf.global_variables()
        with tf.Session() as session:
            tf.train.Saver(variables).restore(session, run.checkpoint)
            session.run(tf.local_variables_initializer())
            session.run(updates)
            merged = tf.Summary.FromString(session.run(tf.summary.merge_all()))
    stock = {value.tag: value.simple_value for value in merged.value}
    assert result["kl_bits"] == pytest.approx(stock["losses/kl_bits"], rel=1e-5)
    assert result["reconstruction_loss"] == pytest.approx(stock["losses/r_loss"], rel=1e-5)
    assert set(result["metrics"]) == {
        f"metrics/{name}_loss" for name in ("hits", "velocities", "offsets")
    }
    for name, value in result["metrics"].items():
        assert value == pytest.approx(stock[name], rel=1e-5)
    # The loss of a piece is the sum over its 64 steps of what the metrics give per step.
    assert 64 * sum(result["metrics"].values()) == pytest.approx(
        result["reconstruction_loss"], rel=1e-4
    )


def test_hierarchical_configs_are_measured(hierdec_run, held_out):
    result = evaluate(open_run(str(hierdec_run)), held_out, batch_size=32, num_batches=1)
    assert result["examples"] == 32
    assert result["thresholded"]["hits"] > 0


def test_nothing_to_measure_is_an_error(tiny_run, tmp_path):
    path = write(tmp_path / "a.tfrecord", [drums([(0, 36, 80)])])
    with pytest.raises(UserError, match="nothing to measure.*shorter than 4 bars"):
        evaluate(open_run(str(tiny_run)), path)


def test_untrained_is_another_model(tiny_run, held_out, tmp_path, measured):
    run = losses.untrained(open_run(str(tiny_run)), str(tmp_path), seed=0)
    assert run.step == 0
    result = evaluate(run, held_out, batch_size=64, num_batches=1)
    assert result["reconstruction_loss"] > measured["reconstruction_loss"]


def test_most_frequent_bar_by_hand(tiny_run, tmp_path):
    # In training, three bars of one kick and one of a snare; held out, four bars of kick and
    # snare, so the constant kick finds half of the hits and nothing wrong.
    kick = [(2.0 * bar, 36, 80) for bar in range(3)]
    training = write(tmp_path / "train.tfrecord", [drums(kick + [(6.0, 38, 80)])])
    both = [
        (2.0 * bar + late, pitch, 100) for bar in range(4) for late, pitch in ((0.0, 36), (1.0, 38))
    ]
    held_out = write(tmp_path / "validation.tfrecord", [drums(both)])
    result = evaluate_constant(open_run(str(tiny_run)), "most_frequent_bar", held_out, training)[
        "constant"
    ]
    assert (result["hits"], result["hits_decoded"]) == (8, 4)
    assert (result["precision"], result["recall"]) == (1.0, 0.5)
    assert result["f1"] == pytest.approx(2 / 3)
    assert result["velocity_mae"] == pytest.approx(20, rel=1e-5)


@pytest.fixture(scope="module")
def tunes(tmp_path_factory):
    """Records of random reels; all have at least 18 bars, and so 17 windows of two."""
    folder = tmp_path_factory.mktemp("tunes")
    for split, seeds in (("train", range(4)), ("validation", range(4, 7))):
        pieces = [random_tune(np.random.default_rng(seed)) for seed in seeds]
        write(folder / f"{split}.tfrecord", pieces)
    return folder


@pytest.fixture(scope="module")
def melody_run(tunes, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("melody")
    assert train_run(tunes, run_dir, "flat-reel_2bar", num_steps=3) == 3
    return run_dir


def test_melodies_are_measured_by_their_events(melody_run, tunes, tmp_path):
    held_out = f"{tunes}/validation.tfrecord"
    run = open_run(str(melody_run))
    result = evaluate(run, held_out, batch_size=16, seed=1)
    assert result["records"] == 3 and result["examples"] % 16
    for name in ("teacher_forced", "sampled", "likeliest"):
        assert result[name]["steps"] == 32 * result["examples"]
        assert result[name]["onsets"] == result["sampled"]["onsets"] > 0
        assert set(result[name]["bars"]) == {"01", "02"}
    # Magenta counts the same in its graph.
    assert result["teacher_forced"]["accuracy"] == pytest.approx(
        result["metrics"]["metrics/accuracy"], rel=1e-5
    )
    again = evaluate(run, held_out, batch_size=16, seed=1)
    assert again == result
    # The loss is the sum over the steps of a window, of -log 1/48 each before the first step.
    untrained = evaluate(losses.untrained(run, str(tmp_path), seed=0), held_out)
    assert untrained["reconstruction_loss"] == pytest.approx(32 * math.log(48), rel=0.02)


def test_what_is_sampled_is_decoded_from_the_means_alone(melody_run, tunes, monkeypatch):
    """The decoder here gives silence when it samples, and otherwise one note at every step."""
    held_out = f"{tunes}/validation.tfrecord"
    run = open_run(str(melody_run))
    [batch] = reading.open_note_sequences(held_out).batches(run.config, 6, Counts(), num_batches=1)
    means = trained_model.posterior_means(trained_model.load(run, 6, seed=7), batch)

    def constant(model, z, length, temperature):
        np.testing.assert_allclose(z, means, atol=1e-5)
        event = {0.7: 0, trained_model.THRESHOLD_TEMPERATURE: 10}[temperature]
        return np.tile(np.eye(48)[event], (len(z), length, 1))

    monkeypatch.setattr(trained_model, "decode", constant)
    result = evaluate(run, held_out, temperature=0.7, batch_size=6, num_batches=1)
    events = np.argmax(batch.outputs, axis=-1)
    for name, event, onsets in (("sampled", 0, 0), ("likeliest", 10, 6 * 32)):
        assert result[name]["onsets_decoded"] == onsets
        assert result[name]["accuracy"] == (events == event).mean()
    assert result["sampled"]["temperature"] == 0.7
    # Teacher-forced decoding does not use that decoder.
    assert result["teacher_forced"]["accuracy"] == pytest.approx(
        result["metrics"]["metrics/accuracy"], rel=1e-5
    )


def test_melody_baselines_by_hand(melody_run, tmp_path):
    # In training two bars of a minim and its rest: the commonest event is 0, no event, in 28 of 32.
    # Held out, the same minims, but with a G where the second C was.
    run = open_run(str(melody_run))
    training = write(tmp_path / "train.tfrecord", [tune([(60, 0, 8), (60, 16, 8), (60, 32, 1)])])
    held_out = write(tmp_path / "validation.tfrecord", [tune([(60, 0, 8), (67, 16, 8)])])

    def constant(name):
        return evaluate_constant(run, name, held_out, training)["constant"]

    event, bar = constant("most_frequent_event"), constant("most_frequent_bar")
    assert (event["steps"], event["onsets"], event["onsets_decoded"]) == (32, 2, 0)
    assert event["accuracy"] == 28 / 32 and event["onset_accuracy"] == 0.0
    assert bar["accuracy"] == 31 / 32
    assert (bar["onset_accuracy"], bar["rhythm_f1"], bar["pitch_accuracy"]) == (0.5, 1.0, 0.5)


def test_baselines_belong_to_families(tiny_run, held_out):
    run = open_run(str(tiny_run))
    with pytest.raises(
        UserError, match="has no such baseline; it has untrained, most_frequent_bar"
    ):
        evaluate_constant(run, "most_frequent_event", held_out, held_out)


@pytest.mark.parametrize("mode", ["sample", "reconstruct", "interpolate"])
def test_melodies_are_generated(mode, melody_run, tmp_path):
    inputs = []
    for i in range({"sample": 0, "reconstruct": 1, "interpolate": 2}[mode]):
        inputs.append(str(tmp_path / f"{i}.mid"))
        music.write(tune([(60 + i, 0, 8), (62, 60, 8)]), inputs[-1], draw=False)
    paths = generation.generate(
        open_run(str(melody_run)),
        mode,
        str(tmp_path / "out"),
        inputs,
        generation.Options(num_outputs=2, pianoroll=False),
    )
    assert len(paths) == (1 if mode == "reconstruct" else 2)
    for path in paths:
        sequence = note_seq.midi_file_to_note_sequence(path)
        assert all(55 <= note.pitch <= 100 for note in sequence.notes)
        [meter] = sequence.time_signatures
        assert (meter.numerator, meter.denominator) == (4, 4)


def test_a_tune_in_another_meter_is_not_reconstructed(melody_run, tmp_path):
    path = str(tmp_path / "jig.mid")
    music.write(tune([(60, 0, 24)], meter=(6, 8)), path, draw=False)
    with pytest.raises(
        UserError, match="no example for flat-reel_2bar: wrong meter: 6/8; needs 4/4"
    ):
        generation.generate(open_run(str(melody_run)), "reconstruct", str(tmp_path), inputs=(path,))


def test_a_checkpoint_that_does_not_fit_is_named(tiny_run, held_out):
    run = open_run(str(tiny_run))
    run.config.hparams.z_size = 5
    with pytest.raises(
        UserError,
        match=r"decoder/z_to_initial_state/kernel is \[5, 32\] in the model and \[4, 32\]",
    ):
        losses.Losses(run, 4, 0)
    with pytest.raises(UserError, match="does not fit the config"):
        trained_model.load(run, 4, 0)


def test_the_job(tiny_run, held_out):
    done = job(
        "evaluate",
        f"--run_dir={tiny_run}",
        f"--examples_path={held_out}",
        "--eval_num_batches=1",
        "--eval_dir_suffix=_job",
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["examples"] == 64
    written = json.loads((tiny_run / "eval_job" / "validation-step-3.json").read_text())
    assert written == result
    tags = {
        value.tag: (value.simple_value, event.step)
        for path in (tiny_run / "eval_job" / "validation").glob("events*")
        for event in tf.train.summary_iterator(str(path))
        for value in event.summary.value
    }
    assert tags["loss"] == (pytest.approx(result["loss"]), 3)
    assert tags["sampled/f1"][0] == pytest.approx(result["sampled"]["f1"])


def test_a_tar_is_measured_and_its_results_go_to_a_new_folder(tiny_run, held_out, tmp_path):
    with tarfile.open(tmp_path / "model.tar", "w") as archive:
        for path in (tiny_run / "train").glob("model.ckpt-3.*"):
            archive.add(path, path.name)
    done = job(
        "evaluate",
        f"--checkpoint_file={tmp_path / 'model.tar'}",
        "--config=flat-groove_4bar",
        f"--hparams={TINY}",
        f"--run_dir={tmp_path / 'new'}",
        f"--examples_path={held_out}",
        "--eval_num_batches=1",
    )
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "new" / "eval" / "validation-step-3.json").read_text())
    assert written == json.loads(done.stdout) and written["examples"] == 64


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--examples_path=none*"], "no file matches"),
        (["--baseline=most_frequent_bar"], "needs --baseline_examples_path"),
        (["--temperature=nan"], "--temperature=nan"),
        (["--checkpoint_file=none"], "none.index does not exist"),
    ],
)
def test_bad_command_lines_end_in_one_line(flags, message, tiny_run, held_out):
    done = job("evaluate", f"--run_dir={tiny_run}", f"--examples_path={held_out}", *flags)
    assert message in error_of(done)


@pytest.mark.parametrize(
    "pattern, label",
    [
        ("/a/b/validation.tfrecord*", "validation"),
        ("test.tfrecord-0000?-of-4,x", "test"),
        ("/a/*", "examples"),
    ],
)
def test_labels(pattern, label):
    assert evaluation.label(pattern) == label
