"""Training runs: how they end, what happens when they are interrupted, and what they leave."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import types

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from configs import ConfigRef
from pipelines import checkpoints
from pipelines.examples import conversion
from pipelines.examples.note_sequences import NoteSequences
from pipelines.runtime import magenta_compat
from pipelines.runtime.app import UserError
from pipelines.runtime.progress import Stages
from pipelines.systems.musicvae import training
from pipelines.systems.musicvae.progress_hook import ProgressHook, duration
from pipelines.systems.musicvae.run import open_run
from tests.support.datasets import write
from tests.support.jobs import ROOT, error_of, job
from tests.support.pieces import drums, melody
from tests.support.trained import TINY, train_run

pytestmark = pytest.mark.slow


def times_of_files(run_dir):
    return {path.name: path.stat().st_mtime_ns for path in (run_dir / "train").iterdir()}


def test_ends_at_exactly_num_steps_and_a_finished_run_stays_as_it_is(tiny_run, groove_records):
    assert checkpoints.last_step(str(tiny_run / "train")) == 3
    before = times_of_files(tiny_run)
    assert train_run(groove_records, tiny_run) == 0
    assert times_of_files(tiny_run) == before


def test_goes_on_to_a_later_end(groove_records, tmp_path):
    assert train_run(groove_records, tmp_path, num_steps=2) == 2
    assert train_run(groove_records, tmp_path, num_steps=5) == 3
    assert checkpoints.last_step(str(tmp_path / "train")) == 5


def test_the_same_seed_gives_the_same_variables(groove_records, tmp_path):
    kernels = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train_run(groove_records, tmp_path / name, num_steps=2, seed=seed)
        checkpoint = tf.train.latest_checkpoint(str(tmp_path / name / "train"))
        kernels.append(tf.train.load_variable(checkpoint, "decoder/output_projection/kernel"))
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert not np.array_equal(kernels[0], kernels[2])


def test_the_same_seed_gives_the_same_augmentation_and_slices(groove_records, tmp_path):
    """A config that transposes and slices at random, on melodies."""
    rng = np.random.default_rng(0)
    pieces = [melody([int(pitch) for pitch in rng.integers(55, 80, 64)]) for _ in range(6)]
    write(tmp_path / "train.tfrecord", pieces)
    kernels = []
    for name in ("a", "b"):
        train_run(tmp_path, tmp_path / name, "cat-mel_2bar_small", num_steps=3)
        checkpoint = checkpoints.latest(str(tmp_path / name / "train"))
        kernels.append(tf.train.load_variable(checkpoint, "decoder/output_projection/kernel"))
    np.testing.assert_array_equal(*kernels)


def variables(run_dir):
    """All variables of the last checkpoint, those of the optimizer too."""
    reader = tf.train.load_checkpoint(checkpoints.latest(str(run_dir / "train")))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def require_same_variables(a, b):
    first, second = variables(a), variables(b)
    assert first.keys() == second.keys() and "global_step" in first
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], name)


@pytest.mark.parametrize("config", ["flat-groove_4bar", "hierdec-groove_4bar"])
def test_a_run_with_a_seed_that_was_stopped_gives_the_same_variables(
    groove_records, tmp_path, config
):
    """Latent vectors, dropout, scheduled sampling and the order of the examples are the same."""
    hparams = f"{TINY},dropout_keep_prob=0.5,sampling_schedule=constant,sampling_rate=0.5"
    kinds = {"a": [4], "b": [2, 4]}
    for name, stops in kinds.items():
        for step in stops:
            train_run(groove_records, tmp_path / name, config, num_steps=step, hparams=hparams)
    require_same_variables(tmp_path / "a", tmp_path / "b")


def test_a_run_on_tensors_and_one_that_transposes_and_slices_go_on_the_same(
    groove_records, tmp_path
):
    ref = ConfigRef("flat-groove_4bar", hparams=TINY)
    conversion.convert(ref, str(groove_records), str(tmp_path / "tensors"))
    rng = np.random.default_rng(0)
    pieces = [melody([int(pitch) for pitch in rng.integers(55, 80, 64)]) for _ in range(6)]
    (tmp_path / "melodies").mkdir()
    write(tmp_path / "melodies" / "train.tfrecord", pieces)
    for records, config in (("tensors", "flat-groove_4bar"), ("melodies", "cat-mel_2bar_small")):
        for name, stops in (("a", [4]), ("b", [1, 4])):
            for step in stops:
                run_dir = tmp_path / f"{records}-{name}"
                train_run(tmp_path / records, run_dir, config, num_steps=step)
        require_same_variables(tmp_path / f"{records}-a", tmp_path / f"{records}-b")


def test_resuming_without_a_seed_goes_on_with_other_examples(groove_records, tmp_path, monkeypatch):
    draws = []
    real = NoteSequences.training_dataset

    def recorded(self, config, draw):
        draws.append(draw)
        return real(self, config, draw)

    monkeypatch.setattr(NoteSequences, "training_dataset", recorded)
    for num_steps in (1, 3):
        train_run(groove_records, tmp_path, num_steps=num_steps, seed=None)
    assert [(draw.seed, draw.taken) for draw in draws] == [(None, 0)] * 2


def test_a_failed_start_does_not_stand_in_the_way(groove_records, tmp_path):
    with pytest.raises(UserError, match="clip_mode=nonsense.*cannot be built"):
        train_run(groove_records, tmp_path, hparams=TINY + ",clip_mode=nonsense")
    assert train_run(groove_records, tmp_path, num_steps=1) == 1


def test_batch_size_and_learning_rate_may_change(groove_records, tmp_path, capsys):
    train_run(groove_records, tmp_path, num_steps=1)
    other = TINY.replace("batch_size=8", "batch_size=4")
    assert train_run(groove_records, tmp_path, num_steps=2, hparams=other) == 1
    assert "batch_size=8 (now 4)" in capsys.readouterr().err
    assert open_run(str(tmp_path)).config.hparams.batch_size == 4


def test_variables_that_are_no_numbers_are_not_saved(groove_records, tmp_path):
    # The first update at this rate makes the variables NaN; the loss before it is finite.
    with pytest.raises(UserError, match="not finite any more|the loss is"):
        train_run(
            groove_records,
            tmp_path,
            num_steps=3,
            hparams=TINY.replace("learning_rate=0.01", "learning_rate=1e38"),
        )
    assert checkpoints.last_step(str(tmp_path / "train")) == 0


@pytest.mark.parametrize("spoil", ["truncate", "garbage"])
def test_a_damaged_checkpoint_is_named(tiny_run, groove_records, tmp_path, spoil):
    shutil.copytree(tiny_run, tmp_path / "run")
    index = tmp_path / "run" / "train" / "model.ckpt-3.index"
    index.write_bytes(b"" if spoil == "truncate" else b"garbage" * 100)
    with pytest.raises(UserError, match="model.ckpt-3: damaged"):
        train_run(groove_records, tmp_path / "run", num_steps=5)
    for path in index.parent.glob("model.ckpt-3.*"):
        path.unlink()
    assert train_run(groove_records, tmp_path / "run", num_steps=2) == 2


def test_pieces_that_a_stock_converter_fails_on_are_counted(tmp_path, capsys):
    """Pitch 54 is in no map of Magenta's GrooveConverter, which raises KeyError."""
    good = [(2.0 * bar + late, 36, 80) for bar in range(12) for late in (0, 0.5)]
    write(tmp_path / "train.tfrecord", [drums(good)] * 4 + [drums([*good, (1.0, 54, 80)])])
    assert train_run(tmp_path, tmp_path / "run", "groovae_4bar", num_steps=1) == 1
    assert "12 examples from 4 of 5 records" in capsys.readouterr().err


@pytest.mark.parametrize("absolute", [False, True])
def test_a_run_that_was_moved_goes_on(groove_records, tmp_path, absolute):
    """It may have the relative paths that we write, or the absolute ones of stock Magenta."""
    before, after = tmp_path / "before", tmp_path / "after"
    train_run(groove_records, before, num_steps=2)
    if absolute:
        state = before / "train" / "checkpoint"
        state.write_text(f'model_checkpoint_path: "{before}/train/model.ckpt-2"\n')
    before.rename(after)
    assert train_run(groove_records, after, num_steps=3) == 1
    assert checkpoints.last_step(str(after / "train")) == 3


def saved_steps(run_dir):
    return sorted(int(path.stem.split("-")[1]) for path in (run_dir / "train").glob("*.index"))


def test_the_newest_checkpoints_are_kept_over_all_starts_of_a_run(groove_records, tmp_path):
    """A start saves a checkpoint when it begins and one when it ends."""
    assert training.Options().checkpoints_to_keep == 3
    train_run(groove_records, tmp_path / "run", num_steps=1, checkpoints_to_keep=2)
    assert saved_steps(tmp_path / "run") == [0, 1]
    train_run(groove_records, tmp_path / "run", num_steps=2, checkpoints_to_keep=2)
    assert saved_steps(tmp_path / "run") == [1, 2]
    # A folder that was copied may name its checkpoint by an old path, and none of the others.
    state = tmp_path / "run" / "train" / "checkpoint"
    state.write_text('model_checkpoint_path: "/elsewhere/model.ckpt-2"\n')
    train_run(groove_records, tmp_path / "run", num_steps=3, checkpoints_to_keep=2)
    assert saved_steps(tmp_path / "run") == [2, 3]


@pytest.mark.parametrize("config", ["hierdec-groove_4bar", "groovae_4bar"])
def test_other_configs_train(config, groove_records, tmp_path):
    assert train_run(groove_records, tmp_path, config, num_steps=1) == 1


def test_summaries_are_magentas(tiny_run):
    tags = set()
    for path in (tiny_run / "train").glob("events*"):
        for event in tf.train.summary_iterator(str(path)):
            tags |= {value.tag for value in event.summary.value}
    assert {"loss", "losses/r_loss", "losses/kl_loss", "learning_rate"} <= tags


def test_what_there_is_to_wait_for_is_said_in_order(groove_records, tmp_path, capsys):
    # A checkpoint of TINY has 14,004 numbers, most of 4 bytes.
    checkpoints_kept = (
        "a checkpoint of 0.1 MB every 60 s; the newest 3 are kept (--checkpoints_to_keep), and one "
        "every 1 h"
    )
    for start, variables in ((0, "weights drawn"), (1, "weights restored from step 1")):
        train_run(groove_records, tmp_path, num_steps=start + 1)
        lines = [
            line
            for line in capsys.readouterr().err.splitlines()
            if not line.startswith("WARNING:tensorflow:")
        ]
        begin = lines.index(
            f"step {start} of {start + 1}; building the graph of flat-groove_4bar ..."
        )
        said = [re.sub(r"[0-9,]{4,}", "N", re.sub(r"\d+\.\d s$", "S s", x)) for x in lines[begin:]]
        passed_over = [line for line in said[1:-1] if "examples that are passed over" in line]
        assert len(passed_over) == start
        assert said[1:-1] == [
            *passed_over,
            checkpoints_kept,
            "graph of N nodes built in S s",
            "opening the session ...",
            f"session open, N {variables} in S s",
            "optimising the graph ...",
            "graph optimised in S s",
            "waiting for the first batch, while the shuffle buffers fill ...",
            "first batch ready in S s",
            "computing the first step ...",
            "first step done in S s",
        ]
        *_, counted, media = [line for line in lines[:begin] if not line.startswith("passing over")]
        assert re.search(r"examples from .*; counted in \d+\.\d s$", counted)
        assert media.startswith("piano rolls and sound for TensorBoard every 1000 steps")
        # TINY has batches of 8.
        assert [line for line in lines[:begin] if line.startswith("passing over 8 ")] == (
            ["passing over 8 examples of 1 steps: with a seed each comes in its turn"] * start
        )


def test_the_graph_is_optimised_once(groove_records, tmp_path, monkeypatch):
    """TensorFlow optimises it again for other fetches."""
    fetched = []
    real = tf.Session.run

    def leaves(fetches):
        if isinstance(fetches, dict):
            fetches = list(fetches.values())
        if not isinstance(fetches, (list, tuple)):
            return {getattr(fetches, "name", fetches)}
        return set().union(*map(leaves, fetches))

    def run(self, fetches, *args, **kwargs):
        names = leaves(fetches)
        if "train_step" in names:
            fetched.append(names)
        return real(self, fetches, *args, **kwargs)

    monkeypatch.setattr(tf.Session, "run", run)
    train_run(groove_records, tmp_path, num_steps=3)
    assert len(fetched) == 3
    assert fetched[0] == fetched[1] == fetched[2]
    assert any("MergeSummary" in name for name in fetched[0])


def test_watching_changes_no_element(capsys):
    with Stages() as stages, tf.Graph().as_default(), tf.Session() as session:
        watched = ProgressHook(None, num_steps=9, batch_size=1, stages=stages).watch(
            tf.data.Dataset.range(3)
        )
        element = tf.data.make_one_shot_iterator(watched).get_next()
        assert "waiting" not in capsys.readouterr().err
        assert session.run(element) == 0
        said = capsys.readouterr().err
        assert said.index("waiting for the first batch") < said.index("first batch ready")
        assert [session.run(element) for _ in range(2)] == [1, 2]
        with pytest.raises(tf.errors.OutOfRangeError):
            session.run(element)
        assert "batch" not in capsys.readouterr().err


def test_each_worker_reads_its_share(groove_records, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        NoteSequences, "training_dataset", lambda _, config, draw: seen.append((config, draw))
    )

    def train(*_, dataset_fn, **__):
        # As Magenta does it: in a graph that has the step.
        with tf.Graph().as_default():
            tf.train.get_or_create_global_step()
            dataset_fn()

    monkeypatch.setattr(magenta_compat.music_vae_train(), "train", train)
    train_run(groove_records, tmp_path, num_sync_workers=2, task=1, master="grpc://elsewhere:2222")
    [(config, draw)] = seen
    assert (draw.worker, draw.num_workers) == (1, 2)
    assert config.hparams.batch_size == 4


def test_another_config_or_hparams_in_the_same_folder_is_refused(tiny_run, groove_records):
    with pytest.raises(UserError, match="holds a run of flat-groove_4bar"):
        train_run(groove_records, tiny_run, "hierdec-groove_4bar")
    with pytest.raises(UserError, match=r"z_size=4 \(now 5\)"):
        train_run(groove_records, tiny_run, hparams=TINY.replace("z_size=4", "z_size=5"))


@pytest.mark.parametrize("workers", [0, 2])
def test_fewer_examples_than_a_batch_are_refused(groove_records, tmp_path, workers):
    with pytest.raises(UserError, match="fewer than a batch of 100000"):
        train_run(groove_records, tmp_path, hparams="batch_size=100000", num_sync_workers=workers)
    assert checkpoints.last_step(str(tmp_path / "train")) == 0


def arguments(records, run_dir, num_steps, *more):
    return [
        "--config=flat-groove_4bar",
        f"--examples_path={records}/train.tfrecord*",
        f"--run_dir={run_dir}",
        f"--num_steps={num_steps}",
        f"--hparams={TINY}",
        *more,
    ]


def test_killed_and_resumed(groove_records, tmp_path):
    """Killed without warning, then run again: what was saved is kept, the end is exact."""
    train_dir, log = str(tmp_path / "run" / "train"), tmp_path / "log"
    endless = arguments(groove_records, tmp_path / "run", 10**6, "--save_checkpoint_secs=1")
    with open(log, "wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.train", *endless],
            stderr=file,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        deadline = time.monotonic() + 240
        while checkpoints.last_step(train_dir) < 2 and time.monotonic() < deadline:
            assert process.poll() is None, log.read_text()
            time.sleep(0.5)
        second = job("train", *arguments(groove_records, tmp_path / "run", 10**6))
        assert f"another job (process {process.pid}) is training in" in error_of(second)
        process.send_signal(signal.SIGKILL)
        process.wait()
    saved = checkpoints.last_step(train_dir)
    assert saved >= 2
    done = job("train", *arguments(groove_records, tmp_path / "run", saved + 3))
    assert done.returncode == 0, done.stderr
    assert checkpoints.last_step(train_dir) == saved + 3
    assert f"step {saved} of {saved + 3}" in done.stderr
    assert "device: CPU" in done.stderr
    assert done.stderr.splitlines()[-1] == (
        f"next: ./run.sh evaluate --run_dir={tmp_path}/run "
        f"--examples_path='{groove_records}/validation.tfrecord*'; "
        f"./run.sh generate --run_dir={tmp_path}/run --mode=sample --output_dir=music"
    )
    metadata = json.loads((tmp_path / "run" / "run.json").read_text())
    assert [start["step"] for start in metadata["starts"]] == [0, saved]


def test_sigterm_ends_a_run_that_saves_first(groove_records, tmp_path):
    """Twice, as systemd and a script may send it; the checkpoints of the clock come too late."""
    log = tmp_path / "log"
    endless = arguments(groove_records, tmp_path / "run", 10**6, "--save_checkpoint_secs=3600")
    with open(log, "wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.train", *endless],
            stderr=file,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        deadline = time.monotonic() + 240
        while "first step done" not in log.read_text() and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(1)
        for _ in range(2):
            process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143
    assert log.read_text().splitlines()[-1] == "terminated"
    # The hook saves one at the first step, too.
    assert checkpoints.last_step(str(tmp_path / "run" / "train")) > 1


@pytest.mark.parametrize(
    "flags, message",
    [
        ([], "missing --config, --run_dir"),
        (["--config=flat-groove_4bar", "--run_dir=RUN"], "--examples_path=GLOB is needed"),
        (
            ["--config=x", "--run_dir=x", "--examples_path=x", "--tfds_name=x"],
            "only one of --examples_path and --tfds_name",
        ),
        (["--config=x", "--run_dir=x", "--examples_path=x", "--mode=eval"], "run.sh evaluate"),
        (
            ["--config=flat-groove", "--run_dir=RUN", "--examples_path=x"],
            "did you mean flat-groove_4bar",
        ),
        (
            ["--config=flat-groove_4bar", "--run_dir=RUN", "--examples_path=none*"],
            "no file matches",
        ),
        (["--config=flat-groove_4bar", "--run_dir=x", "--num_steps=0"], "num_steps"),
    ],
)
def test_bad_command_lines_end_in_one_line(flags, message, tmp_path):
    assert message in error_of(
        job("train", *(flag.replace("RUN", str(tmp_path / "run")) for flag in flags))
    )


def test_a_loss_that_is_no_number_ends_the_run():
    hook = ProgressHook(None, num_steps=9, batch_size=1, stages=Stages())
    values = types.SimpleNamespace(results={"step": 4, "loss": float("nan")})
    with pytest.raises(UserError, match="the loss is nan at step 4"):
        hook.after_run(None, values)


def test_a_full_disk_is_one_line(groove_records, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise tf.errors.ResourceExhaustedError(None, None, "x; No space left on device")

    monkeypatch.setattr(magenta_compat.music_vae_train(), "train", full)
    with pytest.raises(UserError, match="the disk is full"):
        train_run(groove_records, tmp_path)


def test_durations():
    assert duration(59.9) == "0:59"
    assert duration(3723) == "1:02:03"
